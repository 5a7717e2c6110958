"""torch's own implementations of attention, each held to NumPy's float64.

    O = scaled_dot_product_attention(Q, K, V)     and dQ, dK, dV from a random dO

torch has four, which do the same mathematics with different memory and different roundings:
math (the formula), flash and efficient (in tiles), cuDNN's. Which of them run depends on the
device and the precision; where one does not, torch's reason is told. A query that may attend to
nothing is shown to each: npattn gives zeros, with gradients zero.
"""

import warnings
from functools import partial
from typing import NamedTuple

import numpy as np

from npattn.kernels.attention import attention, attention_backward
from npattn.verification.comparison import PRECISIONS, Measured, Row, compare
from npattn.verification.devices import milliseconds

NAME = "scaled dot-product attention"
BACKENDS = {
    "math": "MATH",
    "efficient": "EFFICIENT_ATTENTION",
    "flash": "FLASH_ATTENTION",
    "cuDNN": "CUDNN_ATTENTION",
}
SHAPES = {"cpu": (2, 4, 128, 160, 32), "cuda": (2, 8, 1024, 1280, 64)}  # B, H, Tq, Tk, D
AXES = {
    "O": ("batch", "head", "query", "dim"),
    "dQ": ("batch", "head", "query", "dim"),
    "dK": ("batch", "head", "key", "dim"),
    "dV": ("batch", "head", "key", "dim"),
}
WARM_UP, RUNS = 2, 7
DEAD = 3  # the query that may attend to nothing


class BackendRow(NamedTuple):
    """What was found about one back end in one precision."""

    backend: str
    precision: str
    found: Row | None           # None where the back end does not run
    milliseconds: float | None  # forward and backward
    dead_rows: str              # output / gradient, or "takes no mask"; "–" if it does not run
    reason: str                 # why it does not run or takes no mask: torch's words

    @property
    def ok(self):
        """Right where it runs; and the formula itself has to run everywhere."""
        return self.backend != "math" if self.found is None else self.found.ok

    @property
    def fault(self):
        """A sentence where it is not ok, else ""."""
        return "" if self.ok else self.reason if self.found is None else self.found.fault


def attention_backends(device="cpu", seed=0):
    """A `BackendRow` for each precision and back end, on random inputs."""
    rows, rng = [], np.random.default_rng(seed)
    for precision in PRECISIONS.values():
        draw = partial(_draw, rng, device, precision)
        inputs, repeats = draw(), [draw() for _ in range(WARM_UP + RUNS)]
        truth = _in_numpy(inputs)
        rows += [_row(name, device, precision, inputs, truth, repeats) for name in BACKENDS]
    return rows


def _draw(rng, device, precision):
    """Q, K, V and dO as tensors."""
    from npattn.torch_bridge import to_torch

    B, H, Tq, Tk, D = SHAPES[device]
    drawn = tuple(rng.standard_normal((B, H, T, D)) for T in (Tq, Tk, Tk, Tq))
    return to_torch(drawn, device=device, dtype=precision.name, requires_grad=True)


def _in_numpy(inputs):
    Q, K, V, dO = _doubles(inputs)
    O, cache = attention(Q, K, V)
    return O, *attention_backward(dO, cache)


def _in_torch(inputs, mask=None):
    from npattn.torch_bridge import torch

    *QKV, dO = inputs
    O = torch.nn.functional.scaled_dot_product_attention(*QKV, attn_mask=mask)
    return O, *torch.autograd.grad(O, QKV, dO)


def _row(backend, device, precision, inputs, truth, repeats):
    from npattn.torch_bridge import torch

    name = f"{NAME}, {backend}, {precision.name}"
    outcome, reason = _attempt(
        backend,
        lambda: (_in_torch(inputs), milliseconds(torch, device, _in_torch, repeats, WARM_UP)),
    )
    if outcome is None:
        return BackendRow(backend, precision.name, None, None, "–", reason)
    results, time = outcome
    measured = [
        Measured(label, here, there, words)
        for (label, words), here, there in zip(AXES.items(), truth, _doubles(results), strict=True)
    ]
    found = compare(name, measured, precision)
    return BackendRow(backend, precision.name, found, time, *_dead_rows(backend, device, inputs))


def _dead_rows(backend, device, inputs):
    """What a query without keys gets and gives, in words, and why that could not be seen."""
    from npattn.torch_bridge import to_sdpa_mask

    Tq, Tk = inputs[0].shape[-2], inputs[1].shape[-2]
    mask = np.arange(Tq)[:, None] != np.full(Tk, DEAD)
    results, reason = _attempt(
        backend, lambda: _in_torch(inputs, to_sdpa_mask(mask, device=device))
    )
    if results is None:
        return "takes no mask", reason
    O, dQ, dK, dV = _doubles(results)
    gradient = dQ[..., DEAD, :]
    if np.isfinite(gradient).all() and not (np.isfinite(dK).all() and np.isfinite(dV).all()):
        return f"{_describe(O[..., DEAD, :])} / NaN in dK or dV", ""
    return f"{_describe(O[..., DEAD, :])} / {_describe(gradient)}", ""


def _describe(row):
    if np.isnan(row).any():
        return "NaN"
    return "other numbers" if row.any() else "zeros"


def _attempt(backend, run):
    """(what run() returns, "") with that back end alone, or (None, torch's reason against it)."""
    from npattn.torch_bridge import torch

    kernel = getattr(torch.nn.attention.SDPBackend, BACKENDS[backend])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            with torch.nn.attention.sdpa_kernel(kernel):
                return run(), ""
        except RuntimeError as error:
            return None, _reason(error, [str(warning.message) for warning in told])


def _reason(error, warned):
    """The first line of what torch says, without those back ends that were turned off here."""
    said = [text.split(" (Triggered internally")[0].strip() for text in warned]
    said = [
        text for text in said
        if text and not text.endswith("not used because:") and "runtime disabled" not in text
    ]
    return "; ".join(dict.fromkeys(said)) or str(error).partition(". ")[0].splitlines()[0]


def _doubles(tensors):
    """Tensors of any precision as float64 arrays."""
    from npattn.torch_bridge import from_torch

    return tuple(from_torch(tensor).astype(np.float64) for tensor in tensors)
