"""Mistakes that attention code is published with, as edits of reference.py.

    MISTAKES["no scale"].words     what was done, as a sentence
    mistaken("no scale", "K and V exchanged")      {name: function} of the reference with both

An entry is an Edit whose `old` stands once in the function that `where` names. `at` is a pattern
for lines of the user's file in which such a thing is likely written. Each page holds one subject.
"""

import re
from functools import lru_cache
from pathlib import Path

from npattn.doctor.catalogue.blocks import BLOCK_MISTAKES
from npattn.doctor.catalogue.chunks import STEPS
from npattn.doctor.catalogue.gradients import BACKWARD
from npattn.doctor.catalogue.heads import HEAD_MISTAKES, tiled
from npattn.doctor.catalogue.masks import MASK_MISTAKES
from npattn.doctor.catalogue.positions import BEYOND
from npattn.doctor.catalogue.projections import PROJECTION_MISTAKES
from npattn.doctor.catalogue.scores import SCORE_MISTAKES
from npattn.doctor.reference import varied
from npattn.edits import EditError, apply

SOURCE = Path(__file__).parents[1] / "reference.py"
MISTAKES = (SCORE_MISTAKES | BEYOND | MASK_MISTAKES | HEAD_MISTAKES | PROJECTION_MISTAKES
            | BLOCK_MISTAKES)
ALL = (MISTAKES | {f"cache: {name}": mistake for name, mistake in STEPS.items()}
       | {f"backward: {name}": mistake for name, mistake in BACKWARD.items()})


def _other(c):
    """The conventions with the other pairing of rotary features."""
    return varied(c, rotary="half" if c.rotary == "pairs" else "pairs")


def _pairing(d):
    """Columns of the angles as the other pairing would read a table of the wrong kind."""
    half = [*range(d // 2)]
    wide = [i for i in half for _ in range(2)]
    return wide[: d // 2], wide[d // 2 :]


def _halves(d):
    """The same, for neighbours that read a table of halves."""
    return [i % (d // 2) for i in range(0, d, 2)], [i % (d // 2) for i in range(1, d, 2)]


@lru_cache(maxsize=1)
def _functions():
    text = SOURCE.read_text(encoding="utf-8")
    parts = re.split(r"^(?=def )", text, flags=re.MULTILINE)
    return {re.match(r"def (\w+)", part)[1]: part for part in parts[1:]}


def _stepped(text):
    """A piece of `multihead` as it stands in `step`."""
    return re.sub(r"\bX[qkv]\b", "X", text).replace(", 0, c)", ", at, c)")


@lru_cache(maxsize=4096)
def _code(where, names):
    text = _functions()[where]
    if where in ("step", "alone"):  # what a layer does wrong it does with a cache, too
        for name in names:
            if ALL[name].where == "multihead":
                for old, new in ALL[name].edit.pairs:
                    text = text.replace(old, new) if where == "alone" else text.replace(
                        _stepped(old), _stepped(new))
        names = [name for name in names if ALL[name].where == where]
    text = apply(text, *[ALL[name].edit for name in names])
    try:
        return compile(text, str(SOURCE), "exec")
    except SyntaxError as error:
        raise EditError(f"{' and '.join(names)} exclude each other") from error


@lru_cache(maxsize=4096)
def mistaken(*names):
    """{name: function} of the reference with these mistakes; EditError if they exclude each other."""
    from npattn.doctor import reference

    space = dict(vars(reference)) | {
        "_r": _pairing, "_n": _halves, "_o": _other, "_t": tiled}
    by = {}
    for name in names:
        by.setdefault(ALL[name].where, []).append(name)
        if ALL[name].where == "multihead":
            by.setdefault("step", []).append(name)
            by.setdefault("alone", []).append(name)
    for where in _functions():
        exec(_code(where, tuple(by.get(where, ()))), space)
    return space
