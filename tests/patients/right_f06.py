import torch
from torch import Tensor
from typing import Optional, Tuple


def attention_with_lse(q: Tensor, k: Tensor, v: Tensor, attn_mask: Optional[Tensor] = None) -> Tuple[Tensor, Tensor]:
    """Returns the output and the log-sum-exp per query (needed to merge shards later).

    attn_mask: boolean, True takes part (as in F.scaled_dot_product_attention)
    """
    s = torch.matmul(q, k.transpose(-2, -1)) / q.shape[-1] ** 0.5
    if attn_mask is not None:
        s = s.masked_fill(attn_mask.logical_not(), float("-inf"))
    lse = torch.logsumexp(s, dim=-1)
    return torch.matmul(torch.exp(s - lse.unsqueeze(-1)), v), lse
