import torch
import torch.nn as nn


class GPTAttention(nn.Module):
    """GPT-2 style causal attention, `layer_past` as in old HuggingFace code: chunks of any
    length may be fed one after the other. Returns (output, present)."""

    def __init__(self, n_embd: int = 32, n_head: int = 4):
        super().__init__()
        self.n_head = n_head
        self.c_attn = nn.Linear(n_embd, 3 * n_embd)
        self.c_proj = nn.Linear(n_embd, n_embd)

    def split(self, x):
        return x.view(*x.shape[:2], self.n_head, -1).permute(0, 2, 1, 3)

    def forward(self, x, layer_past=None):
        q, k, v = self.c_attn(x).chunk(3, dim=2)
        q, k, v = self.split(q), self.split(k), self.split(v)
        if layer_past is not None:
            k = torch.cat((layer_past[0], k), dim=-2)
            v = torch.cat((layer_past[1], v), dim=-2)
        w = q @ k.transpose(-1, -2) / (v.size(-1) ** 0.5)
        if layer_past is None:
            n = w.size(-1)
            w = w.masked_fill(torch.ones(n, n).triu(1).bool(), torch.finfo(w.dtype).min)
        a = w.softmax(dim=-1) @ v
        a = a.permute(0, 2, 1, 3).flatten(2)
        return self.c_proj(a), (k, v)
