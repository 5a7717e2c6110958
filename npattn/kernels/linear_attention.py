"""Linear attention, token by token: the past is one matrix per head, however long it is.

With rows q, k, v of Q, K, V at each position, a state S (Dk, Dv), and optional gates α and β:

    D = α ⊙ S            what is kept of the state before; α = exp(log_decay), one per row of S
    u = β (v − k D)      what is new: with β the share of what D does not say for k yet, else u = v
    S = D + kᵀ u         the state after the token
    o = q S · scale      its output

    dq = do Sᵀ · scale       dS += qᵀ do · scale
    du = k dS                dk = u dSᵀ                 dD = dS
    dv = β du                dβ = Σ du ⊙ (v − k D)
    dk −= dv Dᵀ              dD −= kᵀ dv                (these two with β only)
    dlog_decay = Σ dD ⊙ D    dS = α ⊙ dD                for the token before

Without softmax a query needs no list of keys: T tokens cost T Dk Dv instead of T² D. No gate:
linear attention; α: gated; β: delta rule; both: gated delta. Under the delta rule keys have length
1, so that β = 1 replaces what the state says for k. The page `linear_chunks` computes the same in
products of many tokens.
Source: Katharopoulos et al. 2020, "Transformers are RNNs", section 3.3; Yang et al. 2023 (GLA),
eq. 3; Schlag et al. 2021, section 4.2; Yang et al. 2024, "Gated Delta Networks", eq. 10.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.sums import unbroadcast
from npattn.kernels.floats import half_in, half_out
from npattn.kernels.linear_state import linear_gradients, require_linear, require_upstream, turn


class LinearAttentionCache(NamedTuple):
    """What linear_attention_backward reads."""

    args: tuple   # Q, K, V, gates, state as given
    states: list  # T of (..., Dk, Dv): S before each token
    scale: float
    half: np.dtype | None = None  # float16 or bfloat16 where the arguments came as such


@half_in
def linear_attention(Q, K, V, gates, state, *, scale=None) -> tuple[tuple, LinearAttentionCache]:
    """Each query reads a state to which the keys so far have added their values.

    Q, K   (..., T, Dk)   grouped heads: (..., G, r, T, Dk) queries and (..., G, 1, T, Dk) keys
    V      (..., T, Dv)
    gates  Gates, with leading axes that broadcast to those of K
    state  (..., Dk, Dv)  before the first token, leading axes as K; `empty_state(K, V)` for none
    scale  factor on the outputs; None means 1/√Dk

    Returns (O (..., T, Dv), the state after the last token), and the cache. float16 is computed in
    float32 and returned as it came.
    Raises ValueError if shapes disagree, TypeError for other than float arrays.

    >>> from npattn.kernels.linear_state import Gates, empty_state
    >>> K, V = np.ones((3, 1)), np.array([[1.0], [2.0], [4.0]])
    >>> halved, replaced = Gates(np.log(0.5 * K)), Gates(beta=K)
    >>> [linear_attention(K, K, V, g, empty_state(K, V))[0][0].ravel().round(9).tolist()
    ...  for g in (Gates(), halved, replaced)]
    [[1.0, 3.0, 7.0], [1.0, 2.5, 5.25], [1.0, 2.0, 4.0]]
    """
    scale = require_linear(Q, K, V, gates, state, scale)
    S, states, O = state, [], []
    for t in range(Q.shape[-2]):
        q, k, v, a, b = _token(t, Q, K, V, *gates)
        D = a * S
        u = v if b is None else b * (v - k @ D)
        states.append(S)
        S = D + turn(k) @ u
        O.append(q @ S * scale)
    return (np.concatenate(O, axis=-2), S), LinearAttentionCache(
        (Q, K, V, gates, state), states, scale
    )


@half_out
def linear_attention_backward(dY, cache: LinearAttentionCache) -> tuple:
    """dQ, dK, dV, dgates and dstate from dY = (dO, dstate after the last token)."""
    (Q, K, V, gates, _), states, scale, _ = cache
    require_upstream(dY, cache.args)
    (dO, dS), rows = dY, []
    for t in reversed(range(Q.shape[-2])):
        q, k, v, a, b = _token(t, Q, K, V, *gates)
        D = a * states[t]
        e = v if b is None else v - k @ D
        u = e if b is None else b * e
        do = dO[..., t:t + 1, :] * scale
        # o = q S · scale
        dq = do @ turn(D + turn(k) @ u)
        dD = dS = dS + unbroadcast(turn(q) @ do, dS.shape)
        # S = D + kᵀ u
        du, dk = k @ dS, u @ turn(dS)
        dv = du if b is None else b * du
        if b is not None:
            # u = β (v − k D)
            dk, dD = dk - dv @ turn(D), dD - turn(k) @ dv
        # D = α ⊙ S
        rows.append((dq, dk, dv, turn((dD * D).sum(-1, keepdims=True)), du * e))
        dS = a * dD
    return linear_gradients(cache.args, *(np.concatenate(X[::-1], -2) for X in zip(*rows)), dS)


def _token(t, Q, K, V, log_decay, beta):
    """Rows q, k, v, β of token t, and α as a column."""
    q, k, v, g, b = (X if X is None else X[..., t:t + 1, :] for X in (Q, K, V, log_decay, beta))
    return q, k, v, 1.0 if g is None else np.exp(turn(g)), b
