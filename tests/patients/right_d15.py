import torch


def attention_with_lse(q, k, v, attn_bias=None):
    """Returns (out, lse), lse = logsumexp of each row of scores. attn_bias is added to scores."""
    s = torch.einsum('...id,...jd->...ij', q, k) / q.shape[-1] ** 0.5
    if attn_bias is not None:
        s = s + attn_bias
    lse = torch.logsumexp(s, dim=-1)
    return torch.einsum('...ij,...jd->...id', torch.exp(s - lse.unsqueeze(-1)), v), lse
