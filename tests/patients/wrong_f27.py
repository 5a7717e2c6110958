import torch
import torch.nn.functional as F


def self_attend(q, k, v, keep=None, is_causal=False):
    # q,k,v: (B, T, D)    keep: (B, T) bool, True = real token
    B, T, D = q.shape
    allowed = torch.zeros(B, T, T, dtype=torch.bool, device=q.device)
    if keep is not None:
        allowed = allowed | keep[:, None, :]
    if is_causal:
        allowed = allowed | torch.ones(T, T, dtype=torch.bool, device=q.device).tril()
    if keep is None and not is_causal:
        allowed = ~allowed
    return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
