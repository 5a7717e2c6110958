"""The options of a block, each beside an independent torch formulation: OPTION_SYSTEMS.

As in `systems`: one entry per option or usual combination, run by the same two functions. The
formulation asks the parameters what there is (a sink, a gate, a norm of queries and keys) and the
options for the rest; it repeats shared key heads, fills masks with −inf and turns complex numbers.
"""

from functools import partial

import numpy as np

from npattn.models.block import (
    decoder_block, decoder_block_backward, encoder_block, encoder_block_backward,
    init_decoder_block, init_encoder_block,
)
from npattn.models.config import BlockOptions
from npattn.models.head_extras import Rotary
from npattn.models.multihead import init_multihead, self_attention, self_attention_backward
from npattn.models.stack import init_stack, stack, stack_backward
from npattn.verification.case import perturbed
from npattn.verification.system import System
from npattn.verification.torch_formulas import affine

SOURCE = "the options of a block"
B, T, TM, D, HIDDEN, HEADS = 2, 7, 5, 12, 10, 4
ACTIVATIONS = {
    "relu": lambda torch, X: X.clamp(min=0.0),
    "silu": lambda torch, X: X * torch.sigmoid(X),
    "gelu": lambda torch, X: 0.5 * X * (1.0 + torch.erf(X / 2**0.5)),
    "gelu_tanh": lambda torch, X: 0.5 * X * (
        1.0 + torch.tanh((2.0 / np.pi) ** 0.5 * (X + 0.044715 * X**3))),
}


# ---- in torch ----


def _root_mean_square(X, gain, eps):
    return X / (X.square().mean(-1, keepdim=True) + eps).sqrt() * gain


def _norm(t, path, X, o):
    if o.normalization == "layer_norm":
        centred = X - X.mean(-1, keepdim=True)
        Y = centred / (centred.square().mean(-1, keepdim=True) + o.eps).sqrt() * t[f"{path}.gain"]
        return Y + t[f"{path}.bias"] if f"{path}.bias" in t else Y
    gain = t[path] if o.normalization == "rms_norm" else 1.0 + t[path]
    return _root_mean_square(X, gain, o.eps)


def _residual(t, path, X, f, o):
    if o.norm == "post":
        return _norm(t, path, X + f(X), o)
    before, after = (f"{path}.before", f"{path}.after") if o.norm == "sandwich" else (path, None)
    F = f(_norm(t, before, X, o))
    return X + (F if after is None else _norm(t, after, F, o))


def _turned(torch, X, rotary):
    how = Rotary(rotary) if isinstance(rotary, str) else rotary
    width = how.width or X.shape[-1]
    pairs = torch.arange(width // 2, dtype=X.dtype, device=X.device)
    speeds = how.base ** (-2.0 * pairs / width)
    angle = torch.arange(X.shape[-2], dtype=X.dtype, device=X.device)[:, None] * speeds
    turn, first, rest = torch.polar(torch.ones_like(angle), angle), X[..., :width], X[..., width:]
    if how.pairing == "interleaved":
        Z = torch.complex(first[..., ::2], first[..., 1::2]) * turn
        return torch.cat([torch.stack([Z.real, Z.imag], -1).flatten(-2), rest], -1)
    Z = torch.complex(first[..., : width // 2], first[..., width // 2 :]) * turn
    return torch.cat([Z.real, Z.imag, rest], -1)


def _attended(torch, t, path, X, M, mask, o, zero_key=False):
    """Attention of X to M, which is X itself where positions count."""
    G, extras = o.num_kv_heads or o.num_heads, f"{path}.extras"
    Q, K, V = (
        affine(t, f"{path}.{name}", Z).unflatten(-1, (heads, -1)).transpose(-2, -3)
        for name, Z, heads in (("query", X, o.num_heads), ("key", M, G), ("value", M, G))
    )
    if f"{extras}.qk_norm.query" in t:
        Q = _root_mean_square(Q, t[f"{extras}.qk_norm.query"], o.eps)
        K = _root_mean_square(K, t[f"{extras}.qk_norm.key"], o.eps)
    if o.rotary is not None and M is X:
        Q, K = _turned(torch, Q, o.rotary), _turned(torch, K, o.rotary)
    Tq, Tk = Q.shape[-2], K.shape[-2]
    i, j = torch.arange(Tq, device=X.device)[:, None], torch.arange(Tk, device=X.device)
    allowed = (i >= 0) & (j >= 0) if mask is None else mask
    if o.window is not None and M is X:
        left, right = o.window if isinstance(o.window, tuple) else (o.window - 1,) * 2
        allowed = allowed & (j >= i - left) & (j <= i + (Tk if right is None else right))
    allowed = allowed.expand(*X.shape[:-2], Tq, Tk)[..., None, :, :]
    always = torch.ones_like(allowed[..., :1])
    if f"{extras}.extra_key" in t:
        rows = (t[f"{extras}.extra_{name}"].reshape(G, 1, -1) for name in ("key", "value"))
        K, V = (
            torch.cat([Z, row.expand_as(Z[..., :1, :])], -2)
            for Z, row in zip((K, V), rows, strict=True)
        )
        allowed = torch.cat([allowed, always], -1)
    if zero_key:
        K, V = (torch.cat([Z, torch.zeros_like(Z[..., :1, :])], -2) for Z in (K, V))
        allowed = torch.cat([allowed, always], -1)
    K, V = (Z.repeat_interleave(o.num_heads // G, -3) for Z in (K, V))
    S = torch.einsum("...id,...jd->...ij", Q, K)
    S = S / Q.shape[-1] ** 0.5 if o.scale is None else S * o.scale
    S = S if o.cap is None else o.cap * torch.tanh(S / o.cap)
    if f"{path}.sink" in t:
        S = torch.cat([S, t[f"{path}.sink"][:, None, None].expand(*S.shape[:-1], 1)], -1)
        allowed = torch.cat([allowed, always], -1)
        V = torch.cat([V, torch.zeros_like(V[..., :1, :])], -2)
    alive = allowed.any(-1, keepdim=True)
    P = S.masked_fill(~allowed, -float("inf")).masked_fill(~alive, 0.0).softmax(-1) * alive
    return affine(t, f"{path}.output", (P @ V).transpose(-2, -3).flatten(-2))


def _fed(torch, t, path, X, o):
    act, H = ACTIVATIONS[o.activation], affine(t, f"{path}.hidden", X)
    H = act(torch, affine(t, f"{path}.gate", X)) * H if f"{path}.gate.W" in t else act(torch, H)
    return affine(t, f"{path}.output", H)


def _torch_blocks(torch, t, o):
    X, i = t["X"], 0
    while f"params.blocks[{i}].attention.query.W" in t:
        at = f"params.blocks[{i}]"
        X = _residual(t, f"{at}.attention_norm", X, lambda Z, at=at: _attended(
            torch, t, f"{at}.attention", Z, Z, t["mask"], o), o)
        X = _residual(t, f"{at}.feed_forward_norm", X, lambda Z, at=at: _fed(
            torch, t, f"{at}.feed_forward", Z, o), o)
        i += 1
    return X if o.norm == "post" else _norm(t, "params.norm", X, o)


def _torch_decoder(torch, t, o):
    M, mask, at = t["M"], t["mask"], "params"
    X = _residual(t, f"{at}.self_attention_norm", t["X"], lambda Z: _attended(
        torch, t, f"{at}.self_attention", Z, Z, mask, o), o)
    X = _residual(t, f"{at}.cross_attention_norm", X, lambda Z: _attended(
        torch, t, f"{at}.cross_attention", Z, M, t["memory_mask"], o), o)
    return _residual(t, f"{at}.feed_forward_norm", X, lambda Z: _fed(
        torch, t, f"{at}.feed_forward", Z, o), o)


# ---- in NumPy ----


def _build_blocks(rng, dtype, options):
    params = init_stack(D, HIDDEN, 2, rng, init_encoder_block, options=options)
    return _drawn(rng, dtype, X=(B, T, D), params=params, mask=(B, T, T))


def _build_decoder(rng, dtype, options):
    params = init_decoder_block(D, HIDDEN, rng, options=options)
    return _drawn(
        rng, dtype, X=(B, T, D), M=(B, TM, D), params=params, mask=(T, T), memory_mask=(B, 1, TM),
    )


def _build_attention(rng, dtype, options):
    params = init_multihead(D, rng, **options)
    return _drawn(rng, dtype, X=(B, T, D), params=params, mask=(B, T, T))


def _drawn(rng, dtype, **parts):
    """Shapes filled: masks with two thirds of True, everything else with normal numbers."""
    def fill(name, part):
        if "mask" in name:
            return rng.random(part) < 0.67
        if isinstance(part, tuple) and all(isinstance(n, int) for n in part):
            return rng.standard_normal(part).astype(dtype)
        return perturbed(rng, part)

    return {name: fill(name, part) for name, part in parts.items()}


def _blocks(X, params, mask, *, options):
    def block(X, block_params):
        return encoder_block(X, block_params, mask, options=options)

    return stack(X, params, block, options=options)


def _blocks_backward(dY, cache):
    return stack_backward(dY, cache, encoder_block_backward)


def _system(name, **options):
    o = BlockOptions(num_heads=HEADS, **options)
    return System(
        f"blocks with {name}", SOURCE, partial(_build_blocks, options=o),
        partial(_blocks, options=o), _blocks_backward, partial(_torch_blocks, o=o),
    )


def _decoder(name, **options):
    o = BlockOptions(num_heads=HEADS, **options)
    return System(
        f"decoder block with {name}", SOURCE, partial(_build_decoder, options=o),
        partial(decoder_block, options=o), decoder_block_backward, partial(_torch_decoder, o=o),
    )


def _attention(name, init, **options):
    o = BlockOptions(num_heads=HEADS, num_kv_heads=init.get("num_kv_heads"))
    return System(
        f"attention with {name}", SOURCE,
        partial(_build_attention, options=dict(num_heads=HEADS, **init)),
        partial(self_attention, num_heads=HEADS, num_kv_heads=o.num_kv_heads, **options),
        self_attention_backward,
        lambda torch, t: _attended(
            torch, t, "params", t["X"], t["X"], t["mask"], o, zero_key="zero_key" in options),
    )


LLAMA = dict(norm="pre", normalization="rms_norm", bias=False, activation="silu", gated=True)
GEMMA = dict(
    norm="sandwich", normalization="rms_norm_1", bias=False, activation="gelu_tanh", gated=True,
)
OPTION_SYSTEMS = (
    _system("key heads in groups", num_kv_heads=2),
    _system("one key head", num_kv_heads=1),
    _system("heads of another width", head_width=5),
    _system("pairs of neighbours turned", rotary="interleaved", head_width=6),
    _system("halves turned", rotary="halves", head_width=6),
    _system(
        "a part of each head turned", rotary=Rotary("halves", base=50.0, width=4), head_width=6),
    _system("a window", window=3),
    _system("a window to both sides", window=(3, 1)),
    _system("sinks", sink=True),
    _system("normalized queries and keys", qk_norm=True, eps=1e-3),
    _system("capped scores", cap=1.5),
    _system("a scale of its own", scale=0.3),
    _system("no biases", bias=False),
    _system("an eps of its own", eps=0.1),
    _system("pre-norm", norm="pre"),
    _system("norms on both sides", norm="sandwich"),
    _system("RMS norm", normalization="rms_norm"),
    _system("RMS norm with gains around 1", normalization="rms_norm_1"),
    *(_system(f"{name}", activation=name) for name in ("silu", "gelu", "gelu_tanh")),
    _system("a gate", gated=True, activation="silu"),
    _system("everything of Llama", rotary="halves", head_width=6, num_kv_heads=2, **LLAMA),
    _system(
        "everything of Qwen", rotary="halves", head_width=6, num_kv_heads=2, qk_norm=True, **LLAMA),
    _system(
        "everything of Gemma", rotary="halves", head_width=6, num_kv_heads=1, qk_norm=True, cap=2.0,
        scale=0.4, window=(2, 0), **GEMMA),
    _system(
        "everything of gpt-oss", rotary="halves", head_width=6, num_kv_heads=2, sink=True,
        window=(2, 0), **LLAMA),
    _decoder("its defaults"),
    _decoder("groups, sinks and positions", num_kv_heads=2, sink=True, rotary="halves",
             head_width=6, window=(2, 0), cap=2.0, qk_norm=True, norm="pre"),
    _attention("a learned key and value", dict(extra_key=True)),
    _attention("a key of 0", dict(), zero_key=True),
    _attention("both, in groups", dict(extra_key=True, num_kv_heads=2), zero_key=True),
)
