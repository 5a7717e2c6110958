# npattn: layout=bhtd causal=yes
import math
import torch
import torch.nn.functional as F


def make_causal_bias(n):
    return torch.triu(torch.ones(n, n), diagonal=1) * float('-inf')


def decoder_attention(q, k, v):
    n = q.size(2)
    scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(q.size(-1))
    scores = scores + make_causal_bias(n).to(scores)
    return torch.matmul(F.softmax(scores, dim=-1), v)
