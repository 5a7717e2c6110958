import torch
import torch.nn as nn
import torch.nn.functional as F


class DecoderCrossAttention(nn.Module):
    """Encoder output does not change while decoding, so its projections are computed once."""

    def __init__(self, d_model=16, n_heads=2):
        super().__init__()
        self.n_heads = n_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)
        self._kv = None

    def _shape(self, t):
        return t.view(t.size(0), t.size(1), self.n_heads, -1).transpose(1, 2)

    def forward(self, x, encoder_states):
        if self._kv is None:
            self._kv = (self._shape(self.k_proj(encoder_states)), self._shape(self.v_proj(encoder_states)))
        k, v = self._kv
        y = F.scaled_dot_product_attention(self._shape(self.q_proj(x)), k, v)
        return self.out_proj(y.transpose(1, 2).flatten(2))
