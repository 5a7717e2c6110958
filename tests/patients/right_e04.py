# npattn: mask=lens layout=btd
import numpy as np


def attention(queries, keys, values, valid_lens=None):
    s = np.einsum("bqd,bkd->bqk", queries, keys) * queries.shape[2] ** -0.5
    if valid_lens is not None:
        beyond = np.arange(keys.shape[1]) >= np.asarray(valid_lens)[:, None]
        s[np.broadcast_to(beyond[:, None, :], s.shape)] = -np.inf
    log_z = np.logaddexp.reduce(s, axis=-1)
    return np.einsum("bqk,bkv->bqv", np.exp(s - log_z[:, :, None]), values)
