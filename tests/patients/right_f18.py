import numpy as np


def chunked_attention(q, k, v, mask=None, chunk=128):
    """Lazy softmax in two passes over chunks of keys: first the row maximum, then numerator and
    denominator. Normalisation happens once at the end. mask: bool, True = use the key."""
    scale = q.shape[-1] ** -0.5
    spans = [slice(a, min(a + chunk, k.shape[-2])) for a in range(0, k.shape[-2], chunk)]
    if mask is not None:
        mask = np.broadcast_to(mask, np.broadcast_shapes(mask.shape, q.shape[:-1] + (k.shape[-2],)))

    def score(sp):
        s = np.einsum('...qd,...kd->...qk', q, k[..., sp, :]) * scale
        return s if mask is None else np.where(mask[..., sp], s, -np.inf)

    peak = np.max([score(sp).max(-1) for sp in spans], axis=0)[..., None]
    num, den = 0.0, 0.0
    for sp in reversed(spans):
        e = np.exp(score(sp) - peak)
        num = num + e @ v[..., sp, :]
        den = den + e.sum(-1, keepdims=True)
    return num / den
