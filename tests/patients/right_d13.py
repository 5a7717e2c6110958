# npattn: mask=lengths
import numpy as np


def attend_lengths(q, k, v, lengths=None):
    """
    q, k, v: (B, T, D). lengths[b] = how many keys of sample b are real.
    Loops over the samples and truncates the keys instead of masking.
    """
    res = []
    for b in range(len(q)):
        n = k.shape[1] if lengths is None else int(lengths[b])
        kb, vb = k[b, :n], v[b, :n]
        z = q[b].dot(kb.T) / np.sqrt(q.shape[2])
        z = np.exp(z - z.max(1, keepdims=True))
        res.append((z / z.sum(1, keepdims=True)).dot(vb))
    return np.stack(res)
