import math


def attention(q, k, v):
    import numpy as np
    out = np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        scores = [sum(a * b for a, b in zip(q[i], k[j])) / math.sqrt(len(q[i])) for j in range(len(k))]
        top = max(scores)
        e = [math.exp(s - top) for s in scores]
        for j in range(len(k)):
            out[i] += e[j] / sum(e) * v[j]
    return out
