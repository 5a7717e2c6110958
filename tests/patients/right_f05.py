import numpy as np

LOG2E = 1.4426950408889634

def flash_fwd(q, k, v, causal=False, BLOCK_M=16, BLOCK_N=16):
    """Triton-style forward in base 2. q,k,v: (B, H, T, D)"""
    B, H, M, D = q.shape
    N = k.shape[2]
    qk_scale = D ** -0.5 * LOG2E
    out = np.empty((B, H, M, v.shape[3]), dtype=q.dtype)
    for start_m in range(0, M, BLOCK_M):
        offs_m = np.arange(start_m, min(start_m + BLOCK_M, M))
        qb = q[:, :, offs_m] * qk_scale
        m_i = np.full(qb.shape[:3], -np.inf)
        l_i = np.zeros(qb.shape[:3])
        acc = np.zeros(qb.shape[:3] + (v.shape[3],))
        for start_n in range(0, N, BLOCK_N):
            offs_n = np.arange(start_n, min(start_n + BLOCK_N, N))
            if causal and start_n > offs_m[-1] + N - M:
                break
            qk = qb @ k[:, :, offs_n].swapaxes(2, 3)
            if causal:
                qk = np.where(offs_m[:, None] + (N - M) >= offs_n[None, :], qk, -np.inf)
            m_ij = np.maximum(m_i, qk.max(3))
            safe = np.where(np.isinf(m_ij), 0.0, m_ij)
            p = np.exp2(qk - safe[..., None])
            alpha = np.exp2(m_i - safe)
            l_i = l_i * alpha + p.sum(3)
            acc = acc * alpha[..., None] + p @ v[:, :, offs_n]
            m_i = m_ij
        out[:, :, offs_m] = acc / l_i[..., None]
    return out
