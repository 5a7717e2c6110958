import torch
from torch import nn


class EncoderBlock(nn.Module):
    def __init__(self, hidden_dim=24, num_heads=3, mlp_dim=40):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(hidden_dim), nn.LayerNorm(hidden_dim)
        self.num_heads = num_heads
        self.q, self.k, self.v, self.proj = (nn.Linear(hidden_dim, hidden_dim) for _ in range(4))
        self.fc1, self.fc2 = nn.Linear(hidden_dim, mlp_dim), nn.Linear(mlp_dim, hidden_dim)

    def attend(self, x):
        B, T, D = x.shape
        q, k, v = (f(x).view(B, T, self.num_heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        w = (q @ k.transpose(-2, -1) * (D // self.num_heads) ** -0.5).softmax(-1)
        return self.proj((w @ v).transpose(1, 2).reshape(B, T, D))

    def forward(self, x, training=False):
        x = x + self.attend(self.ln_1(x))
        if training or self.training:
            return x + self.fc2(torch.relu(self.fc1(x)))
        return x + self.fc2(torch.relu(self.fc1(self.ln_2(x))))
