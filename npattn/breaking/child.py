"""Run a GPT file in a process of its own, with limits, and bring back arrays and no objects.

The child imports the file, calls its functions by `npattn.breaking.probes`, and writes a folder of
.npz files and one of text. The parent reads them without pickle, so the file can neither hang the
one who checks it nor run code there.
"""

import contextlib
import faulthandler
import importlib.util
import json
import linecache
import os
import re
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np

import npattn
from npattn.breaking import probes
from npattn.breaking.parts import sized_copy, sizes_of

LIMIT = 60.0    # seconds
MEMORY = 4      # GiB
OUTPUT = 64     # MiB for each file that is written
CHILD = "from npattn.breaking.child import child; child()"


class Trouble(Exception):
    """The file cannot be checked: one sentence."""


def run_file(path, seed, limit=LIMIT):
    """(sizes, {name: {label: array} or the text of an error}) of the file at `path`.

    Raises Trouble, in one sentence, if there is nothing to compare.
    """
    path = Path(path).resolve()
    try:
        compile(path.read_bytes(), str(path), "exec")
    except (SyntaxError, ValueError) as error:
        place = f" in line {error.lineno}" if getattr(error, "lineno", None) else ""
        raise Trouble(f"the file is no Python{place}: {getattr(error, 'msg', error)}") from error
    with tempfile.TemporaryDirectory() as folder:
        code = _start(path, seed, limit, folder)
        stack = Path(folder, "stack")
        trace = stack.read_text(errors="replace") if stack.exists() else ""
        try:
            report = json.loads(Path(folder, "report").read_text())
            if report.get("trouble"):
                raise Trouble(str(report["trouble"]))
            sizes = {key: int(report["sizes"][key]) for key in probes.SIZES}
            found = {str(k): str(v) for k, v in report["errors"].items()}
            for name in report["measured"]:
                with np.load(Path(folder, f"{Path(name).name}.npz"), allow_pickle=False) as file:
                    found[name] = dict(file)
        except Trouble:
            raise
        except Exception:  # no report, or a damaged one
            if code is None or trace:
                raise Trouble(_late(path, trace, limit)) from None
            raise Trouble(
                f"Python ended with code {code} before there was anything to compare: too much "
                "memory or output, or an exit in the file") from None
    return sizes, found


def _start(path, seed, limit, folder):
    """The exit code of the child, None if its time was up. All that it started ends with it."""
    home = str(Path(npattn.__file__).parents[1])
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(seed), str(limit), folder], cwd=home,
        env=environment, start_new_session=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        return process.wait(limit + 10.0)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(OSError, AttributeError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()


def _late(path, trace, limit):
    places = re.findall(r'File "(.*)", line (\d+)', trace)
    numbers = [int(number) for file, number in places if file == str(path)]
    if not numbers:
        return f"still running after {limit:g} s, and stopped"
    line = linecache.getline(str(path), numbers[0]).strip()
    return f"still running after {limit:g} s, and stopped at line {numbers[0]}: `{line}`"


def child():
    """What the child process does."""
    path, seed, limit, folder = sys.argv[1:]
    _limit()
    os.chdir(folder)
    with open(Path(folder, "stack"), "w") as file:
        faulthandler.dump_traceback_later(float(limit), exit=True, file=file)
        report = _report(path, int(seed), folder)
        faulthandler.cancel_dump_traceback_later()
    Path(folder, "report").write_text(json.dumps(report))
    os._exit(0)


def _limit():
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY << 30,) * 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT << 20,) * 2)


def _report(path, seed, folder):
    try:
        with probes.quiet():
            module = _load(path)
        sizes = sizes_of(module)
    except ValueError as error:
        return {"trouble": str(error)}
    except MemoryError:
        return {"trouble": f"the file wants more than {MEMORY} GiB of memory"}
    except BaseException as error:  # whatever it is, the user is told
        return {"trouble": f"the file cannot be run: {told(error, path)}"}
    found = measure_all(module, sizes, seed, path)
    measured = {name: value for name, value in found.items() if isinstance(value, dict)}
    for name, arrays in measured.items():
        np.savez(Path(folder, f"{name}.npz"), **arrays)
    errors = {name: value for name, value in found.items() if isinstance(value, str)}
    return {"sizes": sizes, "measured": [*measured], "errors": errors}


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
