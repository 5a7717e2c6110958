"""Slips: what the solution would return if one of its expressions were another.

A catalogue holds the mistakes of one exercise. A slip can be made anywhere: a neighbour's array, a
missing factor, a sign, a transpose, an axis, a constant. Each is an edit of the solution's source
(npattn.edits), made from its syntax tree, with a sentence that says what is where.
"""

import ast
import itertools
import os
from functools import lru_cache
from typing import NamedTuple

from npattn.edits import Edit, changes, expressions, rewritten, source_of, wrote
from npattn.exercises.statements import (
    definitions, names_in, pieces_of, statements_of, with_pieces,
)
from npattn.exercises.variants import MOST, variants

RARER = 800


class Slip(NamedTuple):
    """One slip, and the statement in which it is."""

    edit: Edit   # its words are a sentence without a full stop
    number: int  # of the statement, the docstring is none
    text: str    # of the statement, with the slip
    changes: tuple = ()  # (start, stop, text) of what is replaced in the source


@lru_cache(maxsize=64)
def slips(function):
    """All slips of a function that are Python, each text once."""
    source = source_of(function)
    tree, found = ast.parse(source), {}
    statements = statements_of(function)
    known = definitions(tree)
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
    source, statements = source_of(function), statements_of(function)
    known = definitions(ast.parse(source))
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
        near = names_in(old)
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
        made = names_in(old, ast.Store) | (
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
    made, found = names_in(statements[number].text, ast.Store), set()
    for one in statements[number + 1 :]:
        stored = names_in(one.text, ast.Store)
        if made & (stored | names_in(one.text)):
            return found
        found |= stored & set(known)
    return found


def slipped(function, slip):
    """The function with that slip."""
    pieces = {slip.number: slip.text} if slip.text else pieces_of(
        source_of(function), statements_of(function), slip.changes)
    return pieces and with_pieces(function, pieces) or rewritten(function, slip.edit.new)


def slipped_too(function, edit):
    """slip -> the function with an edit and a slip besides; None where they exclude each other."""
    source, statements = source_of(function), statements_of(function)
    made = [tuple(change) for change in changes(source, edit)]
    base = pieces_of(source, statements, made)

    def both(slip):
        if base is None:
            return None
        if slip.text and slip.number not in base:
            return with_pieces(function, {**base, slip.number: slip.text})
        if any(low < stop and start < high for low, high, _ in slip.changes
               for start, stop, _ in made):
            return None
        pieces = pieces_of(source, statements, sorted([*made, *slip.changes]))
        return with_pieces(function, pieces) if pieces else None

    return both


def sentence(function, slip):
    """What was probably written."""
    return f"{slip.edit.words}, as in `{wrote(source_of(function), slip.edit)}`."
