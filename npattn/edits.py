"""Mistakes as edits: what a source would do if a few of its characters were others.

    no_minus = Edit("dP - (", "dP + (", "The row sum is added; it must be subtracted.")

    edited(softmax_backward, no_minus)             the function with that mistake
    edited_module(path.read_text(), no_minus)      a whole file with it
    wrote(source, no_minus)                        `dP + (dP * P).sum(axis=-1, keepdims=True)`

An edit names the text that it replaces. That text must stand in the source exactly once; where it
stands more often, quote more of it, or say `after` which other text it comes first. Several edits
are made at once, all of them in the original source. Two that change the same characters exclude
each other and raise Overlap, unless they change them alike. Only what differs between `old` and
`new` counts as changed, so the quoted surroundings of two edits may overlap.

Nothing here knows what a mistake is about; it needs the standard library only.
"""

import ast
import inspect
import itertools
import os
import textwrap
import types
from functools import lru_cache
from typing import NamedTuple


NO_PYTHON = SyntaxError, ValueError, MemoryError, RecursionError  # the last two: nested too deeply


def no_python(error):
    """What to say of a file that ast.parse or compile refused with one of NO_PYTHON."""
    place = f" in line {error.lineno}" if getattr(error, "lineno", None) else ""
    said = getattr(error, "msg", str(error)) or "its expressions are nested too deeply"
    return f"the file is no Python{place}: {said}"


class Edit(NamedTuple):
    """A change of a source. `old` and `new` may be tuples: several replacements, made together."""

    old: str | tuple
    new: str | tuple
    words: str = ""          # what was done, and why it is wrong
    step: int | None = None  # of a derivation
    after: str = ""          # `old` is looked for behind this text, which stands in the source once

    @property
    def pairs(self):
        """The replacements: ((old, new), ...)."""
        if isinstance(self.old, str):
            return ((self.old, self.new),)
        return tuple(zip(self.old, self.new, strict=True))


class EditError(ValueError):
    """The text to be replaced is not there, or there more than once."""


class Overlap(EditError):
    """Two edits change the same characters."""


class Change(NamedTuple):
    """One replacement: source[start:stop] becomes `text`."""

    start: int
    stop: int
    text: str


def changes(source, *edits):
    """The `Change`s that the edits make, in their order in the source.

    Raises EditError if a text is not found, or found twice; Overlap if two changes meet.
    """
    made = sorted({_change(source, edit, *pair) for edit in edits for pair in edit.pairs})
    for one, next_one in itertools.pairwise(made):
        inserted = one.start == next_one.start == next_one.stop
        if next_one.start < one.stop or inserted:
            raise Overlap(f"two edits change the same words, {_line(source, next_one.start)}")
    return made


def apply(source, *edits):
    """The source with the edits made. Raises as `changes` does."""
    for start, stop, text in reversed(changes(source, *edits)):
        source = source[:start] + text + source[stop:]
    return source


def edited(function, *edits):
    """`function` with the edits made in its source; it sees the same globals.

    Raises as `changes` does, and SyntaxError if what comes out is no Python.
    """
    return rewritten(function, apply(source_of(function), *edits))


def rewritten(function, source):
    """`function` with another source; it sees the same globals."""
    space = dict(function.__globals__)
    exec(_compiled(source, function.__name__), space)
    return space[function.__name__]


def edited_module(source, *edits, name="edited", path="edited.py"):
    """A new module made of the edited text of a whole file; it is not entered in sys.modules.

    source  the text of the file
    name    its __name__; path its __file__, for imports and tracebacks
    """
    module = types.ModuleType(name)
    module.__file__ = os.fspath(path)
    exec(_compiled(apply(source, *edits), module.__file__), module.__dict__)
    return module


@lru_cache(maxsize=512)
def source_of(function):
    """The source of a function, as `edited` sees it: without the indentation of its first line."""
    return textwrap.dedent(inspect.getsource(function))


def expressions(source):
    """[(start, stop, node), ...]: the expressions of a source and where each of them stands."""
    lines = source.splitlines(keepends=True)
    starts = [0, *itertools.accumulate(map(len, lines))]

    def place(line, column):  # ast counts columns in bytes
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    return [
        (place(node.lineno, node.col_offset), place(node.end_lineno, node.end_col_offset), node)
        for node in ast.walk(ast.parse(source)) if isinstance(node, ast.expr)
    ]


def wrote(source, edit, most=60):
    """What stands in the edited source where `edit` changed it, short enough for a sentence.

    The smallest expression around the first change; whole lines, joined by `;`, where statements
    were changed. At most `most` characters, with … in place of what is left out.
    """
    first, *others = changes(source, edit)
    text, stop = apply(source, edit), first.start + len(first.text.rstrip())
    low = text.rfind("\n", 0, first.start) + 1
    high = text.find("\n", max(stop, low)) % (len(text) + 1)
    if not others:
        low, high = _expression(text, first.start, stop) or (low, high)
    found = "; ".join(_code(text[low:high])) or next(iter(_code(text[low:])), "")
    if len(found) > most and low < first.start - most // 3:
        found = f"… {text[first.start - most // 3 : high].splitlines()[0]}"
    return found if len(found) <= most else f"{found[: most - 2].rstrip()} …"


def _code(text):
    """The lines of a text without comments."""
    lines = (line.split("  # ")[0].strip() for line in text.strip().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _change(source, edit, old, new):
    start = _find(source, edit.after, 0) + len(edit.after) if edit.after else 0
    start = _find(source, old, start, bool(edit.after))
    # only what differs is changed
    front = len(os.path.commonprefix([old, new]))
    back = len(os.path.commonprefix([old[front:][::-1], new[front:][::-1]]))
    return Change(start + front, start + len(old) - back, new[front : len(new) - back])


def _find(source, text, start, first=False):
    """Where `text` stands: the only place, or the first one from `start` on."""
    count = source.count(text, start) if text else 0
    if count == 1 or count and first:
        return source.index(text, start)
    if not count:
        raise EditError(f"{text!r} is not in the source" + " behind that place" * first)
    places = [i for i in range(len(source)) if source.startswith(text, i)]
    lines = ", ".join(str(1 + source.count("\n", 0, i)) for i in places)
    raise EditError(f"{text!r} stands in lines {lines}: quote more of it, or say `after` what")


def _line(source, place):
    number = 1 + source.count("\n", 0, place)
    return f"line {number}: `{source.splitlines()[number - 1].strip()}`"


@lru_cache(maxsize=4096)
def _compiled(source, name):
    return compile(source, name, "exec")


def _expression(text, start, stop):
    """Where the smallest expression that holds text[start:stop] and a neighbour of it is; None."""
    found = [
        (high - low, low, high) for low, high, node in expressions(text)
        if low <= start and stop <= high and high - low > stop - start
        and (start < stop or low < start < high)
        and not isinstance(node, (ast.Name, ast.Attribute, ast.UnaryOp))
    ]
    return min(found)[1:] if found else None
