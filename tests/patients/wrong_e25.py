# npattn: layout=btd causal=yes
import numpy as np


def masked_self_attention(q, k, v):
    n, d = q.shape[-2:]
    logits = q @ k.transpose(0, 2, 1) / d ** 0.5
    look_ahead = np.triu(np.ones((n, n)))        # 1 = hide
    logits = logits + look_ahead * -1e9
    logits -= logits.max(axis=-1, keepdims=True)
    p = np.exp(logits)
    return (p / p.sum(axis=-1, keepdims=True)) @ v
