# npattn: heads=2 layout=btd
import torch
import torch.nn as nn


class OneHead(nn.Module):
    def __init__(self, n_embd, head_size):
        super().__init__()
        self.q = nn.Linear(n_embd, head_size, bias=False)
        self.k = nn.Linear(n_embd, head_size, bias=False)
        self.v = nn.Linear(n_embd, head_size, bias=False)

    def forward(self, x):
        q, k = self.q(x), self.k(x)
        w = torch.softmax(q @ k.transpose(1, 2) * k.shape[-1] ** -0.5, dim=-1)
        return w @ self.v(x)


class MultiHead(nn.Module):
    def __init__(self, n_embd=16, num_heads=2):
        super().__init__()
        self.heads = [OneHead(n_embd, n_embd // num_heads) for _ in range(num_heads)]
        self.proj = nn.Linear(n_embd, n_embd)

    def forward(self, x):
        return self.proj(torch.cat([h(x) for h in self.heads], dim=-1))
