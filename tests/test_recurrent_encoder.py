"""The recurrent encoder."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.recurrent import gru
from npattn.models.recurrent_encoder import (
    init_recurrent_encoder,
    recurrent_encoder,
    recurrent_encoder_backward,
)
from npattn.trees import tree_items, tree_leaves


@pytest.fixture
def ids(rng):
    return rng.integers(0, 6, (2, 5))


@pytest.fixture
def make_params(rng, shake):
    """Vocabulary 6, embeddings 3 wide, states 4 wide."""
    return lambda layers=2, **bias: shake(init_recurrent_encoder(6, 3, 4, layers, rng, **bias))


MASK = np.arange(5) < np.array([[3], [5]])


# ---- values ----


def test_two_layers_are_one_above_the_other(ids, make_params):
    params = make_params()
    (M, states), _ = recurrent_encoder(ids, params, MASK)
    lower, _ = gru(params.embedding[ids], np.zeros((2, 4)), params.layers[0], MASK)
    upper, _ = gru(lower, np.zeros((2, 4)), params.layers[1], MASK)
    assert_array_equal(M, upper)
    assert_array_equal(states, [lower[:, -1], upper[:, -1]])
    assert_array_equal(states[1][0], M[0, 2])  # the last real token of a padded sequence


def test_shapes_of_the_text(rng):
    params = init_recurrent_encoder(10, 8, 16, 2, rng)
    (M, states), _ = recurrent_encoder(np.zeros((4, 7), int), params)
    assert M.shape == (4, 7, 16) and [state.shape for state in states] == [(4, 16)] * 2


def test_initial_parameters(rng):
    params = init_recurrent_encoder(6, 3, 4, 2, rng, hidden_bias=True, dtype=np.float32)
    assert [(path, X.shape) for path, X in tree_items(params)] == [
        ("embedding", (6, 3)),
        *((f"layers[{i}].{name}", shape) for i, Din in enumerate((3, 4)) for name, shape in (
            ("input.W", (Din, 12)), ("input.b", (12,)), ("hidden.W", (4, 12)), ("hidden.b", (12,))
        )),
    ]
    assert {X.dtype for X in tree_leaves(params)} == {np.dtype(np.float32)}


# ---- invariants ----


def test_padding_is_not_read(ids, make_params, draw):
    params, dY = make_params(), (draw(2, 5, 4), (draw(2, 4), draw(2, 4)))
    Y, cache = recurrent_encoder(ids, params, MASK)
    other, other_cache = recurrent_encoder(np.where(MASK, ids, 5 - ids), params, MASK)
    for X, want in zip(tree_leaves(other), tree_leaves(Y), strict=True):
        assert_array_equal(X, want)
    cut, _ = recurrent_encoder(ids[:1, :3], params)
    for X, want in zip(cut[1], Y[1], strict=True):
        assert_allclose(X, want[:1], rtol=1e-13)
    found, expected = (recurrent_encoder_backward(dY, c) for c in (other_cache, cache))
    for d, want in zip(tree_leaves(found.layers), tree_leaves(expected.layers), strict=True):
        assert_allclose(d, want, rtol=1e-13, atol=1e-15)


def test_dropout_falls_between_layers(ids, make_params):
    options = dict(dropout_rate=0.5, rng=np.random.default_rng(0))
    _, cache = recurrent_encoder(ids, make_params(3), **options)
    assert [dropped.keep is None for dropped, _ in cache.layers] == [True, False, False]
    alone, _ = recurrent_encoder(ids, make_params(1), **options)
    assert_array_equal(alone[0][:, -1], alone[1][0])


# ---- gradients ----


@pytest.mark.sampled(2)
@pytest.mark.parametrize("reset", ["before", "after"])
@pytest.mark.parametrize("layers", [1, 2])
def test_gradients(assert_gradients, ids, make_params, rng, reset, layers):
    params = make_params(layers, hidden_bias=reset == "after")
    assert_gradients(
        recurrent_encoder, recurrent_encoder_backward, ids, params, MASK,
        reset=reset, dropout_rate=0.3, rng=rng,
    )


def test_against_torch(ids, make_params, draw):
    torch = pytest.importorskip("torch")
    params, dM, dstates = make_params(hidden_bias=True), draw(2, 5, 4), draw(2, 2, 4)
    stack = torch.nn.GRU(3, 4, 2, batch_first=True, dtype=torch.float64)
    state = {}
    for i, layer in enumerate(params.layers):
        for kind, part in (("ih", layer.input), ("hh", layer.hidden)):
            state[f"weight_{kind}_l{i}"] = torch.tensor(np.ascontiguousarray(part.W.T))
            state[f"bias_{kind}_l{i}"] = torch.tensor(part.b)
    stack.load_state_dict(state)
    E = torch.tensor(params.embedding, requires_grad=True)
    there = stack(torch.nn.functional.embedding(torch.tensor(ids), E))
    torch.autograd.backward(there, [torch.tensor(dM), torch.tensor(dstates)])

    (M, states), cache = recurrent_encoder(ids, params, reset="after")
    assert_allclose(M, there[0].detach().numpy(), rtol=0, atol=1e-13)
    assert_allclose(np.stack(states), there[1].detach().numpy(), rtol=0, atol=1e-13)
    dparams = recurrent_encoder_backward((dM, tuple(dstates)), cache)
    assert_allclose(dparams.embedding, E.grad.numpy(), rtol=0, atol=1e-12)
    for i, layer in enumerate(dparams.layers):
        for kind, part in (("ih", layer.input), ("hh", layer.hidden)):
            for name, d in (("weight", part.W.T), ("bias", part.b)):
                expected = getattr(stack, f"{name}_{kind}_l{i}").grad.numpy()
                assert_allclose(d, expected, rtol=0, atol=1e-12)


# ---- errors ----


def test_arguments_that_do_not_fit(ids, make_params):
    params = make_params()
    with pytest.raises(ValueError, match="ids must lie in 0 … 5"):
        recurrent_encoder(ids + 5, params)
    with pytest.raises(TypeError, match="ids must be an integer array, got float64"):
        recurrent_encoder(ids * 1.0, params)
    with pytest.raises(ValueError, match=r"mask \(2, 4\)"):
        recurrent_encoder(ids, params, MASK[:, :4])
    with pytest.raises(ValueError, match="num_layers must be at least 1, got 0"):
        init_recurrent_encoder(6, 3, 4, 0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="at least one step"):
        recurrent_encoder(ids[:, :0], params)
