"""A function run statement by statement, with other texts of some of them.

To compile the statements that are changed is much less work than to compile the function; what
stands before the first of them is run once for each arguments.
"""

import ast
import itertools
import re
import textwrap
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from npattn.edits import changes, edited, source_of
from npattn.exercises.changed import WRITES

WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*")  # a name that is no attribute
_known = {}  # {(function, ids of arguments): (arguments, {number of a statement: names before it})}


class Statement(NamedTuple):
    """One statement of a function: where it stands in the source, and its text."""

    start: int
    stop: int
    text: str


@lru_cache(maxsize=64)
def statements_of(function):
    """The statements of a function behind its docstring."""
    source = source_of(function)
    lines = source.splitlines(keepends=True)
    starts = [0, *itertools.accumulate(map(len, lines))]
    tree = ast.parse(source).body[0]
    spans = [(starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno])
             for node in tree.body[ast.get_docstring(tree) is not None :]]
    return tuple(Statement(start, stop, source[start:stop]) for start, stop in spans)


def definitions(tree):
    """{name: line from which it is known}, for arguments and local variables."""
    function = tree.body[0]
    found = {arg.arg: 0 for arg in function.args.args if arg.arg not in ("cache", "eps")}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id != "_":
            found.setdefault(node.id, node.lineno)
    return found


@lru_cache(maxsize=2**12)
def names_in(text, context=ast.Load):
    """The names that a text reads, or with ast.Store makes; none where it is no Python."""
    try:
        nodes = ast.walk(ast.parse(textwrap.dedent("    " + text)))
    except SyntaxError:
        return set()
    return {node.id for node in nodes if isinstance(node, ast.Name)
            and isinstance(node.ctx, context)}


def pieces_of(source, statements, made):
    """{number of a statement: its text with the changes}; None where one is in no statement."""
    found = {}
    for start, stop, text in reversed(made):
        inside = [k for k, one in enumerate(statements) if one.start <= start and stop <= one.stop]
        if not inside:
            return None
        one = statements[inside[0]]
        old = found.get(inside[0], one.text)
        found[inside[0]] = old[: start - one.start] + text + old[stop - one.start :]
    return found


def with_pieces(function, pieces, moved=True):
    """The function with other texts of some statements; None where that cannot be.

    It is run statement by statement: to compile those that are changed is much less work. If
    `moved`, a statement with a name that becomes known later stands behind that.
    """
    statements = statements_of(function)
    texts = [pieces.get(number, one.text) for number, one in enumerate(statements)]
    added = {number: text.split("\0")[1] for number, text in pieces.items() if "\0" in text}
    *others, last = (text.split("\0")[0] for text in texts)
    if any("return" in text for text in others) or last.count("return ") != 1:
        return None
    codes = [_compiled(text) for text in [*others, last.replace("return ", "answer = ")]]
    for number in sorted(added, reverse=True):
        codes.insert(number + 1, _compiled(added[number]))
    for number in pieces if moved and not added else ():
        behind = _behind(function, number, pieces[number])
        if behind > number:
            codes.insert(behind, codes.pop(number))
    if None in codes:
        return None
    first = min([*pieces, *added], default=0)

    def run(*args):
        start, space = _space(function, args, first)
        for code in codes[start:]:
            exec(code, space)
        return space["answer"]

    return run


def _space(function, args, number):
    """(which statement comes next, the names known there): `number`, or 0 if arrays are changed."""
    if _writes(function):
        number = 0
    known = _known.setdefault((function, *map(id, args)), (args, {}))[1]
    if len(_known) > 64:
        _known.clear()
    if 0 not in known:
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        known[0] = {"np": np, **function.__globals__, **dict(zip(names, args, strict=True))}
    for k in range(max(known), number):
        space = dict(known[k])
        exec(_compiled(statements_of(function)[k].text), space)
        if any(isinstance(value, Iterator) for value in space.values()):  # it can be read once
            return k, dict(known[k])
        known[k + 1] = space
    return number, dict(known[number])


@lru_cache(maxsize=64)
def _writes(function):
    return bool(WRITES.search(source_of(function)))


def locals_of(function, args):
    """{name: value}: what a function with plain statements has made of its arguments at the end."""
    number, names = len(statements_of(function)) - 1, _defined(function)
    return {name: value for name, value in _space(function, args, number)[1].items()
            if name in names}


@lru_cache(maxsize=64)
def _defined(function):
    return frozenset(definitions(ast.parse(source_of(function))))


@lru_cache(maxsize=2**13)
def _behind(function, number, text):
    """The number of the last statement that makes a name in the changed `text`, or `number`."""
    statements = statements_of(function)
    new = {*WORD.findall(text)} - {*WORD.findall(statements[number].text)}
    return max([number, *(k for k, one in enumerate(statements) if k > number
                          and new and new & names_in(one.text, ast.Store))])


@lru_cache(maxsize=2**13)
def _compiled(text):
    try:
        return compile(textwrap.dedent("    " + text), "slip", "exec")
    except SyntaxError:
        return None


@lru_cache(maxsize=2**13)
def with_edits(function, made):
    """The function with edits made together. Raises Overlap and SyntaxError as `edited` does."""
    pieces = pieces_of(source_of(function), statements_of(function),
                       [tuple(change) for change in changes(source_of(function), *made)])
    return pieces and with_pieces(function, pieces, moved=False) or edited(function, *made)
