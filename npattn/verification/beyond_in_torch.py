"""The attentions beyond one softmax over keys, once more in torch: IN_TORCH, by name.

As in `kernels_in_torch`, each formulation takes torch, then the kernel's own arguments as tensors.
"""

import math


def _masked_softmax(torch, S, mask=None):
    """A row without keys is multiplied by 0; masked scores never reach autograd."""
    if mask is None:
        return torch.softmax(S, dim=-1)
    S = torch.where(mask, S, torch.finfo(S.dtype).min)
    return torch.softmax(S, dim=-1) * mask


def _linear_attention(torch, Q, K, V, gates, state, *, scale=None, chunk=None):
    """The state as torch's papers have it, (Dv, Dk), one token after the other."""
    S, O = state.transpose(-1, -2), []
    for t in range(Q.shape[-2]):
        q, k, v = Q[..., t, :], K[..., t, :], V[..., t, :]
        if gates.log_decay is not None:
            S = S * torch.exp(gates.log_decay[..., t, None, :])
        if gates.beta is not None:
            v = gates.beta[..., t, :] * (v - torch.einsum("...vk,...k->...v", S, k))
        S = S + torch.einsum("...v,...k->...vk", v, k)
        O.append(torch.einsum("...vk,...k->...v", S, q))
    scale = Q.shape[-1] ** -0.5 if scale is None else scale
    return torch.stack(O, dim=-2) * scale, S.transpose(-1, -2)


def _differential_attention(torch, Q1, Q2, K1, K2, V, lam, mask=None, *, scale=None):
    """The two maps are subtracted before they meet the values."""
    scale = Q1.shape[-1] ** -0.5 if scale is None else scale
    P1, P2 = (
        _masked_softmax(torch, torch.einsum("...qd,...kd->...qk", Q, K) * scale, mask)
        for Q, K in ((Q1, K1), (Q2, K2))
    )
    return (P1 - lam[:, None, None] * P2) @ V


def _differential_lambda(torch, params, *, initial=0.8):
    q1, k1, q2, k2 = params
    first, second = torch.einsum("hd,hd->h", q1, k1), torch.einsum("hd,hd->h", q2, k2)
    return torch.exp(first) - torch.exp(second) + initial


def _latent_attention(torch, Qc, Qr, C, Kr, params, mask=None, *, scale=None):
    """Scores of content and of positions, added."""
    K = torch.einsum("...tr,hrd->...htd", C, params.U)
    V = torch.einsum("...tr,hrd->...htd", C, params.W)
    S = torch.einsum("...htd,...hsd->...hts", Qc, K) + torch.einsum("...htd,...sd->...hts", Qr, Kr)
    scale = (Qc.shape[-1] + Qr.shape[-1]) ** -0.5 if scale is None else scale
    return _masked_softmax(torch, S * scale, mask) @ V


def _mixture_of_experts(torch, X, params, k):
    """Every token through every expert, and weights of 0 for those that were not chosen."""
    scores = X.flatten(0, -2) @ params.router
    top, chosen = scores.topk(k, dim=-1)
    P = torch.zeros_like(scores).scatter(-1, chosen, torch.softmax(top, dim=-1))
    gate, up = (torch.einsum("...d,edf->...ef", X, W) for W in (params.gate, params.up))
    f = torch.einsum("...ef,efd->...ed", torch.nn.functional.silu(gate) * up, params.down)
    shares = torch.zeros_like(scores).scatter(-1, chosen, 1.0).mean(dim=0) / k
    balance = scores.shape[-1] * (shares * torch.softmax(scores, dim=-1).mean(dim=0)).sum()
    return torch.einsum("...e,...ed->...d", P.reshape(*X.shape[:-1], -1), f), balance


def _channel_attention(torch, X, params, *, use_max=False):
    linear = torch.nn.functional.linear

    def excite(Z):
        hidden = torch.relu(linear(Z, params.squeeze.W.T, params.squeeze.b))
        return linear(hidden, params.excite.W.T, params.excite.b)

    G = excite(X.mean(dim=(-3, -2)))
    if use_max:
        G = G + excite(X.amax(dim=(-3, -2)))
    return torch.sigmoid(G)[..., None, None, :] * X


def _spatial_attention(torch, X, params):
    """torch's convolution, channels first."""
    Z = torch.stack([X.mean(dim=-1), X.amax(dim=-1)], dim=1)
    kernel = params.kernel.permute(2, 0, 1)[None]
    G = torch.nn.functional.conv2d(Z, kernel, params.b, padding=math.floor(kernel.shape[-1] / 2))
    return torch.sigmoid(G[:, 0])[..., None] * X


IN_TORCH = {
    "linear_attention": _linear_attention,
    "linear_attention_in_chunks": _linear_attention,
    "differential_attention": _differential_attention,
    "differential_lambda": _differential_lambda,
    "latent_attention": _latent_attention,
    "latent_attention_absorbed": _latent_attention,
    "mixture_of_experts": _mixture_of_experts,
    "channel_attention": _channel_attention,
    "spatial_attention": _spatial_attention,
}
