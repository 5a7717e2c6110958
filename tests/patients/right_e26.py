# npattn: layout=btd
import math
import numpy as np

LOG2E = math.log2(math.e)


def flash(q, k, v, block=4):
    """As GPU kernels do it: exp2 with log2(e) folded into the scale. Returns the output and the natural lse."""
    qs = q * (LOG2E / math.sqrt(q.shape[-1]))
    m = np.full(q.shape[:2], -np.inf)
    num, den = 0.0, 0.0
    for j in range(0, k.shape[1], block):
        s = qs @ k[:, j:j + block].transpose(0, 2, 1)
        m_next = np.maximum(m, s.max(-1))
        shrink = np.exp2(m - m_next)
        p = np.exp2(s - m_next[..., None])
        num = num * shrink[..., None] + p @ v[:, j:j + block]
        den = den * shrink + p.sum(-1)
        m = m_next
    return num / den[..., None], (m + np.log2(den)) / LOG2E
