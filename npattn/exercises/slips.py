"""Slips: what the solution would return if one of its expressions were another.

A catalogue holds the mistakes of one exercise. A slip can be made anywhere: a neighbour's array, a
missing factor, a sign, a transpose, an axis, a constant. Each is an edit of the solution's source
(npattn.edits), made from its syntax tree, with a sentence that says what is where.
"""

import ast
import itertools
import os
import re
import textwrap
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from npattn.edits import Edit, changes, edited, expressions, rewritten, source_of, wrote
from npattn.exercises.changed import WRITES

UNARY = ("sqrt", "exp", "log", "tanh", "abs", "square")
ALIKE = (("sin", "cos"), ("log", "log2", "log1p", "log10"), ("exp", "exp2", "expm1"),
         ("argmax", "argmin"), ("floor", "ceil", "round"))  # taken for each other
MODULES = ("np", "math")
SUBSCRIPTS = re.compile(r"[\w.]+(?:,[\w.]+)+->[\w.]*")
TURNED = (".swapaxes(-1, -2)", ".T")
WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*")  # a name that is no attribute
RARER = 800
MOST = 40  # characters of an expression in a sentence
OTHER = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "=="}


class Slip(NamedTuple):
    """One slip, and the statement in which it is."""

    edit: Edit   # its words are a sentence without a full stop
    number: int  # of the statement, the docstring is none
    text: str    # of the statement, with the slip
    changes: tuple = ()  # (start, stop, text) of what is replaced in the source


class Statement(NamedTuple):
    """One statement of a function: where it stands in the source, and its text."""

    start: int
    stop: int
    text: str


@lru_cache(maxsize=64)
def slips(function):
    """All slips of a function that are Python, each text once."""
    source = source_of(function)
    tree, found = ast.parse(source), {}
    statements = _statements(function)
    known = _definitions(tree)
    asked = {  # for its shape or dtype only
        (node.value.lineno, node.value.col_offset) for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("shape", "dtype", "ndim")
    }
    axes = {  # of swapaxes: to exchange an axis with itself is to leave the transpose out
        (part.lineno, part.col_offset) for node in ast.walk(tree) if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") == "swapaxes" for arg in node.args
        for part in (arg, getattr(arg, "operand", arg))
    }
    signed = {  # -1 as a whole is another number
        (node.operand.lineno, node.operand.col_offset) for node in ast.walk(tree)
        if isinstance(node, ast.UnaryOp) and isinstance(getattr(node.operand, "value", 0.0), int)
    }
    for low, high, node in expressions(source):
        inside = [k for k, one in enumerate(statements) if one.start <= low < one.stop]
        if not inside or isinstance(getattr(node, "ctx", None), ast.Store):
            continue
        if (node.lineno, node.col_offset) in axes | signed:
            continue
        number, (start, _, old) = inside[0], statements[inside[0]]
        names = [name for name, line in known.items() if line < node.lineno
                 or name in _later(statements, number, known)]
        for new, words in variants(node, names):
            if words.endswith("squared") and (node.lineno, node.col_offset) in asked:
                continue
            text = source[:low] + new + source[high:]
            if text != source:
                written = old[: low - start] + new + old[high - start :]
                made = _least(source, low, high, new)
                found.setdefault(text, Slip(Edit(source, text, words), number, written, made))
    for slip in (*_everywhere(source, statements, known), *_axes(source, statements, tree)):
        found.setdefault(slip.edit.new, slip)
    return tuple(found.values())


def _axes(source, statements, tree):
    """Slips in which all that runs over an axis runs over another one."""
    words = [word.value for node in ast.walk(tree) if isinstance(node, ast.Call)
             for word in node.keywords if word.arg == "axis"]
    marked, places = {(node.lineno, node.col_offset) for node in words}, {}
    for low, high, node in expressions(source):
        if (node.lineno, node.col_offset) in marked:
            places.setdefault(source[low:high], []).append((low, high))
    for old, spans in places.items():
        for new in ("None", "0", "-1", "-2"):
            if len(spans) > 1 and new != old:
                made = tuple((low, high, new) for low, high in sorted(set(spans)))
                text = source
                for low, high, _ in reversed(made):
                    text = text[:low] + new + text[high:]
                over = "the whole array" if new == "None" else f"axis {new}"
                said = f"all that must run over axis {old} runs over {over}"
                yield Slip(Edit(source, text, said), -1, "", made)


def _least(source, low, high, new):
    """The changes of source[low:high] into `new`, without what stays as it is."""
    old, bracket = source[low:high], new.find(")")
    while bracket > 0 and new.startswith("("):  # "A + B" became "(A) - B", say
        inner = new[1:bracket]
        if old.startswith(inner):
            if inner.count("(") == inner.count(")"):
                return (low, low, "("), (low + len(inner), high, new[bracket:])
        elif not old.endswith(inner):
            break
        elif bracket == len(new) - 1:
            return (low, high - len(inner), "("), (high, high, ")")
        bracket = new.find(")", bracket + 1)
    front = len(os.path.commonprefix([old, new]))
    back = len(os.path.commonprefix([old[front:][::-1], new[front:][::-1]]))
    return ((low + front, high - back, new[front : len(new) - back]),)


@lru_cache(maxsize=64)
def rarer_slips(function):
    """Slips that are looked for where no other tells anything: RARER at most."""
    source, statements = source_of(function), _statements(function)
    known = _definitions(ast.parse(source))
    more = _on_the_way(source, statements, known), _in_place(source, statements, known)
    return tuple(itertools.islice(itertools.chain(*more), RARER))


def _in_place(source, statements, known):
    """Slips in which an expression with a name, or a product with it, stands for the name."""
    parts, found = _parts(source, known), []
    for low, high, node in expressions(source):
        if not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
                and node.id in known):
            continue
        inside = [k for k, one in enumerate(statements) if one.start <= low < one.stop]
        if not inside:
            continue
        X, number = node.id, inside[0]
        start, stop, old = statements[number]
        near = _names(old)
        variants = [(f"({text})", f"`{text}` stands where `{X}` belongs")
                    for text in parts.get(X, ())]
        variants += [(f"({X} * {other})", f"`{X}` has a factor `{other}` too many")
                     for other, line in known.items() if line < node.lineno]
        for new, words in variants:
            text = source[:low] + new + source[high:]
            written = old[: low - start] + new + old[high - start :]
            far = "factor" in words and not near & {new.split(" * ")[-1][:-1]}
            slip = Slip(Edit(source, text, words), number, written, ((low, high, new),))
            found.append((far, slip))
    return [slip for _, slip in sorted(found, key=lambda pair: pair[0])]


def _parts(source, known):
    """{name: texts of small expressions in the source that hold it}."""
    found = {}
    for _, _, node in expressions(source):
        text = ast.unparse(node)
        if isinstance(node, ast.BinOp) and len(text) <= MOST:
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and part.id in known:
                    found.setdefault(part.id, set()).add(text)
    return {name: sorted(texts) for name, texts in found.items()}


WAYS = (  # what is done to an array before it is used
    ("np.clip({X}, -1.0, 1.0)", "limited to −1 … 1"), ("np.maximum({X}, 0.0)", "cut at 0"),
    ("np.abs({X})", "replaced by its absolute value"), ("np.sign({X})", "replaced by its sign"),
    ("({X} / {X}.sum(axis=-2, keepdims=True))", "divided by its sums along axis -2"),
    ("np.divide({X}, {X}.sum(axis=-2, keepdims=True), out=np.zeros_like({X}), "
     "where={X}.sum(axis=-2, keepdims=True) != 0)", "divided by its sums along axis -2"),
    ("({X} / {X}.sum(axis=-1, keepdims=True))", "divided by its sums along axis -1"),
    ("np.eye({X}.shape[-1], dtype={X}.dtype)[{X}.argmax(axis=-1)]",
     "replaced by 1 at the largest entry of each row and 0 elsewhere"),
    ("({X} / np.linalg.norm({X}, axis=-1, keepdims=True))", "divided by the length of its rows"),
    ("({X} - {X}.mean(axis=-1, keepdims=True))", "centred along axis -1"),
    ("((({X} == {X}.max(axis=-1, keepdims=True)) & ({X} > 0)).astype({X}.dtype))",
     "replaced by 1 at the largest entry of each row and 0 elsewhere"),
    ("np.where({X} < 0.1, 0.0, {X})", "set to 0 where it is below 0.1"),
    ("({X} > 0).astype({X}.dtype)", "replaced by 1 where it is positive and 0 elsewhere"),
    ("({X} * {X})", "squared"), ("np.sqrt({X})", "replaced by its root"),
    ("np.tanh({X})", "put through tanh"), ("np.exp({X})", "put through exp"),
    ("{X}[::-1]", "turned round along its first axis"),
    ("{X}[..., ::-1]", "turned round in its rows"),
    ("np.cumsum({X}, axis=-1)", "summed up along axis -1"),
    ("np.broadcast_to({X}[:1], {X}.shape)", "taken from its first entry for all"),
    ("np.broadcast_to({X}.mean(axis=0), {X}.shape)", "averaged over its first axis"),
    ("np.full_like({X}, {X}.max())", "replaced by its largest entry"),
    ("np.full_like({X}, {X}.min())", "replaced by its smallest entry"),
    ("np.full_like({X}, {X}.mean())", "replaced by its mean"),
    ("np.round({X})", "rounded to whole numbers"),
)


def _on_the_way(source, statements, known):
    """Slips in which an array is changed behind the statement that makes it."""
    for number, (start, stop, old) in enumerate(statements[:-1]):
        made = _names(old, ast.Store) | (
            {name for name, line in known.items() if not line} if not number else set())
        for name in sorted(made & set(known)):
            for way, words in WAYS:
                line = f"{name} = {way.format(X=name)}"
                text = f"{source[:start]}{old.rstrip()}\n    {line}\n{source[stop:]}"
                written = f"{old}\0{line}"
                change = (start + len(old.rstrip()), start + len(old.rstrip()), f"\n    {line}")
                yield Slip(Edit(source, text, f"`{name}` is {words}"), number, written, (change,))


def _everywhere(source, statements, known):
    """Slips in which a name stands for another at several places of a statement."""
    for number, (start, stop, old) in enumerate(statements):
        places = {}
        for low, high, node in expressions(source):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and (
                    start <= low < stop and node.id in known):
                places.setdefault(node.id, []).append((low - start, high - start))
        line = 1 + source.count("\n", 0, start)
        for name, spans in places.items():
            others = [each for each, first in known.items() if each != name and first < line]
            groups = [group for size in range(2, 5) for group in
                      itertools.combinations(sorted(spans), size)] if len(spans) < 5 else []
            for group, other in itertools.product(groups, others):
                written = old
                for low, high in reversed(group):
                    written = written[:low] + other + written[high:]
                text = source[:start] + written + source[stop:]
                words = f"`{other}` stands where `{name}` belongs"
                made = tuple((start + low, start + high, other) for low, high in group)
                yield Slip(Edit(source, text, words), number, written, made)


def _later(statements, number, known):
    """Names that are known behind a statement, where that could stand behind them as well."""
    made, found = _names(statements[number].text, ast.Store), set()
    for one in statements[number + 1 :]:
        stored = _names(one.text, ast.Store)
        if made & (stored | _names(one.text)):
            return found
        found |= stored & set(known)
    return found


def slipped(function, slip):
    """The function with that slip."""
    pieces = {slip.number: slip.text} if slip.text else _pieces(
        source_of(function), _statements(function), slip.changes)
    return pieces and _run(function, pieces) or rewritten(function, slip.edit.new)


@lru_cache(maxsize=2**13)
def with_edits(function, made):
    """The function with edits made together. Raises Overlap and SyntaxError as `edited` does."""
    pieces = _pieces(source_of(function), _statements(function),
                     [tuple(change) for change in changes(source_of(function), *made)])
    return pieces and _run(function, pieces, moved=False) or edited(function, *made)


def slipped_too(function, edit):
    """slip -> the function with an edit and a slip besides; None where they exclude each other."""
    source, statements = source_of(function), _statements(function)
    made = [tuple(change) for change in changes(source, edit)]
    base = _pieces(source, statements, made)

    def both(slip):
        if base is None:
            return None
        if slip.text and slip.number not in base:
            return _run(function, {**base, slip.number: slip.text})
        if any(low < stop and start < high for low, high, _ in slip.changes
               for start, stop, _ in made):
            return None
        pieces = _pieces(source, statements, sorted([*made, *slip.changes]))
        return _run(function, pieces) if pieces else None

    return both


def _pieces(source, statements, made):
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


def _run(function, pieces, moved=True):
    """The function with other texts of some statements; None where that cannot be.

    It is run statement by statement: to compile those that are changed is much less work. If
    `moved`, a statement with a name that becomes known later stands behind that.
    """
    statements = _statements(function)
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
        exec(_compiled(_statements(function)[k].text), space)
        if any(isinstance(value, Iterator) for value in space.values()):  # it can be read once
            return k, dict(known[k])
        known[k + 1] = space
    return number, dict(known[number])


@lru_cache(maxsize=64)
def _writes(function):
    return bool(WRITES.search(source_of(function)))


_known = {}  # {(function, ids of arguments): (arguments, {number of a statement: names before it})}


def locals_of(function, args):
    """{name: value}: what a function with plain statements has made of its arguments at the end."""
    number, names = len(_statements(function)) - 1, _defined(function)
    return {name: value for name, value in _space(function, args, number)[1].items()
            if name in names}


@lru_cache(maxsize=64)
def _defined(function):
    return frozenset(_definitions(ast.parse(source_of(function))))


@lru_cache(maxsize=2**13)
def _behind(function, number, text):
    """The number of the last statement that makes a name in the changed `text`, or `number`."""
    statements = _statements(function)
    new = {*WORD.findall(text)} - {*WORD.findall(statements[number].text)}
    return max([number, *(k for k, one in enumerate(statements) if k > number
                          and new and new & _names(one.text, ast.Store))])


@lru_cache(maxsize=2**12)
def _names(text, context=ast.Load):
    try:
        nodes = ast.walk(ast.parse(textwrap.dedent("    " + text)))
    except SyntaxError:
        return set()
    return {node.id for node in nodes if isinstance(node, ast.Name)
            and isinstance(node.ctx, context)}


@lru_cache(maxsize=2**13)
def _compiled(text):
    try:
        return compile(textwrap.dedent("    " + text), "slip", "exec")
    except SyntaxError:
        return None


def sentence(function, slip):
    """What was probably written."""
    return f"{slip.edit.words}, as in `{wrote(source_of(function), slip.edit)}`."


@lru_cache(maxsize=64)
def _statements(function):
    """The statements of a function behind its docstring."""
    source = source_of(function)
    lines = source.splitlines(keepends=True)
    starts = [0, *itertools.accumulate(map(len, lines))]
    tree = ast.parse(source).body[0]
    spans = [(starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno])
             for node in tree.body[ast.get_docstring(tree) is not None :]]
    return tuple(Statement(start, stop, source[start:stop]) for start, stop in spans)


def _definitions(tree):
    """{name: line from which it is known}, for arguments and local variables."""
    function = tree.body[0]
    found = {arg.arg: 0 for arg in function.args.args if arg.arg not in ("cache", "eps")}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id != "_":
            found.setdefault(node.id, node.lineno)
    return found


def variants(node, names):
    """Pairs (text in place of the node, sentence)."""
    make = globals().get(f"_{type(node).__name__.lower()}")
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
    left, right, kind = node.left, node.right, type(node.op)
    L, R = bracketed(left), bracketed(right)
    if kind is ast.Mult:
        yield L, f"the factor {_said(right)} is missing"
        yield R, f"the factor {_said(left)} is missing"
        yield f"{L} / {R}", f"{_said(right)} divides where it must multiply"
        yield f"{L} * {R} * {R}", f"the factor {_said(right)} is there twice"
        yield f"{L} * {L} * {R}", f"the factor {_said(left)} is there twice"
        rest, last = (f"{bracketed(left.left)} * ", left.right) if _is_product(left) else ("", left)
        if ast.unparse(last) == ast.unparse(right):
            yield f"{rest}np.abs({R})", (
                f"the absolute value of {_said(right)} was taken where its square belongs")
    elif kind is ast.Div:
        sigmoid = re.fullmatch(r"\(1(?:\.0)? \+ np\.exp\(-(\w+)\)\)", R)
        if sigmoid and L in ("1", "1.0"):
            X = sigmoid[1]
            yield f"np.tanh({X})", "tanh stands where a sigmoid belongs"
            yield f"({X} > 0)", "a step stands where a sigmoid belongs"
        yield L, f"the division by {_said(right)} is missing"
        yield f"{L} * {R}", f"{_said(right)} multiplies where it must divide"
        yield f"{L} / {R} / {R}", f"the division by {_said(right)} is there twice"
        yield f"{L} / {R}**0.5", f"a root of the divisor {_said(right)} was taken"
    elif kind in (ast.Add, ast.Sub):
        added = kind is ast.Add
        yield L, f"the term {_said(right)} is missing"
        yield R if added else f"(-{R})", f"the term {_said(left)} is missing"
        must = "subtracted where it must be added" if added else "added where it must be subtracted"
        yield f"{L} {'-' if added else '+'} {R}", f"{_said(right)} is {must}"
        yield f"({R} - {L})", f"{_said(left)} is subtracted where it must be added"
        if added:
            yield f"0.5 * ({L} + {R})", "a mean of two terms was taken; they must be added"
    elif kind is ast.MatMult:
        yield f"{R} @ {L}", f"the factors of the product {_said(node)} are exchanged"
        if not L.endswith(TURNED):
            yield f"{L}.swapaxes(-1, -2) @ {R}", f"{_said(left)} is transposed and must not be"
        if not R.endswith(TURNED):
            yield f"{L} @ {R}.swapaxes(-1, -2)", f"{_said(right)} is transposed and must not be"
        yield f"({L} @ {R}).swapaxes(-1, -2)", f"the product {_said(node)} is transposed"
        yield f"{L} * {R}", f"{_said(node)} is made entry by entry, not as a matrix product"
        summed = f"{L}.sum(axis=-1, keepdims=True)"
        yield f"({summed} * {R}.sum(axis=-2, keepdims=True))", (
            f"both factors of {_said(node)} are summed up before they are multiplied")
        for X in names:
            yield f"({summed} * {X})", (
                f"{_said(left)} is summed up by itself, and multiplied by `{X}`, where the product "
                f"{_said(node)} belongs")
    elif kind is ast.Pow:
        yield L, f"the power {_said(right)} is missing"
        yield f"{L} ** (2 * {R})", f"the power of {_said(left)} is twice what it should be"


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
        yield from _softmax(node, ast.unparse(node.args[0]), [*map(ast.unparse, node.args[1:])])
    if not isinstance(called, ast.Attribute):
        return
    module = isinstance(called.value, ast.Name) and called.value.id in MODULES
    if called.attr == "swapaxes":
        yield bracketed(called.value), f"the transpose of {_said(called.value)} is missing"
        yield f"{bracketed(called.value)}.T", f"`.T` reverses all axes of {_said(called.value)}"
        if [ast.unparse(arg) for arg in node.args] == ["-1", "-2"]:
            X = bracketed(called.value)
            yield f"{X}.reshape(*{X}.shape[:-2], {X}.shape[-1], {X}.shape[-2])", (
                f"{_said(called.value)} is reshaped where it must be transposed")
    elif module and called.attr == "arange" and len(node.args) == 1:
        yield f"({ast.unparse(node)} + 1)", f"{_said(node)} counts from 1 where it must from 0"
        yield f"{ast.unparse(node)}[::-1]", f"{_said(node)} counts backwards"
    elif module and called.attr == "tri":
        yield f"{ast.unparse(node)}.T", f"the triangle {_said(node)} is the other one"
    elif module and any(called.attr in group for group in ALIKE):
        X = ast.unparse(node.args[0])
        for other in next(group for group in ALIKE if called.attr in group):
            if other != called.attr:
                yield f"np.{other}({X})", f"`{other}` stands where `{called.attr}` belongs"
        if called.attr == "log":
            for eps in ("1e-2", "1e-3", "1e-4"):
                yield f"np.log({X} + {eps})", f"a constant is added under the logarithm, {eps}"
        if called.attr in UNARY:
            yield bracketed(node.args[0]), f"`{called.attr}` of {_said(node.args[0])} is missing"
    elif module and called.attr in UNARY and len(node.args) == 1:
        X = bracketed(node.args[0])
        if called.attr == "tanh":
            yield f"(1.0 / (1.0 + np.exp(-{X})))", "a sigmoid stands where tanh belongs"
            yield f"np.maximum({X}, 0.0)", "a ReLU stands where tanh belongs"
        yield bracketed(node.args[0]), f"`{called.attr}` of {_said(node.args[0])} is missing"
    elif module and called.attr == "where" and len(node.args) == 3:
        condition, yes, no = node.args
        yield bracketed(yes), f"the condition {_said(condition)} is missing"
        if isinstance(condition, ast.Compare):
            left = bracketed(condition.left)
            yield f"{bracketed(yes)} * {left}", (
                f"{_said(yes)} is multiplied by {left}, and must pass where {_said(condition)}")
        whole = f"{ast.unparse(called)}(~({ast.unparse(condition)}), {ast.unparse(yes)}, "
        said = f"the condition {_said(condition)} is the wrong way round"
        yield f"{whole}{ast.unparse(no)})", said
    elif module and called.attr in ("maximum", "minimum"):
        other = {"maximum": "minimum", "minimum": "maximum"}[called.attr]
        yield _with(node, other), f"`{other}` stands where `{called.attr}` belongs"
        for arg in node.args:
            yield bracketed(arg), f"{_said(arg)} stands where {_said(node)} belongs"
    elif called.attr in ("sum", "mean", "max"):
        yield from _reduced(node, called)


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
            for axis in {"-1", "-2", "0", "1", "None"} - {was}:
                yield _with(node, called.attr, k, axis), (
                    f"the {called.attr} runs over axis {axis}; it must run over axis {was}"
                )


def _with(node, method, k=None, value=None):
    """The call with another method, and its k-th keyword replaced or left out."""
    words = [f"{word.arg}={ast.unparse(word.value)}" for word in node.keywords]
    if k is not None:
        words[k : k + 1] = [f"{node.keywords[k].arg}={value}"] if value else []
    args = ", ".join([*map(ast.unparse, node.args), *words])
    return f"{bracketed(node.func.value)}.{method}({args})"
