import torch


def attend(x_q, x_k, x_v, *, additive_mask=None, scale=None):
    """(…, T, d) tensors; the float mask is added to the scaled scores"""
    dt = x_q.dtype
    scale = x_q.shape[-1] ** -0.5 if scale is None else scale
    logits = x_q.float() @ x_k.float().transpose(-2, -1) * scale if dt in (torch.float16, torch.bfloat16) else x_q @ x_k.transpose(-2, -1) * scale
    if additive_mask is not None:
        logits = logits + additive_mask.to(logits.dtype)
    probs = torch.softmax(logits, dim=-1).to(dt)
    return probs @ x_v
