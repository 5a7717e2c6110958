"""Softmax under a mask, dot-product attention with valid lengths, heads moved about: d2l."""

from functools import partial

import numpy as np

from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.heads import (
    merge_heads, merge_heads_backward, split_heads, split_heads_backward,
)
from npattn.kernels.masks import valid_lens_mask
from npattn.kernels.softmax import masked_softmax, softmax_backward
from npattn.models.multihead import cross_attention, cross_attention_backward, init_multihead
from npattn.verification.system import System, normal
from npattn.verification.torch_formulas import affine, prefix, weights


D2L = "multi-head attention in Dive into Deep Learning"
DROPOUT, DROPOUT_SEED = 0.5, 7


def _masked_scores(S, valid_lens):
    P = masked_softmax(S, valid_lens_mask(valid_lens, S.shape[-1]))
    return P, P


def _build_masked_scores(rng, dtype):
    return {"S": normal(rng, dtype, 2, 3, 4), "valid_lens": np.array([[1, 3, 0], [2, 4, 1]])}


def _torch_masked_scores(torch, t):
    return weights(t["S"], prefix(torch, t["valid_lens"], 4))


def _dot_product(Q, K, V, valid_lens, *, dropout=0.0):
    mask = valid_lens_mask(valid_lens, K.shape[-2])
    rng = np.random.default_rng(DROPOUT_SEED)
    return attention(Q, K, V, mask, dropout=dropout, rng=rng)


def _build_dot_product(rng, dtype, *, valid_lens):
    Q, K, V = (normal(rng, dtype, 2, *shape) for shape in ((3, 5), (10, 5), (10, 4)))
    return {"Q": Q, "K": K, "V": V, "valid_lens": np.array(valid_lens)}


def _torch_dot_product(torch, t, *, dropout=0.0):
    Q, K, V = t["Q"], t["K"], t["V"]
    P = weights(Q @ K.mT / Q.shape[-1] ** 0.5, prefix(torch, t["valid_lens"], K.shape[-2]))
    draw = np.random.default_rng(DROPOUT_SEED).random(tuple(P.shape), dtype=np.float32)
    survives = torch.tensor(draw >= dropout, device=P.device)
    return torch.where(survives, P / (1.0 - dropout), 0.0) @ V


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


def lens_multihead(Xq, Xkv, params, valid_lens, *, num_heads):
    """`cross_attention` under valid lengths, and its cache."""
    mask = valid_lens_mask(valid_lens, Xkv.shape[-2])
    return cross_attention(Xq, Xkv, params, mask, num_heads=num_heads)


def _build_lens_multihead(rng, dtype):
    params = init_multihead(100, rng, bias=False, dtype=dtype)
    return {
        "Xq": normal(rng, dtype, 2, 4, 100), "Xkv": normal(rng, dtype, 2, 6, 100),
        "params": params, "valid_lens": np.array([3, 2]),
    }


def _torch_lens_multihead(torch, t, *, num_heads):
    """Heads in the batch, and the lengths repeated once per head."""
    def heads(X, layer):
        X = affine(t, f"params.{layer}", X)
        X = X.reshape(len(X), X.shape[1], num_heads, -1).permute(0, 2, 1, 3)
        return X.reshape(-1, *X.shape[2:])

    Q, K, V = heads(t["Xq"], "query"), heads(t["Xkv"], "key"), heads(t["Xkv"], "value")
    lens = torch.repeat_interleave(t["valid_lens"], num_heads, dim=0)
    O = weights(Q @ K.mT / Q.shape[-1] ** 0.5, prefix(torch, lens, K.shape[1])) @ V
    O = O.reshape(-1, num_heads, *O.shape[1:]).permute(0, 2, 1, 3).flatten(2)
    return affine(t, "params.output", O)


def _dot(name, valid_lens, dropout=0.0):
    return System(
        name, D2L, partial(_build_dot_product, valid_lens=valid_lens),
        partial(_dot_product, dropout=dropout), attention_backward,
        partial(_torch_dot_product, dropout=dropout),
    )


SYSTEMS = (
    System(
        "softmax under valid lengths", D2L, _build_masked_scores,
        _masked_scores, softmax_backward, _torch_masked_scores,
    ),
    _dot("dot-product attention, a length per sequence", [2, 6]),
    _dot("dot-product attention, a length per query", [[1, 0, 10], [4, 7, 3]]),
    _dot("dot-product attention with dropout", [2, 6], DROPOUT),
    System(
        "heads moved into the batch and back", D2L,
        lambda rng, dtype: {"X": normal(rng, dtype, 2, 4, 30)},
        _batched_heads, _batched_heads_backward, _torch_batched_heads,
    ),
    System(
        "multi-head attention without biases, lengths repeated per head", D2L,
        _build_lens_multihead, partial(lens_multihead, num_heads=5), cross_attention_backward,
        partial(_torch_lens_multihead, num_heads=5),
    ),
)
