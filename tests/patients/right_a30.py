import torch, torch.nn as nn
class EagerAttention(nn.Module):
    def __init__(self, hidden_size=16, num_attention_heads=4, attention_dropout=0.1):
        super().__init__()
        self.nh, self.hd = num_attention_heads, hidden_size // num_attention_heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(hidden_size, hidden_size) for _ in range(4))
        self.attention_dropout = attention_dropout
    def forward(self, hidden_states, attention_mask=None, output_attentions=False):
        shape = (*hidden_states.shape[:-1], -1, self.hd)
        q, k, v = (p(hidden_states).view(shape).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        w = torch.matmul(q, k.transpose(2, 3)) * self.hd ** -0.5
        if attention_mask is not None:
            w = w + attention_mask
        w = nn.functional.softmax(w, dim=-1, dtype=torch.float64).to(q.dtype)
        w = nn.functional.dropout(w, p=self.attention_dropout, training=self.training)
        o = torch.matmul(w, v).transpose(1, 2).reshape(*hidden_states.shape)
        return self.o_proj(o), (w if output_attentions else None)
