"""How much memory one forward and backward takes, measured in a process of its own.

    python -m npattn.benchmarks.memory NAME SHAPE DTYPE THREADS

prints how far the process's resident memory rises, at its peak, above what it was when the
inputs lay ready: outputs, gradients and work space, in bytes. Resident memory is the same
measure for NumPy, torch and JAX. The system's own account of it is on Linux only.
"""

import ctypes
import json
import subprocess
import sys
from pathlib import Path

from npattn.benchmarks.contenders import attention_contenders, draw_inputs
from npattn.benchmarks.machine import import_bridge
from npattn.benchmarks.timing import Setting, same_threads

PROCESS = Path("/proc/self")


def extra_bytes(name, shape, dtype, threads):
    """The peak above the inputs, of full attention by the contender `name`; None if unknown."""
    if not (PROCESS / "clear_refs").exists():
        return None
    arguments = [name, json.dumps(shape), dtype, str(threads)]
    child = subprocess.run(
        [sys.executable, "-m", "npattn.benchmarks.memory", *arguments],
        capture_output=True, text=True,
    )
    if child.returncode:
        last = child.stderr.strip().splitlines()[-1:]
        raise ChildProcessError(f"{name} at {shape}: {''.join(last) or 'ended by a signal'}")
    return int(child.stdout)


def main(name, shape, dtype, threads):
    """Measure in this process, and print the bytes."""
    bridge = import_bridge() if name.startswith("torch") else None
    setting = Setting(int(threads), bridge)
    with same_threads(setting.threads, bridge):
        small, large = (
            attention_contenders(draw_inputs(size, dtype), setting, names=[name])[name]
            for size in ((1, 1, 64, 64), json.loads(shape))
        )
        small()()  # what is loaded at the first use does not count
        _give_back()
        (PROCESS / "clear_refs").write_text("5")  # the peak begins anew
        before = _resident("VmRSS")
        large()()
        print(max(0, _resident("VmHWM") - before))


def _give_back():
    """Returns freed memory to the system: where it is kept, the next arrays would seem free."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _resident(field):
    lines = (PROCESS / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    main(*sys.argv[1:])
