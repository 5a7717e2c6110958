# npattn: layout=bthd causal=no
import torch

def attn(q, k, v, *, causal: bool = False, bias=None):
    """q (n l a e), k (n s a e), v (n s a f) -> (n l a f); bias (n|1, a|1, l, s) is added to the scores"""
    z = torch.einsum("nlae,nsae->nals", q, k).div(q.size(3) ** 0.5)
    if bias is not None:
        z = z + bias
    if causal:
        l, s = z.shape[-2:]
        z = z.masked_fill(~torch.ones(l, s, dtype=torch.bool).tril(s - l), float("-inf"))
    z = (z - z.logsumexp(3, keepdim=True)).exp()
    return torch.einsum("nals,nsaf->nlaf", z, v)
