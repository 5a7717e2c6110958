"""Attention by this package, by torch and by JAX, on the same numbers.

    attention        this package, the page that holds the (Tq, Tk) matrix
    tiled_attention  this package, tile by tile
    torch            torch's scaled_dot_product_attention, as it chooses by itself
    torch math       the same, held to its back end that holds the matrix
    jax              jax.nn.dot_product_attention, compiled before it is timed; it takes its
                     softmax in float32, also where everything else is float64

Each is a function that does the forward pass and returns one that does the backward pass, to
the gradients of all three inputs. What a mask is made of is made before.
"""

from contextlib import nullcontext
from functools import partial
from typing import NamedTuple

import numpy as np

from npattn.benchmarks.machine import import_jax, memory_bytes
from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.masks import causal_mask
from npattn.kernels.tiling.tiled import tiled_attention, tiled_attention_backward

NAMES = "attention", "tiled_attention", "torch", "torch math", "jax"
DENSE = {"attention": 5, "torch math": 5}  # how many matrices (..., Tq, Tk) they hold at most
ROOM = 0.7  # the share of the machine's memory that these may take


class Inputs(NamedTuple):
    """One problem, (..., T, D) each."""

    Q: np.ndarray
    K: np.ndarray
    V: np.ndarray
    dO: np.ndarray


def draw_inputs(shape, dtype, seed=0):
    """Normal numbers: shape (..., T, D) for queries, keys, values and the upstream gradient."""
    rng = np.random.default_rng(seed)
    return Inputs(*(rng.standard_normal(shape).astype(dtype) for _ in Inputs._fields))


def attention_contenders(inputs, setting, *, causal=False, names=NAMES):
    """Those of `names` that are installed and whose matrices fit into memory: name → function."""
    bridge, contenders = setting.bridge, {
        "attention": partial(_attention, inputs, causal),
        "tiled_attention": partial(_tiled_attention, inputs, causal, setting.threads),
    }
    if bridge is not None:
        contenders["torch"] = partial(_torch, inputs, causal, bridge, None)
        math_only = bridge.torch.nn.attention.SDPBackend.MATH
        contenders["torch math"] = partial(_torch, inputs, causal, bridge, math_only)
    if "jax" in names and import_jax() is not None:
        contenders["jax"] = partial(_jax, inputs, causal)
    return {
        name: make() for name, make in contenders.items()
        if name in names and DENSE.get(name, 0) * _matrix_bytes(inputs) < ROOM * memory_bytes()
    }


def _attention(inputs, causal):
    Q, K, V, dO = inputs
    mask = causal_mask(Q.shape[-2], K.shape[-2]) if causal else None

    def forward():
        _, cache = attention(Q, K, V, mask)
        return partial(attention_backward, dO, cache)

    return forward


def _tiled_attention(inputs, causal, threads):
    Q, K, V, dO = inputs

    def forward():
        _, cache = tiled_attention(Q, K, V, causal=causal, threads=threads)
        return partial(tiled_attention_backward, dO, cache)

    return forward


def _torch(inputs, causal, bridge, backend):
    torch = bridge.torch
    q, k, v = bridge.to_torch(inputs[:3], requires_grad=True)
    do = bridge.to_torch(inputs.dO)

    def forward():
        with torch.nn.attention.sdpa_kernel(backend) if backend else nullcontext():
            o = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return lambda: torch.autograd.grad(o, (q, k, v), do)

    return forward


def _jax(inputs, causal):
    jax = import_jax()
    q, k, v, do = (jax.numpy.asarray(X.swapaxes(-2, -3)) for X in inputs)  # (B, T, H, D)
    attend = partial(jax.nn.dot_product_attention, is_causal=causal)
    both = jax.jit(partial(jax.vjp, attend))
    undo = jax.jit(lambda vjp, do: vjp(do))

    def forward():
        _, vjp = jax.block_until_ready(both(q, k, v))
        return lambda: jax.block_until_ready(undo(vjp, do))

    forward()()  # compiles
    return forward


def _matrix_bytes(inputs):
    return inputs.Q[..., 0].size * inputs.K.shape[-2] * inputs.Q.itemsize
