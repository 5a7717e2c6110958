"""In the process of its own: load a file, build its objects, make many calls, return arrays.

Nothing here judges. A request is a list of steps, and each step has an answer; arrays go and come
as they are, values of Python go in only. What a call returns may be kept here under a name, so that
a cache can be handed to the next call.

    ("load", name)                             what it is, signatures, names in the file
    ("build", key, name, args, kwargs, seed)   an object; its weights come back
    ("set", key, [(path, array), ...])         other values for its weights
    ("call", {...})                            see remote_calls.call
    ("variant", text, steps)                   answers to steps, if the file had another text

Values: ("array", X), ("exact", X) in its own dtype, ("kept", key), ("value", anything), and
("new", name) for an object of a class of the file.
"""

import contextlib
import importlib.util
import inspect
import signal
import sys
import time
import traceback
import types
import warnings

import numpy as np

from npattn.doctor.remote_calls import call
from npattn.doctor.remote_looks import described
from npattn.doctor.remote_objects import (
    STATE, build, find, seed_all, set_weights, state, torch_there,
)

WORDS = 160
PATIENCE = 1.0  # seconds for all steps of one variant


def answer(path, request):
    """(answers of all steps, arrays); an answer refers to an array by its number."""
    arrays, answers = [], []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for kind, *rest in request:
            try:
                answers.append(STEPS[kind](path, arrays, *rest))
            except BaseException as error:  # whatever it is, the user is told
                answers.append({"error": told(error, path), **_place(error, path)})
    return answers, arrays


def told(error, path):
    """The error in one line, with the line of the file."""
    words = " ".join(str(error).split())[:WORDS]
    if isinstance(error, MemoryError):
        words = words or "it wants more memory than it may have"
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _place(error, path):
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename == str(path)]
    own = {"inside": bool(lines)}
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines = [error.lineno]
    return own | ({"line": lines[-1]} if lines else {})


def _load(path, arrays, name):
    if "module" not in STATE:
        if "name" not in STATE:
            sys.path.insert(0, str(path).rpartition("/")[0])
        STATE.setdefault("name", name)
        spec = importlib.util.spec_from_file_location("patient", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        seed_all(0)
        spec.loader.exec_module(module)
        STATE["module"] = module
    module, names = STATE["module"], {}
    for key, value in vars(module).items():
        own = getattr(value, "__module__", None) == "patient"
        if own and (inspect.isclass(value) or callable(value)) and not key.startswith("__"):
            names[key] = "class" if inspect.isclass(value) else "function"
    try:
        target = find(name)
    except AttributeError:
        return {"names": names, "missing": name}
    return {"names": names, "torch": torch_there() is not None, **described(target)}


def _pristine(path, arrays, key):
    """As if nothing had been called: the file is run again, the object built again."""
    made, values = STATE.get(("made", key)), STATE.get(("values", key))
    STATE.pop("module", None)
    _load(path, arrays, STATE["name"])
    if made:
        build(path, [], key, *made)
        if values:
            set_weights(path, [], key, values)
    return {}


def _variant(path, arrays, text, steps):
    """The answers to steps as they would be if the file had another text."""
    kept, module, began = dict(STATE), sys.modules.get("patient"), time.process_time()
    try:
        with _limited(PATIENCE):
            made = types.ModuleType("patient")
            made.__file__ = str(path)
            sys.modules["patient"] = STATE["module"] = made
            seed_all(0)
            exec(compile(text, str(path), "exec"), vars(made))
            for key in [key for key in kept if key[0] == "made"]:
                build(path, [], key[1], *kept[key])
                if values := kept.get(("values", key[1])):
                    set_weights(path, [], key[1], values)
            answers = [_answered(path, arrays, *step) for step in steps]
    except Exception:  # it cannot be run, or takes too long: then it is no repair
        answers = []
    finally:
        STATE.clear()
        STATE.update(kept)
        sys.modules["patient"] = module
    return {"answers": answers, "seconds": time.process_time() - began}


def _answered(path, arrays, kind, *rest):
    try:
        return STEPS[kind](path, arrays, *rest)
    except TimeoutError:
        raise
    except Exception as error:  # an answer like others
        return {"error": told(error, path), **_place(error, path)}


@contextlib.contextmanager
def _limited(seconds):
    """TimeoutError in what takes longer, where the system can do that."""
    def late(*_):
        raise TimeoutError(f"more than {seconds} s")

    if not hasattr(signal, "setitimer"):
        yield
        return
    old = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


STEPS = {"load": _load, "build": build, "set": set_weights, "call": call, "state": state,
         "pristine": _pristine, "variant": _variant}
