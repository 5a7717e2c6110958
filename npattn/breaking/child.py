"""Run a GPT file in a process of its own (npattn.strangers), and bring back arrays and no objects.

The child imports the file and calls its functions by `npattn.breaking.probes`.
"""

import importlib.util
import sys
import traceback
from pathlib import Path

import numpy as np

from npattn.breaking import probes
from npattn.breaking.parts import sized_copy, sizes_of
from npattn.edits import NO_PYTHON, no_python
from npattn.strangers import MEMORY, Stranger, Trouble

LIMIT = 60.0    # seconds
ANSWER = "npattn.breaking.child:answer"


def run_file(path, seed, limit=LIMIT):
    """(sizes, {name: {label: array} or the text of an error}) of the file at `path`.

    Raises Trouble, in one sentence, if there is nothing to compare.
    """
    path = Path(path).resolve()
    try:
        compile(path.read_bytes(), str(path), "exec")
    except NO_PYTHON as error:
        raise Trouble(no_python(error)) from error
    with Stranger(path, ANSWER, limit) as stranger:
        report, arrays = stranger.ask(seed)
    if "trouble" in report:
        raise Trouble(str(report["trouble"]))
    try:
        sizes = {key: int(report["sizes"][key]) for key in probes.SIZES}
        found = {str(name): str(text) for name, text in report["errors"].items()}
        for (name, label), X in zip(report["measured"], arrays, strict=True):
            found.setdefault(name, {})[label] = X
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Trouble("what came back from the file is nothing to compare") from error
    return sizes, found


def answer(path, seed):
    """In the child: (a report, the arrays of which it tells)."""
    try:
        with probes.quiet():
            module = _load(path)
        sizes = sizes_of(module)
    except ValueError as error:
        return {"trouble": str(error)}, []
    except MemoryError:
        return {"trouble": f"the file wants more than {MEMORY} GiB of memory"}, []
    except BaseException as error:  # whatever it is, the user is told
        return {"trouble": f"the file cannot be run: {told(error, path)}"}, []
    found = measure_all(module, sizes, seed, path)
    measured = [
        ((name, label), X) for name, value in found.items() if isinstance(value, dict)
        for label, X in value.items()]
    errors = {name: value for name, value in found.items() if isinstance(value, str)}
    keys = [key for key, _ in measured]
    return {"sizes": sizes, "measured": keys, "errors": errors}, [X for _, X in measured]


def measure_all(module, sizes, seed, path):
    """{name: {label: array} or the text of an error} for the whole and for each function."""
    parts = sized_copy(**sizes)
    with probes.quiet():
        found = {"whole": _try(path, lambda: probes.whole(module, seed))}
        for name in probes.PARTS:
            lack = [f for f in probes.needed(name) if not callable(vars(module).get(f))]
            if lack:
                found[name] = f"missing: {', '.join(lack)}"
                continue
            found[name] = _try(path, lambda: probes.measure(module, name, seed, parts))
            if isinstance(found[name], str):  # its functions may call each other in another way
                again = _try(path, lambda: probes.measure(module, name, seed))
                found[name] = found[name] if isinstance(again, str) else again
    return found


def _try(path, function):
    try:
        found = function()
        return {label: np.array(X, dtype=np.float64) for label, X in found.items()}
    except BaseException as error:
        return told(error, path)


def told(error, path):
    """The error in one line, with the line of the file where it was raised."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename == str(path)]
    place = f" in line {lines[-1]}" if lines else ""
    words = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}{place}: {words}"


def _load(path):
    spec = importlib.util.spec_from_file_location("gpt_under_check", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and the like look it up
    spec.loader.exec_module(module)
    return module
