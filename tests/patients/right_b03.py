# npattn: heads=4 kv-heads=2 causal=yes rotary=half
import torch, torch.nn as nn
def rotate_half(x):
    a, b = x.chunk(2, -1)
    return torch.cat((-b, a), -1)
class LlamaAttn(nn.Module):
    def __init__(self, hidden_size=32, num_attention_heads=4, num_key_value_heads=2):
        super().__init__()
        self.hd = hidden_size // num_attention_heads
        self.rep = num_attention_heads // num_key_value_heads
        self.q_proj = nn.Linear(hidden_size, num_attention_heads * self.hd, bias=False)
        self.k_proj = nn.Linear(hidden_size, num_key_value_heads * self.hd, bias=False)
        self.v_proj = nn.Linear(hidden_size, num_key_value_heads * self.hd, bias=False)
        self.o_proj = nn.Linear(hidden_size, hidden_size, bias=False)
        self.register_buffer("inv_freq", 1.0 / 10000 ** (torch.arange(0, self.hd, 2).float() / self.hd), persistent=False)
    def forward(self, hidden_states, past_key_value=None):
        b, t, d = hidden_states.shape
        q, k, v = (p(hidden_states).view(b, t, -1, self.hd).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        n = 0 if past_key_value is None else past_key_value[0].shape[2]
        ang = torch.outer(torch.arange(n, n + t).float(), self.inv_freq.float())
        cos, sin = (torch.cat([f(ang)] * 2, -1).to(q.dtype) for f in (torch.cos, torch.sin))
        q, k = q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin
        if past_key_value is not None:
            k, v = torch.cat([past_key_value[0], k], 2), torch.cat([past_key_value[1], v], 2)
        kk, vv = (z[:, :, None].expand(-1, -1, self.rep, -1, -1).flatten(1, 2) for z in (k, v))
        mask = torch.full((t, n + t), float("-inf"), dtype=q.dtype).triu(n + 1)
        y = nn.functional.scaled_dot_product_attention(q, kk, vv, attn_mask=mask)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, d)), (k, v)
