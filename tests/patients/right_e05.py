# npattn: layout=bhtd corner=lower
import numpy as np


def flash_attention(q, k, v, causal=False, block_q=2, block_k=3):
    """Tiles over queries and keys; a tile that lies wholly in the future is skipped."""
    tq, tk = q.shape[-2], k.shape[-2]
    shift = tk - tq
    out = np.zeros(q.shape[:-1] + v.shape[-1:], dtype=np.result_type(q, v))
    for i0 in range(0, tq, block_q):
        i1 = min(i0 + block_q, tq)
        qi = q[..., i0:i1, :] / np.sqrt(q.shape[-1])
        acc = np.zeros(qi.shape[:-1] + v.shape[-1:])
        big = np.full(qi.shape[:-1], -1e300)
        z = np.zeros(qi.shape[:-1])
        for j0 in range(0, tk, block_k):
            j1 = min(j0 + block_k, tk)
            if causal and j0 > i1 - 1 + shift:
                break
            s = qi @ k[..., j0:j1, :].swapaxes(-1, -2)
            if causal:
                s = np.where(np.arange(j0, j1) <= np.arange(i0, i1)[:, None] + shift, s, -1e300)
            new = np.maximum(big, s.max(-1))
            p = np.exp(s - new[..., None])
            p[s == -1e300] = 0.0
            keep = np.exp(big - new)
            z = z * keep + p.sum(-1)
            acc = acc * keep[..., None] + p @ v[..., j0:j1, :]
            big = new
        out[..., i0:i1, :] = np.divide(acc, z[..., None], out=np.zeros_like(acc), where=z[..., None] > 0)
    return out
