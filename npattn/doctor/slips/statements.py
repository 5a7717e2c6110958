"""What whole statements may have been meant to be: none at all, another one, in another order."""

import ast
import re

from npattn.doctor.slips.source import COMPUTED, ORDER, SIGNS, Slip, is_early, one_line


def of_statements(source, scope):
    """The slips in the statements of a function, class or constant."""
    for node in ast.walk(scope):
        for part in ("body", "orelse"):
            block = getattr(node, part, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                yield from _block(source, block)


def _block(source, block):
    for i, node in enumerate(block):
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr)) and not (
                isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
                or re.search(r"masked_fill|\bwhere\(", source.said(node))):
            yield source.slip(node, "pass", "this line is too much", 1)
        if isinstance(node, ast.AugAssign):
            target, sign = source.said(node.target), SIGNS.get(type(node.op))
            if sign:
                value = source.said(node.value)
                yield source.slip(node, f"{target} = {target} {sign} ({value})",
                                  "it changes its argument in place", 0)
                yield source.slip(node, f"{target} = {value}", "it adds up", 2)
                for other in COMPUTED.get(type(node.op), ()):
                    yield source.slip(node, f"{target} {other}= {value}",
                                      f"`{other}=` is meant, not `{sign}=`", 1)
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = source.said(node.targets[0]), source.said(node.value)
            if isinstance(node.targets[0], (ast.Subscript, ast.Attribute)):
                yield source.slip(node, f"{target} += {value}", "it must be added up", 2)
        if isinstance(node, ast.If):
            yield from _condition(source, node)
        if i and _plain(node) and _plain(block[i - 1]):
            yield from _swapped(source, block[i - 1], node)
        if i > 1 and _plain(node) and _plain(block[i - 2]):
            yield from _swapped(source, block[i - 2], node)


def _condition(source, node):
    if is_early(node):
        return
    for put, words in (("True", "it must always be done"), ("False", "it must not be done"),
                       (f"not ({source.said(node.test)})", "the condition is inverted")):
        yield source.slip(node.test, put, words, 1)


def _swapped(source, one, two):
    (a, b), (c, d) = source.place(one), source.place(two)
    if one.col_offset != two.col_offset:
        return
    first, between, second = source.text[a:b], source.text[b:c], source.text[c:d]
    yield Slip(one.lineno, one_line(first), one_line(second), ORDER, 1, a, d,
               second + between + first)


def _plain(node):
    return isinstance(node, (ast.Assign, ast.AugAssign, ast.If, ast.Expr))
