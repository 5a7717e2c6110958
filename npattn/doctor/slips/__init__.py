"""Slips of the pen: what one place of a file may have been meant to be.

    for slip in slips(text, "attend"):
        slip.line, slip.text, slip.words     7, the whole text without it, "the axis is wrong"

Each slip undoes one general kind of mistake at one place: a wrong axis, a variable taken for
another one, a sign, a comparison, a factor or a term too much or too little, a transpose, an
off-by-one, a part where the whole is meant, a function taken for its twin, a line too much or in
the wrong order. Nothing here knows what attention is; whether a text is right is for others to try.
"""

import ast
import re

from npattn.doctor.slips.around import around
from npattn.doctor.slips.expressions import EXPRESSIONS
from npattn.doctor.slips.source import Source
from npattn.doctor.slips.statements import of_statements

HARMLESS = {"numpy", "torch", "math", "typing", "functools", "dataclasses", "einops", "collections",
            "scipy", "itertools", "__future__", "abc", "enum", "warnings", "types", "contextlib",
            "random", "typing_extensions", "operator", "copy"}
UNSAFE = re.compile(r"\b(open|exec|eval|compile|__import__|system|remove|unlink|save|savez|"
                    r"tofile|load|input|breakpoint)\s*\(")


def harmless(text, tree):
    """Whether a file may be run with changes: it computes, and touches no files or processes."""
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else (
            [node.module or "."] if isinstance(node, ast.ImportFrom) else [])
        if any(name.split(".")[0] not in HARMLESS for name in names):
            return False
    return not UNSAFE.search(text)


def slips(text, names, most=2500):
    """[Slip, …] of what `names` hold and of what they use, the likely ones first."""
    source, found = Source(text), {}
    for root in _reached(source, names):
        for slip in _of(source, root):
            changed = slip.applied(text)
            if changed not in found or found[changed].rank > slip.rank:
                found[changed] = slip
    return sorted(found.values(), key=lambda slip: slip.rank)[:most]


def _reached(source, names):
    """The functions and classes of these names, and what they use of the file."""
    own = {n.name: n for n in source.tree.body
           if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    constants = {t.id: n for n in source.tree.body if isinstance(n, ast.Assign)
                 for t in n.targets if isinstance(t, ast.Name)}
    waiting, seen = [name.split(".")[0] for name in names], []
    while waiting:
        name = waiting.pop(0)
        node = own.get(name) or constants.get(name)
        if node is None or node in seen:
            continue
        seen.append(node)
        waiting += [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
    return seen


def _of(source, root):
    """All slips in one function, class or constant."""
    for scope in [n for n in ast.walk(root) if isinstance(n, ast.FunctionDef)] or [root]:
        names = _names(scope)
        for node in _own(scope):
            for put, words, rank in _of_expression(source, node, names):
                yield source.slip(node, put, words, rank)
        yield from of_statements(source, scope)


def _own(scope):
    """The nodes of a function that are not part of an inner one, nor of a docstring."""
    waiting = list(scope.body) if isinstance(scope, ast.FunctionDef) else [scope]
    if isinstance(scope, ast.FunctionDef):
        waiting += [d for d in [*scope.args.defaults, *scope.args.kw_defaults] if d and not (
            type(getattr(d, "value", None)) is int)]  # a size is no mistake
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef) or isinstance(node, ast.Expr) and isinstance(
                node.value, ast.Constant):
            continue
        yield node
        waiting += [c for c in ast.iter_child_nodes(node)]


def _names(scope):
    """Variables of a function, in their order."""
    found = {}
    if isinstance(scope, ast.FunctionDef):
        args = scope.args
        for a in [*args.posonlyargs, *args.args, *args.kwonlyargs]:
            if a.arg not in ("self", "ctx", "cls"):
                found[a.arg] = a.lineno
    for n in ast.walk(scope):
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store):
            found.setdefault(n.id, n.lineno)
    return found


def _of_expression(source, node, names):
    if type(node) in EXPRESSIONS:
        yield from EXPRESSIONS[type(node)](source, node, names)
    if isinstance(node, ast.expr) and not isinstance(
            getattr(node, "ctx", None), (ast.Store, ast.Del)):
        yield from around(source, node, names)
