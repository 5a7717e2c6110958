"""The verdict of npattn's checker on an entry."""

import warnings

import numpy as np

from npattn import gradcheck
from npattn.checking import gradcheck_layer


def check(entry, seed=0):
    """The report."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if entry.way == "layer":
            return gradcheck_layer(entry.f(), *entry.inputs, seed=seed, **entry.options)
        return gradcheck(entry.f, entry.backward, *entry.inputs, seed=seed, **entry.options)


def verdict(entry, seed=0):
    """The verdict, or "refused"; and the report, or the exception."""
    try:
        report = check(entry, seed)
    except Exception as error:  # noqa: BLE001: whatever it is, the entry was not judged
        return "refused", error
    return report.verdict, report


def complaints(entries, seed=0):
    """A paragraph for each verdict that is not due."""
    found = ((entry, *verdict(entry, seed)) for entry in entries)
    return [f"{entry.title}: {word}\n{report}" for entry, word, report in found
            if word not in entry.due]
