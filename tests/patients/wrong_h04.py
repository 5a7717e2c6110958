import torch
def attention(q, k, v, valid_lens):
    """q, k, v: (B, T, D); valid_lens: (B,)"""
    s = torch.bmm(q, k.transpose(1, 2)) / q.shape[-1] ** 0.5
    n = int(valid_lens.max())
    s[:, :, n:] = -1e6
    return torch.bmm(s.softmax(-1), v)
