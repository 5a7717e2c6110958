# npattn: mask=lens
import numpy as np
def scaled_dot(queries, keys, values, valid_lens=None):
    b, n, d = queries.shape
    m = keys.shape[1]
    lens = np.full((b, n), m) if valid_lens is None else np.broadcast_to(np.asarray(valid_lens).reshape(b, -1), (b, n))
    s = queries @ keys.transpose(0, 2, 1) / d ** 0.5
    s = np.where(np.arange(m) < lens[..., None], s, -1e6)
    w = np.exp(s - s.max(-1, keepdims=True)); w /= w.sum(-1, keepdims=True)
    return w @ values, w
