"""The attention systems that readers arrive with, each beside an independent torch formulation.

One entry of SYSTEMS per system. To run one in NumPy and in torch with autograd, and compare:

    arguments = system.build(rng, dtype)                 {"X": array, "params": tree, "mask": ...}
    Y, cache  = system.forward(*arguments.values())      this package's pair
    dY        = random_upstream(Y, rng)                  from npattn.checking.pairs
    Y, grads  = run_numpy(system, arguments, dY)         grads {"X": dX, "params.query.W": ..., ...}
    t         = tensors made of leaves(arguments)        {path: tensor}, floats requiring gradients
    Y         = system.torch_run(torch, t)               a tensor or a tuple of tensors

Gradients are named by path, as in `npattn.trees`, and cover every float leaf of the arguments;
bool and integer arguments are fixed. torch comes in as an argument, so this page works without
it. The formulations share no code with the package: heads are column slices in a loop, masks are
filled with −inf, and a dead row is multiplied by 0.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.co_attention import co_attention, co_attention_backward
from npattn.kernels.heads import (
    merge_heads, merge_heads_backward, split_heads, split_heads_backward,
)
from npattn.kernels.linear import LinearParams, linear, linear_backward
from npattn.kernels.masks import causal_mask, combine_masks, pad_sequences, valid_lens_mask
from npattn.kernels.positions import sinusoidal_positions
from npattn.kernels.softmax import masked_softmax, softmax_backward
from npattn.models.cat import cat, cat_backward, init_cat
from npattn.models.co_attention import (
    bidirectional_attention, bidirectional_attention_backward, init_bidirectional,
)
from npattn.models.encoder import encoder, encoder_backward
from npattn.models.multihead import (
    MultiHeadParams, cross_attention, cross_attention_backward, init_multihead,
    multihead_attention, multihead_attention_backward, self_attention, self_attention_backward,
)
from npattn.models.patch_attention import (
    cross_patch_attention, cross_patch_attention_backward, inner_patch_attention,
    inner_patch_attention_backward,
)
from npattn.models.time_series import (
    TimeSeriesConfig, TimeSeriesParams, init_time_series, time_series_transformer,
    time_series_transformer_backward,
)
from npattn.trees import tree_items, tree_map


# Where readers meet the systems: articles on these subjects.
SELF_ATTENTION = "self-attention, multi-head self-attention and padding masks"
D2L = "multi-head attention in Dive into Deep Learning"
MASKED = "multi-head attention with padding and look-ahead masks"
INTRODUCTION = "an introduction to Transformers, with a time series model"
CROSS_ATTENTION = "cross-attention between two sequences and between patches"


class System(NamedTuple):
    """One system; see the module's docstring for how to run it."""

    name: str
    source: str          # the kind of article where readers meet it
    build: Callable      # (rng, dtype) -> {name: tree}, in the order of forward's arguments
    forward: Callable    # (*arguments) -> Y, cache
    backward: Callable   # (dY, cache) -> a gradient per differentiable argument
    torch_run: Callable  # (torch, {path: tensor}) -> Y, a tensor or a tuple of tensors


def leaves(arguments):
    """{path: array} of all arguments, fixed ones included."""
    return dict(item for name, tree in arguments.items() for item in tree_items(tree, name))


def run_numpy(system, arguments, dY):
    """Y, a tuple of arrays, and {path: gradient}, by the package's own pair."""
    Y, cache = system.forward(*arguments.values())
    gradients = system.backward(dY, cache)
    names = [name for name, tree in arguments.items() if _is_differentiable(tree)]
    gradients = gradients if len(names) > 1 else (gradients,)
    return _as_tuple(Y), leaves(dict(zip(names, gradients, strict=True)))


def _as_tuple(Y):
    return Y if isinstance(Y, tuple) else (Y,)


def _is_differentiable(tree):
    return any(X.dtype.kind == "f" for _, X in tree_items(tree))


# What the torch formulations share.


def _weights(S, mask=None):
    """Softmax over the last axis of S where mask is True; a row without any is 0."""
    if mask is None:
        return S.softmax(-1)
    alive = mask.any(-1, keepdim=True)
    return S.masked_fill(~mask, -float("inf")).masked_fill(~alive, 0.0).softmax(-1) * alive


def _affine(t, layer, X):
    Y = X @ t[f"{layer}.W"]
    return Y + t[f"{layer}.b"] if f"{layer}.b" in t else Y


def _multihead(torch, t, layer, Xq, Xk, Xv, H, mask=None, scale=None):
    """Head by head on slices of columns; mask broadcasts to (..., Tq, Tk) or has a head axis."""
    Q, K, V = (_affine(t, f"{layer}.{name}", X)
               for name, X in (("query", Xq), ("key", Xk), ("value", Xv)))
    d = Q.shape[-1] // H
    outputs = []
    for h in range(H):
        own = slice(h * d, (h + 1) * d)
        seen = mask
        if mask is not None and mask.ndim > Xq.ndim:
            seen = mask.expand(*mask.shape[:-3], H, *mask.shape[-2:])[..., h, :, :]
        S = torch.einsum("...id,...jd->...ij", Q[..., own], K[..., own])
        S = S / d**0.5 if scale is None else S * scale
        outputs.append(_weights(S, seen) @ V[..., own])
    Y = torch.cat(outputs, -1)
    return _affine(t, f"{layer}.output", Y) if f"{layer}.output.W" in t else Y


def _norm(t, layer, X):
    centred = X - X.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)
    return centred / (variance + 1e-5).sqrt() * t[f"{layer}.gain"] + t[f"{layer}.bias"]


def _positions(torch, T, D, like, paired):
    """Column by column: D may be odd."""
    t = torch.arange(T, dtype=torch.float64, device=like.device)
    columns = []
    for c in range(D):
        exponent = 2 * (c // 2) if paired else c
        angle = t * torch.exp(torch.tensor(-exponent / D * np.log(10000.0), dtype=t.dtype))
        columns.append(angle.cos() if c % 2 else angle.sin())
    return torch.stack(columns, -1).to(like.dtype)


# Drawing arguments.


def _normal(rng, dtype, *shape):
    return rng.normal(size=shape).astype(dtype)


def _shaken(params, rng):
    """Parameters with their biases and gains moved, so that none is 0 or 1."""
    def moved(p):
        return p + 0.1 * rng.normal(size=p.shape).astype(p.dtype) if p.ndim == 1 else p

    return tree_map(moved, params)


# Self-attention and multi-head attention: one X, three gradient paths.


def _padded_self_attention(X, params, tokens, *, num_heads):
    return self_attention(X, params, tokens[:, None, :], num_heads=num_heads)


def _build_padded(rng, dtype):
    """Lengths 3 and 5, padded to 10, 128 wide."""
    X, tokens = pad_sequences([_normal(rng, dtype, T, 128) for T in (3, 5)], 10)
    params = _shaken(init_multihead(128, rng, output=False, dtype=dtype), rng)
    return {"X": X, "params": params, "tokens": tokens}


def _torch_padded(torch, t, *, num_heads):
    X = t["X"]
    return _multihead(torch, t, "params", X, X, X, num_heads, t["tokens"][:, None, :])


def _build_masked(rng, dtype, *, look_ahead):
    """Two sequences of 5 and 3 tokens, 512 wide, masks (B, 1, 1, T) or (B, 1, T, T)."""
    params = _shaken(init_multihead(512, rng, dtype=dtype), rng)
    mask = valid_lens_mask([5, 3], 5)[:, None]
    mask = combine_masks(mask, causal_mask(5)) if look_ahead else mask
    return {"X": _normal(rng, dtype, 2, 5, 512), "params": params, "mask": mask}


def _torch_masked(torch, t, *, num_heads):
    X = t["X"]
    return _multihead(torch, t, "params", X, X, X, num_heads, t["mask"])


def _build_walk_through(rng, dtype):
    """The two 5-vectors and three random 5 × 5 matrices."""
    X = np.array([[1, 0, 1, 0, 1], [0, 1, 0, 1, 0]], dtype)
    layers = [LinearParams(_normal(rng, dtype, 5, 5), None) for _ in range(3)]
    return {"X": X, "params": MultiHeadParams(*layers, None), "mask": None}


def _torch_walk_through(torch, t):
    Q, K, V = (t["X"] @ t[f"params.{name}.W"] for name in ("query", "key", "value"))
    return torch.softmax(torch.matmul(Q, K.transpose(-2, -1)) / 5**0.5, dim=-1) @ V


# Softmax under a mask, dot-product attention with valid lengths, moving heads about.

DROPOUT, DROPOUT_SEED = 0.5, 7


def _masked_scores(S, valid_lens):
    P = masked_softmax(S, valid_lens_mask(valid_lens, S.shape[-1]))
    return P, P


def _build_masked_scores(rng, dtype):
    return {"S": _normal(rng, dtype, 2, 3, 4), "valid_lens": np.array([[1, 3, 0], [2, 4, 1]])}


def _torch_masked_scores(torch, t):
    return _weights(t["S"], _prefix(torch, t["valid_lens"], 4))


def _dot_product(Q, K, V, valid_lens, *, dropout=0.0):
    mask = valid_lens_mask(valid_lens, K.shape[-2])
    rng = np.random.default_rng(DROPOUT_SEED)
    return attention(Q, K, V, mask, dropout=dropout, rng=rng)


def _build_dot_product(rng, dtype, *, valid_lens):
    Q, K, V = (_normal(rng, dtype, 2, *shape) for shape in ((3, 5), (10, 5), (10, 4)))
    return {"Q": Q, "K": K, "V": V, "valid_lens": np.array(valid_lens)}


def _torch_dot_product(torch, t, *, dropout=0.0):
    Q, K, V = t["Q"], t["K"], t["V"]
    P = _weights(Q @ K.mT / Q.shape[-1] ** 0.5, _prefix(torch, t["valid_lens"], K.shape[-2]))
    draw = np.random.default_rng(DROPOUT_SEED).random(tuple(P.shape), dtype=np.float32)
    survives = torch.tensor(draw >= dropout, device=P.device)
    return torch.where(survives, P / (1.0 - dropout), 0.0) @ V


def _prefix(torch, valid_lens, Tk):
    """Boolean prefixes from (B,) or (B, Tq) lengths: (B, 1, Tk) or (B, Tq, Tk)."""
    lens = valid_lens.reshape(len(valid_lens), -1)
    return torch.arange(Tk, device=lens.device) < lens.unsqueeze(-1)


def _batched_heads(X):
    """Heads moved into the batch and back, doubled on the way to tell it from doing nothing."""
    heads = split_heads(X, 5)
    return (heads.reshape(-1, *heads.shape[-2:]), merge_heads(2.0 * heads)), heads.shape


def _batched_heads_backward(dY, shape):
    dbatched, dmerged = dY
    dheads = dbatched.reshape(shape) + 2.0 * merge_heads_backward(dmerged, 5)
    return split_heads_backward(dheads)


def _torch_batched_heads(torch, t):
    X = t["X"].reshape(2, 4, 5, -1).permute(0, 2, 1, 3).reshape(10, 4, -1)
    back = (2.0 * X).reshape(2, 5, 4, -1).permute(0, 2, 1, 3).reshape(2, 4, -1)
    return X, back


def _lens_multihead(Xq, Xkv, params, valid_lens, *, num_heads):
    mask = valid_lens_mask(valid_lens, Xkv.shape[-2])
    return cross_attention(Xq, Xkv, params, mask, num_heads=num_heads)


def _build_lens_multihead(rng, dtype):
    params = init_multihead(100, rng, bias=False, dtype=dtype)
    return {
        "Xq": _normal(rng, dtype, 2, 4, 100), "Xkv": _normal(rng, dtype, 2, 6, 100),
        "params": params, "valid_lens": np.array([3, 2]),
    }


def _torch_lens_multihead(torch, t, *, num_heads):
    """Heads in the batch, and the lengths repeated once per head."""
    def heads(X, layer):
        X = _affine(t, f"params.{layer}", X)
        X = X.reshape(len(X), X.shape[1], num_heads, -1).permute(0, 2, 1, 3)
        return X.reshape(-1, *X.shape[2:])

    Q, K, V = heads(t["Xq"], "query"), heads(t["Xkv"], "key"), heads(t["Xkv"], "value")
    lens = torch.repeat_interleave(t["valid_lens"], num_heads, dim=0)
    O = _weights(Q @ K.mT / Q.shape[-1] ** 0.5, _prefix(torch, lens, K.shape[1])) @ V
    O = O.reshape(-1, num_heads, *O.shape[1:]).permute(0, 2, 1, 3).flatten(2)
    return _affine(t, "params.output", O)


# Positions and time series.


def _add_positions(X, *, paired):
    return X + sinusoidal_positions(*X.shape[-2:], paired=paired, dtype=X.dtype), None


def _add_positions_backward(dY, _):
    return dY


def _torch_positions(torch, t, *, paired):
    X = t["X"]
    return X + _positions(torch, *X.shape[-2:], X, paired)


SERIES = TimeSeriesConfig(paired_positions=False)


def _build_series(rng, dtype):
    """A batch of 16 series, and ten blocks in which rounding is not blown up.

    Hidden biases of ±0.5 keep ReLU away from its kink, where the last bit decides about a
    gradient. Sublayers that whisper keep ten post-norm blocks from making all steps equal, which
    would leave the gradients of queries and keys as differences of nearly equal numbers.
    """
    def whisper(layer):
        return layer._replace(W=0.3 * layer.W)

    def block(params):
        attention, feed = params.attention, params.feed_forward
        b = rng.choice([-0.5, 0.5], SERIES.hidden).astype(dtype)
        return params._replace(
            attention=attention._replace(output=whisper(attention.output)),
            feed_forward=feed._replace(
                hidden=feed.hidden._replace(b=b), output=whisper(feed.output)
            ),
        )

    params = init_time_series(SERIES, rng, dtype=dtype)
    blocks = tuple(map(block, params.encoder.blocks))
    params = params._replace(encoder=params.encoder._replace(blocks=blocks))
    return {"X": rng.random((16, 32, 9)).astype(dtype), "params": _shaken(params, rng)}


def _over_batch(X, params):
    """A mistake of many examples: the first axis, the batch, is taken for the sequence."""
    Z = X.swapaxes(0, 1)
    Z = Z + sinusoidal_positions(*Z.shape[-2:], paired=False, dtype=Z.dtype)
    E, encoded = encoder(Z, params.encoder, options=SERIES)
    Y, read = linear(E.swapaxes(0, 1).reshape(len(X), -1), params.output)
    return Y.reshape(len(X), *SERIES.output_shape), (encoded, E.shape, read)


def _over_batch_backward(dY, cache):
    encoded, (steps, B, D), read = cache
    dE, doutput = linear_backward(dY.reshape(B, -1), read)
    dZ, dencoder = encoder_backward(dE.reshape(B, steps, D).swapaxes(0, 1), encoded)
    return dZ.swapaxes(0, 1), TimeSeriesParams(None, dencoder, doutput)


def _torch_series(torch, t, *, over_batch):
    """Post-norm encoder blocks; over_batch, the first axis is taken for the sequence."""
    X = t["X"].transpose(0, 1) if over_batch else t["X"]
    X = X + _positions(torch, X.shape[1], 9, X, paired=False)
    for i in range(SERIES.num_blocks):
        block = f"params.encoder.blocks[{i}]"
        A = _multihead(torch, t, f"{block}.attention", X, X, X, SERIES.num_heads)
        X = _norm(t, f"{block}.attention_norm", X + A)
        hidden = _affine(t, f"{block}.feed_forward.hidden", X).relu()
        F = _affine(t, f"{block}.feed_forward.output", hidden)
        X = _norm(t, f"{block}.feed_forward_norm", X + F)
    X = X.transpose(0, 1) if over_batch else X
    return _affine(t, "params.output", X.reshape(16, 288)).reshape(-1, 4, 8)


# Cross-attention, one way and both ways.


def _build_bidirectional(rng, dtype):
    return {
        "Xa": _normal(rng, dtype, 16, 36, 192), "Xb": _normal(rng, dtype, 16, 192, 36),
        "params": _shaken(init_bidirectional(192, 36, 64, rng, dtype=dtype), rng),
    }


def _torch_bidirectional(torch, t):
    """The example's way of writing, with its two outputs exchanged, as they should be."""
    scores = torch.matmul(
        _affine(t, "params.a", t["Xa"]), _affine(t, "params.b", t["Xb"]).transpose(1, 2)
    )
    over_b, over_a = torch.softmax(scores, dim=-1), torch.softmax(scores.transpose(1, 2), dim=-1)
    return torch.matmul(over_b, t["Xb"]), torch.matmul(over_a, t["Xa"])


def _build_co_attention(rng, dtype):
    """Padding on both sides; the second pair has nothing in b, so its a reads nothing."""
    A, B, Va, Vb = (_normal(rng, dtype, 3, *s) for s in ((4, 6), (5, 6), (4, 2), (5, 7)))
    return {
        "A": A, "B": B, "Va": Va, "Vb": Vb,
        "mask_a": valid_lens_mask([5, 0, 2], 5), "mask_b": valid_lens_mask([3, 4, 1], 4),
    }


def _torch_co_attention(torch, t):
    S = torch.einsum("nad,nbd->nab", t["A"], t["B"]) / 6**0.5
    return (
        torch.einsum("nab,nbd->nad", _weights(S, t["mask_a"]), t["Vb"]),
        torch.einsum("nba,nad->nbd", _weights(S.mT, t["mask_b"]), t["Va"]),
    )


def _unscaled_cross(Xq, Xk, Xv, params):
    return multihead_attention(Xq, Xk, Xv, params, num_heads=1, scale=1.0)


def _build_unscaled_cross(rng, dtype):
    """Weights within ±1/√512, as torch.nn.Linear draws them: larger ones saturate the softmax."""
    Xq, Xk, Xv = (_normal(rng, dtype, 1, T, 512) for T in (10, 20, 20))
    params = init_multihead(512, rng, output=False, dtype=dtype)
    params = _shaken(tree_map(lambda p: p / 3**0.5, params), rng)
    return {"Xq": Xq, "Xk": Xk, "Xv": Xv, "params": params}


def _torch_unscaled_cross(torch, t):
    q, k, v = (_affine(t, f"params.{name}", t[f"X{name[0]}"]) for name in ("query", "key", "value"))
    return torch.matmul(torch.matmul(q, k.transpose(-2, -1)).softmax(-1), v)


def _build_memory(rng, dtype):
    """Decoder states of length 7 beside encoder outputs of lengths 5 and 3, padded to 5."""
    return {
        "Xq": _normal(rng, dtype, 2, 7, 24), "Xkv": _normal(rng, dtype, 2, 5, 16),
        "params": _shaken(init_multihead(24, rng, Dk=16, Dv=16, dtype=dtype), rng),
        "valid_lens": np.array([5, 3]),
    }


def _torch_memory(torch, t, *, num_heads):
    M, mask = t["Xkv"], _prefix(torch, t["valid_lens"], 5)
    return _multihead(torch, t, "params", t["Xq"], M, M, num_heads, mask)


# Attention in patches and across them, on a map of 6 × 4 pixels in patches of 2 × 2.

PATCH = 2


def _build_patches(rng, dtype, *, width):
    params = _shaken(init_multihead(width, rng, dtype=dtype), rng)
    return {"X": _normal(rng, dtype, 3, 6, 4, 10), "params": params}


def _torch_inner(torch, t, layer="params", X=None, H=5):
    """Patch by patch, in a loop."""
    X = t["X"] if X is None else X
    Y = torch.empty_like(X)
    for i in range(0, X.shape[1], PATCH):
        for j in range(0, X.shape[2], PATCH):
            Z = X[:, i : i + PATCH, j : j + PATCH]
            A = _multihead(torch, t, layer, *3 * [Z.flatten(1, 2)], H)
            Y[:, i : i + PATCH, j : j + PATCH] = A.reshape(Z.shape)
    return Y


def _torch_cross(torch, t, layer="params", X=None):
    """Channel by channel, patches by unfolding."""
    X = t["X"] if X is None else X
    channels = []
    for Z in X.unbind(-1):
        tiles = Z.unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH)  # (B, rows, columns, P, P)
        A = _multihead(torch, t, layer, *3 * [tiles.flatten(3).flatten(1, 2)], 1)
        channels.append(A.reshape(tiles.shape).permute(0, 1, 3, 2, 4).reshape(Z.shape))
    return torch.stack(channels, -1)


def _build_cat(rng, dtype):
    params = _shaken(init_cat(10, 12, rng, patch=PATCH, dtype=dtype), rng)
    return {"X": _normal(rng, dtype, 3, 6, 4, 10), "params": params}


def _torch_cat(torch, t):
    X = t["X"]
    for i, attend in enumerate((_torch_inner, _torch_cross, _torch_inner)):
        block = f"params[{i}]"
        X = X + attend(torch, t, f"{block}.attention", _norm(t, f"{block}.attention_norm", X))
        N = _norm(t, f"{block}.feed_forward_norm", X)
        hidden = torch.nn.functional.gelu(_affine(t, f"{block}.feed_forward.hidden", N))
        X = X + _affine(t, f"{block}.feed_forward.output", hidden)
    return X


def _padded(name, H):
    return System(
        name, SELF_ATTENTION, _build_padded,
        partial(_padded_self_attention, num_heads=H), self_attention_backward,
        partial(_torch_padded, num_heads=H),
    )


def _masked(name, look_ahead):
    return System(
        name, MASKED, partial(_build_masked, look_ahead=look_ahead),
        partial(self_attention, num_heads=8), self_attention_backward,
        partial(_torch_masked, num_heads=8),
    )


def _dot(name, valid_lens, dropout=0.0):
    return System(
        name, D2L, partial(_build_dot_product, valid_lens=valid_lens),
        partial(_dot_product, dropout=dropout), attention_backward,
        partial(_torch_dot_product, dropout=dropout),
    )


def _odd_positions(name, paired):
    return System(
        name, INTRODUCTION, lambda rng, dtype: {"X": _normal(rng, dtype, 2, 32, 9)},
        partial(_add_positions, paired=paired), _add_positions_backward,
        partial(_torch_positions, paired=paired),
    )


SYSTEMS = (
    _padded("self-attention with a padding mask", 1),
    _padded("multi-head self-attention without output projection", 2),
    System(
        "softmax under valid lengths", D2L, _build_masked_scores,
        _masked_scores, softmax_backward, _torch_masked_scores,
    ),
    _dot("dot-product attention, a length per sequence", [2, 6]),
    _dot("dot-product attention, a length per query", [[1, 0, 10], [4, 7, 3]]),
    _dot("dot-product attention with dropout", [2, 6], DROPOUT),
    System(
        "heads moved into the batch and back", D2L,
        lambda rng, dtype: {"X": _normal(rng, dtype, 2, 4, 30)},
        _batched_heads, _batched_heads_backward, _torch_batched_heads,
    ),
    System(
        "multi-head attention without biases, lengths repeated per head", D2L,
        _build_lens_multihead, partial(_lens_multihead, num_heads=5), cross_attention_backward,
        partial(_torch_lens_multihead, num_heads=5),
    ),
    _masked("multi-head attention with a padding mask (B, 1, 1, T)", False),
    _masked("multi-head attention with a look-ahead mask", True),
    System(
        "queries, keys and values of two 5-vectors", INTRODUCTION, _build_walk_through,
        partial(self_attention, num_heads=1), self_attention_backward, _torch_walk_through,
    ),
    _odd_positions("positions of odd width, paired frequencies", True),
    _odd_positions("positions of odd width, a frequency per column", False),
    System(
        "time series Transformer", INTRODUCTION, _build_series,
        partial(time_series_transformer, config=SERIES), time_series_transformer_backward,
        partial(_torch_series, over_batch=False),
    ),
    System(
        "time series Transformer attending over the batch", INTRODUCTION, _build_series,
        _over_batch, _over_batch_backward, partial(_torch_series, over_batch=True),
    ),
    System(
        "bidirectional cross-attention", CROSS_ATTENTION, _build_bidirectional,
        partial(bidirectional_attention, scale=1.0), bidirectional_attention_backward,
        _torch_bidirectional,
    ),
    System(
        "bidirectional cross-attention, padding on both sides", CROSS_ATTENTION,
        _build_co_attention, co_attention, co_attention_backward, _torch_co_attention,
    ),
    System(
        "cross-attention, unscaled", CROSS_ATTENTION, _build_unscaled_cross,
        _unscaled_cross, multihead_attention_backward, _torch_unscaled_cross,
    ),
    System(
        "encoder-decoder cross-attention with two lengths", CROSS_ATTENTION, _build_memory,
        partial(_lens_multihead, num_heads=4), cross_attention_backward,
        partial(_torch_memory, num_heads=4),
    ),
    System(
        "inner-patch attention", CROSS_ATTENTION, partial(_build_patches, width=10),
        partial(inner_patch_attention, patch=PATCH, num_heads=5), inner_patch_attention_backward,
        _torch_inner,
    ),
    System(
        "cross-patch attention", CROSS_ATTENTION, partial(_build_patches, width=PATCH**2),
        partial(cross_patch_attention, patch=PATCH), cross_patch_attention_backward, _torch_cross,
    ),
    System(
        "inner, cross and inner patch blocks", CROSS_ATTENTION, _build_cat,
        partial(cat, patch=PATCH, num_heads=5), cat_backward, _torch_cat,
    ),
)
