"""The pairs as objects."""

import copy
import math
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn import nn
from npattn.checking import assert_gradients
from npattn.kernels import activations
from npattn.kernels.additive import additive_attention, additive_attention_backward
from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.co_attention import co_attention, co_attention_backward
from npattn.kernels.embedding import embedding, embedding_backward
from npattn.kernels.layer_norm import layer_norm, layer_norm_backward
from npattn.kernels.linear import LinearParams, linear, linear_backward
from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.kernels.masks import causal_mask
from npattn.kernels.positions import sinusoidal_positions
from npattn.models.co_attention import (
    bidirectional_attention,
    bidirectional_attention_backward,
)
from npattn.models.decoder import (
    decoder,
    decoder_backward,
    decoder_block,
    decoder_block_backward,
)
from npattn.models.encoder import (
    encoder,
    encoder_backward,
    encoder_block,
    encoder_block_backward,
)
from npattn.models.feed_forward import feed_forward, feed_forward_backward
from npattn.models.multihead import multihead_attention, multihead_attention_backward
from npattn.models.transformer import (
    TransformerConfig,
    transformer,
    transformer_backward,
)
from npattn.nn import module
from npattn.training import adam, init_adam
from npattn.trees import tree_items, tree_leaves, tree_map

CONFIG = TransformerConfig(
    11, 13, width=6, num_heads=2, hidden=5, encoder_blocks=1, decoder_blocks=1, dropout=0.3
)
BLOCK = dict(num_heads=2, norm="pre", activation="gelu", dropout=0.3)


def relu(X):
    Y = activations.relu(X)
    return Y, Y


class Case(NamedTuple):
    """An object, what it is called with, and the pair it has to agree with."""

    layer: nn.Module
    inputs: tuple        # differentiable ones and ids
    masks: dict
    pair: tuple
    options: dict
    slot: str = "params"


def cases():
    draw = np.random.default_rng(7).standard_normal
    X, M, Q, K, V = (draw(s) for s in ((2, 4, 6), (2, 3, 6), (2, 3, 5), (2, 4, 6), (2, 4, 7)))
    mask = np.array([[0, 0, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1]], bool)  # (3, 4), one dead row
    causal, keys = causal_mask(4), np.array([True, True, False])
    source, target = np.array([[3, 1, 10], [2, 2, 0]]), np.array([[1, 12, 4, 4], [0, 5, 1, 2]])
    seed = dict(rng=0)
    block = (6, 2, 5)
    norm_etc = dict(norm="pre", activation="gelu", dropout=0.3, rng=0)
    return {
        "Linear": Case(nn.Linear(6, 5, **seed), (X,), {}, (linear, linear_backward), {}),
        "Linear without bias": Case(
            nn.Linear(6, 5, bias=False, **seed), (X,), {}, (linear, linear_backward), {}
        ),
        "Embedding": Case(
            nn.Embedding(11, 6, **seed), (source,), {}, (embedding, embedding_backward), {}, "E"
        ),
        "LayerNorm": Case(
            nn.LayerNorm(6, eps=1e-3), (X,), {}, (layer_norm, layer_norm_backward), {"eps": 1e-3}
        ),
        "ReLU": Case(nn.ReLU(), (X,), {}, (relu, activations.relu_backward), {}),
        "GELU": Case(nn.GELU(), (X,), {}, (activations.gelu, activations.gelu_backward), {}),
        "GELU by tanh": Case(
            nn.GELU(tanh=True), (X,), {},
            (activations.gelu_tanh, activations.gelu_tanh_backward), {},
        ),
        "FeedForward": Case(
            nn.FeedForward(6, 5, activation="gelu", **seed), (X,), {},
            (feed_forward, feed_forward_backward), {"activation": "gelu"},
        ),
        "DotProductAttention": Case(
            nn.DotProductAttention(scale=0.7, dropout=0.3, **seed), (draw((2, 3, 6)), K, V),
            {"mask": mask}, (attention, attention_backward), {"scale": 0.7, "dropout": 0.3},
        ),
        "AdditiveAttention": Case(
            nn.AdditiveAttention(5, 6, 8, dropout=0.3, **seed), (Q, K, V), {"mask": mask},
            (additive_attention, additive_attention_backward), {"dropout": 0.3},
        ),
        "MultiHeadAttention": Case(
            nn.MultiHeadAttention(8, 4, Dq=5, Dk=6, Dv=7, dropout=0.3, **seed), (Q, K, V),
            {"mask": mask}, (multihead_attention, multihead_attention_backward),
            {"num_heads": 4, "dropout": 0.3},
        ),
        "CoAttention": Case(
            nn.CoAttention(scale=0.7), (X, M, draw((2, 4, 5)), draw((2, 3, 7))),
            {"mask_a": keys, "mask_b": mask}, (co_attention, co_attention_backward),
            {"scale": 0.7},
        ),
        "BidirectionalAttention": Case(
            nn.BidirectionalAttention(5, 6, 8, **seed), (Q, K),
            {"mask_a": mask}, (bidirectional_attention, bidirectional_attention_backward), {},
        ),
        "EncoderBlock": Case(
            nn.EncoderBlock(*block, **norm_etc), (X,), {"mask": causal},
            (encoder_block, encoder_block_backward), BLOCK,
        ),
        "DecoderBlock": Case(
            nn.DecoderBlock(*block, **norm_etc), (X, M), {"mask": causal, "memory_mask": keys},
            (decoder_block, decoder_block_backward), BLOCK,
        ),
        "TransformerEncoder": Case(
            nn.TransformerEncoder(*block, 2, **norm_etc), (X,), {"mask": causal},
            (encoder, encoder_backward), BLOCK,
        ),
        "TransformerDecoder": Case(
            nn.TransformerDecoder(*block, 2, **norm_etc), (X, M),
            {"mask": causal, "memory_mask": keys}, (decoder, decoder_backward), BLOCK,
        ),
        "Transformer": Case(
            nn.Transformer(CONFIG, **seed), (source, target),
            {"source_mask": np.array([[1, 1, 0], [1, 1, 1]], bool)},
            (transformer, transformer_backward), {"config": CONFIG},
        ),
        "CrossEntropyLoss": Case(
            nn.CrossEntropyLoss(ignore=0, label_smoothing=0.1), (draw((2, 4, 13)), target), {},
            (cross_entropy, cross_entropy_backward), {"ignore": 0, "label_smoothing": 0.1},
        ),
    }


CASES = cases()
every_case = pytest.mark.parametrize("name", CASES)
RANDOM = [name for name, case in CASES.items() if {"dropout", "config"} & set(case.options)]


@pytest.fixture
def case(name):
    return copy.deepcopy(CASES[name])


def upstream(Y):
    rng = np.random.default_rng(5)
    return tree_map(lambda y: rng.standard_normal(np.shape(y)) if np.ndim(y) else 1.7, Y)


def assert_same(got, want):
    """Bit for bit, with the same types of tuple all the way down."""
    tree_map(assert_array_equal, got, want)


def as_pair(layer, call):
    """The object as a pair in its inputs and parameters, for the checker."""

    def forward(*args):
        *inputs, params = args if layer.params is not None else (*args, None)
        twin = copy.deepcopy(layer)
        twin.params = params
        twin.zero_grad()
        return call(twin, *inputs), twin

    def backward(dY, twin):
        twin = copy.deepcopy(twin)
        dinputs = twin.backward(dY)
        dinputs = dinputs if type(dinputs) is tuple else (dinputs,)
        gradients = tuple(d for d in (*dinputs, twin.grads) if d is not None)
        return gradients if len(gradients) > 1 else gradients[0]

    return forward, backward


def assert_gradients_of(layer, *inputs, call=None, max_entries=8, **masks):
    """Inputs and parameters by complex step; call(layer, *inputs) is what gives the output."""
    if call is None:
        def call(twin, *inputs):
            return twin(*inputs, **masks)

    args = inputs if layer.params is None else (*inputs, layer.params)
    names = [f"X{i}" for i in range(len(inputs))] + ["params"]
    assert_gradients(
        *as_pair(layer, call), *args, names=names[: len(args)], max_entries=max_entries
    )


# ---- the object is the pair ----


@every_case
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_bit_for_bit_the_pair(case, mode):
    layer, inputs, masks, (forward, backward), options, slot = case
    getattr(layer, mode)()
    if layer.params is not None:
        options = {**options, slot: layer.params}
    if layer.training and case.layer._takes_rng:
        options["rng"] = copy.deepcopy(layer.rng)
    Y = layer(*inputs, **masks)
    want, cache = forward(*inputs, **masks, **options)
    assert_same(Y, want)
    dY = upstream(Y)
    gradients = backward(dY, cache)
    gradients = gradients if type(gradients) is tuple else (gradients,)
    dinputs = layer.backward(dY)
    if layer.params is not None:
        assert_same(layer.grads, gradients[-1])
        gradients = gradients[:-1]
    if dinputs is None:
        assert gradients == ()
    else:
        assert_same(dinputs if type(dinputs) is tuple else (dinputs,), gradients)


@pytest.mark.thorough
@every_case
def test_gradients(case):
    entries = 3 if len(tree_leaves(case.layer.params)) < 20 else 1  # of each array
    assert_gradients_of(case.layer, *case.inputs, **case.masks, max_entries=entries)


@every_case
def test_masks_may_come_by_position(case):
    by_name = copy.deepcopy(case.layer)(*case.inputs, **case.masks)
    assert_same(case.layer(*case.inputs, *case.masks.values()), by_name)


@every_case
def test_single_precision_stays_single(case):
    def single(leaf):
        return leaf.astype(np.float32) if leaf.dtype == np.float64 else leaf

    layer = case.layer
    if layer.params is not None:
        layer.params = tree_map(single, layer.params)
    Y = layer(*map(single, case.inputs), **case.masks)
    dY = tree_map(lambda y: y if np.ndim(y) else 1.0, Y)
    found = (Y, layer.backward(dY), layer.grads)
    assert {np.asarray(leaf).dtype for leaf in tree_leaves(found)} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    "make",
    [
        lambda **k: nn.Linear(3, 4, **k),
        lambda **k: nn.Embedding(3, 4, **k),
        lambda **k: nn.FeedForward(3, 4, **k),
        lambda **k: nn.MultiHeadAttention(4, 2, **k),
        lambda **k: nn.AdditiveAttention(3, 4, 5, **k),
        lambda **k: nn.BidirectionalAttention(3, 4, 5, **k),
        lambda **k: nn.EncoderBlock(4, 2, 3, **k),
        lambda **k: nn.TransformerDecoder(4, 2, 3, 2, norm="pre", **k),
        lambda **k: nn.Transformer(CONFIG, **k),
    ],
)
def test_seed_and_dtype_of_the_first_parameters(make):
    assert_same(make(rng=3).params, make(rng=3).params)
    assert_same(make(rng=np.random.default_rng(3)).params, make(rng=3).params)
    assert not np.array_equal(tree_leaves(make().params)[0], tree_leaves(make().params)[0])
    single = make(rng=3, dtype=np.float32).params
    assert {leaf.dtype for leaf in tree_leaves(single)} == {np.dtype(np.float32)}


def test_a_pair_of_ones_own():
    def scaled(X, params):
        return X * params, (X, params)

    def scaled_backward(dY, cache):
        X, params = cache
        return dY * params, (dY * X).sum(axis=0)

    layer = nn.Layer(scaled, scaled_backward, np.array([2.0, 3.0]))
    assert_array_equal(layer(np.ones((4, 2))), [[2, 3]] * 4)
    assert_array_equal(layer.backward(np.ones((4, 2))), [[2, 3]] * 4)
    assert_array_equal(layer.grads, [4, 4])
    assert_gradients_of(layer, np.random.default_rng(0).standard_normal((4, 2)))
    with pytest.raises(ValueError, match="X, params: give slot="):
        nn.Layer(scaled, scaled_backward, np.ones(2), slot="W")


def test_sizes_inferred_from_the_first_call():
    rng = np.random.default_rng(0)

    def infer(X):
        return LinearParams(rng.standard_normal((X.shape[-1], 2)), None)

    layer = nn.Layer(linear, linear_backward, infer=infer)
    assert layer.params is None and layer.grads is None
    for ask in (layer.state_dict, lambda: layer.load_state_dict({})):
        with pytest.raises(RuntimeError, match="call it once"):
            ask()
    with pytest.raises(TypeError, match="float32 or float64"):
        layer(np.ones((3, 5), int))
    assert layer.params is None  # a call that failed leaves nothing behind
    layer(np.ones((3, 5)))
    W = layer.params.W
    assert W.shape == (5, 2)
    layer(np.ones((4, 5)))
    assert layer.params.W is W


def test_positional_encoding(draw):
    X, layer = draw(2, 4, 7), nn.PositionalEncoding()
    assert_array_equal(layer(X), X + sinusoidal_positions(4, 7))
    assert_array_equal(layer(X, offset=3), X + sinusoidal_positions(7, 7)[3:])
    assert_array_equal(layer.backward(X), X)
    assert layer.params is None and layer.grads is None and layer.state_dict() == {}
    assert layer(X.astype(np.float32)).dtype == np.float32
    assert_gradients_of(nn.PositionalEncoding(dropout=0.4, rng=1), X)


def test_dropout(draw):
    X, layer = draw(40, 50), nn.Dropout(0.25, rng=0)
    Y = layer(X)
    kept = Y != 0
    assert 0.7 < kept.mean() < 0.8
    assert_allclose(Y[kept], X[kept] / 0.75, rtol=1e-15)
    assert_allclose(layer.backward(np.ones_like(X)), kept / 0.75, rtol=1e-15)
    assert layer.eval()(X) is X


# ---- modes ----


@pytest.mark.parametrize("name", RANDOM)
def test_dropout_acts_in_training_mode_only(case):
    def call():
        return case.layer(*case.inputs, **case.masks)

    assert case.layer.training
    assert not np.array_equal(call(), call())
    assert case.layer.eval() is case.layer and not case.layer.training
    assert_array_equal(call(), call())
    assert case.layer.train() is case.layer and case.layer.training


def test_evaluating_between_forward_and_backward_does_no_harm(draw):
    layer, X = nn.Linear(3, 2, rng=0), draw(4, 3)
    Y = layer(X)
    layer.eval()(draw(4, 3))
    layer.train().backward(Y)
    assert_allclose(layer.grads.W, X.T @ Y, rtol=1e-14)
    with pytest.raises(RuntimeError):
        layer.backward(Y)
    layer.eval().backward(Y)  # the evaluation still waits for its own


def test_waiting_calls_are_bounded():
    layer, X = nn.Linear(1, 1, rng=0), np.ones((1, 1))
    for _ in range(module.WAITING + 10):
        layer(X)
    for _ in range(module.WAITING):
        layer.backward(X)
    with pytest.raises(RuntimeError):
        layer.backward(X)
    layer.eval()
    layer(X)
    layer(X)
    layer.backward(X)
    with pytest.raises(RuntimeError, match="only the latest call"):
        layer.backward(X)


# ---- forward, backward, gradients ----


@every_case
def test_forward_twice_backward_twice_in_reverse(case):
    layer, masks = case.layer.eval(), case.masks
    other = tree_map(lambda x: x[::-1] if x.dtype.kind in "iu" else 2.0 * x - 1.0, case.inputs)
    singly = []
    for inputs in (case.inputs, other):
        Y = layer(*inputs, **masks)
        layer.zero_grad()
        singly.append((layer.backward(upstream(Y)), layer.grads))
    layer.zero_grad()
    layer.train()
    layer.options = {k: 0.0 if k == "dropout" else v for k, v in layer.options.items()}
    if "config" in layer.options:
        layer.options["config"] = replace(CONFIG, dropout=0.0)
    outputs = [layer(*inputs, **masks) for inputs in (case.inputs, other)]
    second = layer.backward(upstream(outputs[1]))
    first = layer.backward(upstream(outputs[0]))
    assert_same(first, singly[0][0])
    assert_same(second, singly[1][0])
    assert_same(layer.grads, tree_map(np.add, singly[1][1], singly[0][1]))
    with pytest.raises(RuntimeError):
        layer.backward(upstream(outputs[0]))


def test_gradients_add_up_until_zero_grad(draw):
    layer, X, dY = nn.Linear(3, 2, rng=0), draw(4, 3), draw(4, 2)
    assert type(layer.grads) is LinearParams and not layer.grads.W.any()
    layer(X)
    layer.backward(dY)
    once = layer.grads
    layer(X)
    layer.backward(dY)
    assert_array_equal(layer.grads.W, 2 * once.W)
    assert_array_equal(once.W, X.T @ dY)  # what was handed out is not written to
    layer.zero_grad()
    assert not layer.grads.W.any() and not layer.grads.b.any()


def test_a_shared_layer_sums_its_two_uses(draw):
    layer, X = nn.Linear(3, 3, rng=0), draw(4, 3)

    def twice(X, params):
        twin = copy.deepcopy(layer)
        twin.params = params
        return twin(twin(X)), twin

    def twice_backward(dY, twin):
        twin = copy.deepcopy(twin)
        return twin.backward(twin.backward(dY)), twin.grads

    assert_gradients(twice, twice_backward, X, layer.params)


def test_parameters_may_change_between_forward_and_backward(draw):
    layer, X, dY = nn.Linear(3, 2, rng=0), draw(4, 3), draw(4, 2)
    W = layer.params.W
    layer(X)
    layer.params = tree_map(np.zeros_like, layer.params)
    assert_array_equal(layer.backward(dY), dY @ W.T)


def test_training_with_an_optimizer(rng, draw):
    layer, loss_of = nn.FeedForward(5, 16, rng=0), nn.CrossEntropyLoss()
    X = draw(40, 5)
    targets = X[:, :3].argmax(axis=1)
    state, losses = init_adam(layer.params), []
    for _ in range(60):
        losses.append(loss_of(layer(X), targets))
        layer.zero_grad()
        layer.backward(loss_of.backward())
        layer.params, state = adam(layer.params, layer.grads, state, lr=0.02)
    assert losses[-1] < 0.2 * losses[0]


def test_attention_weights(draw):
    X, M = draw(2, 4, 6), draw(2, 3, 6)
    layer = nn.MultiHeadAttention(6, 2, dropout=0.5, rng=0)
    assert layer.attention_weights is None
    layer(X, M, M)
    assert layer.attention_weights.shape == (2, 2, 4, 3)
    assert_allclose(layer.attention_weights.sum(axis=-1), 1.0, rtol=1e-15)  # before dropout
    layer = nn.CoAttention()
    layer(X, M, X, M)
    assert [P.shape for P in layer.attention_weights] == [(2, 4, 3), (2, 3, 4)]
    layer = nn.BidirectionalAttention(6, 6, 5, rng=0)
    layer(X, M)
    assert [P.shape for P in layer.attention_weights] == [(2, 4, 3), (2, 3, 4)]
    layer = nn.TransformerEncoder(6, 2, 5, 3, rng=0)
    layer(X)
    assert [P.shape for P in layer.attention_weights] == [(2, 2, 4, 4)] * 3
    model = nn.Transformer(replace(CONFIG, encoder_blocks=2, decoder_blocks=2), rng=0)
    model(np.ones((2, 3), int), np.ones((2, 4), int))
    found, inner = model.attention_weights
    assert [P.shape for P in found] == [(2, 2, 3, 3)] * 2
    assert [(a.shape, b.shape) for a, b in inner] == [((2, 2, 4, 4), (2, 2, 4, 3))] * 2
    assert not np.triu(inner[0].self_attention, 1).any()


# ---- state ----


@every_case
def test_state_round_trip(case):
    layer = case.layer.eval()
    state = layer.state_dict()
    Y = layer(*case.inputs, **case.masks)
    if layer.params is not None:
        layer.params = tree_map(lambda p: p + 1.0, layer.params)
        for leaf in state.values():
            leaf += 0.0  # they are copies: writable, and nobody else's
    layer.load_state_dict(state)
    assert_same(layer(*case.inputs, **case.masks), Y)
    assert_array_equal(list(layer.state_dict()), list(state))


def test_paths_of_a_state():
    layer = nn.TransformerEncoder(4, 2, 3, 2, norm="pre", bias=False, rng=0)
    paths = list(layer.state_dict())
    assert "blocks[1].attention.query.W" in paths and "norm.gain" in paths
    assert "blocks[1].attention.query.b" not in paths
    assert paths == [path for path, _ in tree_items(layer.params)]
    assert list(nn.Embedding(3, 2).state_dict()) == ["params"]


def test_loading_names_all_that_does_not_fit_and_loads_nothing():
    layer = nn.FeedForward(3, 4, rng=0)
    before, state = layer.params, nn.FeedForward(3, 4, rng=1).state_dict()
    state["hidden.V"] = state.pop("hidden.W")
    state["output.W"] = state["output.W"].T
    state["output.b"] = state["output.b"].astype(np.float32)
    with pytest.raises(ValueError) as error:
        layer.load_state_dict(state)
    for words in (
        "FeedForward", "missing hidden.W", "unexpected hidden.V",
        "output.W is float64 (3, 4), should be float64 (4, 3)",
        "output.b is float32 (3,), should be float64 (3,)",
    ):
        assert words in str(error.value)
    assert layer.params is before


def test_assigned_parameters_must_fit():
    layer = nn.Linear(3, 2, rng=0)
    W, b = before = layer.params
    with pytest.raises(ValueError, match=r"W of this Linear must be \(3, 2\), got \(2, 3\)"):
        layer.params = LinearParams(W.T, b)
    with pytest.raises(ValueError, match="b"):
        layer.params = LinearParams(W, None)
    with pytest.raises(ValueError):
        layer.params = (W, b)
    assert layer.params is before


# ---- composites ----


class Two(NamedTuple):
    first: LinearParams
    second: LinearParams | None
    third: LinearParams


class Chain(nn.Composite):
    def __init__(self):
        self.first, self.third = nn.Linear(2, 3, rng=0), nn.Linear(3, 4, rng=1)
        self.dropout = nn.Dropout(0.5, rng=2)
        super().__init__(Two(self.first, None, self.third), self.dropout)

    def _forward(self, X):
        return self.third(self.dropout(self.first(X))), None

    def _backward(self, dY, cache):
        return self.first.backward(self.dropout.backward(self.third.backward(dY)))


def test_a_composite_gathers_and_deals_out_parameters(draw):
    chain = Chain()
    assert type(chain.params) is Two and chain.params.second is None
    assert list(chain.state_dict()) == ["first.W", "first.b", "third.W", "third.b"]
    chain.params = tree_map(lambda p: p + 1.0, chain.params)
    assert chain.params.third is chain.third.params
    assert_gradients_of(chain, draw(5, 2))
    chain.eval()
    assert not chain.dropout.training and not chain.third.training
    chain.backward(chain(draw(5, 2)))
    assert chain.grads.first.W.any() and chain.first.grads.W.any()
    chain.zero_grad()
    assert not chain.first.grads.W.any()


def test_a_composite_takes_all_parameters_or_none():
    chain = Chain()
    first, _, third = before = chain.params
    bad = LinearParams(third.W.T, third.b)
    for wrong in (
        Two(tree_map(np.zeros_like, first), None, bad), (first, None, third), first,
        Two(first, third, third), Two(first, None, None),
    ):
        with pytest.raises(ValueError):
            chain.params = wrong
        assert_same(chain.params, before)


def test_a_call_that_raises_leaves_nothing_behind(draw):
    chain, X = Chain(), draw(5, 2)
    chain.eval()
    Y = chain(X)
    want = chain.backward(Y)
    chain.train().dropout.options = {"rate": 0.0}
    chain.zero_grad()
    chain(X)
    broken, chain.third = chain.third, nn.Linear(7, 4)
    with pytest.raises(ValueError, match="Din is 3 in X, 7 in W"):
        chain(2.0 * X)  # the first layer has run by then
    chain.third = broken
    assert_same(chain.backward(Y), want)
    chain(X)
    chain.dropout.backward(np.ones((5, 3)))  # somebody upsets the order
    with pytest.raises(RuntimeError, match="Dropout.backward without a forward"):
        chain.backward(Y)
    chain.dropout(np.ones((5, 3)))  # put right: third had lost nothing
    assert_same(chain.backward(Y), want)


# ---- errors ----


@every_case
def test_backward_without_a_forward(case):
    with pytest.raises(RuntimeError, match=r"\w+\.backward without a forward"):
        case.layer.backward(np.ones(3))


def test_upstream_gradients_that_are_not_like_the_output(draw):
    layer = nn.Linear(3, 2, rng=0)
    Y = layer(draw(4, 3))
    for dY in (Y.T, Y.astype(np.float32), np.ones((4, 2), int), 1.0, None, (Y, Y)):
        with pytest.raises(ValueError, match=r"dY must be like the output, float64 \(4, 2\)"):
            layer.backward(dY)
    layer.backward(Y)  # none of them has used up the call
    layer = nn.CoAttention()
    A, B = layer(*(draw(3, 2) for _ in range(4)))
    with pytest.raises(ValueError, match="dY"):
        layer.backward(A)
    layer.backward((A, B))


def test_arguments_that_do_not_fit():
    X = np.ones((2, 4))
    with pytest.raises(TypeError, match="Xv"):
        nn.MultiHeadAttention(4, 2)(X, X)
    with pytest.raises(TypeError):
        nn.MultiHeadAttention(4, 2)(X, X, X, None, 2)
    with pytest.raises(ValueError, match="num_heads"):
        nn.MultiHeadAttention(4, 3)(X, X, X)
    with pytest.raises(ValueError, match="X"):
        nn.Linear(3, 2)(X)
    with pytest.raises(ValueError, match="rate"):
        nn.Dropout(1.0)(X)
    with pytest.raises(TypeError, match="mask must be a boolean"):
        nn.DotProductAttention()(X, X, X, np.ones((2, 2)))


# ---- torch as a witness ----


def torch_tree(torch, tree):
    return tree_map(lambda leaf: torch.tensor(leaf, requires_grad=True), tree)


def torch_linear(X, layer):
    return X @ layer.W if layer.b is None else X @ layer.W + layer.b


def torch_heads(torch, Xq, Xk, Xv, params, mask, H):
    """Multi-head attention, a head at a time: no split, no merge, no broadcasting of heads."""
    Q, K, V = (
        torch_linear(X, p)
        for X, p in ((Xq, params.query), (Xk, params.key), (Xv, params.value))
    )
    D, outputs = Q.shape[-1] // H, []
    for h in range(H):
        q, k, v = (X[..., h * D : (h + 1) * D] for X in (Q, K, V))
        S = torch.einsum("btd,bsd->bts", q, k) / math.sqrt(D)
        if mask is not None:
            S = S.masked_fill(~torch.tensor(mask), float("-inf"))
        outputs.append(torch.einsum("bts,bsd->btd", S.softmax(dim=-1), v))
    return torch_linear(torch.cat(outputs, dim=-1), params.output)


def torch_norm(torch, X, params):
    return torch.nn.functional.layer_norm(X, X.shape[-1:], params.gain, params.bias)


def torch_sublayer(torch, X, params, norm, f):
    if norm == "pre":
        return X + f(torch_norm(torch, X, params))
    return torch_norm(torch, X + f(X), params)


def torch_block(torch, X, M, params, mask, memory_mask, norm):
    """An encoder block, or with M a decoder block."""
    own = params.attention if M is None else params.self_attention
    own_norm = params.attention_norm if M is None else params.self_attention_norm
    X = torch_sublayer(
        torch, X, own_norm, norm, lambda Z: torch_heads(torch, Z, Z, Z, own, mask, 2)
    )
    if M is not None:
        X = torch_sublayer(
            torch, X, params.cross_attention_norm, norm,
            lambda Z: torch_heads(torch, Z, M, M, params.cross_attention, memory_mask, 2),
        )
    return torch_sublayer(
        torch, X, params.feed_forward_norm, norm,
        lambda Z: torch_linear(
            torch_linear(Z, params.feed_forward.hidden).relu(), params.feed_forward.output
        ),
    )


def assert_agrees(layer, inputs, masks, witness):
    """Forward and all gradients to 1e-12, given the same parameters."""
    torch = pytest.importorskip("torch")
    Xs, params = torch_tree(torch, inputs), torch_tree(torch, layer.params)
    want = witness(torch, *Xs, params)
    Y = layer(*inputs, **masks)
    assert_allclose(Y, want.detach().numpy(), rtol=1e-12, atol=1e-12)
    want.backward(torch.tensor(upstream(Y)))
    dinputs = layer.backward(upstream(Y))
    dinputs = dinputs if type(dinputs) is tuple else (dinputs,)
    for got, leaf in zip(
        tree_leaves((*dinputs, layer.grads)), tree_leaves((*Xs, params)), strict=True
    ):
        assert_allclose(got, leaf.grad.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_multihead_attention_agrees_with_torch(draw, draw_mask, shake, bias):
    mask = draw_mask(2, 3, 4)
    mask[:, 0, 1] = True
    layer = nn.MultiHeadAttention(6, 2, Dq=5, Dk=7, Dv=8, bias=bias, rng=0)
    layer.params = shake(layer.params)
    assert_agrees(
        layer, (draw(2, 3, 5), draw(2, 4, 7), draw(2, 4, 8)), {"mask": mask},
        lambda torch, q, k, v, params: torch_heads(torch, q, k, v, params, mask, 2),
    )


def test_a_layer_has_a_learned_key_behind_the_others(draw):
    layer, X = nn.MultiHeadAttention(4, 2, extra_key=True, rng=0), draw(2, 3, 4)
    expected, _ = multihead_attention(X, X, X, layer.params, num_heads=2)
    assert_array_equal(layer(X, X, X), expected)
    assert layer.attention_weights.shape == (2, 2, 3, 4)
    layer.backward(np.ones_like(expected))
    assert np.any(layer.grads.extras.extra_key) and np.any(layer.grads.extras.extra_value)
    with pytest.raises(TypeError, match="extra_key must be True or False, got 1"):
        nn.MultiHeadAttention(4, 2, extra_key=1)


def test_an_option_that_nobody_takes_is_named_when_the_layer_is_made():
    for name in ("dropuot", "mask", "params", "K"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            nn.MultiHeadAttention(4, 2, **{name: 0.1})
    nn.MultiHeadAttention(4, 2, zero_key=True, window=(3, None), cap=5.0, kernel="auto")


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_blocks_agree_with_torch(draw, shake, norm):
    X, M, causal, keys = draw(2, 5, 6), draw(2, 3, 6), causal_mask(5), np.array([True, False, True])
    layer = nn.EncoderBlock(6, 2, 7, norm=norm, rng=0)
    layer.params = shake(layer.params)
    assert_agrees(
        layer, (X,), {"mask": causal},
        lambda torch, X, params: torch_block(torch, X, None, params, causal, None, norm),
    )
    layer = nn.DecoderBlock(6, 2, 7, norm=norm, rng=0)
    layer.params = shake(layer.params)
    assert_agrees(
        layer, (X, M), {"mask": causal, "memory_mask": keys},
        lambda torch, X, M, params: torch_block(torch, X, M, params, causal, keys, norm),
    )


@pytest.mark.parametrize("make", [
    nn.MultiHeadAttention, partial(nn.EncoderBlock, F=4), partial(nn.DecoderBlock, F=4),
    partial(nn.TransformerEncoder, F=4, num_blocks=1),
])
def test_heads_must_divide_the_width_from_the_start(make):
    with pytest.raises(ValueError, match="got num_heads=3 for a width of 128"):
        make(128, 3)


def test_positions_of_what_is_no_array():
    with pytest.raises(TypeError, match="^X must be a NumPy array, got list"):
        nn.PositionalEncoding()([[0.0, 1.0]])
