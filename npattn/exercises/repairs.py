"""Repairs: which one change in the learner's own function makes it right?

The slips of a solution (slips.py) are told only where an answer goes the same way. Here the source
of the answer is changed in one place by the same means: another name, sign, axis, factor, number.
A change after which every case is right is named with its line: this is true by construction.
"""

import ast
import inspect
import itertools
import re
import textwrap
import types
from typing import NamedTuple

import numpy as np

from npattn.edits import expressions
from npattn.exercises.answers import Elsewhere, Trouble, read
from npattn.exercises.changed import TRIES, runs
from npattn.exercises.variants import bracketed, variants
from npattn.trees import tree_map

LINE = 88      # characters of a line that are shown
NARROW = re.compile(r"\bfloat(?:16|32)\b")
SMALL = 0.01   # a number up to this may be the step of a difference quotient, or an ε


class Source(NamedTuple):
    """A function of the learner, and the functions that it calls, as one text."""

    name: str     # of the function
    text: str
    lines: tuple  # for each line of the text the number of that line in the file


class Repair(NamedTuple):
    """One change in the text of a source."""

    start: int
    stop: int
    new: str   # what stands there instead
    line: int  # of the text in which it is


def source_here(function):
    """The `Source` of a function of this process; None if there is none to be changed."""
    if not isinstance(function, types.FunctionType) or function.__closure__:
        return None
    file, wanted, found = function.__code__.co_filename, [function], []
    for each in wanted:
        try:
            lines, first = inspect.getsourcelines(each)
            text = textwrap.dedent("".join(lines))
            node = ast.parse(text).body[0]
        except (OSError, TypeError, SyntaxError):
            return None
        if not isinstance(node, ast.FunctionDef):
            return None
        found.append((ast.get_source_segment(text, node), first + node.lineno - 1))
        called = (function.__globals__.get(name) for name in each.__code__.co_names)
        wanted += [one for one in called if isinstance(one, types.FunctionType)
                   and one.__code__.co_filename == file and one not in wanted]
    return _joined(function.__name__, found)


def source_in(text, name):
    """The `Source` of a function in the text of a file; None if there is none to be changed."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    defined = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    wanted = [name] if name in defined else []
    for each in wanted:
        names = {node.id for node in ast.walk(defined[each]) if isinstance(node, ast.Name)}
        wanted += [one for one in defined if one in names and one not in wanted]
    pieces = [(ast.get_source_segment(text, defined[each]), defined[each].lineno)
              for each in wanted]
    return _joined(name, pieces) if pieces else None


def _joined(name, pieces):
    lines = [number for text, first in pieces
             for number in range(first, first + text.rstrip().count("\n") + 1)]
    text = "\n".join(text.rstrip() for text, _ in pieces) + "\n"
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    plain = all(isinstance(node, ast.FunctionDef) for node in tree.body)
    endless = any(isinstance(node, (ast.While, ast.Global, ast.Import, ast.ImportFrom))
                  for node in ast.walk(tree))
    return None if endless or not plain else Source(name, text, tuple(lines))


def outcomes(function, source, changes, trial, answer, quick=True):
    """What comes out of a trial for each change: arrays, or None."""
    made = [change[:3] for change in changes]
    if isinstance(function, Elsewhere):
        results = function.changed(source, made, trial.args, len(answer), quick)
    else:
        def args():
            return tree_map(np.copy, trial.args) if ".at(" in source.text else trial.args

        results = runs(source.text, made, source.name, function.__globals__, args, quick)
    for result in results:
        found = None if result is None else read(result, trial, list(answer))
        yield None if isinstance(found, Trouble) else found


def repairs(source):
    """Changes of a `Source`, those first that are likely: TRIES at most."""
    return tuple(itertools.islice(_changes(source.text, ast.parse(source.text)), TRIES))


def widening(source):
    """[a change] of a `Source` that names double precision wherever it names another one."""
    return [Repair(*change) for change in _widened(source.text)]


def larger(source):
    """Changes of a `Source` that make a small number in it ten times as large."""
    places = [place for place in expressions(source.text) if _small(place[2])]
    return [Repair(low, high, repr(10.0 * node.value), node.lineno) for low, high, node in places]


def _small(node):
    value = getattr(node, "value", None)
    return isinstance(node, ast.Constant) and isinstance(value, float) and 0.0 < value <= SMALL


def source_of_answer(function):
    """The `Source` of a learner's function, wherever it runs."""
    if isinstance(function, Elsewhere):
        return source_in(function.source, function.name)
    return source_here(function)


def shortest(found):
    """Of several changes of one line the shortest; else the changes as they are."""
    if len({change.line for change in found}) == 1:
        return [min(found, key=lambda each: len(each.new) - (each.stop - each.start))]
    return found


def said(source, change):
    """A sentence: which line should read how."""
    text, (start, stop, new, line) = source.text, change
    narrow = [(line_in_file(source, text.count("\n", 0, start + found.start()) + 1), found[0])
              for found in NARROW.finditer(text[start:stop])]
    if narrow and NARROW.sub("float64", text[start:stop]) == new:
        lines = ", ".join(dict.fromkeys(str(number) for number, _ in narrow))
        return f"{narrow[0][1]}, in line {lines}, has few digits; it should be `float64`."
    old, new = _differing(text, text[:start] + new + text[stop:])
    number = line_in_file(source, line)
    if not old:
        return f"line {number} lacks `{new}`."
    if not new:
        return f"line {number}, `{old}`, must go."
    return f"line {number} is `{old}`; it should be `{new}`."


def line_in_file(source, line):
    """The number that a line of a `Source` has in the file of the answer."""
    return source.lines[min(line, len(source.lines)) - 1]


def _changes(text, tree):
    """The `Repair`s of a text, each once."""
    seen = {text}

    def fresh(start, stop, new, line):
        whole = text[:start] + new + text[stop:]
        if whole not in seen:
            seen.add(whole)
            yield Repair(start, stop, new, line)

    names, fixed = _known(tree), _fixed(tree)
    homes = {(node.lineno, node.col_offset): k for k, function in enumerate(tree.body)
             for node in ast.walk(function) if isinstance(node, ast.expr)}
    places = [(low, high, node) for low, high, node in expressions(text)
              if (node.lineno, node.col_offset) not in fixed
              and not isinstance(getattr(node, "ctx", None), ast.Store)]
    for change in _widened(text):
        yield from fresh(*change)
    for group in (_likely, _renamed, _inserted):
        for low, high, node in places:
            known = names[homes[node.lineno, node.col_offset]]
            there = [name for name, line in known.items() if line <= node.lineno]
            for new in group(node, there):
                yield from fresh(low, high, new, node.lineno)
        if group is _likely:
            for change in _lines(text, tree):
                yield from fresh(*change)
        if group is _renamed:
            for change in _everywhere(text, tree):
                yield from fresh(*change)


def _widened(text):
    """(start, stop, text, line): double precision wherever another one is named."""
    found = [*NARROW.finditer(text)]
    if found:
        start, stop = found[0].start(), found[-1].end()
        yield start, stop, NARROW.sub("float64", text[start:stop]), 1 + text.count("\n", 0, start)


def _everywhere(text, tree):
    """(start, stop, text, line): one axis in place of another wherever that stands."""
    axes = {(word.value.lineno, word.value.col_offset) for node in ast.walk(tree)
            if isinstance(node, ast.Call) for word in node.keywords if word.arg == "axis"}
    groups = {}
    for low, high, node in expressions(text):
        if (node.lineno, node.col_offset) in axes and text[low:high] in ("-1", "-2", "0", "1"):
            groups.setdefault(text[low:high], []).append((low, high, node.lineno))
    for old, spans in groups.items():
        for new in ("-1", "-2", "0", "1") if len(spans) > 1 else ():
            first, last, changed = min(spans)[0], max(spans)[1], text
            for low, high, _ in sorted(spans, reverse=True):
                changed = changed[:low] + new + changed[high:]
            if new != old:
                stop = len(changed) - (len(text) - last)
                yield first, last, changed[first:stop], min(line for *_, line in spans)


def _known(tree):
    """[{name: line from which it is known}, ...]: arguments and variables of each function."""
    found = []
    for function in tree.body:
        known = {arg.arg: 0 for arg in function.args.args}
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                known.setdefault(node.id, node.lineno)
        found.append(known)
    return found


def _fixed(tree):
    """Places of what is not changed: docstrings, annotations, defaults."""
    found = set()
    for function in tree.body:
        parts = [*function.args.defaults, *function.args.args, function.returns]
        if ast.get_docstring(function) is not None:
            parts.append(function.body[0].value)
        found |= {(node.lineno, node.col_offset) for part in parts if part
                  for node in ast.walk(part) if hasattr(node, "lineno")}
    return found


def _likely(node, names):
    """Texts in place of an expression: what is there is something else."""
    if not isinstance(node, ast.Name):
        yield from (new for new, _ in variants(node, names))
    if isinstance(node, ast.Constant) and type(node.value) is int:
        small = (-1, -2, -3, 0, 1, 2) if abs(node.value) < 4 else ()
        near = -node.value, node.value + 1, node.value - 1, *small
        yield from (str(value) for value in near if value != node.value)
    elif isinstance(node, ast.Constant) and type(node.value) is float and node.value:
        yield from (str(value) for value in (1.0 - node.value, 1.0 / node.value))
    elif isinstance(node, ast.Tuple):
        parts = [ast.unparse(part) for part in node.elts]
        for i, j in itertools.combinations(range(len(parts)), 2):
            turned = [parts[{i: j, j: i}.get(k, k)] for k in range(len(parts))]
            yield f"({', '.join(turned)})"
    elif isinstance(node, ast.Slice):
        low, high, step = (ast.unparse(part) if part else "" for part in (
            node.lower, node.upper, node.step))
        tail = f":{step}" * bool(step)
        yield from (f"{low}:{tail}", f":{high}{tail}")
    elif isinstance(node, ast.Subscript):
        yield ast.unparse(node.value)
    elif isinstance(node, ast.Call):
        yield from _other_call(node)
        yield from _factor_outside(node)


def _renamed(node, names):
    """Other names in place of a name."""
    if isinstance(node, ast.Name):
        yield from (new for new, _ in variants(node, names))


def _other_call(node):
    """Other keywords of a call."""
    text, words = ast.unparse(node), [word.arg for word in node.keywords]
    reduces = isinstance(node.func, ast.Attribute) and node.func.attr in (
        "sum", "mean", "max", "min", "norm", "cumsum")
    if not reduces:
        return
    X = bracketed(node.func.value)
    yield f"{X}.{node.func.attr}(axis=tuple(range({X}.ndim - 1)))"
    comma = ", " if node.args or words else ""
    if "keepdims" not in words:
        yield f"{text[:-1]}{comma}keepdims=True)"
    if "axis" not in words and len(node.args) < 2:
        yield from (f"{text[:-1]}{comma}axis={axis})" for axis in (-1, -2, 0))


def _factor_outside(node):
    """f(A) * B where there is f(A * B); and with / in place of *."""
    inner = node.args[0] if len(node.args) == 1 else None
    if isinstance(inner, ast.BinOp) and isinstance(inner.op, (ast.Mult, ast.Div)):
        sign = "*" if isinstance(inner.op, ast.Mult) else "/"
        left, right, f = bracketed(inner.left), bracketed(inner.right), ast.unparse(node.func)
        yield f"({f}({left}) {sign} {right})"
        yield f"({left} {sign} {f}({right}))"


def _inserted(node, names):
    """Texts in place of an expression: it is there, and something is missing."""
    text = ast.unparse(node)
    if isinstance(node, (ast.BinOp, ast.Call, ast.Name, ast.Subscript, ast.UnaryOp)) and (
            not isinstance(node, ast.Name) or node.id in names):
        yield f"(-({text}))"
        yield f"({text}).swapaxes(-1, -2)"
        yield f"({text})[..., None]"
        yield from (f"({text}).sum(axis={axis})" for axis in (-1, -2, 0))
        yield from (f"({text}).sum(axis={axis}, keepdims=True)" for axis in (-1, -2))
        yield from (f"(1 - {text})", f"np.exp({text})", f"np.sqrt({text})", f"np.tanh({text})",
                    f"np.log({text})", f"({text}) ** 2")
    if isinstance(node, (ast.BinOp, ast.Call)):
        for sign in "*/+-":
            yield from (f"({text} {sign} {name})" for name in names)


def _lines(text, tree):
    """(start, stop, text, line): statements that are left out, exchanged, or add in another way."""
    starts = [0, *itertools.accumulate(map(len, text.splitlines(keepends=True)))]
    for node in ast.walk(tree):
        if isinstance(node, ast.AugAssign):
            low, high = (starts[node.lineno - 1] + node.col_offset,
                         starts[node.end_lineno - 1] + node.end_col_offset)
            target, value = ast.unparse(node.target), ast.unparse(node.value)
            for sign in {"+=", "-=", "*=", "/=", "="} - {f"{_sign(node)}="}:
                yield low, high, f"{target} {sign} {value}", node.lineno
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            low, high = (starts[node.lineno - 1] + node.col_offset,
                         starts[node.end_lineno - 1] + node.end_col_offset)
            yield low, high, ast.unparse(node).replace(" = ", " += ", 1), node.lineno
        body = getattr(node, "body", None)
        for one, two in itertools.pairwise(body if isinstance(body, list) else ()):
            if isinstance(node, ast.Module):
                continue
            low, middle = starts[one.lineno - 1], starts[two.lineno - 1]
            high = starts[two.end_lineno]
            yield low, high, text[middle:high] + text[low:middle], one.lineno
            if not isinstance(one, ast.Return):
                yield low, middle, "", one.lineno


def _sign(node):
    return {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}.get(type(node.op), "")


def _differing(old, new):
    """The lines in which two texts differ, short enough for a sentence."""
    olds, news = old.splitlines(), new.splitlines()
    front = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(olds, news)))
    back = sum(1 for _ in itertools.takewhile(
        lambda pair: pair[0] == pair[1], zip(olds[front:][::-1], news[front:][::-1])))
    parts = (lines[front : len(lines) - back] for lines in (olds, news))
    return tuple(_short("; ".join(map(str.strip, part))) for part in parts)


def _short(text):
    return text if len(text) <= LINE else f"{text[: LINE - 2].rstrip()} …"
