# npattn: mask=keep layout=bhtd
import numpy as np


def attention(q, k, v, mask=None):
    """Returns a dict: the output, the weights, the entropy of each row and the log of its partition."""
    scores = np.einsum("...qd,...kd->...qk", q, k) / np.sqrt(q.shape[-1])
    if mask is not None:
        scores = np.where(mask == 0, -1e30, scores)
    peak = scores.max(-1, keepdims=True)
    z = np.exp(scores - peak).sum(-1, keepdims=True)
    weights = np.exp(scores - peak) / z
    entropy = -np.sum(weights * np.log(np.clip(weights, 1e-300, None)), -1)
    return {"output": weights @ v, "weights": weights, "entropy": entropy, "lse": (peak + np.log(z))[..., 0]}
