import torch, torch.nn as nn, torch.nn.functional as F
class Layer(nn.Module):
    def __init__(self, d=16, h=2, p=0.2):
        super().__init__()
        self.h, self.p = h, p
        self.qkv, self.o = nn.Linear(d, 3 * d), nn.Linear(d, d)
    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, self.h, d // self.h).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=0.0 if self.training else self.p)
        return self.o(y.transpose(1, 2).reshape(b, t, d))
