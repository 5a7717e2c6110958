"""What may be missing around a whole expression: a transpose, a factor, a term, a copy."""

import ast
import re

from npattn.doctor.slips.calls import OVER
from npattn.doctor.slips.source import called, is_module


def around(source, node, names):
    """What may be missing around a whole expression."""
    text, owner = source.said(node), source.parents.get(node)
    call = called(owner) if isinstance(owner, ast.Call) and node in owner.args else ""
    yield from _transposes(source, node, text, owner, call)
    yield from _factors(source, node, text, owner, names)
    if call in ("exp", "exp2") and not re.search(r"\.(max|min|amax|amin|mean)\(", text):
        top = ".amax(-1, keepdim=True)" if source.torch else ".max(-1, keepdims=True)"
        yield f"({text}) - ({text}){top}", "the maximum of each row must be subtracted", 0
    if _is_whole(source, node) and isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        copy = ".clone()" if source.torch else ".copy()"
        yield f"{text}{copy}", "a copy is missing: two names hold one array", 2
    if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(
            owner, (ast.If, ast.IfExp)) and owner.test is node:
        yield f"not {text}", "the condition is inverted", 1
    if isinstance(node, ast.Name) and call in ("where", "masked_fill"):
        yield f"~{text}", "the mask is inverted", 1


def _is_whole(source, node):
    """Whether a node is all that is returned or assigned, or one of several that are."""
    owner = source.parents.get(node)
    if isinstance(owner, ast.Tuple) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return isinstance(source.parents.get(owner), (ast.Return, ast.Assign))
    return isinstance(owner, (ast.Return, ast.Assign, ast.AugAssign)) and owner.value is node


def _transposes(source, node, text, owner, call):
    turn = ".transpose(-1, -2)" if source.torch else ".swapaxes(-1, -2)"
    between = ".transpose(1, 2)" if source.torch else ".swapaxes(1, 2)"
    product = isinstance(owner, ast.BinOp) and isinstance(owner.op, ast.MatMult)
    if product or call in ("matmul", "bmm", "dot"):
        yield f"({text}){turn}", "a transpose is missing", 1
        yield f"-({text})", "the sign is wrong", 3
    receiver = isinstance(owner, ast.Attribute) and owner.attr in ("reshape", "view")
    if receiver or call == "reshape":
        yield f"({text}){between}", "a transpose is missing before the reshape", 0
    if isinstance(node, ast.Call) and called(node) in ("reshape", "view"):
        yield f"({text}){between}", "a transpose is missing behind the reshape", 1


def _factors(source, node, text, owner, names):
    summed = isinstance(owner, ast.Attribute) and owner.attr in OVER and not is_module(node)
    if summed and isinstance(node, ast.Name):
        for name, line in names.items():
            if name != text and line <= node.lineno:
                yield f"({text} * {name})", f"the factor `{name}` is missing", 2
    whole, big = _is_whole(source, node), isinstance(node, (ast.BinOp, ast.Call))
    argument = isinstance(owner, ast.Call) and node in owner.args
    if (whole or argument) and (big or isinstance(node, ast.Name)):
        for name, line in names.items():
            if name not in text and line <= node.lineno:
                yield from _with_name(text, name)
    if whole and big and not re.search("arange|zeros|ones|full|shape|tril|triu|len", text):
        for scale in source.scales:
            if scale not in text:
                yield f"({text}) * ({scale})", f"the factor `{scale}` is missing", 1
                yield f"({text}) / ({scale})", f"the division by `{scale}` is missing", 1


def _with_name(text, name):
    yield f"({text}) + {name}", f"the term `{name}` is missing", 4
    if len(name) < 3 or re.search("scale|gain|mask|keep|dim|sqrt|alpha|corr|rate", name):
        yield f"({text}) * {name}", f"the factor `{name}` is missing", 3
        if not re.search("mask|keep|valid|allow|pad", name):
            yield f"({text}) / {name}", f"the division by `{name}` is missing", 4
