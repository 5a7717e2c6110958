"""Run a stranger's file in a process of its own, with limits, and bring back arrays and no objects.

    with Stranger(path, "npattn.exercises.pupil:answer", limit=10.0) as stranger:
        words, arrays = stranger.ask(request)

The parent sends requests, as pickles, which it may: it trusts itself. The child answers each by
`answer(path, request)`, a function of the module that is named, with words that JSON can write and
a list of arrays. They come back as JSON and .npy, which are read without pickle: the file can
neither hang the one who asks nor run code there. When the time is up, or all is asked, the child
ends, and so do the processes of its group.

This is a railing for honest people and not a wall against attackers: the file runs with the rights
of the user. Run files of people whom you do not trust in a container.
"""

import contextlib
import faulthandler
import io
import json
import linecache
import os
import pickle
import queue
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

MEMORY = 4            # GiB
OUTPUT = 64           # MiB for each file that is written, and for one answer
PRINTED = 4000        # characters of what the file prints that are kept
GRACE = 5.0           # seconds for the interpreter to start and to end
HOME = Path(__file__).parents[1]
CHILD = """
import sys, types
sys.path[0] = sys.argv[2]
for name in sys.argv[1].split():  # a package of which no more is needed than its folder
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [sys.argv[2] + "/" + name.replace(".", "/")]
from npattn.strangers import serve
serve(*sys.argv[3:])
"""


class Trouble(Exception):
    """There is no answer: why, in one sentence."""


class Stranger:
    """A file in a process of its own.

    path    of the file
    answer  "module:function", which answers requests in the child
    limit   seconds that all its answers together may take
    light   packages whose __init__ the child does not run
    """

    def __init__(self, path, answer, limit, light=()):
        self.path, self.limit, self.spent, self.printed = Path(path).resolve(), limit, 0.0, ""
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._stack = Path(self._folder.name, "stack")
        self._frames, self._all = queue.Queue(), 0
        threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD, " ".join(light), str(HOME), answer, str(self.path),
             str(self._stack)],
            cwd=HOME, env={**os.environ, **threads, "PYTHONDONTWRITEBYTECODE": "1"},
            start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._receive, self._drain)]
        for thread in self._threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError, AttributeError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(0.5)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError, ValueError):
                pipe.close()
        self._folder.cleanup()

    def ask(self, request):
        """(words, arrays). Raises Trouble if none come."""
        left, began = self.limit - self.spent, time.monotonic()
        with contextlib.suppress(OSError):  # if it has ended, the answer is missing as well
            _send(self._process.stdin, pickle.dumps((left, request)))
        try:
            frame = self._frames.get(timeout=max(left, 0.0) + GRACE)
        except queue.Empty:
            raise Trouble(self._late()) from None
        self.spent += time.monotonic() - began
        if frame is None:
            raise Trouble(self._ended())
        try:
            return _unpacked(frame)
        except Exception as error:  # whatever was written there
            raise Trouble("what came back from the file is no answer") from error

    def _receive(self):
        with contextlib.suppress(OSError, ValueError, EOFError):
            while True:
                self._frames.put(_received(self._process.stdout))
        self._frames.put(None)

    def _drain(self):
        """Keep the first of what is printed, read and forget the rest."""
        with contextlib.suppress(OSError, ValueError):
            while text := self._process.stderr.read1(1 << 16):
                self.printed += text.decode(errors="replace")[: PRINTED - len(self.printed)]
                self._all += len(text)

    def output(self):
        """What the file printed, shortened where it is long."""
        more = self._all - len(self.printed.encode())
        return self.printed + f"\n… and {more} more bytes\n" * (more > 0)

    def _ended(self):
        code = self._process.wait()
        if self._stack.exists() and self._stack.stat().st_size:
            return self._late()
        return (
            f"Python ended with code {code} before there was a verdict: an exit in the file, or "
            "too much memory or output")

    def _late(self):
        """Where the file was when the time was up: its innermost line in the handler's trace."""
        trace = self._stack.read_text(errors="replace") if self._stack.exists() else ""
        places = re.findall(r'File "(.*)", line (\d+)', trace)
        numbers = [int(number) for file, number in places if file == str(self.path)]
        if not numbers:
            return f"still running after {self.limit:g} s, and stopped"
        line = linecache.getline(str(self.path), numbers[0]).strip()
        return (
            f"still running after {self.limit:g} s, and stopped at line {numbers[0]}: `{line}`")


def serve(answer, path, stack):
    """What the child does: answer requests until there are none."""
    import importlib

    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY << 30,) * 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT << 20,) * 2)
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what the file prints is not an answer
    module, name = answer.split(":")
    function = getattr(importlib.import_module(module), name)
    os.chdir(Path(stack).parent)  # what the file writes goes when it goes
    with open(stack, "w") as file, contextlib.suppress(EOFError):
        while True:
            left, request = pickle.loads(_received(requests))
            faulthandler.dump_traceback_later(max(left, 0.01), exit=True, file=file)
            frame = _packed(*function(path, request))
            faulthandler.cancel_dump_traceback_later()
            _send(answers, frame)
    os._exit(0)


def _packed(words, arrays):
    file = io.BytesIO()
    file.write(json.dumps([words, len(arrays)]).encode() + b"\n")
    for X in arrays:
        np.lib.format.write_array(file, X, allow_pickle=False)
    return file.getvalue()


def _unpacked(frame):
    file = io.BytesIO(frame)
    words, count = json.loads(file.readline())
    arrays = [np.lib.format.read_array(file, allow_pickle=False) for _ in range(count)]
    return words, arrays


def _send(pipe, frame):
    pipe.write(struct.pack("<Q", len(frame)) + frame)
    pipe.flush()


def _received(pipe):
    head = pipe.read(8)
    if len(head) < 8:
        raise EOFError
    size, = struct.unpack("<Q", head)
    if size > OUTPUT << 20:
        raise EOFError
    return pipe.read(size)
