"""The tables of the cross-check as text and as JSON."""

import json
import math

from npattn.checking.report import align
from npattn.files import replace_file

HEADER = ("kernel or system", "entries", "worst relative error", "where", "tolerance", "why", "ok")
BACKEND_HEADER = (
    "back end", "precision", *HEADER[2:5], "ms, forward and backward", "dead rows: O / dQ", "ok"
)


def format_rows(rows):
    """The rows of `crosscheck` as a table, and below it a line for each that missed."""
    cells = [
        (
            row.name, str(row.entries), f"{row.error:.1e}", row.where,
            f"{row.tolerance:.0e}", row.why, "yes" if row.ok else "NO",
        )
        for row in rows
    ]
    faults = [f"MISSED  {row.name}: {row.fault}" for row in rows if not row.ok]
    return "\n".join([*align([HEADER, *cells]), *faults])


def format_backends(rows):
    """The rows of `attention_backends` as a table, and below it torch's reasons."""
    lines = align([BACKEND_HEADER, *map(_backend_cells, rows)])
    reasons = {}
    for row in rows:
        if row.reason:
            reasons.setdefault((row.backend, row.reason), []).append(row.precision)
    notes = [
        f"{backend}, {', '.join(dtypes)}: {reason}"
        for (backend, reason), dtypes in reasons.items()
    ]
    faults = [f"MISSED  {row.backend}, {row.precision}: {row.fault}" for row in rows if not row.ok]
    return "\n".join([*lines, *notes, *faults])


def _backend_cells(row):
    cells, verdict = ["not available", "–", "–", "–"], "–"
    if row.found is not None:
        _, _, error, where, tolerance, *_ = row.found
        cells = [f"{error:.1e}", where, f"{tolerance:.0e}", f"{row.milliseconds:.3g}"]
        verdict = "yes"
    return row.backend, row.precision, *cells, row.dead_rows, verdict if row.ok else "NO"


def write_json(path, tables):
    """A dict of tables and of other values.

    Written in one move, so that the file holds all of the old content or all of the new.
    """
    text = json.dumps(_plain(tables), indent=1, allow_nan=False) + "\n"
    replace_file(path, text.encode())


def _plain(value):
    """NamedTuples as dicts, and numbers that JSON does not know, NaN and inf, as null."""
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
