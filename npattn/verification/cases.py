"""Every pair of the package through the gradient checker: what `npattn check` runs.

A case bears the name of its pair; a second one has more words behind it, "encoder in tiles".
"""

import numpy as np

from npattn.checking import gradcheck
from npattn.verification import (
    beyond_cases, kernel_cases, language_cases, model_cases, modern_cases,
)
from npattn.verification.pairs import find_pairs

CASES = {
    **kernel_cases.CASES, **modern_cases.CASES, **beyond_cases.CASES, **model_cases.CASES,
    **language_cases.CASES,
}


def pair_names():
    """The names of all pairs, each once."""
    return list(dict.fromkeys(name.split()[0] for name in (*find_pairs(), *CASES)))


def check_pairs(seed=0, only=None, name=None):
    """A gradcheck report for every case, or for those of one pair, or with `only` in their name."""
    cases = dict.fromkeys([*find_pairs(), *CASES])
    if name is not None:
        cases = [case for case in cases if case.split()[0] == name]
    return [check_pair(case, seed) for case in cases if not only or only in case]


def check_pair(name, seed=0):
    """The gradcheck report for one case. Raises LookupError for a pair that has none."""
    pair = find_pairs()[name.split()[0]]
    if name not in CASES:
        raise LookupError(f"{pair.module}.{name} is a pair without a case in {__package__}")
    case = CASES[name](np.random.default_rng(seed))
    return gradcheck(
        case.forward or pair.forward, case.backward or pair.backward, *case.args,
        axes=case.axes, seed=seed, name=name, **case.options,
    )
