"""Attention with a sink: one more score per head, learned, and with no value behind it.

    P = softmax([S, s])     (..., Tq, Tk + 1)   the last column is the sink's share
    O = P[:, :Tk] V         (..., Tq, Dv)       weights that sum to less than 1

A query that finds nothing can spend its attention on the sink instead of on keys that it does not
mean. The sink is a key of score s and value 0, so `attend` computes it as it stands, and with
δ = dO · O its gradient is

    ds = −Σ P_sink δ        summed over queries, and whatever else shares the head's s

The same O comes from `merge_partials((O, L), (0, s))`, with O and L of attention without a sink.
A sink with s = 0 is "softmax off by one", torch's `add_zero_attn`.
Source: Xiao et al. 2023, "Efficient Streaming Language Models with Attention Sinks", section 3.3;
OpenAI 2025, "gpt-oss", section 2.2, for the learned score.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.attention import AttendCache, attend, attend_backward
from npattn.kernels.floats import quiet
from npattn.kernels.sums import unbroadcast
from npattn.kernels.shapes import require_mask, require_shapes


class SinkCache(NamedTuple):
    """What attend_with_sink_backward reads."""

    sink: np.ndarray       # as given
    attended: AttendCache  # of Tk + 1 keys: P[..., -1] is the sink's share

    @property
    def P(self):
        """The weights on the keys, (..., Tq, Tk); a row sums to 1 less the sink's share."""
        return self.attended.P[..., :-1]


def attend_with_sink(
    S, V, sink, mask=None, *, dropout=0.0, rng=None
) -> tuple[np.ndarray, SinkCache]:
    """`attend` where every query may also attend to a sink that has nothing to say.

    S     (..., Tq, Tk)  scores, natural-log units
    V     (..., Tk, Dv)  values
    sink  (H,), or what broadcasts to the leading axes of S: the sink's score in each head
    mask, dropout, rng   as in `attend`; the sink is always allowed

    Returns O (..., Tq, Dv) and the cache. A query that may attend to no key gets 0.
    Raises ValueError if shapes disagree or there is not one sink for each head.

    >>> S, V, sink = np.zeros((1, 1, 2)), np.ones((1, 2, 1)), np.array([np.log(2.0)])
    >>> O, cache = attend_with_sink(S, V, sink)
    >>> O.round(4).tolist(), cache.attended.P.round(4).tolist()
    ([[[0.5]]], [[[0.25, 0.25, 0.5]]])
    """
    require_shapes("S ... Tq Tk, V ... Tk Dv", S, V)
    require_floats(S=S, V=V, sink=sink)
    try:
        column = np.broadcast_to(sink[..., None, None], (*S.shape[:-1], 1))
    except ValueError:
        raise ValueError(f"sink {sink.shape} does not fit S {S.shape}: there must be one for each "
                         "head, (H,) for S (..., H, Tq, Tk)") from None
    if mask is not None:
        mask = require_mask(mask, S.shape, "the scores S")
        mask = np.concatenate([mask, np.ones((*S.shape[:-1], 1), bool)], axis=-1)
    S = np.concatenate([S, column], axis=-1)
    V = np.concatenate([V, np.zeros((*V.shape[:-2], 1, V.shape[-1]), V.dtype)], axis=-2)
    O, attended = attend(S, V, mask, dropout=dropout, rng=rng, out=S)
    return O, SinkCache(sink, attended)


@quiet
def attend_with_sink_backward(dO, cache: SinkCache) -> tuple:
    """dS, dV and dsink from dO (..., Tq, Dv): the last column and row are the sink's."""
    dS, dV = attend_backward(dO, cache.attended)
    dsink = unbroadcast(dS[..., -1].sum(axis=-1), cache.sink)
    return dS[..., :-1], dV[..., :-1, :], dsink
