# npattn: layout=bthd mask=drop
import torch


def attn(x, y, z, mask=None, temperature=1.0):
    """x queries, y keys, z values, all (B, T, H, D). mask (B, Tk): True = ignore this key.
    Scores are additionally divided by `temperature`."""
    e = torch.einsum('zaqw,zbqw->zbaq', x, y) / (x.shape[-1] ** 0.5 * temperature)   # keys first!
    if mask is not None:
        e = e.masked_fill(mask[:, :, None, None], -torch.inf)
    return torch.einsum('zbaq,zbqw->zaqw', e.softmax(1), z)
