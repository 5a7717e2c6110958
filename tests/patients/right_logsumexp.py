# npattn: mask=keep
import numpy as np
from scipy.special import logsumexp


def attend(q, k, v, mask=None):
    s = np.einsum("...qd,...kd->...qk", q, k) * q.shape[-1] ** -0.5
    if mask is not None:
        s = np.where(mask, s, np.finfo(s.dtype).min)
    w = np.exp(s - logsumexp(s, axis=-1, keepdims=True))
    return dict(output=np.einsum("...qk,...kd->...qd", w, v), weights=w)
