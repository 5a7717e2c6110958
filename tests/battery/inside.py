"""torch, JAX and numba inside the function, as people who move from them to NumPy have it."""

import jax
import numba
import numpy as np
import torch
import torch.nn.functional as F
from jax import numpy as jnp

from battery.entry import (
    PERHAPS_RIGHT, PERHAPS_WRONG, Shelf, entry_off, factor, normal, positive, sign, swapped, zero,
)

torch_inside = Shelf("torch inside")
jax_inside = Shelf("JAX inside")
numba_inside = Shelf("numba inside")

add = torch_inside.add


def t(x):
    return torch.tensor(np.asarray(x), dtype=torch.float64)


add("functional.gelu", lambda x: (F.gelu(t(x)).numpy(), x),
    lambda d, x: d * (0.5 * (1 + torch.erf(t(x) / 2**0.5)).numpy()
                      + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)), normal(500, 3, 3),
    wrong={"density forgotten": lambda d, x: d * 0.5 * (1 + torch.erf(t(x) / 2**0.5)).numpy()})
add("softmax", lambda x: torch.from_numpy(x).softmax(-1).numpy(),
    lambda d, p: p * (d - (d * p).sum(-1, keepdims=True)), normal(501, 3, 4),
    wrong={"sum forgotten": lambda d, p: p * d})
add("layer_norm", lambda x: (F.layer_norm(t(x), (5,), eps=0.0).numpy(), x),
    lambda d, x: (lambda z, s: (d - d.mean(-1, keepdims=True)
                                - z * (d * z).mean(-1, keepdims=True)) / s)(
        (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True), x.std(-1, keepdims=True)),
    normal(502, 4, 5), wrong={"statistics fixed": lambda d, x: d / x.std(-1, keepdims=True)})
add("matmul", lambda a, b: ((t(a) @ t(b)).numpy(), (a, b)), lambda d, c: (d @ c[1].T, c[0].T @ d),
    normal(503, 3, 3), normal(504, 3, 3),
    wrong={"not transposed": lambda d, c: (d @ c[1], c[0] @ d), "exchanged": swapped()})
LINEAR = torch.nn.Linear(4, 3)  # float32, as modules are
with torch.no_grad():
    LINEAR.weight.copy_(torch.tensor(normal(505, 3, 4)))
    LINEAR.bias.copy_(torch.tensor(normal(506, 3)))


def module(x):
    with torch.no_grad():
        return LINEAR(torch.from_numpy(np.asarray(x)).to(torch.float32)).numpy().astype(float), x


WEIGHT = LINEAR.weight.detach().numpy().astype(float)
add("module in float32", module, lambda d, x: d @ WEIGHT, normal(507, 5, 4), due=PERHAPS_RIGHT,
    wrong={"sign": sign(), "zero": zero()}, wrong_due=PERHAPS_WRONG)


def by_autograd(x):
    leaf = t(x).requires_grad_()
    y = (torch.sin(leaf) * leaf).cumsum(0)
    return y.detach().numpy(), (leaf, y)


def autograd_back(d, c, times=1.0):
    (g,) = torch.autograd.grad(c[1], c[0], torch.as_tensor(d) * times, retain_graph=True)
    return g.numpy()


add("backward by autograd", by_autograd, autograd_back, normal(508, 4, 2),
    wrong={"doubled": lambda d, c: autograd_back(d, c, 2.0)})


def accumulates(x):
    leaf = torch.tensor(x, requires_grad=True)
    return (leaf**3).detach().numpy(), leaf


def accumulates_back(d, leaf):
    (leaf**3).backward(torch.as_tensor(d))
    return leaf.grad.numpy()


def cleared_back(d, leaf):
    leaf.grad = None
    return accumulates_back(d, leaf)


add(".grad that is cleared", accumulates, cleared_back, normal(509, 5),
    wrong={"one entry off by 1e-3": entry_off(1e-3)})
add("scaled_dot_product_attention", lambda q, k, v: (F.scaled_dot_product_attention(
    t(q)[None], t(k)[None], t(v)[None])[0].numpy(), (q, k, v)),
    lambda d, c: _sdpa_back(d, *c), normal(510, 3, 4), normal(511, 4, 4), normal(512, 4, 2),
    wrong={"scale forgotten": lambda d, c: _sdpa_back(d, *c, scale=1.0)})


def _sdpa_back(d, q, k, v, scale=0.5):
    s = q @ k.T / 2
    a = np.exp(s) / np.exp(s).sum(1, keepdims=True)
    da = d @ v.T
    ds = a * (da - (da * a).sum(1, keepdims=True)) * scale
    return ds @ k, ds.T @ q, a.T @ d


def loss_torch(z):
    y = torch.tensor([0, 2, 1])
    return F.cross_entropy(t(z), y).item(), z


def loss_torch_back(d, z):
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    p[[0, 1, 2], [0, 2, 1]] -= 1
    return d * p / 3


add("cross_entropy", loss_torch, loss_torch_back, normal(513, 3, 3),
    wrong={"mean forgotten": factor(3.0)})
add("float32 tensors", lambda x: (torch.tensor(x).exp().numpy(), x), lambda d, x: d * np.exp(x),
    normal(514, 5).astype(np.float32), wrong={"doubled": factor(2.0)}, wrong_due=PERHAPS_WRONG)
add("half inside", lambda x: (t(x).half().square().double().numpy(), x), lambda d, x: 2 * d * x,
    positive(515, 4), due=PERHAPS_RIGHT, wrong={"zero": zero(), "sign": sign()},
    wrong_due=PERHAPS_WRONG)
add("max_pool1d", lambda x: (F.max_pool1d(t(x)[None], 2)[0].numpy(), x),
    lambda d, x: np.repeat(d, 2, 1) * (x == np.repeat(x.reshape(2, 3, 2).max(2), 2, 1)),
    normal(516, 2, 6), wrong={"mean": lambda d, x: np.repeat(d, 2, 1) / 2})

add = jax_inside.add


def x64(f):
    """Under the name of f, with float64 in JAX whatever the rest of the process says."""
    def wrapped(*args):
        with jax.enable_x64(True):
            return f(*args)

    return wrapped


add("tanh in float64", x64(lambda x: np.asarray(jnp.tanh(x))), lambda d, y: d * (1 - y * y),
    normal(520, 4), wrong={"square forgotten": lambda d, y: d * (1 - y)})
add("logsumexp", x64(lambda x: (np.asarray(jax.nn.logsumexp(x, axis=1)), x)),
    lambda d, x: d[:, None] * np.exp(x) / np.exp(x).sum(1, keepdims=True), normal(521, 3, 4),
    wrong={"not normalised": lambda d, x: d[:, None] * np.exp(x)})
add("relu of a product", x64(lambda x, w: (np.asarray(jax.nn.relu(x @ jnp.asarray(w))), (x, w))),
    lambda d, c: ((g := d * (c[0] @ c[1] > 0)) @ c[1].T, c[0].T @ g), normal(522, 3, 4),
    normal(523, 4, 2), wrong={"relu forgotten": lambda d, c: (d @ c[1].T, c[0].T @ d)})


def scan_step(state, v):
    new = state * 0.5 + jnp.sin(v)
    return new, new


def scanned(x):
    return np.asarray(jax.lax.scan(scan_step, jnp.zeros((), x.dtype), jnp.asarray(x))[1]), x


def scanned_back(d, x, decay=0.5):
    g, s = np.zeros_like(x), 0.0
    for i in reversed(range(len(x))):
        s = s * decay + d[i]
        g[i] = s * np.cos(x[i])
    return g


add("lax.scan", x64(scanned), scanned_back, normal(524, 5),
    wrong={"decay forgotten": lambda d, x: scanned_back(d, x, 1.0)})


def pulled(x):
    y, vjp = jax.vjp(lambda v: v**2 * jnp.cos(v), jnp.asarray(x))
    return np.asarray(y), vjp


add("backward by vjp", x64(pulled), x64(lambda d, vjp: np.asarray(vjp(jnp.asarray(d))[0])),
    normal(525, 4), wrong={"doubled": x64(lambda d, vjp: 2 * np.asarray(vjp(jnp.asarray(d))[0]))})


def x32(f):
    def wrapped(*args):
        with jax.enable_x64(False):
            return f(*args)

    return wrapped


add("as installed, float32 arguments", x32(lambda x: (np.asarray(jnp.exp(jnp.sin(x))), x)),
    lambda d, x: d * np.exp(np.sin(x)) * np.cos(x), normal(526, 6).astype(np.float32),
    due=PERHAPS_RIGHT, wrong={"sign": sign(), "zero": zero(), "doubled": factor(2)},
    wrong_due=PERHAPS_WRONG)
add("as installed, float64 arguments", x32(lambda x: (np.asarray(jnp.sin(x)).astype(x.dtype), x)),
    lambda d, x: d * np.cos(x), normal(527, 4), due=PERHAPS_RIGHT,
    wrong={"sine for cosine": lambda d, x: d * np.sin(x)}, wrong_due=PERHAPS_WRONG)

add = numba_inside.add


@numba.njit
def _polynomial(x):
    y = np.empty_like(x)
    for i in range(x.size):
        y[i] = x[i] ** 3 - x[i]
    return y


add("loop", lambda x: (_polynomial(x), x), lambda d, x: d * (3 * x * x - 1), normal(530, 5),
    wrong={"one forgotten": lambda d, x: d * 3 * x * x})


@numba.njit("float64[:](float64[::1], float64[::1])")
def _mix(a, b):
    return a * np.exp(-b)


add("signature of float64", lambda a, b: (_mix(a, b), (a, b)),
    lambda d, c: (d * np.exp(-c[1]), -d * c[0] * np.exp(-c[1])), normal(531, 4), normal(532, 4),
    wrong={"sign of the second": sign(1), "exchanged": swapped()})


@numba.njit
def _pairs(x):
    e = 0.0
    for i in range(len(x)):
        for j in range(i):
            r2 = ((x[i] - x[j]) ** 2).sum()
            e += 1 / r2
    return e


def pairs_back(d, x):
    g = np.zeros_like(x)
    for i in range(len(x)):
        for j in range(len(x)):
            if i != j:
                r = x[i] - x[j]
                g[i] -= 2 * r / (r @ r) ** 2
    return d * g


add("energy of particles", lambda x: (_pairs(x), x), pairs_back, 2 * normal(533, 4, 3),
    wrong={"half": factor(0.5), "off by 1e-6": entry_off(1e-6)})


@numba.vectorize(["float64(float64)"])
def _smooth_relu(v):
    return v if v > 0 else 0.1 * v * v


add("ufunc with a branch", lambda x: (_smooth_relu(x), x),
    lambda d, x: d * np.where(x > 0, 1, 0.2 * x), normal(534, 5),
    wrong={"branch forgotten": lambda d, x: d * 0.2 * x})
