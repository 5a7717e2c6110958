"""The lines of the kernels' pages that compute each matrix, as they stand in the files."""

import ast
from pathlib import Path

import npattn.kernels

KERNELS = Path(npattn.kernels.__file__).parent


def _places(page, *names):
    """Places "function name" or "function name: part of the line" on one page."""
    return [(page, *name.partition(": ")[::2]) for name in names]


# matrix of the explorer: where it is given its value; the first place that is there counts
PLACES = {
    "attention": {
        "S": _places("attention", "attention S"),
        "P": _places("attention", "attend P") + _places("attend", "attend P"),
        "O": _places("attention", "attend O") + _places("attend", "attend return"),
        "dV": _places("attention", "attend_backward dV") + _places("attend", "attend_backward dV"),
        "dP": _places("attention", "attend_backward dA") + _places("attend", "attend_backward dA"),
        "δ": _places("softmax", "softmax_backward dS: row_sums"),
        "dS": _places("softmax", "softmax_backward dS"),
        "dQ": _places("attention", "attention_backward dQ"),
        "dK": _places("attention", "attention_backward dK"),
    },
    "softmax": {
        "P": _places("softmax", "masked_softmax P", "masked_softmax E"),
        "δ": _places("softmax", "softmax_backward dS: row_sums"),
        "dS": _places("softmax", "softmax_backward dS"),
    },
    "layer_norm": {
        "μ": _places("layer_norm", "layer_norm mean"),
        "r": _places("layer_norm", "layer_norm rstd"),
        "X̂": _places("layer_norm", "layer_norm Xhat"),
        "Y": _places("layer_norm", "layer_norm Y", "layer_norm return"),
        "dgain": _places("layer_norm", "layer_norm_backward dgain"),
        "dbias": _places("layer_norm", "layer_norm_backward dbias"),
        "dX̂": _places("layer_norm", "layer_norm_backward dXhat", "layer_norm_backward dX: dY * g"),
        "a": _places("layer_norm", "layer_norm_backward mean_dXhat",
                     "layer_norm_backward dX: dY @ gain"),
        "b": _places("layer_norm", "layer_norm_backward mean_pull",
                     "layer_norm_backward dX: pull @ gain"),
        "dX": _places("layer_norm", "layer_norm_backward dX"),
    },
}


def source_lines(call):
    """For each matrix of a call where it is computed: {"file": …, "lines": [[number, text], …]}.

    Raises LookupError that names the matrix for which no page has a line.
    """
    return {name: _find(name, places) for name, places in PLACES[call].items()}


def _find(name, places):
    for page, target, part in places:
        path = KERNELS / f"{page}.py"
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        found = [[n, lines[n - 1]] for n in _assigned(ast.parse(text), *target.split())
                 if part in lines[n - 1]]
        if found:
            return {"file": f"kernels/{page}.py", "lines": found}
    raise LookupError(f"no line computes {name}: looked for {places}")


def _assigned(tree, function, target):
    """Numbers of the lines that first give a name its value in a function, and that update it."""
    body = next((node for node in ast.walk(tree)
                 if isinstance(node, ast.FunctionDef) and node.name == function), None)
    statements = [] if body is None else sorted(
        (node for node in ast.walk(body) if target in _targets(node)), key=lambda it: it.lineno)
    given = [it for it in statements if isinstance(it, ast.Assign) or target == "return"]
    chosen = given[:1] + [it for it in statements if it not in given]
    return sorted({n for it in chosen for n in range(it.lineno, it.end_lineno + 1)})


def _targets(statement):
    """The names that a statement gives values to, in its targets or by `out=`."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AugAssign):
        targets = [statement.target]
    elif isinstance(statement, (ast.Expr, ast.Return)):
        words = getattr(statement.value, "keywords", ())
        targets = [word.value for word in words if word.arg == "out"]
    else:
        return set()
    names = {
        node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)
    }
    return names | {"return"} if isinstance(statement, ast.Return) else names
