# npattn: layout=bthd
import torch


def attention(q, k, v):
    s = q @ k.transpose(-1, -2) / q.shape[-1] ** .5
    return torch.softmax(s, dim=-1) @ v
