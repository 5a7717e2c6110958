import torch
def attention(q, k, v, mask=None):
    s = q @ k.transpose(-2, -1) / q.size(-1) ** 0.5
    if mask is not None:
        s = s.masked_fill(mask == 0, float("-inf"))
    p = torch.nan_to_num(s.softmax(-1), nan=0.0)
    return p @ v
