# npattn: layout=btd
import numpy as np


def masked_attention(queries, keys, values, valid_lens=None):
    s = queries @ keys.transpose(0, 2, 1) / np.sqrt(queries.shape[-1])
    if valid_lens is not None:
        lens = np.asarray(valid_lens)
        lens = lens[:, None, None] if lens.ndim == 1 else lens[:, :, None]
        s = np.where(np.arange(s.shape[-1]) < lens, s, -1e6)
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ values
