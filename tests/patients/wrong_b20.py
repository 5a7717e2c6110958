import torch, torch.nn as nn
class MHA(nn.Module):
    def __init__(self, d=16, heads=4):
        super().__init__()
        self.heads = heads
        self.W_q, self.W_k, self.W_v, self.W_o = (nn.Linear(d, d) for _ in range(4))
        for m in (self.W_q, self.W_k, self.W_v, self.W_o):
            nn.init.zeros_(m.bias)
    def forward(self, x):
        b, t, d = x.shape
        f = lambda m: torch.matmul(x, m.weight.T).view(b, t, self.heads, -1).transpose(1, 2)
        s = f(self.W_q) @ f(self.W_k).mT / (d // self.heads) ** 0.5
        return self.W_o((s.softmax(-1) @ f(self.W_v)).transpose(1, 2).reshape(b, t, d))
