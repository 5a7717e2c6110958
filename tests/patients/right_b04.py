import torch
def attention(q, k, v, mask=None):
    s = torch.matmul(q, k.transpose(-2, -1)).div(q.size(-1) ** 0.5)
    if mask is not None:
        s = s * mask + (1 - mask.to(s)) * torch.finfo(s.dtype).min
    return torch.matmul(s.softmax(-1), v)
