"""The lines of the kernels' pages that compute each matrix, as they stand in the files."""

import ast
from pathlib import Path

import npattn.kernels

KERNELS = Path(npattn.kernels.__file__).parent

# matrix of the page: (page, function, what it assigns there); the first place that has it counts
PLACES = {
    "attention": {
        "S": [("attention", "attention", "S")],
        "P": [("attention", "attention", "P"), ("attend", "attend", "P")],
        "O": [("attention", "attention", "O")],
        "dV": [("attention", "attention_backward", "dV")],
        "dP": [("attention", "attention_backward", "dP"), ("attend", "attend_backward", "dP")],
        "δ": [("softmax", "softmax_backward", "dS")],
        "dS": [("attention", "attention_backward", "dS")],
        "dQ": [("attention", "attention_backward", "dQ")],
        "dK": [("attention", "attention_backward", "dK")],
    },
    "softmax": {
        "P": [("softmax", "masked_softmax", "P"), ("softmax", "masked_softmax", "E")],
        "δ": [("softmax", "softmax_backward", "dS")],
        "dS": [("softmax", "softmax_backward", "dS")],
    },
    "layer_norm": {
        "μ": [("layer_norm", "layer_norm", "Xhat")],
        "r": [("layer_norm", "layer_norm", "rstd")],
        "X̂": [("layer_norm", "layer_norm", "Xhat")],
        "Y": [("layer_norm", "layer_norm", "Y"), ("layer_norm", "layer_norm", "return")],
        "dgain": [("layer_norm", "layer_norm_backward", "dgain")],
        "dbias": [("layer_norm", "layer_norm_backward", "dbias")],
        "dX̂": [("layer_norm", "layer_norm_backward", "dX")],
        "a": [("layer_norm", "layer_norm_backward", "dX")],
        "b": [("layer_norm", "layer_norm_backward", "dX")],
        "dX": [("layer_norm", "layer_norm_backward", "dX")],
    },
}


def source_lines(call):
    """For each matrix of a call where it is computed: {"file": …, "lines": [[number, text], …]}.

    Raises LookupError that names the matrix for which no page has a line.
    """
    return {name: _find(name, places) for name, places in PLACES[call].items()}


def _find(name, places):
    for page, function, target in places:
        path = KERNELS / f"{page}.py"
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        numbers = _assigned(ast.parse(text), function, target)
        if numbers:
            return {
                "file": f"kernels/{page}.py",
                "lines": [[n, lines[n - 1]] for n in numbers],
            }
    raise LookupError(f"no line computes {name}: looked for {places}")


def _assigned(tree, function, target):
    """Numbers of the lines of a function that assign to a name, whole statements."""
    numbers = set()
    for body in ast.walk(tree):
        if not isinstance(body, ast.FunctionDef) or body.name != function:
            continue
        for statement in ast.walk(body):
            if target in _targets(statement):
                numbers.update(range(statement.lineno, statement.end_lineno + 1))
    return sorted(numbers)


def _targets(statement):
    """The names that a statement gives values to, in its targets or by `out=`."""
    if isinstance(statement, ast.Return):
        return {"return"}
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AugAssign):
        targets = [statement.target]
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        targets = [word.value for word in statement.value.keywords if word.arg == "out"]
    else:
        return set()
    return {
        node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)
    }
