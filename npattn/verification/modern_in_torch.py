"""The pages that a Transformer of today adds, once more in torch: IN_TORCH, by name.

As in `kernels_in_torch`, each formulation takes torch, then the kernel's own arguments as tensors.
"""


def _rms_norm(torch, X, gain, *, eps=1e-6):
    return torch.nn.functional.rms_norm(X, X.shape[-1:], gain, eps)


def _qk_norm(torch, Q, K, params, *, eps=1e-6):
    return _rms_norm(torch, Q, params.query, eps=eps), _rms_norm(torch, K, params.key, eps=eps)


def _rotary(torch, X, *, offset=0, positions=None, speeds=None, pairing="interleaved"):
    """Pairs of columns as complex numbers, turned by a factor of length 1."""
    T, D = X.shape[-2:]
    if positions is None:
        positions = torch.arange(T, device=X.device) + offset
    if speeds is None:
        speeds = 10000.0 ** (-torch.arange(0, D, 2, dtype=X.dtype, device=X.device) / D)
    angle = positions.to(X.dtype).unsqueeze(-1) * speeds
    W = 2 * len(speeds)
    turned, rest = X.split([W, D - W], dim=-1)
    pairs = turned.unflatten(-1, (-1, 2) if pairing == "interleaved" else (2, -1))
    pairs = pairs if pairing == "interleaved" else pairs.transpose(-1, -2)
    pairs = torch.view_as_complex(pairs.contiguous())
    turned = torch.view_as_real(pairs * torch.polar(torch.ones_like(angle), angle))
    turned = turned if pairing == "interleaved" else turned.transpose(-1, -2)
    return torch.cat([turned.flatten(-2), rest], dim=-1)


IN_TORCH = {
    "rms_norm": _rms_norm,
    "qk_norm": _qk_norm,
    "rotary": _rotary,
    "silu": lambda torch, A: torch.nn.functional.silu(A),
    "swiglu": lambda torch, A, U: torch.nn.functional.silu(A) * U,
    "geglu": lambda torch, A, U: torch.nn.functional.gelu(A) * U,
    "geglu_tanh": lambda torch, A, U: torch.nn.functional.gelu(A, approximate="tanh") * U,
}
