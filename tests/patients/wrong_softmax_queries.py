import torch


def attn(q, k, v):
    scores = torch.bmm(q, k.transpose(1, 2)) / k.shape[-1] ** 0.5
    return torch.bmm(torch.softmax(scores, dim=1), v)
