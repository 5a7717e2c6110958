"""The systems of five articles from which the errata come."""
import math

import numpy as np
import torch
import torch.nn as nn


class SelfAttention(nn.Module):
    def __init__(self, input_dim):
        super().__init__()
        self.query = nn.Linear(input_dim, input_dim)
        self.key = nn.Linear(input_dim, input_dim)
        self.value = nn.Linear(input_dim, input_dim)

    def forward(self, x, mask=None):
        batch_size, seq_len, input_dim = x.shape
        q, k, v = self.query(x), self.key(x), self.value(x)
        atten_weights = torch.matmul(q, k.transpose(-2, -1)) / torch.sqrt(
            torch.tensor(input_dim, dtype=torch.float))
        if mask is not None:
            mask = mask.unsqueeze(1)
            attn_weights = attn_weights.masked_fill(mask == 0, float('-inf'))  # noqa
        atten_scores = torch.softmax(atten_weights, dim=-1)
        return torch.matmul(atten_scores, v)


def sequence_mask(X, lens, mask_value=0):
    X_2d = X.reshape(-1, X.size(-1))
    lens = lens.reshape(-1, 1)
    mask = torch.arange(X_2d.size(-1))[None, :] >= lens
    X_2d[mask] = mask_value
    return X


class DotProductAttention(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.dropout = nn.Dropout(dropout)

    def forward(self, Q, K, V, valid_lens=None):
        d = Q.size(-1)
        scores = Q @ K.transpose(1, 2) / math.sqrt(d)
        masked_scores = sequence_mask(scores, valid_lens)
        self.attention_weights = nn.functional.softmax(masked_scores, dim=-1)
        return self.dropout(self.attention_weights) @ V


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, num_heads):
        super().__init__()
        self.d_model, self.num_heads, self.d_k = d_model, num_heads, d_model // num_heads
        self.w_q = nn.Linear(d_model, d_model)
        self.w_k = nn.Linear(d_model, d_model)
        self.w_v = nn.Linear(d_model, d_model)
        self.w_o = nn.Linear(d_model, d_model)

    def forward(self, query, key, value, mask=None):
        batch_size = query.size(0)
        Q, K, V = self.w_q(query), self.w_k(key), self.w_v(value)
        Q = Q.view(batch_size, -1, self.num_heads, self.d_k).transpose(1, 2)
        K = K.view(batch_size, -1, self.num_heads, self.d_k).transpose(1, 2)
        V = V.view(batch_size, -1, self.num_heads, self.d_k).transpose(1, 2)
        scores = torch.matmul(Q, K.transpose(-2, -1)) / math.sqrt(self.d_k)
        if mask is not None:
            scores = scores.masked_fill(mask == 0, -1e9)
        output = torch.matmul(torch.softmax(scores, dim=-1), V)
        output = output.transpose(1, 2).contiguous().view(batch_size, -1, self.d_model)
        return self.w_o(output)


class PositionalEncoding(nn.Module):
    def __init__(self, input_size, dropout=0.1, max_len=5000):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        pe = torch.zeros(max_len, input_size)
        position = torch.arange(0, max_len, dtype=torch.float).unsqueeze(1)
        even = torch.exp(torch.arange(0, input_size, 2).float() * (-np.log(10000.0) / input_size))
        odd = torch.exp(torch.arange(1, input_size, 2).float() * (-np.log(10000.0) / input_size))
        pe[:, 0::2] = torch.sin(position * even.unsqueeze(0))
        pe[:, 1::2] = torch.cos(position * odd.unsqueeze(0))
        self.register_buffer('pe', pe.unsqueeze(0).transpose(0, 1))

    def forward(self, x):
        return self.dropout(x + self.pe[:x.size(0), :])


class TimeSeriesTransformer(nn.Module):
    def __init__(self, input_size=9, num_layers=10, num_heads=3, dropout=0.1):
        super().__init__()
        self.src_mask = None
        self.pos_encoder = PositionalEncoding(input_size, dropout)
        self.encoder_layer = nn.TransformerEncoderLayer(
            d_model=input_size, nhead=num_heads, dropout=dropout)
        self.transformer_encoder = nn.TransformerEncoder(
            self.encoder_layer, num_layers=num_layers)
        self.decoder = nn.Linear(288, 32)

    def forward(self, src):
        src = self.pos_encoder(src)
        output = self.transformer_encoder(src, self.src_mask)
        output = output.reshape(output.size(0), -1)
        output = self.decoder(output)
        return output.reshape(-1, 4, 8)


class CrossAttention(nn.Module):
    def __init__(self, input_dim_a, input_dim_b, hidden_dim):
        super().__init__()
        self.linear_a = nn.Linear(input_dim_a, hidden_dim)
        self.linear_b = nn.Linear(input_dim_b, hidden_dim)

    def forward(self, input_a, input_b):
        mapped_a, mapped_b = self.linear_a(input_a), self.linear_b(input_b)
        scores = torch.matmul(mapped_a, mapped_b.transpose(1, 2))
        attentions_a = torch.softmax(scores, dim=-1)
        attentions_b = torch.softmax(scores.transpose(1, 2), dim=-1)
        output_a = torch.matmul(attentions_b, input_b)
        output_b = torch.matmul(attentions_a.transpose(1, 2), input_a)
        return output_a, output_b
