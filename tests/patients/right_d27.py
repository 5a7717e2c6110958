# npattn: layout=bhtd
import math
import torch


def fwd(Q, K, V, causal: bool = False, BLOCK_M: int = 4, BLOCK_N: int = 4):
    """What my Triton kernel does, tile by tile, in torch. Causal is aligned to the last key."""
    qk_scale = math.log2(math.e) / math.sqrt(Q.shape[-1])
    M, N = Q.shape[-2], K.shape[-2]
    out = torch.empty(*Q.shape[:-1], V.shape[-1], dtype=Q.dtype, device=Q.device)
    for m0 in range(0, M, BLOCK_M):
        q = Q[..., m0:m0 + BLOCK_M, :] * qk_scale
        rows = torch.arange(m0, m0 + q.shape[-2]) + (N - M)
        m_i = torch.full(q.shape[:-1], -1e30, dtype=torch.float64)
        l_i = torch.zeros_like(m_i)
        acc = torch.zeros(*q.shape[:-1], V.shape[-1], dtype=torch.float64)
        for n0 in range(0, N, BLOCK_N):
            k, v = K[..., n0:n0 + BLOCK_N, :], V[..., n0:n0 + BLOCK_N, :]
            qk = (q.double() @ k.double().transpose(-1, -2))
            if causal:
                cols = torch.arange(n0, n0 + k.shape[-2])
                qk = qk.masked_fill(cols[None, :] > rows[:, None], float('-inf'))
            m_ij = torch.maximum(m_i, qk.amax(-1))
            p = torch.exp2(qk - m_ij[..., None])
            alpha = torch.exp2(m_i - m_ij)
            l_i = l_i * alpha + p.sum(-1)
            acc = acc * alpha[..., None] + p @ v.double()
            m_i = m_ij
        out[..., m0:m0 + BLOCK_M, :] = (acc / l_i[..., None]).to(Q.dtype)
    return out
