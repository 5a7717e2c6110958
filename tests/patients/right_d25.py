import numpy as np
from math import sqrt


def attend(q, k, v, bias=None, temperature=None):
    """temperature: what scores are divided by, sqrt(d) when not given. bias: added to the scores
    after that (0 = visible, -inf = hidden)."""
    t = sqrt(q.shape[-1]) if temperature is None else temperature
    logit = q @ k.swapaxes(-2, -1) / t
    if bias is not None:
        logit = logit + bias
    logit = logit - np.logaddexp.reduce(logit, axis=-1, keepdims=True)
    return np.exp(logit) @ v
