# npattn: heads=2
import torch, torch.nn as nn
class T5Attention(nn.Module):
    def __init__(self, d_model=16, num_heads=2):
        super().__init__()
        self.n, self.d_kv = num_heads, d_model // num_heads
        self.q, self.k, self.v, self.o = (nn.Linear(d_model, d_model, bias=False) for _ in range(4))
        nn.init.normal_(self.q.weight, std=(d_model * self.d_kv) ** -0.5)
        nn.init.normal_(self.k.weight, std=d_model ** -0.5)
    def forward(self, hidden_states, mask=None):
        b, t, d = hidden_states.shape
        q, k, v = (f(hidden_states).view(b, t, self.n, self.d_kv).transpose(1, 2) for f in (self.q, self.k, self.v))
        scores = q @ k.transpose(3, 2)
        if mask is not None:
            scores = scores + (1.0 - mask[:, None, None, :].to(scores.dtype)) * torch.finfo(scores.dtype).min
        return self.o((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))
