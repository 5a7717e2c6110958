"""A soft cap on scores: none leaves −c … c, and small ones stay nearly as they are.

    Y = c tanh(S / c)                 (...)
    dS = dY (1 − (Y / c)²)            since tanh′ = 1 − tanh²

It keeps softmax from saturating where training makes scores grow. It goes between the scores and
`attend`, before the mask: a capped −inf would be −c and no mask any more.

    S, scored = dot_scores(Q, K)           dS, dV = attend_backward(dO, attended)
    Y, capped = soft_cap(S, 50.0)          dS = soft_cap_backward(dS, capped)
    O, attended = attend(Y, V, mask)       dQ, dK = dot_scores_backward(dS, scored)

Source: Bello et al. 2016, "Neural Combinatorial Optimization", appendix A.1; Gemma Team 2024,
"Gemma 2", section 2, with c = 50 for the scores of attention and 30 for the logits of words.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.floats import quiet
from npattn.kernels.options import require_cap
from npattn.kernels.shapes import require_shapes
from npattn.kernels.sums import zeros_win


class SoftCapCache(NamedTuple):
    """What soft_cap_backward reads."""

    T: np.ndarray  # (...) tanh(S / cap)


@quiet
def soft_cap(S, cap) -> tuple[np.ndarray, SoftCapCache]:
    """Scores squeezed smoothly into −cap … cap.

    S    (...)  scores, natural-log units
    cap  > 0, in the same units

    Returns Y, shaped like S, and the cache.
    Raises ValueError for a cap that is not positive, TypeError for other than float arrays.

    >>> soft_cap(np.array([1.0, 100.0]), 50.0)[0].round(4).tolist()
    [0.9999, 48.2014]
    """
    require_floats(S=S)
    cap = require_cap(cap)
    T = np.tanh(S / cap)
    return T * cap, SoftCapCache(T)


@quiet
def soft_cap_backward(dY, cache: SoftCapCache) -> np.ndarray:
    """dS from dY: the slope falls from 1 at 0 to 0 at the cap."""
    require_shapes("dY =..., S ...", dY, cache.T)
    return zeros_win(dY, 1.0 - cache.T * cache.T)  # 0 where a mask hides a NaN
