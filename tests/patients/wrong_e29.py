# npattn: mask=lens layout=btd
import torch


def attention(q, k, v, valid_lens=None):
    """Batched dot-product attention, keys beyond valid_lens[b] are padding."""
    scores = torch.bmm(q, k.transpose(1, 2)) / (q.shape[-1] ** 0.5)
    if valid_lens is not None:
        pos = torch.arange(k.shape[1], device=k.device)
        keep = pos[None, :] <= valid_lens[:, None]
        scores = scores.masked_fill(~keep.unsqueeze(1), -1e6)
    return torch.bmm(torch.nn.functional.softmax(scores, dim=-1), v)
