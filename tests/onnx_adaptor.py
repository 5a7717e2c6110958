"""ONNX operators as calls of npattn: axes are moved, names are translated, and nothing else.

    run(case)     the outputs of a node test of onnx.backend.test, computed by npattn
    CASES         name of an operator -> its node tests; one node each
    verdict(...)  how far outputs are from what a case expects
"""

import importlib
import math
import warnings

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case import node as node_tests

import npattn

MODULES = {
    "Attention": "attention", "RMSNormalization": "rmsnormalization",
    "RotaryEmbedding": "rotaryembedding", "LinearAttention": "linear_attention",
    "LayerNormalization": "layernormalization",
    "SoftmaxCrossEntropyLoss": "softmax_cross_entropy_loss",
}


def collect():
    """{operator: [node test, ...]}; a test that spells an operator out in others is left aside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in MODULES.values():
            importlib.import_module(f"{node_tests.__name__}.{module}")
    found = {op: [] for op in MODULES}
    for case in node_tests._NodeTestCases:
        ops = [node.op_type for node in case.model.graph.node]
        if len(ops) == 1 and ops[0] in found:
            found[ops[0]].append(case)
    return found


def run(case):
    """The outputs of the case's node, in its order, as a list of arrays."""
    node, = case.model.graph.node
    given = iter(as_arrays(case.data_sets[0][0]))
    inputs = [next(given) if name else None for name in node.input]
    options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    options = {k: v.decode() if isinstance(v, bytes) else v for k, v in options.items()}
    outputs = OPERATORS[node.op_type](*inputs, **options)
    return [Y for Y, name in zip(outputs, node.output) if name]


def as_arrays(values):
    """Arrays, also where a case holds protocol buffers."""
    return [v if isinstance(v, np.ndarray | np.generic) else numpy_helper.to_array(v)
            for v in values]


def attention(Q, K, V, attn_mask=None, past_key=None, past_value=None, nonpad=None, *, scale=None,
              is_causal=0, q_num_heads=None, kv_num_heads=None, softcap=0.0, softmax_precision=None,
              qk_matmul_output_mode=0, left_window_size=-1, right_window_size=-1):
    """Grouped heads are laid one behind the other along the queries of their group."""
    packed = Q.ndim == 3
    if packed:
        Q, K, V = heads(Q, q_num_heads), heads(K, kv_num_heads), heads(V, kv_num_heads)
    if past_key is not None:
        past = npattn.KeysValues(past_key, past_value)
        (K, V), _ = npattn.append_keys_values(past, K, V)
    (B, H, Tq, _), (G, Tk) = Q.shape, K.shape[1:3]
    offset = 0 if past_key is None else past_key.shape[2]
    if nonpad is not None:
        offset = np.asarray(nonpad).ravel()[:, None] - Tq
    mask, bias = translate_mask(attn_mask, Tk)
    mask = npattn.combine_masks(
        mask,
        npattn.causal_mask(Tq, Tk, offset=offset) if is_causal else None,
        npattn.window_mask(
            Tq, Tk, offset=offset, left=None if left_window_size < 0 else left_window_size,
            right=None if right_window_size < 0 else right_window_size,
        ),
        None if nonpad is None else npattn.valid_lens_mask(np.asarray(nonpad).ravel(), Tk)[:, None],
    )
    mask = np.broadcast_to(mask, (B, H, Tq, Tk))

    def group(X):
        return X.reshape(B, G, H // G * Tq, X.shape[-1])

    def ungroup(X):
        return X.reshape(B, H, Tq, X.shape[-1])

    if Q.dtype.itemsize == 2:  # computed in float32, returned as it came
        bias = np.zeros((), Q.dtype) if bias is None else bias
        bias = group(np.broadcast_to(bias, (B, H, Tq, Tk)))
        O, cache = npattn.biased_attention(group(Q), K, V, bias, group(mask), scale=scale)
        S = cache.P
    else:
        S, _ = npattn.dot_scores(group(Q), K, scale=scale)
        stages = [S]
        if softcap:
            S, _ = npattn.soft_cap(S, softcap)
        stages.append(S)
        if bias is not None:
            S, _ = npattn.add_bias(S, group(np.broadcast_to(bias, (B, H, Tq, Tk))))
        stages.append(np.where(group(mask), S, -np.inf))
        O, cache = npattn.attend(S, V, group(mask))
        S = [*stages, cache.P][qk_matmul_output_mode]
    O = ungroup(O)
    return packed_again(O) if packed else O, K, V, ungroup(S).astype(Q.dtype)


def translate_mask(attn_mask, Tk):
    """A boolean mask or a bias on the scores, as wide as there are keys."""
    if attn_mask is None:
        return None, None
    boolean, missing = attn_mask.dtype == bool, Tk - attn_mask.shape[-1]
    width = [(0, 0)] * (attn_mask.ndim - 1) + [(0, missing)]
    padded = np.pad(attn_mask, width, constant_values=False if boolean else -np.inf)
    return (padded, None) if boolean else (None, padded)


def heads(X, n):
    """(B, T, n·D) to (B, n, T, D)."""
    return X.reshape(*X.shape[:2], n, -1).swapaxes(1, 2)


def packed_again(X):
    """And back."""
    return X.swapaxes(1, 2).reshape(X.shape[0], X.shape[2], -1)


def rms_norm(X, scale, *, axis=-1, epsilon=1e-5, stash_type=1):
    rows = X.reshape(*X.shape[:axis % X.ndim], -1)
    return [npattn.rms_norm(rows, scale.ravel(), eps=epsilon)[0].reshape(X.shape)]


def layer_norm(X, scale, B=None, *, axis=-1, epsilon=1e-5, stash_type=1):
    rows = X.reshape(*X.shape[:axis % X.ndim], -1)
    bias = np.zeros_like(scale) if B is None else B
    params = npattn.LayerNormParams(scale.ravel(), bias.ravel())
    Y, cache = npattn.layer_norm(rows, params, eps=epsilon)
    ones = (*X.shape[:axis % X.ndim], *[1] * (X.ndim - axis % X.ndim))
    return Y.reshape(X.shape), cache.mean.reshape(ones), cache.rstd.reshape(ones)


def rotary(X, cos, sin, position_ids=None, *, interleaved=0, num_heads=0, rotary_embedding_dim=0):
    packed = X.ndim == 3
    rows = heads(X, num_heads) if packed else X
    if position_ids is None:
        cos, sin = cos[:, None], sin[:, None]
    Y, _ = npattn.rotary(
        rows, table=(cos, sin), positions=None if position_ids is None else position_ids[:, None],
        pairing="interleaved" if interleaved else "halves",
    )
    return [packed_again(Y) if packed else Y]


def linear_attention(Q, K, V, past=None, decay=None, beta=None, *, q_num_heads, kv_num_heads,
                     update_rule="gated_delta", chunk_size=None, scale=0.0):
    G, r = kv_num_heads, q_num_heads // kv_num_heads
    Q = heads(Q, q_num_heads).reshape(len(Q), G, r, Q.shape[1], -1)
    K, V = heads(K, G)[:, :, None], heads(V, G)[:, :, None]
    if beta is not None:
        beta = heads(np.broadcast_to(beta, (*beta.shape[:2], G)), G)[:, :, None]
    gates = npattn.Gates(None if decay is None else heads(decay, G)[:, :, None], beta)
    state = npattn.empty_state(K, V) if past is None else past[:, :, None]
    compute = npattn.linear_attention if chunk_size is None else npattn.linear_attention_in_chunks
    options = {} if chunk_size is None else {"chunk": chunk_size}
    (O, state), _ = compute(Q, K, V, gates, state, scale=scale or None, **options)
    O = O.reshape(len(O), G * r, *O.shape[-2:])
    return packed_again(O), state[:, :, 0]


def cross_entropy(scores, labels, weights=None, *, reduction="mean", ignore_index=None):
    loss, cache = npattn.cross_entropy(
        np.moveaxis(scores, 1, -1), labels, weights=weights, ignore=ignore_index,
        reduction=reduction,
    )
    return loss, np.moveaxis(cache.tokens.L, -1, 1)


OPERATORS = {
    "Attention": attention, "RMSNormalization": rms_norm, "RotaryEmbedding": rotary,
    "LinearAttention": linear_attention, "LayerNormalization": layer_norm,
    "SoftmaxCrossEntropyLoss": cross_entropy,
}


def miss(case, outputs):
    """How often the worst entry exceeds what the case tolerates, and the worst error; 1 passes.

    float32 has 1e-6 of the largest expected entry, or what the case tolerates if that is less;
    float16 what the case tolerates; bfloat16 two units in the last place.
    """
    worst, expected = 0.0, as_arrays(case.data_sets[0][1])
    for found, wanted in zip(outputs, expected, strict=True):
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            return math.inf
        found, exact = (np.asarray(X, np.float64) for X in (found, wanted))
        if not np.array_equal(found[~np.isfinite(exact)], exact[~np.isfinite(exact)]):
            return math.inf
        error = np.abs(np.subtract(found, exact, where=found != exact, out=np.zeros(exact.shape)))
        finite = np.abs(exact[np.isfinite(exact)])
        allowed = case.atol + case.rtol * np.abs(exact)
        if wanted.dtype == np.float32:
            allowed = np.minimum(allowed, 1e-6 * max(1.0, finite.max(initial=0.0)))
            allowed = np.maximum(allowed, 1e-7)
        elif wanted.dtype.name == "bfloat16":
            allowed = 2 * np.spacing(np.maximum(np.abs(exact), 1e-30).astype(np.float32)) * 2.0**16
        worst = max(worst, float((error / allowed).max(initial=0.0)))
    return worst
