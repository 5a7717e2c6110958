"""Slips of the pen: what one place of a file may have been meant to be.

    for slip in slips(text, "attend"):
        slip.line, slip.text, slip.words     7, the whole text without it, "the axis is wrong"

Each slip undoes one general kind of mistake at one place: a wrong axis, a variable taken for
another one, a sign, a comparison, a factor or a term too much or too little, a transpose, an
off-by-one, a part where the whole is meant, a function taken for its twin, a line too much or in
the wrong order. Nothing here knows what attention is; whether a text is right is for others to try.
"""

import ast
import itertools
import re
from typing import NamedTuple


class Slip(NamedTuple):
    """One change of a file."""

    line: int
    old: str    # what stands there
    new: str    # what would stand there
    words: str  # what kind of mistake that is
    rank: int   # 0 is likely
    start: int
    stop: int
    put: str

    def applied(self, text):
        """The text of the file with the change."""
        return text[: self.start] + self.put + text[self.stop :]

    def sentence(self):
        """Where it is, what it is, and what belongs there."""
        old, new = (text if len(text) <= 90 else f"{text[:89]}…" for text in (self.old, self.new))
        place = f"Line {self.line}"
        if self.words == ORDER:
            return f"{place}: {self.words}; `{new}` must come before `{old}`."
        if new == "pass":
            return f"{place}: {self.words}: `{old}` must not be done."
        return f"{place}: {self.words}; it must be `{new}` and not `{old}`."


ORDER = "the order of the lines is wrong"
HARMLESS = {"numpy", "torch", "math", "typing", "functools", "dataclasses", "einops", "collections",
            "scipy", "itertools", "__future__", "abc", "enum", "warnings", "types", "contextlib",
            "random", "typing_extensions", "operator", "copy"}
UNSAFE = re.compile(r"\b(open|exec|eval|compile|__import__|system|remove|unlink|save|savez|"
                    r"tofile|load|input|breakpoint)\s*\(")
OVER = {"sum", "mean", "max", "min", "amax", "amin", "softmax", "log_softmax", "logsumexp", "var",
        "std", "norm", "cumsum", "any", "all", "prod", "argmax"}
PLACES = OVER | {"swapaxes", "transpose", "permute", "cat", "concatenate", "stack", "split",
                 "chunk", "squeeze", "unsqueeze", "repeat", "flip", "roll", "moveaxis", "size",
                 "expand_dims", "repeat_interleave", "narrow", "movedim", "take", "flatten",
                 "unflatten"}
AXES = {"axis", "dim", "dims", "axes", "dim0", "dim1", "axis1", "axis2", "start_dim"}
SCALE = re.compile(  # a short expression that is likely the scale of the scores
    r"(?=.{1,32}$)(?!.*@)(.*sqrt\(.*\)|.*\*\* ?-?0\.5|((self|ctx)\.)?"
    r"\w*(scale|scaling|temperature))$")
TWINS = (("tril", "triu"), ("repeat", "tile"), ("repeat", "repeat_interleave"), ("sum", "mean"),
         ("sin", "cos"), ("max", "min"), ("maximum", "minimum"), ("zeros", "ones"), ("std", "var"),
         ("zeros_like", "ones_like"), ("exp", "exp2"), ("logical_and", "logical_or"),
         ("tanh", "sigmoid"), ("reshape", "view"), ("max", "sum"), ("any", "all"), ("cos", "sin"),
         ("k_proj", "v_proj"), ("ge", "gt"), ("le", "lt"), ("floor", "ceil"), ("log", "log2"))
COMPARED = {ast.Lt: ("<=", ">", ">="), ast.LtE: ("<", ">=", ">"), ast.Gt: (">=", "<", "<="),
            ast.GtE: (">", "<=", "<"), ast.Eq: ("!=",), ast.NotEq: ("==",), ast.Is: ("is not",),
            ast.IsNot: ("is",)}
COMPUTED = {ast.Add: ("-", "*"), ast.Sub: ("+",), ast.Mult: ("/", "+", "@"), ast.Div: ("*",),
            ast.BitAnd: ("|",), ast.BitOr: ("&",), ast.FloorDiv: ("/",), ast.MatMult: ("*",),
            ast.Mod: ("//",)}
SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@",
         ast.BitAnd: "&", ast.BitOr: "|", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**"}


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
    maker = _Slips(text, ast.parse(text))
    found = {}
    for root in maker.reached(names):
        for slip in maker.of(root):
            changed = slip.applied(text)
            if changed not in found or found[changed].rank > slip.rank:
                found[changed] = slip
    return sorted(found.values(), key=lambda slip: slip.rank)[:most]


class _Slips:
    """The source, and where its parts stand."""

    def __init__(self, text, tree):
        self.text, self.tree = text, tree
        lines = text.splitlines(keepends=True)
        self.starts = [0, *itertools.accumulate(map(len, lines))]
        self.lines = lines
        self.torch = bool(re.search(r"\btorch\b", text))
        self.attributes = sorted({n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)
                                  and isinstance(n.value, ast.Name) and n.value.id == "self"})
        self.keys = sorted({n.slice.value for n in ast.walk(tree) if isinstance(n, ast.Subscript)
                            and isinstance(n.slice, ast.Constant)
                            and isinstance(n.slice.value, str)})
        parts = {ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.expr)}
        self.scales = sorted(filter(SCALE.match, parts), key=len)[:6]
        self.running = {n.id for loop in ast.walk(tree) if isinstance(
            loop, (ast.For, ast.comprehension)) for n in ast.walk(loop.target)
            if isinstance(n, ast.Name)}
        self.parents = {child: node for node in ast.walk(tree)
                        for child in ast.iter_child_nodes(node)}

    def reached(self, names):
        """The functions and classes of these names, and what they use of the file."""
        own = {n.name: n for n in self.tree.body
               if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
        constants = {t.id: n for n in self.tree.body if isinstance(n, ast.Assign)
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

    def of(self, root):
        """All slips in one function, class or constant."""
        for scope in self._scopes(root):
            names = self._names(scope)
            for node in self._own(scope):
                for put, words, rank in self._for(node, names):
                    yield self._slip(node, put, words, rank)
            yield from self._statements(scope)

    def _scopes(self, root):
        found = [n for n in ast.walk(root) if isinstance(n, ast.FunctionDef)]
        return found or [root]

    def _own(self, scope):
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

    def _names(self, scope):
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

    def place(self, node):
        """(start, stop) of a node in the text."""
        def at(line, column):
            return self.starts[line - 1] + len(
                self.lines[line - 1].encode()[:column].decode(errors="replace"))
        return at(node.lineno, node.col_offset), at(node.end_lineno, node.end_col_offset)

    def said(self, node):
        """The text of a node."""
        start, stop = self.place(node)
        return self.text[start:stop]

    def _slip(self, node, put, words, rank):
        start, stop = self.place(node)
        old = self.text[start:stop]
        shown, changed = old, put
        owner = self.parents.get(node)  # a number alone says nothing: show what it stands in
        while len(shown) < 12 and isinstance(owner, (ast.expr, ast.keyword)) and hasattr(
                owner, "lineno"):
            low, high = self.place(owner)
            if high - low > 70:
                break
            shown = self.text[low:high]
            changed = self.text[low:start] + put + self.text[stop:high]
            owner = self.parents.get(owner)
        return Slip(node.lineno, _line(shown), _line(changed), words, rank, start, stop, put)

    # ---- of one expression ----

    def _for(self, node, names):
        kind = type(node)
        if kind in _EXPRESSIONS:
            yield from _EXPRESSIONS[kind](self, node, names)
        if isinstance(node, ast.expr) and not isinstance(
                getattr(node, "ctx", None), (ast.Store, ast.Del)):
            yield from self._around(node, names)

    def _axis(self, node):
        """Whether a number is an axis: "over" of a sum, "place" of another call; ""."""
        owner = self.parents.get(node)
        if isinstance(owner, ast.UnaryOp):
            return ""
        if isinstance(owner, ast.keyword):
            call = self.parents.get(owner)
            name = _called(call)
            return ("over" if name in OVER else "place") if owner.arg in AXES else ""
        if isinstance(owner, ast.Tuple):
            inner = self._axis(owner)
            return inner
        if isinstance(owner, ast.Call) and node in owner.args and _called(owner) in PLACES:
            return "over" if _called(owner) in OVER else "place"
        return ""

    def _number(self, node, value):
        kind = self._axis(node)
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
            inf, call = "float('-inf')", _called(self.parents.get(node))
            if call not in ("maximum", "minimum", "clip", "clamp"):
                yield inf, "a masked score must be −inf", 1
            one = repr(1 / value) if value else "1.0"
            for new in ("1e30", "0.0", "1.0", "-1e30", repr(-value), one):
                yield new, "the number is wrong", 3

    def _constant(self, node, names):
        owner = self.parents.get(node)
        if isinstance(owner, ast.UnaryOp) and isinstance(owner.op, ast.USub):
            return
        if isinstance(node.value, (bool, int, float)):
            yield from self._number(node, node.value)
            if isinstance(owner, ast.Subscript) and owner.slice is node:
                for name, line in names.items():  # the variable of a loop
                    if line <= node.lineno and name in self.running:
                        yield name, f"`{name}` belongs there", 1
        elif isinstance(node.value, str) and node.value in self.keys:
            for key in self.keys:
                if key != node.value:
                    yield repr(key), f"`{key}` belongs there", 1 + _far(key, node.value)
        elif isinstance(node.value, str) and re.search(r"->|[a-z] [a-z]", node.value):
            yield from _subscripts(node.value)

    def _unary(self, node, names):
        inner = self.said(node.operand)
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            yield from self._number(node, -node.operand.value)
        if isinstance(node.op, ast.USub):
            yield inner, "the sign is wrong", 1
        elif isinstance(node.op, (ast.Not, ast.Invert)):
            yield f"({inner})", "it is inverted", 1

    def _name(self, node, names):
        if not isinstance(node.ctx, ast.Load) or node.id not in names:
            return
        owner = self.parents.get(node)
        if isinstance(owner, (ast.BinOp, ast.UnaryOp, ast.Slice)):
            for put in (f"({node.id} + 1)", f"({node.id} - 1)"):
                yield put, "it is off by one", 2
        if isinstance(owner, (ast.BinOp, ast.Compare)):
            for whole in self._holding(node):
                yield f"({whole})", f"`{whole}` belongs there and not `{node.id}` alone", 2
        for other, line in names.items():
            if other != node.id and line <= node.lineno:
                called = isinstance(owner, ast.Call) and owner.func is node
                yield other, f"`{other}` belongs there and not `{node.id}`", (
                    1 + _far(other, node.id) + 3 * called)

    def _holding(self, node):
        """Sums of the same function that hold this variable; what is added to it may be missing."""
        scope = node
        while scope in self.parents and not isinstance(scope, ast.FunctionDef):
            scope = self.parents[scope]
        found = dict.fromkeys(
            self.said(n) for n in ast.walk(scope) if isinstance(n, ast.BinOp)
            and isinstance(n.op, (ast.Add, ast.Sub)) and node.id in {ast.unparse(n.left),
                                                                     ast.unparse(n.right)})
        return [text for text in found if len(text) < 40][:4]

    def _attribute(self, node, names):
        if not isinstance(node.ctx, ast.Load):
            return
        owner = self.said(node.value)
        if owner == "self":
            for other in self.attributes:
                if other != node.attr:
                    yield f"self.{other}", f"`self.{other}` belongs there", 1 + _far(
                        other, node.attr)
        for one, two in (*TWINS, *(pair[::-1] for pair in TWINS)):
            if node.attr == one:
                yield f"{owner}.{two}", f"`{two}` is meant, not `{one}`", (
                    4 if two in ("min", "minimum") else 1)
        if node.attr == "T":
            yield owner, "it is transposed", 1

    def _binary(self, node, names):
        left, right = self.said(node.left), self.said(node.right)
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
        yield from self._moved(node, sign)
        yield from self._regrouped(node, sign, right)

    def _moved(self, node, sign):
        """a + f(b) is f(a + b)."""
        for call, other in ((node.right, node.left), (node.left, node.right)):
            if sign == "+" and isinstance(call, ast.Call) and len(call.args) == 1:
                whole = f"{self.said(other)} + {self.said(call.args[0])}"
                yield self._within(call, call.args[0], whole), (
                    "the sum belongs inside of the call"), 1

    def _within(self, node, part, put):
        """The text of a node with another text for one part of it."""
        (start, _), (low, high) = self.place(node), self.place(part)
        whole = self.said(node)
        return whole[: low - start] + put + whole[high - start :]

    def _regrouped(self, node, sign, right):
        """(a + b) * c is a * c + b or a + b * c; and the other way round."""
        inner = node.left
        if isinstance(inner, ast.BinOp) and type(inner.op) in SIGNS and type(inner.op) is not type(
                node.op):
            a, first, b = self.said(inner.left), SIGNS[type(inner.op)], self.said(inner.right)
            yield f"({a} {sign} {right}) {first} ({b})", "the order of operations is wrong", 1
            yield f"({a}) {first} ({b} {sign} {right})", "the order of operations is wrong", 1
        inner = node.right
        if isinstance(inner, ast.BinOp) and type(inner.op) in SIGNS:
            a, second, b = self.said(inner.left), SIGNS[type(inner.op)], self.said(inner.right)
            left = self.said(node.left)
            yield f"({left} {sign} {a}) {second} ({b})", "the order of operations is wrong", 1

    def _compare(self, node, names):
        if len(node.ops) != 1:
            return
        left, right = self.said(node.left), self.said(node.comparators[0])
        for other in COMPARED.get(type(node.ops[0]), ()):
            if not _early(self.parents.get(node)):
                yield f"({left} {other} {right})", "the comparison is wrong", 0
        if isinstance(node.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE)):
            for more in ("+ 1", "- 1"):
                yield f"({self.said(node)[: -len(right)]}{right} {more})", "it is off by one", 1

    def _call(self, node, names):
        name, args = _called(node), [self.said(a) for a in node.args]
        if isinstance(node.func, ast.Attribute) and not _module(node.func.value):
            rank = 0 if name in ("detach", "item", "mean", "squeeze", "clamp", "float") else 2
            if name != "masked_fill":  # without its mask any code is right
                yield self.said(node.func.value), f"`.{name}(…)` does not belong there", rank
            if name.endswith("_") and not name.endswith("__"):
                put = self.said(node).replace(f".{name}(", f".{name[:-1]}(", 1)
                yield put, "it changes its argument in place", 0
        if args and not (node.keywords and name in ("where",)):
            yield args[0], f"`{name}` does not belong there", 3
            yield from self._outside(node)
            if name == "where" and len(args) == 3:
                yield args[1], "the condition does not belong there", 3
        for i, one in enumerate(node.args[:-1]):
            two = node.args[i + 1]
            if self.said(one) != self.said(two):
                start = self.place(node)[0]
                a, b, c, d = *self.place(one), *self.place(two)
                whole = self.said(node)
                yield (whole[: a - start] + self.said(two) + whole[b - start : c - start]
                       + self.said(one) + whole[d - start :]), "two arguments are exchanged", 2
        for keyword in node.keywords:
            low, high = self.place(keyword)
            start, _ = self.place(node)
            whole = self.said(node)
            rest = re.sub(r",\s*(?=\)|,)|(?<=\(),\s*", "", whole[: low - start]
                          + whole[high - start :])
            yield rest, f"`{keyword.arg}` does not belong there", 3
        if name in ("tril", "triu", "tri") and len(node.args) + len(node.keywords) < 2:
            word = "diagonal" if "torch" in self.said(node.func) or not _module(
                node.func.value if isinstance(node.func, ast.Attribute) else node.func) else "k"
            for k in (1, -1):
                yield f"{self.said(node)[:-1]}, {word}={k})", "the triangle is off by one", 0
        if name in OVER and not any(k.arg in ("keepdims", "keepdim") for k in node.keywords):
            word = "keepdim" if self.torch else "keepdims"
            yield f"{self.said(node)[:-1]}, {word}=True)", f"`{word}` is missing", 3

    def _outside(self, node):
        """f(a + b) is a + f(b), or f(a) + b; axes are made in another order, then transposed."""
        inner = node.args[0]
        if len(node.args) == 1 and isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Add):
            a, b = inner.left, inner.right
            for in_, out in ((b, a), (a, b)):
                yield (f"({self.said(out)} + {self._within(node, inner, self.said(in_))})",
                       "the sum belongs outside of the call", 1)
        if _called(node) in ("view", "reshape") and len(node.args) >= 3:
            turn = ".transpose({}, {})" if self.torch else ".swapaxes({}, {})"
            for i, (one, two) in enumerate(zip(node.args, node.args[1:], strict=False)):
                whole, other = self._within(node, one, "\0"), self.said(two)
                (start, _), (low, high) = self.place(node), self.place(two)
                more = 1 - (self.place(one)[1] - self.place(one)[0])
                whole = whole[: low - start + more] + self.said(one) + whole[high - start + more :]
                yield (whole.replace("\0", other) + turn.format(i, i + 1),
                       "the axes are made in the wrong order, which a transpose must mend", 1)

    def _subscript(self, node, names):
        if isinstance(node.ctx, ast.Load):
            yield self.said(node.value), "a part is taken where the whole is meant", 1

    def _slice(self, node, names):
        for part, put in ((node.lower, lambda s: s), (node.upper, lambda s: s)):
            if part is not None:
                low, _ = self.place(node)
                a, b = self.place(part)
                whole = self.said(node)
                yield put(whole[: a - low] + whole[b - low :]), "a part is left out", 1
        if node.lower is None and node.upper is not None and node.step is None:
            yield f"-{self.said(node.upper)}:", "it is the wrong end", 2
        if node.upper is None and isinstance(node.lower, ast.UnaryOp) and node.step is None:
            yield f":{self.said(node.lower.operand)}", "it is the wrong end", 2

    def _tuple(self, node, names):
        if isinstance(node.ctx, ast.Load) and 2 <= len(node.elts) <= 4:
            parts = [self.said(e) for e in node.elts]
            whole = "({})" if self.said(node).startswith("(") else "{}"
            if self._axis(node):
                for part in parts:
                    yield part, "it runs over an axis too much", 0
            for order in itertools.permutations(parts):
                if list(order) != parts:
                    yield whole.format(", ".join(order)), "the order is wrong", 2

    def _list(self, node, names):
        if 2 <= len(node.elts) <= 3:
            parts = [self.said(e) for e in node.elts]
            for order in itertools.permutations(parts):
                if list(order) != parts:
                    yield f"[{', '.join(order)}]", "the order is wrong", 1

    def _boolop(self, node, names):
        sign = " or " if isinstance(node.op, ast.And) else " and "
        yield f"({sign.join(self.said(v) for v in node.values)})", "`and` and `or` are exchanged", 1
        for value in node.values:
            yield f"({self.said(value)})", "there is a condition too much", 1

    def _choice(self, node, names):
        yield f"({self.said(node.body)})", "the condition is wrong", 1
        yield f"({self.said(node.orelse)})", "the condition is wrong", 1

    def _around(self, node, names):
        """What may be missing around a whole expression."""
        text, owner = self.said(node), self.parents.get(node)
        product = isinstance(owner, ast.BinOp) and isinstance(owner.op, ast.MatMult)
        whole = isinstance(owner, (ast.Return, ast.Assign, ast.AugAssign)) and getattr(
            owner, "value", None) is node or isinstance(owner, ast.Tuple) and isinstance(
            self.parents.get(owner), (ast.Return, ast.Assign)) and isinstance(node.ctx if hasattr(
                node, "ctx") else ast.Load(), ast.Load)
        argument = isinstance(owner, ast.Call) and node in owner.args
        summed = isinstance(owner, ast.Attribute) and owner.attr in OVER and not _module(node)
        call = _called(owner) if argument else ""
        turn = ".transpose(-1, -2)" if self.torch else ".swapaxes(-1, -2)"
        between = ".transpose(1, 2)" if self.torch else ".swapaxes(1, 2)"
        if product or call in ("matmul", "bmm", "dot"):
            yield f"({text}){turn}", "a transpose is missing", 1
            yield f"-({text})", "the sign is wrong", 3
        receiver = isinstance(owner, ast.Attribute) and owner.attr in ("reshape", "view")
        if receiver or call == "reshape":
            yield f"({text}){between}", "a transpose is missing before the reshape", 0
        if isinstance(node, ast.Call) and _called(node) in ("reshape", "view"):
            yield f"({text}){between}", "a transpose is missing behind the reshape", 1
        big = isinstance(node, (ast.BinOp, ast.Call))
        if summed and isinstance(node, ast.Name):
            for name, line in names.items():
                if name != text and line <= node.lineno:
                    yield f"({text} * {name})", f"the factor `{name}` is missing", 2
        if (whole or argument) and (big or isinstance(node, ast.Name)):
            for name in names:
                if name in text or names[name] > node.lineno:
                    continue
                yield f"({text}) + {name}", f"the term `{name}` is missing", 4
                if len(name) < 3 or re.search("scale|gain|mask|keep|dim|sqrt|alpha|corr|rate",
                                              name):
                    yield f"({text}) * {name}", f"the factor `{name}` is missing", 3
                    if not re.search("mask|keep|valid|allow|pad", name):
                        yield f"({text}) / {name}", f"the division by `{name}` is missing", 4
        if whole and big and not re.search("arange|zeros|ones|full|shape|tril|triu|len", text):
            for scale in self.scales:
                if scale not in text:
                    yield f"({text}) * ({scale})", f"the factor `{scale}` is missing", 1
                    yield f"({text}) / ({scale})", f"the division by `{scale}` is missing", 1
        if call in ("exp", "exp2") and not re.search(r"\.(max|min|amax|amin|mean)\(", text):
            top = ".amax(-1, keepdim=True)" if self.torch else ".max(-1, keepdims=True)"
            yield f"({text}) - ({text}){top}", "the maximum of each row must be subtracted", 0
        if whole and isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            copy = ".clone()" if self.torch else ".copy()"
            yield f"{text}{copy}", "a copy is missing: two names hold one array", 2
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(
                owner, (ast.If, ast.IfExp)) and owner.test is node:
            yield f"not {text}", "the condition is inverted", 1
        if isinstance(node, ast.Name) and call in ("where", "masked_fill"):
            yield f"~{text}", "the mask is inverted", 1

    # ---- of whole statements ----

    def _statements(self, scope):
        for node in ast.walk(scope):
            for part in ("body", "orelse"):
                block = getattr(node, part, None)
                if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                    yield from self._block(block)

    def _block(self, block):
        for i, node in enumerate(block):
            if isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr)) and not (
                    isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
                    or re.search(r"masked_fill|\bwhere\(", self.said(node))):
                yield self._slip(node, "pass", "this line is too much", 1)
            if isinstance(node, ast.AugAssign):
                target, sign = self.said(node.target), SIGNS.get(type(node.op))
                if sign:
                    value = self.said(node.value)
                    yield self._slip(node, f"{target} = {target} {sign} ({value})",
                                     "it changes its argument in place", 0)
                    yield self._slip(node, f"{target} = {value}", "it adds up", 2)
                    for other in COMPUTED.get(type(node.op), ()):
                        yield self._slip(node, f"{target} {other}= {value}",
                                         f"`{other}=` is meant, not `{sign}=`", 1)
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                target, value = self.said(node.targets[0]), self.said(node.value)
                if isinstance(node.targets[0], (ast.Subscript, ast.Attribute)):
                    yield self._slip(node, f"{target} += {value}", "it must be added up", 2)
            if isinstance(node, ast.If):
                yield from self._condition(node)
            if i and _plain(node) and _plain(block[i - 1]):
                yield from self._swapped(block[i - 1], node)
            if i > 1 and _plain(node) and _plain(block[i - 2]):
                yield from self._swapped(block[i - 2], node, block[i - 1])

    def _condition(self, node):
        if _early(node):
            return
        for put, words in (("True", "it must always be done"), ("False", "it must not be done"),
                           (f"not ({self.said(node.test)})", "the condition is inverted")):
            yield self._slip(node.test, put, words, 1)

    def _swapped(self, one, two, between=None):
        (a, b), (c, d) = self.place(one), self.place(two)
        if one.col_offset != two.col_offset:
            return
        middle = self.text[b:c]
        put = self.text[c:d] + middle + self.text[a:b]
        yield Slip(one.lineno, _line(self.text[a:b]), _line(self.text[c:d]), ORDER, 1, a, d, put)


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


def _early(node):
    """Whether it is `if n == 0: return …`: another way through the code is no repair."""
    return isinstance(node, ast.If) and isinstance(node.body[-1], ast.Return) and isinstance(
        node.test, ast.Compare) and isinstance(node.test.comparators[0], ast.Constant) and (
        node.test.comparators[0].value is not None)


def _called(node):
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def _module(node):
    return isinstance(node, ast.Name) and node.id in (
        "np", "numpy", "torch", "F", "nn", "math", "einops", "scipy", "special", "linalg"
    ) or isinstance(node, ast.Attribute) and _module(node.value)


def _plain(node):
    return isinstance(node, (ast.Assign, ast.AugAssign, ast.If, ast.Expr))


def _line(text):
    """A piece of source on one line."""
    return " ".join(text.split())


def _far(one, two):
    """0 for names of one family (q and k, W_q and W_k, norm1 and norm2), 3 for others."""
    if len(one) == len(two) and sum(a != b for a, b in zip(one, two, strict=True)) == 1:
        return 0
    front = len(re.match(r"(.*).*\0\1", f"{one}\0{two}")[1])
    back = len(re.match(r"(.*).*\0\1", f"{one[::-1]}\0{two[::-1]}")[1])
    return 1 if 2 * (front + back) >= max(len(one), len(two)) else 2


_EXPRESSIONS = {
    ast.Constant: _Slips._constant, ast.UnaryOp: _Slips._unary, ast.Name: _Slips._name,
    ast.Attribute: _Slips._attribute, ast.BinOp: _Slips._binary, ast.Compare: _Slips._compare,
    ast.Call: _Slips._call, ast.Subscript: _Slips._subscript, ast.Slice: _Slips._slice,
    ast.Tuple: _Slips._tuple, ast.List: _Slips._list,
    ast.BoolOp: _Slips._boolop, ast.IfExp: _Slips._choice,
}
