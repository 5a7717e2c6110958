"""The file that a learner gets: the statement, the forward, and a function to write."""

import ast
import inspect
import sys
import textwrap

from npattn.exercises.plain import step_formulas
from npattn.exercises.registry import function_name
from npattn.exercises.texts import texts, translated


def file_name(name):
    """softmax_backward.py for softmax-backward."""
    return f"{function_name(name)}.py"


def start_text(exercise, lang="en"):
    """The text of the file that `npattn exercise start` writes."""
    words = texts(exercise, lang)
    command = f"npattn exercise check {file_name(exercise.name)}"
    last = translated(f"To grade this file:  {command}", lang)
    head = (
        f'r"""{exercise.name}: {words.title} ({exercise.section})\n\n{words.statement}\n\n'
        f'{last}\n"""'
    )
    return f"{head}\n\n{start_code(exercise)}"


def statement_text(exercise, lang="en"):
    """The statement, the forward and the stub, in Markdown."""
    words = texts(exercise, lang)
    heading = f"### {words.title}\n\n{exercise.name}, {exercise.section}"
    return f"{heading}\n\n{words.statement}\n\n{_fenced(start_code(exercise))}"


def solution_text(exercise, lang="en"):
    """The derivation, a solution and, where there is one, the definition in loops; Markdown.

    In another language than English the derivation is its formulas, step by step.
    """
    steps = step_formulas(exercise.derivation).items()
    derivation = exercise.derivation if lang == "en" else "\n\n".join(
        f"{number}. {text}" for number, text in steps)
    parts = [derivation, _fenced(solution(exercise))]
    if exercise.specification:
        source = inspect.getsource(exercise.specification)
        parts += [translated("By its definition, in loops:", lang), _fenced(source)]
    return "\n\n".join(parts)


def stub(exercise):
    """The reference without its body: signature, docstring, and a line that unpacks the cache."""
    source = solution(exercise)
    body = ast.parse(source).body[0].body
    kept = body[1] if _unpacks(body[1]) else body[0]
    lines = source.splitlines()[: kept.end_lineno]
    return "\n".join([*lines, "    # TODO: yours", "    raise NotImplementedError", ""])


def solution(exercise):
    """The source of the reference."""
    return textwrap.dedent(inspect.getsource(exercise.reference))


def start_code(exercise):
    """What a learner starts from: imports, the forward with all that it needs, the stub."""
    code = "\n\n".join([*map(inspect.getsource, exercise.given), stub(exercise)])
    return f"{_imports(exercise, code)}\n\n\n{code}"


def _fenced(code):
    return f"```python\n{code.rstrip()}\n```"


def _unpacks(line):
    """Whether a line reads like `Q, K, V, P = cache`."""
    return (
        isinstance(line, ast.Assign)
        and isinstance(line.targets[0], ast.Tuple)
        and isinstance(line.value, ast.Name)
    )


def _imports(exercise, code):
    """The imports that `code` needs, as they stand in the modules from which it is quoted."""
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    standard, other = set(), {"import numpy as np"}
    for thing in (exercise.reference, *exercise.given):
        for node in ast.parse(inspect.getsource(sys.modules[thing.__module__])).body:
            if not isinstance(node, (ast.Import, ast.ImportFrom)):
                continue
            names = {alias.asname or alias.name for alias in node.names}
            module = getattr(node, "module", None) or node.names[0].name
            if names & used and not module.startswith("npattn."):
                known = module.split(".")[0] in sys.stdlib_module_names
                (standard if known else other).add(ast.unparse(node))
    blocks = (sorted(block, key=lambda line: (line[0] == "f", line)) for block in (standard, other))
    return "\n\n".join("\n".join(block) for block in blocks if block)
