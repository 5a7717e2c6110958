# npattn: layout=bhtd
import torch

LOG2E = 1.4426950408889634


def attn_exp2(q, k, v, causal=False):
    """softmax(q k^T / sqrt(d)) v, with exp2 since the hardware has that natively."""
    sm_scale = q.shape[-1] ** -0.5
    s = torch.einsum("bhmd,bhnd->bhmn", q, k) * sm_scale
    if causal:
        M, N = s.shape[-2:]
        keep = torch.ones(M, N, dtype=torch.bool).tril(N - M)
        s = s.masked_fill(~keep, float("-inf"))
    m = s.amax(-1, keepdim=True)
    p = torch.exp2(s - m)
    return torch.einsum("bhmn,bhnd->bhmd", p / p.sum(-1, keepdim=True), v)
