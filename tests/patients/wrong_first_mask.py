# npattn: mask=keep layout=btd
import torch


def attention(q, k, v, mask=None):
    s = torch.matmul(q, k.transpose(-1, -2)) / q.shape[-1] ** 0.5
    if mask is not None:
        s = s.masked_fill(~mask[0], -1e9)
    return torch.matmul(torch.softmax(s, -1), v)
