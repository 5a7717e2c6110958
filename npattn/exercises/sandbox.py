"""Grading a file in a process of its own, so that nothing in it can hang or spoil the grader.

The child loads the file and grades the function in it; the verdict comes back through a file. If
the time is up, Python's fault handler writes down where the child was and ends it, whatever it was
doing.
"""

import faulthandler
import linecache
import os
import pickle
import re
import runpy
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import npattn
from npattn.exercises.answers import where
from npattn.exercises.grading import grade
from npattn.exercises.registry import function_name, load
from npattn.exercises.verdict import Verdict

LIMIT = 10.0   # seconds
GRACE = 5.0    # for the interpreter to start and to end
CHILD = "from npattn.exercises.sandbox import child; child()"


def grade_file(path, name, seed=0, limit=LIMIT):
    """The `Verdict` on the function of the exercise `name` in the file at `path`.

    limit  seconds that loading and grading may take
    """
    path = Path(path).resolve()
    with tempfile.TemporaryDirectory() as folder:
        verdict, stack = Path(folder, "verdict"), Path(folder, "stack")
        job = [str(path), name, str(seed), str(limit), str(verdict), str(stack)]
        home = str(Path(npattn.__file__).parents[1])  # so that the child finds this very package
        try:
            code = subprocess.run(
                [sys.executable, "-c", CHILD, *job], cwd=home, timeout=limit + GRACE, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
        if verdict.exists():
            return pickle.loads(verdict.read_bytes())
        trace = stack.read_text() if stack.exists() else ""
    if code is None or trace:
        return Verdict(name, False, trouble=_late(path, trace, limit))
    return Verdict(name, False, trouble=f"Python ended with code {code} before there was a verdict")


def child():
    """What the child process does."""
    path, name, seed, limit, verdict, stack = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who ends us
    os.chdir(Path(path).parent)
    sys.path[0] = str(Path(path).parent)
    with open(stack, "w") as file:
        faulthandler.dump_traceback_later(float(limit), exit=True, file=file)
        result = _load_and_grade(path, load(name), int(seed))
        faulthandler.cancel_dump_traceback_later()
    done = Path(verdict + ".part")
    done.write_bytes(pickle.dumps(result))
    os.replace(done, verdict)


def _load_and_grade(path, exercise, seed):
    wanted = function_name(exercise.name)
    try:
        function = runpy.run_path(path).get(wanted)
    except (Exception, SystemExit) as error:  # whatever it is, the learner is told
        trouble = f"the file cannot be run: {type(error).__name__}{where(error, path)}: {error}"
        return Verdict(exercise.name, False, trouble=trouble)
    if not callable(function):
        return Verdict(exercise.name, False, trouble=f"the file has no function {wanted}")
    return grade(exercise, function, seed)


def _late(path, trace, limit):
    """Where the file was when the time was up: its innermost line in a fault handler's trace."""
    places = re.findall(r'File "(.*)", line (\d+)', trace)
    numbers = [int(number) for file, number in places if file == str(path)]
    if not numbers:
        return f"still running after {limit:g} s, and stopped"
    line = linecache.getline(str(path), numbers[0]).strip()
    return f"still running after {limit:g} s, and stopped at line {numbers[0]}: `{line}`"
