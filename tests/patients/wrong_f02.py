import torch
import torch.nn.functional as F


def masked_attention(q, k, v, key_padding_mask=None, causal=False):
    # q, k, v: [batch, heads, time, dim]
    # key_padding_mask: [batch, time] with True at the <pad> tokens
    logits = torch.einsum("bhid,bhjd->bhij", q, k) * q.size(-1) ** -0.5
    if key_padding_mask is not None:
        logits = logits.masked_fill(key_padding_mask[:, None, None, :], float("-inf"))
    elif causal:
        i, j = logits.shape[-2:]
        future = torch.ones(i, j, dtype=torch.bool, device=q.device).triu(j - i + 1)
        logits = logits.masked_fill(future, float("-inf"))
    return torch.einsum("bhij,bhjd->bhid", F.softmax(logits, dim=-1), v)
