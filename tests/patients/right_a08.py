# npattn: causal=yes heads=2
import math, torch, torch.nn as nn
class Conv1D(nn.Module):
    def __init__(self, nf, nx):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(nx, nf) * 0.2)
        self.bias = nn.Parameter(torch.zeros(nf))
    def forward(self, x):
        return x @ self.weight + self.bias
class GPT2Block(nn.Module):
    def __init__(self, nx=16, n_head=2):
        super().__init__()
        self.n_head = n_head
        self.ln_1, self.ln_2 = nn.LayerNorm(nx), nn.LayerNorm(nx)
        self.c_attn, self.c_proj = Conv1D(3 * nx, nx), Conv1D(nx, nx)
        self.fc, self.proj = Conv1D(4 * nx, nx), Conv1D(nx, 4 * nx)
        self.register_buffer("bias", torch.tril(torch.ones(64, 64)).view(1, 1, 64, 64))
    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (z.view(B, T, self.n_head, -1).transpose(1, 2) for z in self.c_attn(self.ln_1(x)).split(C, 2))
        w = q @ k.transpose(-1, -2) / math.sqrt(v.size(-1))
        b = self.bias[:, :, :T, :T]
        w = w * b - 1e10 * (1 - b)
        x = x + self.c_proj((w.softmax(-1) @ v).transpose(1, 2).reshape(B, T, C))
        h = self.fc(self.ln_2(x))
        h = 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h ** 3)))
        return x + self.proj(h)
