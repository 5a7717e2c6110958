# npattn: layout=td corner=upper
import math
import numpy as np


def attention(Q, K, V, causal=False):
    """Plain loops, to be read rather than run."""
    out = np.zeros((len(Q), V.shape[1]))
    for i in range(len(Q)):
        last = min(i + 1, len(K)) if causal else len(K)
        s = [sum(a * b for a, b in zip(Q[i], K[j])) / math.sqrt(len(K[j])) for j in range(last)]
        top = max(s)
        e = [math.exp(x - top) for x in s]
        for j in range(last):
            out[i] += e[j] / sum(e) * V[j]
    return out
