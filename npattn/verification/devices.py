"""What differs from device to device: is it there, how is time taken, how exact is float32.

A GPU works on while Python goes on, so a clock on the wall would time the asking and not the
work: there, two events in the stream take the time. And its float32 products may be computed
with the ten-bit fractions of TF32, which is an error of 10⁻³ where 10⁻⁷ is meant.
"""

import statistics
import time
from contextlib import contextmanager


class Unavailable(RuntimeError):
    """What was asked for cannot be done on this machine: one line that says why."""


def require_device(torch, device):
    """Raises Unavailable unless torch can compute on `device`, "cpu" or "cuda"."""
    if device not in ("cpu", "cuda"):
        raise Unavailable(f'device must be "cpu" or "cuda", got {device!r}')
    if device == "cuda" and not torch.cuda.is_available():
        raise Unavailable(f"torch {torch.__version__} finds no CUDA device; use --device cpu")


def describe_device(torch, device):
    """The device in words, for the head of a report."""
    if device == "cpu":
        return f"CPU ({torch.get_num_threads()} threads)"
    return f"{torch.cuda.get_device_name()} (CUDA {torch.version.cuda})"


@contextmanager
def without_tf32(torch):
    """Exact float32 products meanwhile. Yields words about that and what was set before."""
    before = [getattr(owner, name) for owner, name, _ in _switches(torch)]
    try:
        for owner, name, exact in _switches(torch):
            setattr(owner, name, exact)
        allowed = any(value in (True, "tf32") for value in before)
        yield f"off (found {'allowed' if allowed else 'off'})"
    finally:
        for (owner, name, _), value in zip(_switches(torch), before, strict=True):
            setattr(owner, name, value)


def milliseconds(torch, device, run, inputs, warm_up=2):
    """The median time of run(input) over `inputs`, of which the first `warm_up` do not count."""
    timed = _time_on_cpu if device == "cpu" else _time_on_cuda
    times = [timed(torch, run, value) for value in inputs]
    return statistics.median(times[warm_up:])


def _switches(torch):
    """(owner, attribute, exact value) of what lets float32 products be inexact."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    if hasattr(matmul, "fp32_precision"):
        return [(owner, "fp32_precision", "ieee") for owner in (matmul, cudnn.conv, cudnn.rnn)]
    return [(owner, "allow_tf32", False) for owner in (matmul, cudnn)]  # torch before 2.9


def _time_on_cpu(torch, run, value):
    start = time.perf_counter()
    run(value)
    return 1e3 * (time.perf_counter() - start)


def _time_on_cuda(torch, run, value):
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    run(value)
    stop.record()
    stop.synchronize()
    return start.elapsed_time(stop)
