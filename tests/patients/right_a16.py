# npattn: mask=drop
import torch.nn.functional as F
def attend(q, k, v, blocked=None):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=None if blocked is None else ~blocked)
