"""Our docstrings for Sphinx: prose stays prose, aligned lines and equations stay as they stand."""

import inspect
import re

LISTED = re.compile(r"\s*([-*+•]|\w{1,3}[.)]|\(\w+\)|\.\.|[=~^#-]{3,})(\s|$)")


def as_rst(lines):
    """The lines of a docstring as lines of reStructuredText."""
    found = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc("\n".join(lines))):
        if not block.strip():
            continue
        kind = "pycon" if block.lstrip().startswith(">>>") else "text"
        if kind == "text" and _is_prose(block):
            found += [_escaped(" ".join(block.split())), ""]
        else:
            found += [f".. code-block:: {kind}", "", *_indented(inspect.cleandoc(block)), ""]
    return found


def fields(tuple_class):
    """The fields of a NamedTuple with the comments that give their shapes, as reStructuredText."""
    source = inspect.cleandoc(inspect.getsource(tuple_class).split(":\n", 1)[1]).splitlines()
    kept = [line for line in source if re.match(r"\w+\s*:", line)]
    return [".. code-block:: python", "", *_indented("\n".join(kept)), ""] if kept else []


def summary(thing):
    """The first sentence of a docstring, escaped."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return _escaped(re.split(r"(?<=\w\.)\s", text)[0].rstrip(":"))


def _is_prose(block):
    lines = block.splitlines()
    return not any(
        line.startswith(" ") or re.search(r"\S\s{2,}\S", line) or LISTED.match(line)
        for line in lines
    )


def _escaped(text):
    """Text as text: no `*`, `|` or `_` of ours is markup; `code` is code."""
    parts = re.split(r"(?<![`\w])`([^`]+)`(?!\w)", text)
    for n, part in enumerate(parts):
        parts[n] = f"``{part}``" if n % 2 else re.sub(r"([\\*|_`])", r"\\\1", part)
    return "".join(parts)


def _indented(text):
    return [f"   {line}".rstrip() for line in text.splitlines()]
