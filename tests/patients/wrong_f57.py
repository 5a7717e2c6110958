import torch


def attention(q, k, v, mask=None):
    s = torch.einsum("bhid,bhjd->bhij", q.float(), k.float()) * q.shape[-1] ** -0.5
    if mask is not None:
        s = s.masked_fill(~mask, torch.finfo(s.dtype).min)
    return torch.einsum("bhij,bhjd->bhid", s.softmax(-1).to(v.dtype), v)
