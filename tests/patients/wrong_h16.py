# npattn: layout=btd mask=keep
import numpy as np


def attention_with_weights(query, key, value, mask=None):
    """Returns (output, attention_weights)."""
    attention_weights = query @ key.swapaxes(-2, -1) / np.sqrt(query.shape[-1])
    if mask is not None:
        attention_weights = np.where(mask, attention_weights, -np.inf)
    shifted = attention_weights - attention_weights.max(-1, keepdims=True)
    probs = np.exp(shifted) / np.exp(shifted).sum(-1, keepdims=True)
    output = probs @ value
    return output, attention_weights
