"""What a call may have been meant to be: without it, its arguments in another order, and so on."""

import ast
import re

from npattn.doctor.slips.source import called, is_module

OVER = {"sum", "mean", "max", "min", "amax", "amin", "softmax", "log_softmax", "logsumexp", "var",
        "std", "norm", "cumsum", "any", "all", "prod", "argmax"}


def of_call(source, node, names):
    """The slips in a call."""
    name, args = called(node), [source.said(a) for a in node.args]
    whole, start = source.said(node), source.place(node)[0]
    if isinstance(node.func, ast.Attribute) and not is_module(node.func.value):
        rank = 0 if name in ("detach", "item", "mean", "squeeze", "clamp", "float") else 2
        if name != "masked_fill":  # without its mask any code is right
            yield source.said(node.func.value), f"`.{name}(…)` does not belong there", rank
        if name.endswith("_") and not name.endswith("__"):
            put = whole.replace(f".{name}(", f".{name[:-1]}(", 1)
            yield put, "it changes its argument in place", 0
    if args and not (node.keywords and name in ("where",)):
        yield args[0], f"`{name}` does not belong there", 3
        yield from _outside(source, node)
        if name == "where" and len(args) == 3:
            yield args[1], "the condition does not belong there", 3
    for i, one in enumerate(node.args[:-1]):
        two = node.args[i + 1]
        if source.said(one) != source.said(two):
            a, b, c, d = *source.place(one), *source.place(two)
            yield (whole[: a - start] + source.said(two) + whole[b - start : c - start]
                   + source.said(one) + whole[d - start :]), "two arguments are exchanged", 2
    for keyword in node.keywords:
        low, high = source.place(keyword)
        rest = re.sub(r",\s*(?=\)|,)|(?<=\(),\s*", "", whole[: low - start]
                      + whole[high - start :])
        yield rest, f"`{keyword.arg}` does not belong there", 3
    if name in ("tril", "triu", "tri") and len(node.args) + len(node.keywords) < 2:
        word = "diagonal" if "torch" in source.said(node.func) or not is_module(
            node.func.value if isinstance(node.func, ast.Attribute) else node.func) else "k"
        for k in (1, -1):
            yield f"{whole[:-1]}, {word}={k})", "the triangle is off by one", 0
    if name in OVER and not any(k.arg in ("keepdims", "keepdim") for k in node.keywords):
        word = "keepdim" if source.torch else "keepdims"
        yield f"{whole[:-1]}, {word}=True)", f"`{word}` is missing", 3


def _outside(source, node):
    """f(a + b) is a + f(b), or f(a) + b; axes are made in another order, then transposed."""
    inner = node.args[0]
    if len(node.args) == 1 and isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Add):
        a, b = inner.left, inner.right
        for in_, out in ((b, a), (a, b)):
            yield (f"({source.said(out)} + {source.with_part(node, inner, source.said(in_))})",
                   "the sum belongs outside of the call", 1)
    if called(node) in ("view", "reshape") and len(node.args) >= 3:
        turn = ".transpose({}, {})" if source.torch else ".swapaxes({}, {})"
        for i, (one, two) in enumerate(zip(node.args, node.args[1:], strict=False)):
            whole, other = source.with_part(node, one, "\0"), source.said(two)
            (start, _), (low, high) = source.place(node), source.place(two)
            more = 1 - (source.place(one)[1] - source.place(one)[0])
            whole = whole[: low - start + more] + source.said(one) + whole[high - start + more :]
            yield (whole.replace("\0", other) + turn.format(i, i + 1),
                   "the axes are made in the wrong order, which a transpose must mend", 1)
