"""Well-known attention code in short forms of our own, each with its verdict.

    npattn doctor --gallery

The forms keep what is special about the original: its names, its masks, its layout, its mistake.
"""

import importlib.util
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WIDTH = 100
NUMPY = """import numpy as np


def softmax(S):
    E = np.exp(S - S.max(-1, keepdims=True))
    return E / E.sum(-1, keepdims=True)


"""
TORCH = """import math

import torch
from torch import nn
from torch.nn import functional as F


"""
SNIPPETS = {  # name: (what is asked for in the file, the file)
    "d2l, dot product": ("dot_product_attention", NUMPY + """
def dot_product_attention(queries, keys, values, valid_lens=None):
    S = queries @ keys.swapaxes(1, 2) / np.sqrt(queries.shape[-1])
    if valid_lens is not None:
        lens = valid_lens[:, None] if valid_lens.ndim == 1 else valid_lens
        S = np.where(np.arange(S.shape[-1]) < lens[..., None], S, -1e6)
    return softmax(S) @ values
"""),
    "d2l, multi-head": ("MultiHeadAttention", TORCH + """
class MultiHeadAttention(nn.Module):
    def __init__(self, num_hiddens, num_heads, dropout=0.0, bias=False):
        super().__init__()
        self.num_heads = num_heads
        self.W_q, self.W_k, self.W_v, self.W_o = (
            nn.Linear(num_hiddens, num_hiddens, bias=bias) for _ in range(4))

    def transpose_qkv(self, X):
        X = X.reshape(X.shape[0], X.shape[1], self.num_heads, -1).permute(0, 2, 1, 3)
        return X.reshape(-1, X.shape[2], X.shape[3])

    def forward(self, queries, keys, values, valid_lens=None):
        q, k, v = (self.transpose_qkv(X) for X in (
            self.W_q(queries), self.W_k(keys), self.W_v(values)))
        S = torch.bmm(q, k.transpose(1, 2)) / math.sqrt(q.shape[-1])
        if valid_lens is not None:
            lens = torch.repeat_interleave(valid_lens, self.num_heads, 0)
            lens = lens[:, None] if lens.dim() == 1 else lens
            S = S.masked_fill(torch.arange(S.shape[-1]) >= lens[..., None], -1e6)
        O = torch.bmm(torch.softmax(S, -1), v)
        O = O.reshape(-1, self.num_heads, O.shape[1], O.shape[2]).permute(0, 2, 1, 3)
        return self.W_o(O.reshape(O.shape[0], O.shape[1], -1))
"""),
    "Annotated Transformer": ("attention", TORCH + """
def attention(query, key, value, mask=None, dropout=None):
    scores = torch.matmul(query, key.transpose(-2, -1)) / math.sqrt(query.size(-1))
    if mask is not None:
        scores = scores.masked_fill(mask == 0, -1e9)
    p_attn = scores.softmax(dim=-1)
    return torch.matmul(p_attn, value), p_attn
"""),
    "minGPT and nanoGPT": ("CausalSelfAttention", TORCH + """
class CausalSelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)
        self.n_head, self.n_embd = config.n_head, config.n_embd
        n = config.block_size
        self.register_buffer("tri", torch.tril(torch.ones(n, n)).view(1, 1, n, n))

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = (z.view(B, T, self.n_head, -1).transpose(1, 2)
                   for z in self.c_attn(x).split(self.n_embd, dim=2))
        S = (q @ k.transpose(-2, -1)) / math.sqrt(k.size(-1))
        S = S.masked_fill(self.tri[:, :, :T, :T] == 0, float("-inf"))
        return self.c_proj((F.softmax(S, -1) @ v).transpose(1, 2).reshape(B, T, C))
"""),
    "a class with its backward, as in numpy-ml": ("DotProductAttention", NUMPY + """
class DotProductAttention:
    def forward(self, Q, K, V):
        self.Q, self.K, self.V, self.scale = Q, K, V, 1 / np.sqrt(Q.shape[-1])
        self.P = softmax(Q @ K.swapaxes(-2, -1) * self.scale)
        return self.P @ V

    def backward(self, dLdY):
        dV = self.P.swapaxes(-2, -1) @ dLdY
        dP = dLdY @ self.V.swapaxes(-2, -1)
        dS = self.P * (dP - (dP * self.P).sum(-1, keepdims=True))
        return dS @ self.K * self.scale, dS.swapaxes(-2, -1) @ self.Q * self.scale, dV
"""),
    "article: the mask has another name": ("self_attention", NUMPY + """
def self_attention(x, mask=None):
    atten = x @ x.swapaxes(-1, -2) / np.sqrt(x.shape[-1])
    if mask is not None:
        attn = np.where(mask, attn, -np.inf)
    return softmax(atten) @ x
"""),
    "article: masked scores are 0": ("attention", NUMPY + """
def attention(Q, K, V, valid_lens=None):
    S = Q @ K.swapaxes(1, 2) / np.sqrt(Q.shape[-1])
    if valid_lens is not None:
        S = np.where(np.arange(S.shape[-1]) < valid_lens[:, None, None], S, 0)
    return softmax(S) @ V
"""),
    "article: the batch is taken for time": ("Encoder", TORCH + """
class Encoder(nn.Module):
    def __init__(self, d_model=12, nhead=3):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(d_model, nhead)
        self.decoder = nn.Linear(8 * d_model, 2)

    def forward(self, src):
        return self.decoder(self.layer(src).reshape(src.size(0), -1))
"""),
    "article: not scaled": ("cross_attention", NUMPY + """
def cross_attention(query, key, value):
    return softmax(query @ key.swapaxes(-2, -1)) @ value
"""),
    "a flash loop": ("flash", NUMPY + """
def flash(Q, K, V, block=4):
    m, l, O = -np.inf, 0.0, 0.0
    for j in range(0, K.shape[-2], block):
        S = Q @ K[..., j:j + block, :].swapaxes(-1, -2) / np.sqrt(Q.shape[-1])
        new = np.maximum(m, S.max(-1, keepdims=True))
        P, r = np.exp(S - new), np.exp(m - new)
        l, O, m = l * r + P.sum(-1, keepdims=True), O * r + P @ V[..., j:j + block, :], new
    return O / l
"""),
    "rotary, from a blog": ("Rotary", "# npattn: heads=2\n" + NUMPY + """
class Rotary:
    def __init__(self, dim=16, heads=2):
        r = np.random.default_rng(0)
        self.heads = heads
        self.wq, self.wk, self.wv, self.wo = r.normal(size=(4, dim, dim)) / 4

    def rotate(self, x):
        T, d = x.shape[-2:]
        a = np.arange(T)[:, None] / 10000 ** (np.arange(0, d, 2) / d)
        a = np.concatenate([a, a], -1)
        half = np.concatenate([-x[..., d // 2:], x[..., :d // 2]], -1)
        return x * np.cos(a) + half * np.sin(a)

    def __call__(self, x):
        B, T, D = x.shape
        q, k, v = ((x @ w).reshape(B, T, self.heads, -1).swapaxes(1, 2)
                   for w in (self.wq, self.wk, self.wv))
        S = self.rotate(q) @ self.rotate(k).swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        return (softmax(S) @ v).swapaxes(1, 2).reshape(B, T, D) @ self.wo
"""),
    "ViT": ("Attention", TORCH + """
class Attention(nn.Module):
    def __init__(self, dim, num_heads=4):
        super().__init__()
        self.num_heads, self.scale = num_heads, (dim // num_heads) ** -0.5
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        B, N, C = x.shape
        q, k, v = self.qkv(x).reshape(B, N, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        P = ((q @ k.transpose(-2, -1)) * self.scale).softmax(dim=-1)
        return self.proj((P @ v).transpose(1, 2).reshape(B, N, C))
"""),
    "Hugging Face, eager": ("eager_attention", "# npattn: heads=4 kv_heads=2\n" + TORCH + """
def eager_attention(query, key, value, attention_mask=None):
    n = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(n, dim=1), value.repeat_interleave(n, dim=1)
    S = torch.matmul(query, key.transpose(2, 3)) * query.shape[-1] ** -0.5
    if attention_mask is not None:
        S = S + attention_mask
    P = F.softmax(S, dim=-1)
    return torch.matmul(P, value), P
"""),
}


def examined(name):
    """The Diagnosis of one snippet; None where it needs torch and there is none."""
    from npattn.doctor import doctor

    wanted, text = SNIPPETS[name]
    if "torch" in text and importlib.util.find_spec("torch") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "snippet.py")
        path.write_text(text, encoding="utf-8")
        return doctor(f"{path}:{wanted}", limit=120.0)


def table():
    """Each snippet with its verdict, and its mistake or the custom of its masks, in WIDTH columns.
    """
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(SNIPPETS, pool.map(examined, SNIPPETS), strict=True))
    lines = []
    for name, d in found.items():
        verdict = "needs torch" if d is None else d.verdict
        said = "" if d is None else d.mistakes[0].split(" Most likely")[0] if d.mistakes else (
            d.trouble or "; ".join(c for c in d.conventions if "mask" in c or "keys" in c))
        lines += textwrap.wrap(
            f"{name:40} {verdict:8} {said}", WIDTH, subsequent_indent=" " * 50,
            break_long_words=False, break_on_hyphens=False,
        )
    return "\n".join(lines)
