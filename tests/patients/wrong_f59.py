import torch
import torch.nn.functional as F


def attend(queries, keys, values, valid_lens=None):
    scores = torch.bmm(queries, keys.transpose(1, 2)) / queries.shape[-1] ** 0.5
    if valid_lens is not None:
        pos = torch.arange(scores.shape[-1], device=scores.device)
        if valid_lens.dim() == 1:
            hidden = pos[None, None, :] > valid_lens[:, None, None]
        else:
            hidden = pos[None, None, :] >= valid_lens[:, :, None]
        scores = scores.masked_fill(hidden, -1e6)
    return torch.bmm(F.softmax(scores, dim=-1), values)
