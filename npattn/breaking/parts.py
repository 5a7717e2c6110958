"""Copies of gpt.py: of other sizes, and with edits, made section by section so that it is quick."""

import re
import types
from functools import lru_cache

from npattn.breaking.catalogue import EDITS, REFERENCE
from npattn.breaking.probes import SIZES
from npattn.edits import apply, changes

SIZE_LINE = re.compile(r"^\(?B, T, D, H, L\)? = .*$", re.MULTILINE)
HEADER = re.compile(r"^# ---- ", re.MULTILINE)


def sizes_of(module):
    """{"T": …, "D": …, "H": …, "L": …, "V": …} of a file, or ValueError in one sentence."""
    found = {}
    for name, most in SIZES.items():
        value = vars(module).get(name)
        if name == "V":
            value = len(vars(module).get("LETTERS", ()))
        if type(value) is not int or not 1 <= value <= most:
            raise ValueError(
                f"{'LETTERS' if name == 'V' else name} should be set as in gpt.py, with a length "
                f"or number from 1 to {most}; the file has {value!r}")
        found[name] = value
    if found["D"] % found["H"]:
        raise ValueError(f"D = {found['D']} is not a multiple of H = {found['H']}")
    lack = [n for n in ("SHAPES", "unpack", "loss", "loss_backward") if n not in vars(module)]
    if lack:
        raise ValueError(f"the file has no {' and no '.join(lack)}; keep these names of gpt.py")
    return found


@lru_cache(maxsize=1)
def source():
    """The text of gpt.py."""
    return REFERENCE.read_text(encoding="utf-8")


@lru_cache(maxsize=8)
def sized_copy(T, D, H, L, V):
    """The reference with these sizes, as a module of its own."""
    text = SIZE_LINE.sub(f"B, T, D, H, L = 16, {T}, {D}, {H}, {L}", source())
    module = types.ModuleType("reference")
    exec(compile(text, str(REFERENCE), "exec"), vars(module))
    if V != len(module.LETTERS):
        module.LETTERS = "".join(map(chr, range(256, 256 + V)))
        module.SHAPES["E"] = (V, D)
    return module


@lru_cache(maxsize=4096)
def edited_copy(names, **sizes):
    """`sized_copy` with edits of the catalogue. Raises Overlap if they exclude each other."""
    edits = [EDITS[name] for name in names]
    return _patched(edits, sizes)


def _patched(edits, sizes):
    old, new = source(), apply(source(), *edits)
    module = types.ModuleType("edited")
    vars(module).update(vars(sized_copy(**sizes)))
    starts = [m.start() for m in HEADER.finditer(old)]
    touched = {sum(start <= c.start for start in starts) for c in changes(old, *edits)}
    sections = HEADER.split(new)
    for number in sorted(touched):
        exec(compile("# ---- " + sections[number], str(REFERENCE), "exec"), vars(module))
    return module


def patched(section, sizes):
    """`sized_copy` with one section replaced by the given text."""
    module = types.ModuleType("patched")
    vars(module).update(vars(sized_copy(**sizes)))
    exec(compile(section, str(REFERENCE), "exec"), vars(module))
    return module
