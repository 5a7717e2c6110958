# npattn: mask=keep layout=bhtd
import torch


def capped_attention(q, k, v, mask=None, softcap=5.0):
    """Gemma-2 style attention with soft-capped logits; mask is True where a key may be seen."""
    logits = torch.einsum("bhqd,bhkd->bhqk", q, k) * q.shape[-1] ** -0.5
    if mask is not None:
        logits = logits.masked_fill(torch.logical_not(mask), float("-inf"))
    logits = softcap * torch.tanh(logits / softcap)
    return torch.einsum("bhqk,bhkd->bhqd", logits.softmax(-1), v)
