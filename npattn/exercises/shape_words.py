"""The shapes of arrays that do not go together, in words, in place of NumPy's signatures."""

import ast
import linecache

import numpy as np


def misfit(error, filename):
    """"dO (3, 4) times V (5, 4): inner sizes 4 and 5 differ"; "" if no product or sum is to blame.

    Looks at the line of `filename` that raised, and evaluates the operands of its products and
    sums once more.
    """
    frame, line = None, 0
    trace = error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == filename:
            frame, line = trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next
    if frame is None or not isinstance(error, ValueError):
        return ""
    statement = _statement("".join(linecache.getlines(filename)), line)
    found = (_words(node, frame) for node in _inside_out(statement) if isinstance(node, ast.BinOp))
    return next(filter(None, found), "")


def _statement(source, line):
    """The innermost statement that holds a line."""
    try:
        nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)
                 and node.lineno <= line <= node.end_lineno]
    except SyntaxError:
        return ast.Pass()
    return min(nodes, key=lambda node: node.end_lineno - node.lineno, default=ast.Pass())


def _inside_out(node):
    for child in ast.iter_child_nodes(node):
        yield from _inside_out(child)
    yield node


def _words(node, frame):
    try:
        left, right = (
            eval(compile(ast.Expression(side), "", "eval"), frame.f_globals, frame.f_locals)
            for side in (node.left, node.right)
        )
    except Exception:  # it cannot be evaluated here: something else will be said
        return ""
    if not (isinstance(left, np.ndarray) and isinstance(right, np.ndarray)):
        return ""
    shapes = f"{_name(node.left)} {left.shape}", f"{_name(node.right)} {right.shape}"
    if isinstance(node.op, ast.MatMult):
        return _product(left.shape, right.shape, *shapes)
    try:
        np.broadcast_shapes(left.shape, right.shape)
    except ValueError:
        pairs = zip(left.shape[::-1], right.shape[::-1], strict=False)
        numbered = ((k, *pair) for k, pair in enumerate(pairs, 1))
        axis, m, n = next((k, m, n) for k, m, n in numbered if m != n and 1 not in (m, n))
        return f"{shapes[0]} and {shapes[1]} do not fit: axis -{axis} has {m} and {n}"
    return ""


def _product(left, right, one, two):
    inner = left[-1:], right[-2:][:1]
    if inner[0] != inner[1]:
        return f"{one} times {two}: inner sizes {inner[0][0]} and {inner[1][0]} differ"
    try:
        np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError:
        return f"{one} times {two}: leading axes {left[:-2]} and {right[:-2]} differ"
    return ""


def _name(node):
    text = ast.unparse(node)
    return text if isinstance(node, (ast.Name, ast.Attribute, ast.Call)) else f"({text})"
