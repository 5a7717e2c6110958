"""What may stand in place of one expression, with a sentence that says what is wrong then.

    A @ B       the factors exchanged, one of them transposed, entry by entry, …
    A.sum(-1)   a mean, another axis, without keepdims, …

KINDS has the function of each kind of node, OPERATORS and FUNCTIONS those of what is called.
"""

import ast
import itertools
import re

UNARY = ("sqrt", "exp", "log", "tanh", "abs", "square")
ALIKE = (("sin", "cos"), ("log", "log2", "log1p", "log10"), ("exp", "exp2", "expm1"),
         ("argmax", "argmin"), ("floor", "ceil", "round"))  # taken for each other
MODULES = ("np", "math")
SUBSCRIPTS = re.compile(r"[\w.]+(?:,[\w.]+)+->[\w.]*")
TURNED = (".swapaxes(-1, -2)", ".T")
MOST = 40  # characters of an expression in a sentence
OTHER = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "=="}


def variants(node, names):
    """Pairs (text in place of the node, sentence), where these names are known."""
    make = KINDS.get(type(node))
    return make(node, names) if make else ()


def bracketed(node):
    """The source of a node, in brackets unless it binds as closely as a name."""
    text = ast.unparse(node)
    closed = (ast.Name, ast.Call, ast.Attribute, ast.Subscript, ast.Constant)
    return text if isinstance(node, closed) else f"({text})"


def _said(node):
    text = ast.unparse(node)
    return f"`{text if len(text) <= MOST else text[:MOST - 2] + ' …'}`"


def _name(node, names):
    if node.id in names:
        for other in names:
            if other != node.id:
                yield other, f"`{other}` stands where `{node.id}` belongs"
        if node.id[:1].isupper() or node.id[:2] in ("dP", "dS"):
            yield f"({node.id} * {node.id})", f"`{node.id}` is squared"


def _binop(node, names):
    make = OPERATORS.get(type(node.op))
    return make(node, bracketed(node.left), bracketed(node.right), names) if make else ()


def _times(node, L, R, names):
    left, right = node.left, node.right
    yield L, f"the factor {_said(right)} is missing"
    yield R, f"the factor {_said(left)} is missing"
    yield f"{L} / {R}", f"{_said(right)} divides where it must multiply"
    yield f"{L} * {R} * {R}", f"the factor {_said(right)} is there twice"
    yield f"{L} * {L} * {R}", f"the factor {_said(left)} is there twice"
    rest, last = (f"{bracketed(left.left)} * ", left.right) if _is_product(left) else ("", left)
    if ast.unparse(last) == ast.unparse(right):
        yield f"{rest}np.abs({R})", (
            f"the absolute value of {_said(right)} was taken where its square belongs")


def _divided(node, L, R, names):
    sigmoid = re.fullmatch(r"\(1(?:\.0)? \+ np\.exp\(-(\w+)\)\)", R)
    if sigmoid and L in ("1", "1.0"):
        X = sigmoid[1]
        yield f"np.tanh({X})", "tanh stands where a sigmoid belongs"
        yield f"({X} > 0)", "a step stands where a sigmoid belongs"
    yield L, f"the division by {_said(node.right)} is missing"
    yield f"{L} * {R}", f"{_said(node.right)} multiplies where it must divide"
    yield f"{L} / {R} / {R}", f"the division by {_said(node.right)} is there twice"
    yield f"{L} / {R}**0.5", f"a root of the divisor {_said(node.right)} was taken"


def _added(node, L, R, names):
    yield L, f"the term {_said(node.right)} is missing"
    yield R, f"the term {_said(node.left)} is missing"
    yield f"{L} - {R}", f"{_said(node.right)} is subtracted where it must be added"
    yield f"({R} - {L})", f"{_said(node.left)} is subtracted where it must be added"
    yield f"0.5 * ({L} + {R})", "a mean of two terms was taken; they must be added"


def _subtracted(node, L, R, names):
    yield L, f"the term {_said(node.right)} is missing"
    yield f"(-{R})", f"the term {_said(node.left)} is missing"
    yield f"{L} + {R}", f"{_said(node.right)} is added where it must be subtracted"
    yield f"({R} - {L})", f"{_said(node.left)} is subtracted where it must be added"


def _matrix_product(node, L, R, names):
    left, product = _said(node.left), _said(node)
    yield f"{R} @ {L}", f"the factors of the product {product} are exchanged"
    if not L.endswith(TURNED):
        yield f"{L}.swapaxes(-1, -2) @ {R}", f"{left} is transposed and must not be"
    if not R.endswith(TURNED):
        yield f"{L} @ {R}.swapaxes(-1, -2)", f"{_said(node.right)} is transposed and must not be"
    yield f"({L} @ {R}).swapaxes(-1, -2)", f"the product {product} is transposed"
    yield f"{L} * {R}", f"{product} is made entry by entry, not as a matrix product"
    summed = f"{L}.sum(axis=-1, keepdims=True)"
    yield f"({summed} * {R}.sum(axis=-2, keepdims=True))", (
        f"both factors of {product} are summed up before they are multiplied")
    for X in names:
        yield f"({summed} * {X})", (
            f"{left} is summed up by itself, and multiplied by `{X}`, where the product "
            f"{product} belongs")


def _power(node, L, R, names):
    yield L, f"the power {_said(node.right)} is missing"
    yield f"{L} ** (2 * {R})", f"the power of {_said(node.left)} is twice what it should be"


OPERATORS = {
    ast.Mult: _times, ast.Div: _divided, ast.Add: _added, ast.Sub: _subtracted,
    ast.MatMult: _matrix_product, ast.Pow: _power,
}


def _factors(node):
    return (node.left, node.right) if _is_product(node) else ()


def _is_product(node):
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)


def _unaryop(node, names):
    if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield bracketed(node.operand), f"the minus sign of {_said(node)} is missing"
        if isinstance(node.operand, ast.Name):
            yield "0", f"`0` stands where `{ast.unparse(node)}` belongs"
    elif isinstance(node.op, ast.Invert):
        yield bracketed(node.operand), f"{_said(node)} is not inverted"
    elif isinstance(node.op, ast.USub) and isinstance(getattr(node.operand, "value", 0.0), int):
        for other in {-1, -2, -3, 0} - {-node.operand.value}:
            yield str(other), f"`{other}` stands where `{ast.unparse(node)}` belongs"


def _subscripts(text):
    """Subscripts of einsum in which two letters of an operand or of the result are exchanged."""
    parts = re.split(r"(,|->)", text)
    for k, part in enumerate(parts):
        for a, b in itertools.combinations(re.findall(r"[A-Za-z]", part), 2):
            changed = part.translate(str.maketrans({a: b, b: a}))
            yield "".join([*parts[:k], changed, *parts[k + 1 :]])
        for a in re.findall(r"[A-Za-z]", part) if k == len(parts) - 1 else ():
            for b in sorted(set(re.findall(r"[A-Za-z]", text)) - set(part)):
                yield "".join([*parts[:k], part.replace(a, b)])
    for k, part in enumerate(parts[:-2]):  # an operand is summed over an index by itself
        for a in re.findall(r"[A-Za-z]", part):
            if any(a in other for other in parts[:k] + parts[k + 1 : -2]):
                new = next(letter for letter in "zyxwvuts" if letter not in text)
                yield "".join([*parts[:k], part.replace(a, new), *parts[k + 1 :]])


def _constant(node, names):
    if isinstance(node.value, str) and SUBSCRIPTS.fullmatch(node.value):
        for other in _subscripts(node.value):
            yield repr(other), f"the subscripts are `{other}`; they must be `{node.value}`"
    if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
        return
    value = node.value
    others = {value + 1, value - 1, 2 * value, value / 2} if isinstance(value, float) else {
        value + 1, value - 1}
    for other in sorted(others - {value}):
        yield f"({other})" if other < 0 else str(other), f"`{other}` stands where `{value}` belongs"


def _compare(node, names):
    if len(node.ops) == 1 and type(node.ops[0]) in OTHER:
        left, right = ast.unparse(node.left), ast.unparse(node.comparators[0])
        other = OTHER[type(node.ops[0])]
        yield f"{left} {other} {right}", f"the comparison {_said(node)} is made with `{other}`"
        yield f"~({ast.unparse(node)})", f"{_said(node)} is the wrong way round"
        for shift in ("+ 1", "- 1"):
            yield f"{left} {ast.unparse(node).removeprefix(left).strip()} {shift}", (
                f"the comparison {_said(node)} is off by one"
            )


def _attribute(node, names):
    if node.attr == "T":
        yield bracketed(node.value), f"the transpose of {_said(node.value)} is missing"


def _call(node, names):
    called = node.func
    if isinstance(called, ast.Name) and called.id in ("masked_softmax", "softmax"):
        return _softmax(node, ast.unparse(node.args[0]), [*map(ast.unparse, node.args[1:])])
    if not isinstance(called, ast.Attribute):
        return ()
    if called.attr == "swapaxes":
        return _swapped(node, called.value)
    if isinstance(called.value, ast.Name) and called.value.id in MODULES:
        if called.attr in FUNCTIONS:
            return FUNCTIONS[called.attr](node, called.attr)
    return _reduced(node, called) if called.attr in ("sum", "mean", "max") else ()


def _swapped(node, X):
    yield bracketed(X), f"the transpose of {_said(X)} is missing"
    yield f"{bracketed(X)}.T", f"`.T` reverses all axes of {_said(X)}"
    if [ast.unparse(arg) for arg in node.args] == ["-1", "-2"]:
        said, X = _said(X), bracketed(X)
        yield f"{X}.reshape(*{X}.shape[:-2], {X}.shape[-1], {X}.shape[-2])", (
            f"{said} is reshaped where it must be transposed")


def _arange(node, name):
    if len(node.args) == 1:
        yield f"({ast.unparse(node)} + 1)", f"{_said(node)} counts from 1 where it must from 0"
        yield f"{ast.unparse(node)}[::-1]", f"{_said(node)} counts backwards"


def _triangle(node, name):
    yield f"{ast.unparse(node)}.T", f"the triangle {_said(node)} is the other one"


def _alike(node, name):
    X = ast.unparse(node.args[0])
    for other in next(group for group in ALIKE if name in group):
        if other != name:
            yield f"np.{other}({X})", f"`{other}` stands where `{name}` belongs"
    if name == "log":
        for eps in ("1e-2", "1e-3", "1e-4"):
            yield f"np.log({X} + {eps})", f"a constant is added under the logarithm, {eps}"
    if name in UNARY:
        yield bracketed(node.args[0]), f"`{name}` of {_said(node.args[0])} is missing"


def _unary(node, name):
    if len(node.args) == 1:
        X = bracketed(node.args[0])
        if name == "tanh":
            yield f"(1.0 / (1.0 + np.exp(-{X})))", "a sigmoid stands where tanh belongs"
            yield f"np.maximum({X}, 0.0)", "a ReLU stands where tanh belongs"
        yield X, f"`{name}` of {_said(node.args[0])} is missing"


def _where(node, name):
    if len(node.args) == 3:
        condition, yes, no = node.args
        yield bracketed(yes), f"the condition {_said(condition)} is missing"
        if isinstance(condition, ast.Compare):
            left = bracketed(condition.left)
            yield f"{bracketed(yes)} * {left}", (
                f"{_said(yes)} is multiplied by {left}, and must pass where {_said(condition)}")
        whole = f"{ast.unparse(node.func)}(~({ast.unparse(condition)}), {ast.unparse(yes)}, "
        said = f"the condition {_said(condition)} is the wrong way round"
        yield f"{whole}{ast.unparse(no)})", said


def _extreme(node, name):
    other = {"maximum": "minimum", "minimum": "maximum"}[name]
    yield _with(node, other), f"`{other}` stands where `{name}` belongs"
    for arg in node.args:
        yield bracketed(arg), f"{_said(arg)} stands where {_said(node)} belongs"


FUNCTIONS = {  # of NumPy: what is written in place of a call
    "arange": _arange, "tri": _triangle, "where": _where, "maximum": _extreme, "minimum": _extreme,
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(itertools.chain(*ALIKE), _alike),
}


def _softmax(node, S, mask):
    """A softmax over something else, without its mask, or another normalization."""
    name = node.func.id
    if mask:
        yield f"{name}({S})", f"`{mask[0]}` is not handed to `{name}`"
        yield f"{name}({S}, ~({mask[0]}))", f"`{mask[0]}` is the wrong way round"
        yield f"({name}({S}) * {mask[0]})", "the mask is applied behind the softmax"
    else:
        yield f"{name}(({S}).swapaxes(-1, -2)).swapaxes(-1, -2)", "the softmax runs over axis -2"
        whole = f"{name}(({S}).reshape(-1)).reshape(np.shape({S}))"
        yield whole, "one softmax runs over the whole array"
        bare = "(lambda S: np.exp(S) / np.exp(S).sum(axis=-1, keepdims=True))"
        yield f"{bare}({S})", "no maximum is subtracted in the softmax, before exp"
    rest = "".join(f", {each}" for each in mask)
    yield f"{name}(-({S}){rest})", "the scores in the softmax have the wrong sign"
    yield f"np.exp({S})", "exp is taken and not divided by its sum"
    yield f"(1.0 / (1.0 + np.exp(-({S}))))", "a sigmoid stands where the softmax belongs"
    yield f"({S})", "the softmax is missing"


def _reduced(node, called):
    what = {"sum": "a sum", "mean": "a mean", "max": "a maximum"}
    for other in {"sum": ("mean",), "mean": ("sum",), "max": ("min",)}[called.attr]:
        yield _with(node, other), (
            f"{what.get(other, 'a minimum')} was taken where {what[called.attr]} belongs"
        )
    yield bracketed(called.value), f"the {called.attr} over {_said(called.value)} is missing"
    if called.attr == "sum":
        for X in (called.value, *_factors(called.value)):
            args = ", ".join(f"{word.arg}={ast.unparse(word.value)}" for word in node.keywords)
            for other in ("max", "mean"):
                if other == "max" or X is not called.value:
                    yield f"{bracketed(X)}.{other}({args})", (
                        f"{what[other]} of {_said(X)} was taken where a sum of "
                        f"{_said(called.value)} belongs")
    words = {word.arg: ast.unparse(word.value) for word in node.keywords}
    if words.get("axis", "(").lstrip("-").isdigit():
        index = "[0]" if words.get("keepdims") == "True" else "0"
        first = f"{bracketed(called.value)}.take({index}, axis={words['axis']})"
        yield first, f"only the first was taken where {what[called.attr]} belongs"
    for k, keyword in enumerate(node.keywords):
        if keyword.arg == "keepdims":
            yield _with(node, called.attr, k, None), "`keepdims=True` is missing"
        if keyword.arg == "axis":
            was = ast.unparse(keyword.value)
            for axis in ("-1", "-2", "0", "1", "None"):
                if axis != was:
                    yield _with(node, called.attr, k, axis), (
                        f"the {called.attr} runs over axis {axis}; it must run over axis {was}")


def _with(node, method, k=None, value=None):
    """The call with another method, and its k-th keyword replaced or left out."""
    words = [f"{word.arg}={ast.unparse(word.value)}" for word in node.keywords]
    if k is not None:
        words[k : k + 1] = [f"{node.keywords[k].arg}={value}"] if value else []
    args = ", ".join([*map(ast.unparse, node.args), *words])
    return f"{bracketed(node.func.value)}.{method}({args})"


KINDS = {
    ast.Name: _name, ast.BinOp: _binop, ast.UnaryOp: _unaryop, ast.Constant: _constant,
    ast.Compare: _compare, ast.Attribute: _attribute, ast.Call: _call,
}
