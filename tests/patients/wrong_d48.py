import math
import torch
import torch.nn as nn


class T5DecoderSelfAttention(nn.Module):
    """
    T5 style decoder self attention. As in T5 the scores are NOT scaled by
    sqrt(d) (the factor lives in the initialisation of q), and a learned bias per
    bucket of distance (how far back the key lies) is added to the scores.
    Bucket 0: the token itself, larger buckets: further in the past.
    """

    def __init__(self, d_model: int = 32, num_heads: int = 4, num_buckets: int = 16,
                 max_distance: int = 64):
        super().__init__()
        self.h = num_heads
        self.dk = d_model // num_heads
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.q = nn.Linear(d_model, d_model, bias=False)
        self.k = nn.Linear(d_model, d_model, bias=False)
        self.v = nn.Linear(d_model, d_model, bias=False)
        self.o = nn.Linear(d_model, d_model, bias=False)
        nn.init.normal_(self.q.weight, std=(d_model * self.dk) ** -0.5)
        self.relative_attention_bias = nn.Embedding(num_buckets, num_heads)

    def bucket(self, distance):
        distance = distance.clamp(min=0)
        max_exact = self.num_buckets // 2
        is_small = distance < max_exact
        large = max_exact + (
            torch.log(distance.float().clamp(min=1) / max_exact)
            / math.log(self.max_distance / max_exact)
            * (self.num_buckets - max_exact)
        ).long()
        large = large.clamp(max=self.num_buckets - 1)
        return torch.where(is_small, distance, large)

    def forward(self, hidden_states):
        B, T, _ = hidden_states.shape
        shape = lambda z: z.view(B, T, self.h, self.dk).transpose(1, 2)
        q, k, v = shape(self.q(hidden_states)), shape(self.k(hidden_states)), shape(self.v(hidden_states))
        scores = torch.matmul(q, k.transpose(3, 2))

        ctx = torch.arange(T, device=q.device)[:, None]
        mem = torch.arange(T, device=q.device)[None, :]
        buckets = self.bucket(mem - ctx)
        scores = scores + self.relative_attention_bias(buckets).permute(2, 0, 1)[None]

        scores = scores.masked_fill(mem > ctx, float("-inf"))
        w = torch.softmax(scores.float(), dim=-1).type_as(scores)
        out = torch.matmul(w, v).transpose(1, 2).contiguous().view(B, T, -1)
        return self.o(out)
