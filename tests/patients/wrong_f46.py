import torch


def gemma_attention(q, k, v, mask=None, *, softcap: float = 5.0):
    """Logit soft-capping: cap * tanh(logits / cap).

    mask is boolean (True = visible) and broadcasts to (B, H, Tq, Tk).
    """
    logits = torch.einsum("bhqd,bhkd->bhqk", q, k) * q.shape[-1] ** -0.5
    if mask is not None:
        logits = torch.where(mask, logits, -torch.inf)
    logits = softcap * torch.tanh(logits / softcap)
    return torch.einsum("bhqk,bhkd->bhqd", logits.softmax(-1), v)
