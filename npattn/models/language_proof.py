"""The gradient of a language model, all parameters at once, proved by one complex step.

    L(θ)              −log p(the last `answer` tokens of a text | those before), a mean, in nats
    slope by step     Im L(θ + i h V) / h         h = 2⁻⁶⁶, one complex forward in float64
    slope by gradient Σ dθ ⊙ V                    dθ from the backward that is written by hand

A random direction V moves every parameter by +1 or −1: each matrix by an outer product a bᵀ of two
vectors of signs. So W + i h a bᵀ is W with an update of rank 1, A = a and B = i h bᵀ, and the page
`lora` computes with it without a complex matrix. A wrong entry of dθ moves the second slope by as
much as it is wrong; two slopes that agree to the rounding of float64 leave no room for one.
Weights are widened to float64 one block at a time, so that the proof needs no memory to speak of:
the forward keeps what went into each block, the backward computes the block once more.
Source: page `checking.complex_step`; Squire and Trapp 1998.
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.kernels.embedding import embedding, embedding_backward
from npattn.kernels.linear import LinearParams
from npattn.kernels.lora import LoRAParams
from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.kernels.masks import causal_mask
from npattn.models.block import encoder_block, encoder_block_backward
from npattn.models.normalize import normalize, normalize_backward
from npattn.models.projection import AdaptedParams, FrozenParams, project, project_backward
from npattn.trees import tree_leaves, tree_map

STEP = 2.0**-66
SLICE = 4096  # rows of the vocabulary that are widened at a time


class Proof(NamedTuple):
    """Two slopes of one loss along one direction, and what they are measured against."""

    loss: float
    by_step: float
    by_gradient: float
    scale: float     # |dθ| |V|: what the slope could be at most
    parameters: int

    @property
    def error(self):
        """The difference, relative to |dθ| |V|."""
        return abs(self.by_step - self.by_gradient) / (self.scale or 1.0)

    @property
    def ok(self):
        """Whether the two agree to the rounding of float64."""
        return self.error < 1e-14


class Outer(NamedTuple):
    """The direction a bᵀ of a matrix."""

    a: np.ndarray  # (Din,) signs
    b: np.ndarray  # (Dout,) signs


def prove_gradient(tokens, params, *, config, answer=1, rng=None):
    """One directional complex step through all parameters: a Proof, in float64.

    tokens  (T,)  a text; its last `answer` tokens are what the model is to predict
    params  LanguageModelParams, float32 or float64
    rng     Generator for the direction; None means seed 0

    Raises ValueError unless 1 ≤ answer < T.
    """
    if not 1 <= answer < len(tokens):
        raise ValueError(f"answer must be 1 … {len(tokens) - 1} of the tokens, got {answer}")
    rng = np.random.default_rng(0) if rng is None else rng
    run = _Run(np.asarray(tokens), params, config, answer, rng)
    loss, by_step = run.forward()
    return Proof(loss, by_step, *run.backward())


class _Run:
    """What the forward hands to the backward: directions, and what went into each block."""

    def __init__(self, tokens, params, config, answer, rng):
        self.tokens, self.params, self.config, self.answer = tokens, params, config, answer
        self.directions = [_direction(block, rng) for block in params.blocks]
        self.norm = _direction(params.norm, rng)
        self.table = Outer(_signs(rng, len(params.embedding)), _signs(rng, config.width))
        layer = params.output or LinearParams(params.embedding.T, None)
        self.output = Outer(*self.table[::-1]) if params.output is None else (
            _direction(layer, rng)[0])
        self.positions = None if params.positions is None else Outer(
            _signs(rng, len(params.positions)), _signs(rng, config.width))
        self.layer, self.inputs = layer, []

    def forward(self):
        """The loss, and its slope by the complex step."""
        X = self._embedded()
        for i, (block, direction) in enumerate(
            zip(self.params.blocks, self.directions, strict=True)
        ):
            self.inputs.append(np.ascontiguousarray(X.real))
            X, _ = self._block(i, X, _moved(block, direction))
        self.inputs.append(np.ascontiguousarray(X.real))
        X, _ = self._norm(X, _moved(self.params.norm, self.norm))
        self.logits = self._logits(X[-self.answer - 1:-1])
        loss, _ = cross_entropy(self.logits, self.tokens[-self.answer:])
        return float(loss.real), float(loss.imag / STEP)

    def _embedded(self):
        a, b = self.table
        X = self.params.embedding[self.tokens] + 1j * STEP * a[self.tokens, None] * b
        X = X * self.config.embedding_scale
        if self.positions is not None:
            T = len(self.tokens)
            X = X + self.params.positions[:T] + 1j * STEP * self.positions.a[:T, None] * (
                self.positions.b)
        return X

    def _block(self, i, X, params):
        return encoder_block(X, params, causal_mask(len(X)), options=self.config.blocks[i])

    def _norm(self, X, params):
        return normalize(X, params, **self.config.normalized())

    def _slices(self):
        """The output layer in parts of SLICE columns: in float64, and how they move."""
        a, b = self.output
        for start in range(0, self.layer.W.shape[1], SLICE):
            part = slice(start, start + SLICE)
            yield part, _wide(LinearParams(self.layer.W[:, part], None)), Outer(a, b[part])

    def _logits(self, X):
        parts = [project(X, _moved(layer, direction)) for _, layer, direction in self._slices()]
        return np.concatenate([part for part, _ in parts], axis=-1)

    def backward(self):
        """The slope by the gradient, |dθ| |V|, and how many parameters there are."""
        sums = _Sums()
        _, cache = cross_entropy(self.logits.real, self.tokens[-self.answer:])
        dlogits = cross_entropy_backward(1.0, cache)
        Z, norm = self._norm(self.inputs[-1], _wide(self.params.norm))
        dZ = np.zeros_like(Z)
        rows = slice(-self.answer - 1, -1)
        for part, layer, direction in self._slices():
            _, cache = project(Z[rows], layer)
            dX, dlayer = project_backward(dlogits[:, part], cache)
            dZ[rows] += dX
            sums.add(dlayer, direction)
        dX, dnorm = normalize_backward(dZ, norm)
        sums.add(dnorm, self.norm)
        for i in reversed(range(len(self.directions))):
            _, cache = self._block(i, self.inputs[i], _wide(self.params.blocks[i]))
            dX, dblock = encoder_block_backward(dX, cache)
            sums.add(dblock, self.directions[i])
        self._embedded_backward(dX, sums)
        count = sum(leaf.size for leaf in tree_leaves(self.params))
        return sums.slope, math.sqrt(sums.square * count), count

    def _embedded_backward(self, dX, sums):
        if self.positions is not None:
            T = len(self.tokens)
            sums.add(LinearParams(dX, None), Outer(self.positions.a[:T], self.positions.b))
        present, ids = np.unique(self.tokens, return_inverse=True)
        _, cache = embedding(ids, self.params.embedding[present].astype(np.float64))
        dE = embedding_backward(dX * self.config.embedding_scale, cache)
        sums.add(LinearParams(dE, None), Outer(self.table.a[present], self.table.b))


class _Sums:
    """Σ dθ V and Σ dθ² over what was added."""

    def __init__(self):
        self.slope = self.square = 0.0

    def add(self, dparams, direction):
        if dparams is None:
            return
        if isinstance(dparams, np.ndarray):
            self.slope += float(dparams @ direction)
            self.square += float(dparams @ dparams)
        elif isinstance(dparams, LinearParams):
            outer, bias = direction if isinstance(direction, list) else (direction, None)
            self.slope += float(outer.a @ (dparams.W @ outer.b))
            flat = dparams.W.ravel(order="K")
            self.square += float(flat @ flat)
            self.add(dparams.b, bias)
        else:
            for part, moves in zip(dparams, direction, strict=True):
                self.add(part, moves)


def _signs(rng, n):
    return rng.integers(0, 2, n) * 2.0 - 1.0


def _direction(params, rng):
    """±1 for every parameter: a vector for a vector, an Outer for a matrix, a list for the rest."""
    if params is None:
        return None
    if isinstance(params, np.ndarray):
        return _signs(rng, len(params))
    if isinstance(params, LinearParams):
        return [Outer(*(_signs(rng, n) for n in params.W.shape)), _direction(params.b, rng)]
    return [_direction(part, rng) for part in params]


def _moved(params, direction):
    """The parameters in float64, moved by i h along the direction."""
    if params is None:
        return None
    if isinstance(params, np.ndarray):
        return params + 1j * STEP * direction
    if isinstance(params, LinearParams):
        outer, bias = direction if isinstance(direction, list) else (direction, None)
        update = LoRAParams(outer.a[:, None], 1j * STEP * outer.b[None])
        return AdaptedParams(FrozenParams(_wide(params.W), _moved(params.b, bias)), update)
    return type(params)(*(_moved(part, d) for part, d in zip(params, direction, strict=True)))


def _wide(params):
    """In float64, each array in the order of memory that it had."""
    return tree_map(lambda X: X.astype(np.float64, copy=False), params)
