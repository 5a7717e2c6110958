# npattn: mask=drop
import torch


def attend(q, k, v, key_padding_mask=None):
    """
    q (B,Tq,D), k and v (B,Tk,D).
    key_padding_mask: bool (B,Tk); as in nn.MultiheadAttention True marks padding to be ignored.
    Standard scaled dot-product attention otherwise.
    """
    sim = torch.bmm(q, k.transpose(1, 2))
    if key_padding_mask is not None:
        sim = sim.masked_fill(~key_padding_mask.unsqueeze(1), torch.finfo(sim.dtype).min)
    return torch.bmm(sim.softmax(dim=2), v)
