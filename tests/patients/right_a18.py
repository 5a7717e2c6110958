import numpy as np
def attention(Q, K, V):
    """Q (m, d), K (n, d), V (n, e)"""
    assert Q.ndim == 2
    scores = Q.dot(K.T) / np.sqrt(K.shape[1])
    z = scores - np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1, keepdims=True)) - scores.max(1, keepdims=True)
    weights = np.exp(z)
    return weights.dot(V), weights, scores
