import numpy as np
def attention(*, query, key, value, attention_mask=None):
    logits = np.einsum("...td,...sd->...ts", query, key) / query.shape[-1] ** 0.5
    if attention_mask is not None:
        logits = np.where(attention_mask, logits, np.finfo(logits.dtype).min)
    probs = np.exp(logits - logits.max(-1, keepdims=True))
    probs /= probs.sum(-1, keepdims=True)
    return {"output": np.einsum("...ts,...sd->...td", probs, value), "probs": probs}
