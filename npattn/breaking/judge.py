"""What is wrong with a GPT file: which gradients, in which function, and most likely why.

The whole gradient is compared first: a file that passes is right, however it is written. Then each
function is called by itself. If its numbers are those of gpt.py with one edit of the catalogue, or
with two, the edit is named. Otherwise the place is told: the outputs that are wrong, and the lines
of gpt.py in which a fault has just this effect.
"""

import ast
import itertools
import types
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from npattn.breaking import probes
from npattn.breaking.catalogue import CATALOGUE, EDITS, broken
from npattn.breaking.child import LIMIT, Trouble, measure_all, run_file
from npattn.breaking.parts import (
    HEADER, SIZE_LINE, edited_copy, patched, sized_copy, sizes_of, source,
)
from npattn.edits import NO_PYTHON, EditError, wrote

CLOSE = 1e-8
OWN = {"own", "differences", "by hand"}
ALSO = ("adam",)  # in no gradient


@dataclass(frozen=True)
class Finding:
    """One function whose numbers are not those of gpt.py."""

    function: str
    wrong: tuple            # labels of its outputs that differ
    forward: bool           # whether what it computes differs
    fits: bool | None       # whether its backward is right for its own forward; None: unknown
    causes: tuple = ()      # tuples of edits' names, each of which gives just these numbers
    lines: tuple = ()       # lines of gpt.py in which a fault would have this effect
    error: str = ""


@dataclass(frozen=True)
class Verdict:
    """`right` is about the gradients: they are those of what the file computes."""

    right: bool
    wrong: tuple = ()       # names of parameters whose gradient is wrong
    same: bool = True       # whether the loss is that of gpt.py
    findings: tuple = ()
    changed: tuple = ()     # (line number, text) of statements that gpt.py does not have
    trouble: str = ""

    @property
    def causes(self):
        """The names of the edits that were found, the first explanation of each finding."""
        return {name for finding in self.findings for name in (finding.causes or ((),))[0]}

    def __str__(self):
        return "\n".join(_told(self))


def check_file(path, seed=0, limit=LIMIT):
    """The `Verdict` on the file at `path`, which is run in a process of its own."""
    try:
        sizes, found = run_file(path, seed, limit)
    except Trouble as trouble:
        return Verdict(False, trouble=str(trouble))
    return _judge(sizes, found, Path(path).read_bytes().decode("utf-8", "replace"), seed)


def judge_source(text, seed=0):
    """The same for the text of a file that may be trusted: it is run in this process."""
    module = types.ModuleType("gpt_under_check")
    try:
        exec(compile(text, "<gpt>", "exec"), vars(module))
        sizes = sizes_of(module)
    except Exception as error:
        return Verdict(False, trouble=f"{type(error).__name__}: {error}")
    return _judge(sizes, measure_all(module, sizes, seed, "<gpt>"), text, seed)


def _judge(sizes, found, text, seed):
    whole = found["whole"]
    expected = _reference("whole", seed, **sizes)
    other = None if isinstance(whole, str) else _different(whole, expected)
    same = other is not None and "loss" not in other
    if other is None:
        fits, wrong = False, ()
    else:
        fits = _fits(whole)
        # with the loss of gpt.py, its gradients are the truth; otherwise the file's own forward is
        right = not other if same else fits is True
        differ = tuple(label for label in other if label != "loss")
        every = tuple(label for label in expected if label != "loss" and label not in OWN)
        wrong = () if right else differ or every
        fits = right
    names = ALSO + ("softmax",) if fits and same else tuple(probes.PARTS)
    findings = [_finding(name, found[name], sizes, seed) for name in names]
    written = _statements(text)
    findings = [_as_written(finding, written, sizes, seed) for finding in findings if finding]
    if fits and same:  # what was written anew may have other arguments
        findings = [f for f in findings if not f.error]
    elif any(not finding.error.startswith("missing") for finding in findings):
        findings = [f for f in findings if not f.error.startswith("missing")]
    unknown = {finding.function for finding in findings if not finding.causes}
    if fits and same:  # the rest is only written in another way
        changed = tuple(_changed(text, unknown)) if unknown else ()
    else:
        changed = tuple(_changed(text)) if unknown or not findings else ()
    error = Finding("the whole", (), False, False, error=whole) if isinstance(whole, str) else None
    if error and not findings:
        findings = [error]
    return Verdict(bool(fits), wrong, same, tuple(findings), changed)


def _finding(name, found, sizes, seed):
    if isinstance(found, str):
        causes = () if found.startswith("missing") else _causes(name, found, sizes, seed)
        return Finding(name, (), False, None, causes, error=found)
    expected = _reference(name, seed, **sizes)
    wrong = _different(found, expected)
    if not wrong:
        return None
    forward = any(label.startswith("Y") for label in wrong)
    causes = _causes(name, found, sizes, seed)
    lines = () if causes or forward else _lines(name, wrong, seed, **sizes)
    return Finding(name, wrong, forward, _fits(found), causes, lines)


def _causes(name, found, sizes, seed):
    """The smallest sets of edits that give just these numbers, as tuples of names."""
    edits = [*CATALOGUE.get(name, ())]
    single = [(edit,) for edit in edits if _gives((edit,), name, found, sizes, seed)]
    if single:
        return tuple(single)
    expected = _reference(name, seed, **sizes)
    effects = {edit: _effect((edit,), name, expected, sizes, seed) for edit in edits}
    wrong = None if isinstance(found, str) else {*_different(found, expected)}
    pairs = []
    for pair in itertools.combinations(edits, 2):
        one, two = (effects[edit] for edit in pair)
        if wrong is None and None not in (one, two):
            continue  # neither raises
        if wrong is not None and (None in (one, two) or one | two != wrong):
            continue
        if _gives(pair, name, found, sizes, seed):
            pairs.append(pair)
    return tuple(pairs)


def _as_written(finding, written, sizes, seed):
    """The finding with those of its causes that stand in the file, if any of them does.

    Numbers do not show an edit of what is then not used, because of another edit: it is named, too,
    if it stands in the file.
    """
    causes, name = [], finding.function
    stands = [names for names in finding.causes if _made(names) and _made(names) <= written]
    for names in stands:
        rest = written - _statements(source()) - _made(names)
        more = [(*names, edit) for edit in CATALOGUE[name] if rest and edit not in names]
        more = [one for one in more if _made(one) - _made(names) and _made(one) <= written
                and _same(_with(one, name, seed, **sizes), _with(names, name, seed, **sizes))]
        causes += more or [names]
    return replace(finding, causes=tuple(causes)) if causes else finding


def _same(one, two):
    """Whether both raise, or both give the same numbers."""
    if one is None or two is None:
        return False
    if isinstance(one, str) or isinstance(two, str):
        return isinstance(one, str) and isinstance(two, str) and _kind(one) == _kind(two)
    return not _different(one, two)


@lru_cache(maxsize=4096)
def _made(names):
    """The statements that these edits make, none of them in gpt.py; empty if they overlap."""
    try:
        new = {*_sections(broken(*names))} - {*_sections(source())}
    except EditError:
        return frozenset()
    return frozenset().union(*map(_of_section, new)) - _statements(source())


def _statements(text):
    """The statements of a file without their formatting; of those with a body, the head."""
    found = [_of_section(section) for section in _sections(text)]
    return frozenset().union(*found) if None not in found else _of_section(text) or frozenset()


def _sections(text):
    first, *others = HEADER.split(text)
    return [first, *(f"# {section}" for section in others)]


@lru_cache(maxsize=256)
def _of_section(text):
    """The same for a section; None if it is no Python by itself."""
    try:
        nodes = [node for node in ast.walk(ast.parse(text))
                 if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef)]
    except NO_PYTHON:
        return None
    heads = (ast.unparse(node).split("\n")[0] for node in nodes)
    return frozenset(head for head in heads if not SIZE_LINE.match(head))


def _effect(names, name, expected, sizes, seed):
    """The labels of what these edits change; None if they make it raise."""
    result = _with(names, name, seed, **sizes)
    return None if isinstance(result, str) else {*_different(result, expected)}


def _gives(names, name, found, sizes, seed):
    return _same(found, _with(names, name, seed, **sizes))


def _kind(error):
    """What was raised and why, without the line."""
    return error.split(" in line ")[0].split(":")[0], error.split(": ", 1)[-1]


@lru_cache(maxsize=64)
def _reference(name, seed, **sizes):
    module = sized_copy(**sizes)
    with probes.quiet():
        measured = (probes.whole(module, seed) if name == "whole"
                    else probes.measure(module, name, seed, fits=False))
    return {label: np.array(X, dtype=np.float64) for label, X in measured.items()}


@lru_cache(maxsize=4096)
def _with(names, name, seed, **sizes):
    """What the function returns with these edits; the text of an error; None if they overlap."""
    try:
        module = edited_copy(names, **sizes)
    except EditError:
        return None
    return _measured(module, name, seed, sizes)


def _measured(module, name, seed, sizes):
    try:
        with probes.quiet():
            measured = probes.measure(module, name, seed, sized_copy(**sizes), fits=False)
        return {label: np.array(X, dtype=np.float64) for label, X in measured.items()}
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _different(found, expected):
    """The labels whose arrays differ, in the order of the outputs."""
    return tuple(label for label in expected
                 if label not in OWN and not _close(found.get(label), expected[label]))


def _close(X, Y):
    if X is None or X.shape != Y.shape or (np.isnan(X) != np.isnan(Y)).any():
        return False
    largest = np.abs(Y[np.isfinite(Y)]).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        return bool(((np.abs(X - Y) <= CLOSE * largest) | (X == Y) | np.isnan(X)).all())


def _fits(found):
    """Whether the backward is the derivative of the file's own forward; None if unknown."""
    if "by hand" not in found:
        return None
    by_hand = found["by hand"]
    if np.isfinite(found["own"]).all() and _close(by_hand, found["own"]):
        return True
    differences = found["differences"]  # for what takes no complex numbers, or is not analytic
    if not np.isfinite(differences).all():
        return None
    return bool(np.abs(by_hand - differences).max() <= 1e-6 * np.abs(differences).max())


@lru_cache(maxsize=256)
def _lines(name, wrong, seed, **sizes):
    """The lines of the reference in whose first assigned names a fault has just this effect."""
    expected, found = _reference(name, seed, **sizes), []
    for number, line, edited in _spoilt(f"{name}_backward"):
        result = _measured(patched(edited, sizes), name, seed, sizes)
        if not isinstance(result, str) and _different(result, expected) == wrong:
            found.append((number, line))
    return tuple(dict.fromkeys(found))


def _spoilt(function):
    """(line number, its text, the text of its section with one assigned name spoilt)."""
    tree = ast.parse(source())
    lines = source().splitlines(keepends=True)
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or node.name != function:
            continue
        headers = [n for n, line in enumerate(lines) if line.startswith("# ---- ")]
        first = max(n for n in headers if n < node.lineno)
        last = min(n for n in headers if n > node.lineno)
        for statement in node.body:
            if not isinstance(statement, ast.Assign) or "cache" in ast.unparse(statement.value):
                continue
            for target in ast.walk(statement.targets[0]):
                if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store):
                    spoil = f"    {target.id} = {target.id} * 1.37 + 0.1\n"
                    body = [*lines[first : statement.end_lineno], spoil,
                            *lines[statement.end_lineno : last]]
                    text = lines[statement.lineno - 1].split("#")[0].strip()
                    yield statement.lineno, text, "".join(body)


def _changed(text, functions=()):
    """(line number, text) of statements of the file, or of these functions, not in gpt.py."""
    try:
        tree = ast.parse(text)
    except NO_PYTHON:
        return []
    known = {ast.unparse(node) for node in ast.walk(ast.parse(source()))
             if isinstance(node, (ast.Assign, ast.AugAssign, ast.Return))}
    inside = [n for n in tree.body if not functions or getattr(n, "name", "") in functions]
    new = [node for top in inside for node in ast.walk(top)
           if isinstance(node, (ast.Assign, ast.AugAssign, ast.Return))
           and ast.unparse(node) not in known and not SIZE_LINE.match(ast.unparse(node))]
    lines = text.splitlines()
    found = [(node.lineno, lines[node.lineno - 1].split("  #")[0].strip()) for node in new]
    return sorted(found) if len(found) <= 4 else []


def _told(verdict):
    if verdict.trouble:
        yield f"not checked: {verdict.trouble}"
        return
    if verdict.wrong:
        yield f"wrong: the gradients of {', '.join(label[1:] for label in verdict.wrong)}"
    elif not verdict.right:
        yield "wrong: the loss and its gradients cannot be computed"
    elif verdict.same:
        yield "right: every gradient is that of gpt.py"
    else:
        yield ("right: every gradient is the derivative of what the file computes; "
               "but that is not what gpt.py computes")
    for finding in verdict.findings:
        yield ""
        yield from _told_finding(finding)
    if verdict.changed:
        yield ""
        yield "not in gpt.py:"
        yield from (f"  line {number}: {text}" for number, text in verdict.changed)


def _told_finding(finding):
    name = finding.function
    if finding.error.startswith("missing"):
        yield f"{name} was not checked; {finding.error}"
        return
    if finding.error:
        yield f"{name} raises {finding.error}"
    elif name in ALSO:
        yield f"{name} makes other steps than Adam"
    elif finding.forward:
        fit = {True: "; its gradient is right for what it computes",
               False: "; its gradient is not the derivative of that", None: ""}[finding.fits]
        yield f"{name} computes something else than in gpt.py{fit}"
    else:
        yield f"{name}_backward: {', '.join(finding.wrong)} wrong, the forward is right"
    if finding.causes:
        for number, names in enumerate(finding.causes[:3]):
            for edit in names:
                where = "most likely" if not number else "or"
                yield f"  {where}: {EDITS[edit].words}"
                shown = wrote(source(), EDITS[edit], 80).split("  #")[0]
                yield f"      `{shown}` ({edit})"
    elif finding.lines:
        yield "  a fault in one of these lines has just this effect:"
        yield from (f"    {text}" for _, text in finding.lines)
