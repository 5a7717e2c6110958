"""What one expression may have been meant to be, by its kind.

A function (source, node, names) yields (text in its place, what is wrong, rank); `names` are the
variables of its function, with the line in which each is made.
"""

import ast
import itertools
import re

from npattn.doctor.slips.calls import OVER, of_call
from npattn.doctor.slips.source import COMPUTED, SIGNS, called, is_early

PLACES = OVER | {"swapaxes", "transpose", "permute", "cat", "concatenate", "stack", "split",
                 "chunk", "squeeze", "unsqueeze", "repeat", "flip", "roll", "moveaxis", "size",
                 "expand_dims", "repeat_interleave", "narrow", "movedim", "take", "flatten",
                 "unflatten"}
AXES = {"axis", "dim", "dims", "axes", "dim0", "dim1", "axis1", "axis2", "start_dim"}
TWINS = (("tril", "triu"), ("repeat", "tile"), ("repeat", "repeat_interleave"), ("sum", "mean"),
         ("sin", "cos"), ("max", "min"), ("maximum", "minimum"), ("zeros", "ones"), ("std", "var"),
         ("zeros_like", "ones_like"), ("exp", "exp2"), ("logical_and", "logical_or"),
         ("tanh", "sigmoid"), ("reshape", "view"), ("max", "sum"), ("any", "all"), ("cos", "sin"),
         ("k_proj", "v_proj"), ("ge", "gt"), ("le", "lt"), ("floor", "ceil"), ("log", "log2"))
COMPARED = {ast.Lt: ("<=", ">", ">="), ast.LtE: ("<", ">=", ">"), ast.Gt: (">=", "<", "<="),
            ast.GtE: (">", "<=", "<"), ast.Eq: ("!=",), ast.NotEq: ("==",), ast.Is: ("is not",),
            ast.IsNot: ("is",)}


def _constant(source, node, names):
    owner = source.parents.get(node)
    if isinstance(owner, ast.UnaryOp) and isinstance(owner.op, ast.USub):
        return
    if isinstance(node.value, (bool, int, float)):
        yield from _number(source, node, node.value)
        if isinstance(owner, ast.Subscript) and owner.slice is node:
            for name, line in names.items():  # the variable of a loop
                if line <= node.lineno and name in source.running:
                    yield name, f"`{name}` belongs there", 1
    elif isinstance(node.value, str) and node.value in source.keys:
        for key in source.keys:
            if key != node.value:
                yield repr(key), f"`{key}` belongs there", 1 + _far(key, node.value)
    elif isinstance(node.value, str) and re.search(r"->|[a-z] [a-z]", node.value):
        yield from _subscripts(node.value)


def _number(source, node, value):
    kind = _axis(source, node)
    if kind:
        for new in (-1, -2, 1, 2, 0, 3, -3):
            if new != value:
                yield str(new), (
                    "it runs over the wrong axis" if kind == "over" else "the axis is wrong"
                ), 0 if kind == "over" else 2
        return
    if isinstance(value, bool):
        yield str(not value), "the flag is the wrong way round", 1
    elif isinstance(value, int):
        for new in (value + 1, value - 1):
            yield f"({new})" if new < 0 else str(new), "it is off by one", 2
        if value not in (0, 1):
            yield "1", "the number is wrong", 4
    elif isinstance(value, float):
        inf, call = "float('-inf')", called(source.parents.get(node))
        if call not in ("maximum", "minimum", "clip", "clamp"):
            yield inf, "a masked score must be −inf", 1
        one = repr(1 / value) if value else "1.0"
        for new in ("1e30", "0.0", "1.0", "-1e30", repr(-value), one):
            yield new, "the number is wrong", 3


def _axis(source, node):
    """Whether a number is an axis: "over" of a sum, "place" of another call; ""."""
    owner = source.parents.get(node)
    if isinstance(owner, ast.UnaryOp):
        return ""
    if isinstance(owner, ast.keyword):
        call = source.parents.get(owner)
        name = called(call)
        return ("over" if name in OVER else "place") if owner.arg in AXES else ""
    if isinstance(owner, ast.Tuple):
        inner = _axis(source, owner)
        return inner
    if isinstance(owner, ast.Call) and node in owner.args and called(owner) in PLACES:
        return "over" if called(owner) in OVER else "place"
    return ""


def _unary(source, node, names):
    inner = source.said(node.operand)
    if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        yield from _number(source, node, -node.operand.value)
    if isinstance(node.op, ast.USub):
        yield inner, "the sign is wrong", 1
    elif isinstance(node.op, (ast.Not, ast.Invert)):
        yield f"({inner})", "it is inverted", 1


def _name(source, node, names):
    if not isinstance(node.ctx, ast.Load) or node.id not in names:
        return
    owner = source.parents.get(node)
    if isinstance(owner, (ast.BinOp, ast.UnaryOp, ast.Slice)):
        for put in (f"({node.id} + 1)", f"({node.id} - 1)"):
            yield put, "it is off by one", 2
    if isinstance(owner, (ast.BinOp, ast.Compare)):
        for whole in _holding(source, node):
            yield f"({whole})", f"`{whole}` belongs there and not `{node.id}` alone", 2
    for other, line in names.items():
        if other != node.id and line <= node.lineno:
            called = isinstance(owner, ast.Call) and owner.func is node
            yield other, f"`{other}` belongs there and not `{node.id}`", (
                1 + _far(other, node.id) + 3 * called)


def _holding(source, node):
    """Sums of the same function that hold this variable; what is added to it may be missing."""
    scope = node
    while scope in source.parents and not isinstance(scope, ast.FunctionDef):
        scope = source.parents[scope]
    found = dict.fromkeys(
        source.said(n) for n in ast.walk(scope) if isinstance(n, ast.BinOp)
        and isinstance(n.op, (ast.Add, ast.Sub)) and node.id in {ast.unparse(n.left),
                                                                 ast.unparse(n.right)})
    return [text for text in found if len(text) < 40][:4]


def _attribute(source, node, names):
    if not isinstance(node.ctx, ast.Load):
        return
    owner = source.said(node.value)
    if owner == "self":
        for other in source.attributes:
            if other != node.attr:
                yield f"self.{other}", f"`self.{other}` belongs there", 1 + _far(
                    other, node.attr)
    for one, two in (*TWINS, *(pair[::-1] for pair in TWINS)):
        if node.attr == one:
            yield f"{owner}.{two}", f"`{two}` is meant, not `{one}`", (
                4 if two in ("min", "minimum") else 1)
    if node.attr == "T":
        yield owner, "it is transposed", 1


def _binary(source, node, names):
    left, right = source.said(node.left), source.said(node.right)
    sign = SIGNS.get(type(node.op))
    if sign is None:
        return
    words = {"+": "a term too much", "-": "a term too much", "*": "a factor too much",
             "/": "a factor too much", "&": "a condition too much", "|": "a condition too much",
             "**": "a power too much", "@": "a product too much"}.get(sign, "it is too much")
    yield f"({left})", f"there is {words}", 1 if sign != "@" else 4
    if sign in "+&|@*":
        yield f"({right})", f"there is {words}", 2 if sign != "@" else 4
    if sign in "-/@":
        yield f"({right}) {sign} ({left})", "the two sides are exchanged", 2
    if sign == "//":
        yield f"-(-({left}) // ({right}))", "it must be rounded up", 0
    if sign == "/" and re.search(r"\*\*\s*-?1$", left):
        put = re.sub(r"\*\*\s*(-?)1$", rf"** (\g<1>1 / {right})", left)
        yield put, "a power binds closer than a division", 0
    for other in COMPUTED.get(type(node.op), ()):
        odd = other in "*/" and isinstance(node.left, ast.Constant) or (  # 1 · x says nothing
            "arange" in left + right)
        rank = 4 if odd else 1
        yield f"({left}) {other} ({right})", f"`{other}` is meant, not `{sign}`", rank
    yield from _moved(source, node, sign)
    yield from _regrouped(source, node, sign, right)


def _moved(source, node, sign):
    """a + f(b) is f(a + b)."""
    for call, other in ((node.right, node.left), (node.left, node.right)):
        if sign == "+" and isinstance(call, ast.Call) and len(call.args) == 1:
            whole = f"{source.said(other)} + {source.said(call.args[0])}"
            yield source.with_part(call, call.args[0], whole), (
                "the sum belongs inside of the call"), 1


def _regrouped(source, node, sign, right):
    """(a + b) * c is a * c + b or a + b * c; and the other way round."""
    inner = node.left
    if isinstance(inner, ast.BinOp) and type(inner.op) in SIGNS and type(inner.op) is not type(
            node.op):
        a, first, b = source.said(inner.left), SIGNS[type(inner.op)], source.said(inner.right)
        yield f"({a} {sign} {right}) {first} ({b})", "the order of operations is wrong", 1
        yield f"({a}) {first} ({b} {sign} {right})", "the order of operations is wrong", 1
    inner = node.right
    if isinstance(inner, ast.BinOp) and type(inner.op) in SIGNS:
        a, second, b = source.said(inner.left), SIGNS[type(inner.op)], source.said(inner.right)
        left = source.said(node.left)
        yield f"({left} {sign} {a}) {second} ({b})", "the order of operations is wrong", 1


def _compare(source, node, names):
    if len(node.ops) != 1:
        return
    left, right = source.said(node.left), source.said(node.comparators[0])
    for other in COMPARED.get(type(node.ops[0]), ()):
        if not is_early(source.parents.get(node)):
            yield f"({left} {other} {right})", "the comparison is wrong", 0
    if isinstance(node.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE)):
        for more in ("+ 1", "- 1"):
            yield f"({source.said(node)[: -len(right)]}{right} {more})", "it is off by one", 1


def _subscript(source, node, names):
    if isinstance(node.ctx, ast.Load):
        yield source.said(node.value), "a part is taken where the whole is meant", 1


def _slice(source, node, names):
    for part, put in ((node.lower, lambda s: s), (node.upper, lambda s: s)):
        if part is not None:
            low, _ = source.place(node)
            a, b = source.place(part)
            whole = source.said(node)
            yield put(whole[: a - low] + whole[b - low :]), "a part is left out", 1
    if node.lower is None and node.upper is not None and node.step is None:
        yield f"-{source.said(node.upper)}:", "it is the wrong end", 2
    if node.upper is None and isinstance(node.lower, ast.UnaryOp) and node.step is None:
        yield f":{source.said(node.lower.operand)}", "it is the wrong end", 2


def _tuple(source, node, names):
    if isinstance(node.ctx, ast.Load) and 2 <= len(node.elts) <= 4:
        parts = [source.said(e) for e in node.elts]
        whole = "({})" if source.said(node).startswith("(") else "{}"
        if _axis(source, node):
            for part in parts:
                yield part, "it runs over an axis too much", 0
        for order in itertools.permutations(parts):
            if list(order) != parts:
                yield whole.format(", ".join(order)), "the order is wrong", 2


def _list(source, node, names):
    if 2 <= len(node.elts) <= 3:
        parts = [source.said(e) for e in node.elts]
        for order in itertools.permutations(parts):
            if list(order) != parts:
                yield f"[{', '.join(order)}]", "the order is wrong", 1


def _boolop(source, node, names):
    sign = " or " if isinstance(node.op, ast.And) else " and "
    yield f"({sign.join(source.said(v) for v in node.values)})", "`and` and `or` are exchanged", 1
    for value in node.values:
        yield f"({source.said(value)})", "there is a condition too much", 1


def _choice(source, node, names):
    yield f"({source.said(node.body)})", "the condition is wrong", 1
    yield f"({source.said(node.orelse)})", "the condition is wrong", 1


def _subscripts(text):
    """An einsum's equation with one letter for another of them, or two of its parts exchanged."""
    letters = sorted(set(re.findall("[a-zA-Z]", text)))
    for i, letter in enumerate(text):
        for other in letters:
            if letter.isalpha() and other != letter:
                yield repr(text[:i] + other + text[i + 1 :]), "a letter of the equation is wrong", 2
    for one, two in itertools.combinations(letters, 2):
        head, arrow, tail = text.partition("->")
        turned = tail.translate(str.maketrans(one + two, two + one))
        if arrow and turned != tail:
            yield repr(head + arrow + turned), "two axes are exchanged", 2


def _far(one, two):
    """0 for names of one family (q and k, W_q and W_k, norm1 and norm2), 3 for others."""
    if len(one) == len(two) and sum(a != b for a, b in zip(one, two, strict=True)) == 1:
        return 0
    front = len(re.match(r"(.*).*\0\1", f"{one}\0{two}")[1])
    back = len(re.match(r"(.*).*\0\1", f"{one[::-1]}\0{two[::-1]}")[1])
    return 1 if 2 * (front + back) >= max(len(one), len(two)) else 2


EXPRESSIONS = {
    ast.Constant: _constant, ast.UnaryOp: _unary, ast.Name: _name,
    ast.Attribute: _attribute, ast.BinOp: _binary, ast.Compare: _compare,
    ast.Call: of_call, ast.Subscript: _subscript, ast.Slice: _slice,
    ast.Tuple: _tuple, ast.List: _list,
    ast.BoolOp: _boolop, ast.IfExp: _choice,
}
