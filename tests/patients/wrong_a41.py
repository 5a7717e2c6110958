import torch
def attention(q, k, v, mask=None):
    s = q @ k.transpose(-2, -1) / q.size(-1) ** 0.5
    if mask is not None:
        s = s.masked_fill(mask == 0, float("-inf"))
    with torch.no_grad():
        p = s.softmax(dim=-1)
    return p @ v, p
