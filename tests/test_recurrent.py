"""The gated recurrent unit along a sequence."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.gru_cell import gru_cell, gru_cell_backward, init_gru
from npattn.kernels.recurrent import gru, gru_backward
from npattn.trees import tree_leaves, tree_map

resets = pytest.mark.parametrize("reset", ["before", "after"])


@pytest.fixture
def make_params(rng, shake):
    """For inputs 4 wide and a state 3 wide, no bias 0."""
    return lambda hidden_bias=True: shake(init_gru(4, 3, rng, hidden_bias=hidden_bias))


@pytest.fixture
def mask():
    """Sequences of 3 and 5 steps; in the first one also a hole."""
    return np.array([[True, False, True, False, False], [True] * 5])


# ---- values ----


@resets
def test_a_sequence_is_the_cell_again_and_again(make_params, draw, reset):
    params, X, H, dY = make_params(), draw(2, 5, 4), draw(2, 3), draw(2, 5, 3)
    Y, cache = gru(X, H, params, reset=reset)
    state, cells = H, []
    for t in range(5):
        state, cell = gru_cell(X[:, t], state, params, reset=reset)
        cells.append(cell)
        assert_allclose(Y[:, t], state, rtol=1e-14, atol=1e-15)
    dX, dH, dparams = gru_backward(dY, cache)
    dstate, total = np.zeros((2, 3)), tree_map(np.zeros_like, params)
    for t in range(4, -1, -1):
        dX_t, dstate, dparams_t = gru_cell_backward(dY[:, t] + dstate, cells[t])
        total = tree_map(np.add, total, dparams_t)
        assert_allclose(dX[:, t], dX_t, rtol=0, atol=1e-14)
    assert_allclose(dH, dstate, rtol=0, atol=1e-14)
    for d, want in zip(tree_leaves(dparams), tree_leaves(total), strict=True):
        assert_allclose(d, want, rtol=0, atol=1e-13)


# ---- invariants ----


def test_the_past_does_not_feel_the_future(make_params, draw):
    params, X, H = make_params(), draw(2, 5, 4), draw(2, 3)
    changed = X.copy()
    changed[:, 3:] = draw(2, 2, 4)
    Y, other = gru(X, H, params)[0], gru(changed, H, params)[0]
    assert_array_equal(other[:, :3], Y[:, :3])
    assert (other[:, 3:] != Y[:, 3:]).all()


def test_a_sequence_may_be_read_in_two_parts(make_params, draw):
    params, X, H = make_params(), draw(2, 5, 4), draw(2, 3)
    Y, _ = gru(X, H, params)
    first, _ = gru(X[:, :2], H, params)
    second, _ = gru(X[:, 2:], first[:, -1], params)
    assert_allclose(np.concatenate([first, second], axis=1), Y, rtol=1e-12)


@resets
def test_padding_neither_moves_the_state_nor_has_a_gradient(make_params, draw, mask, reset):
    params, X, H, dY = make_params(), draw(2, 5, 4), draw(2, 3), draw(2, 5, 3)
    Y, cache = gru(X, H, params, mask, reset=reset)
    short, _ = gru(X[:1, [0, 2]], H[:1], params, reset=reset)
    assert_allclose(Y[:1, [0, 2]], short, rtol=1e-12)
    assert_array_equal(Y[0, 1], Y[0, 0])
    assert_array_equal(Y[0, 3:], np.broadcast_to(Y[0, 2], (2, 3)))
    changed = np.where(mask[..., None], X, draw(2, 5, 4))
    assert_array_equal(gru(changed, H, params, mask, reset=reset)[0], Y)
    dX, _, _ = gru_backward(dY, cache)
    assert not dX[~mask].any()


def test_a_mask_of_all_real_steps_changes_nothing(make_params, draw):
    params, X, H = make_params(), draw(2, 5, 4), draw(2, 3)
    assert_array_equal(gru(X, H, params, np.ones((2, 5), bool))[0], gru(X, H, params)[0])


@resets
@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_padding_may_hold_anything(make_params, draw, mask, reset, broken):
    params, X, H, dY = make_params(), draw(2, 5, 4), draw(2, 3), draw(2, 5, 3)
    Y, cache = gru(X, H, params, mask, reset=reset)
    spoilt = np.where(mask[..., None], X, broken)
    found, spoilt_cache = gru(spoilt, H, params, mask, reset=reset)
    assert_array_equal(found, Y)
    tree_map(assert_array_equal, gru_backward(dY, spoilt_cache), gru_backward(dY, cache))


@resets
def test_convention(convention, make_params, draw, mask, reset):
    convention(gru, gru_backward, draw(2, 5, 4), draw(2, 3), make_params(), mask, reset=reset)


# ---- gradients ----


@resets
@pytest.mark.parametrize("hidden_bias", [False, True])
def test_gradients(assert_gradients, make_params, draw, mask, reset, hidden_bias):
    args = draw(2, 5, 4), draw(2, 3), make_params(hidden_bias), mask
    assert_gradients(gru, gru_backward, *args, reset=reset)


@pytest.mark.parametrize("leading, T", [((), 5), ((2, 3), 2), ((2,), 1)])
def test_gradients_with_other_axes(assert_gradients, make_params, draw, leading, T):
    assert_gradients(gru, gru_backward, draw(*leading, T, 4), draw(*leading, 3), make_params())


def test_against_torch(make_params, draw):
    torch = pytest.importorskip("torch")
    params, X, H, dY = make_params(), draw(2, 5, 4), draw(2, 3), draw(2, 5, 3)
    layer = torch.nn.GRU(4, 3, batch_first=True, dtype=torch.float64)
    named = {"weight_ih_l0": params.input.W.T, "bias_ih_l0": params.input.b,
             "weight_hh_l0": params.hidden.W.T, "bias_hh_l0": params.hidden.b}
    layer.load_state_dict({name: torch.tensor(p.copy(order="C")) for name, p in named.items()})
    tX, tH = (torch.tensor(array, requires_grad=True) for array in (X, H[None]))
    expected, last = layer(tX, tH)
    expected.backward(torch.tensor(dY))
    Y, cache = gru(X, H, params, reset="after")
    assert_allclose(Y, expected.detach().numpy(), rtol=0, atol=1e-13)
    assert_allclose(Y[:, -1], last[0].detach().numpy(), rtol=0, atol=1e-13)
    dX, dH, dparams = gru_backward(dY, cache)
    assert_allclose(dX, tX.grad.numpy(), rtol=0, atol=1e-12)
    assert_allclose(dH, tH.grad[0].numpy(), rtol=0, atol=1e-12)
    for d, name in zip(tree_leaves(dparams), named, strict=True):
        assert_allclose(d.T, getattr(layer, name).grad.numpy(), rtol=0, atol=1e-12)


# ---- errors ----


@pytest.mark.parametrize("shape, words", [
    ((2, 0, 4), r"at least one step, got shape \(2, 0, 4\)"), ((4,), "X has 1 axis, and needs"),
])
def test_no_steps(make_params, shape, words):
    with pytest.raises(ValueError, match=words):
        gru(np.zeros(shape), np.zeros((2, 3)), make_params())


def test_arguments_that_do_not_fit(make_params):
    params, X, H = make_params(), np.zeros((2, 5, 4)), np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"H must have the shape \(2, 3\)"):
        gru(X, H[0], params)
    with pytest.raises(ValueError, match=r"mask \(2, 4\) .* the steps \(2, 5\)"):
        gru(X, H, params, np.ones((2, 4), bool))
    with pytest.raises(TypeError, match="mask must be a boolean array"):
        gru(X, H, params, np.ones((2, 5)))
    with pytest.raises(ValueError, match="reset must be"):
        gru(X, H, params, reset="torch")


def test_lists_and_nothing(make_params):
    params, X, H = make_params(), np.zeros((2, 5, 4)), np.zeros((2, 3))
    with pytest.raises(TypeError, match="^X must be a NumPy array, got list"):
        gru(X.tolist(), H, params)
    with pytest.raises(TypeError, match="^H must be a NumPy array, got NoneType"):
        gru(X, None, params)
