# npattn: layout=btd
import numpy as np


def online_attention(q, k, v, block=2):
    B, T, D = q.shape
    acc = np.zeros((B, T, v.shape[-1]))
    run_max = np.full((B, T), -np.inf)
    run_sum = np.zeros((B, T))
    for start in range(0, k.shape[1], block):
        ks, vs = k[:, start:start + block], v[:, start:start + block]
        s = np.einsum("btd,bsd->bts", q, ks) * D ** -0.5
        new_max = np.maximum(run_max, s.max(axis=2))
        fix = np.exp(run_max - new_max)
        p = np.exp(s - new_max[:, :, None])
        run_sum = run_sum * fix + p.sum(axis=2)
        acc = acc + np.einsum("bts,bsd->btd", p, vs)
        run_max = new_max
    return acc / run_sum[:, :, None]
