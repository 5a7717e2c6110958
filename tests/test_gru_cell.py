"""One step of the gated recurrent unit."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.gru_cell import GRUParams, gru_cell, gru_cell_backward, init_gru
from npattn.kernels.linear import LinearParams
from npattn.trees import tree_items, tree_leaves, tree_map

resets = pytest.mark.parametrize("reset", ["before", "after"])


@pytest.fixture
def make_params(rng, shake):
    """For inputs 4 wide and a state 3 wide, no bias 0."""
    return lambda hidden_bias=True: shake(init_gru(4, 3, rng, hidden_bias=hidden_bias))


def logistic(x):
    return 1.0 / (1.0 + np.exp(-x))


# ---- values ----


@resets
def test_one_unit_by_hand(reset):
    # R = σ(0) = 1/2, Z = σ(ln 3) = 3/4, and with h = 2 the candidate sees 1: either way h R = 1
    params = GRUParams(
        LinearParams(np.zeros((1, 3)), np.array([0.0, np.log(3.0), 0.0])),
        LinearParams(np.array([[0.0, 0.0, 1.0]]), None),
    )
    H, cache = gru_cell(np.zeros(1), np.array([2.0]), params, reset=reset)
    assert_allclose(H, [3 / 4 * 2 + 1 / 4 * np.tanh(1)], rtol=1e-14)
    dX, dH, dparams = gru_cell_backward(np.ones(1), cache)
    slope = (1 - np.tanh(1) ** 2) / 4  # of H′ along what tanh sees
    assert_allclose(dH, [3 / 4 + slope / 2], rtol=1e-14)
    dgates = [slope * 2 / 4, (2 - np.tanh(1)) * 3 / 16, slope]
    assert_allclose(dparams.input.b, dgates, rtol=1e-14)
    assert_array_equal(dX, [0])
    assert_allclose(dparams.hidden.W[0, 2], slope * 1, rtol=1e-14)


def test_the_two_conventions_by_their_equations(make_params, draw):
    (W, b), (U, c) = params = make_params()
    X, H = draw(2, 4), draw(2, 3)
    (Wr, Wz, Wc), (Ur, Uz, Uc) = np.split(W, 3, axis=1), np.split(U, 3, axis=1)
    (br, bz, bc), (cr, cz, cc) = np.split(b, 3), np.split(c, 3)
    R = logistic(X @ Wr + br + H @ Ur + cr)
    Z = logistic(X @ Wz + bz + H @ Uz + cz)
    before = np.tanh(X @ Wc + bc + (R * H) @ Uc + cc)
    after = np.tanh(X @ Wc + bc + R * (H @ Uc + cc))
    for reset, C in (("before", before), ("after", after)):
        Y, _ = gru_cell(X, H, params, reset=reset)
        assert_allclose(Y, Z * H + (1 - Z) * C, rtol=1e-13)


def test_initial_parameters(rng):
    params = init_gru(4, 3, rng, dtype=np.float32)
    assert [(path, X.shape) for path, X in tree_items(params)] == [
        ("input.W", (4, 9)), ("input.b", (9,)), ("hidden.W", (3, 9)),
    ]
    params = init_gru(4, 3, rng, hidden_bias=True, dtype=np.float32)
    assert params.hidden.b.shape == (9,) and not params.input.b.any() and not params.hidden.b.any()
    assert {X.dtype for X in tree_leaves(params)} == {np.dtype(np.float32)}
    W = init_gru(400, 200, rng).input.W
    assert 0.099 < np.abs(W).max() <= 0.1  # √(6 / 600), by gate and not by three


# ---- invariants ----


@resets
def test_gates_at_their_ends(make_params, draw, reset):
    params, X, H = make_params(), draw(2, 4), draw(2, 3)
    shut = np.array([0.0, 1e3, 0.0]).repeat(3)  # Z = 1
    biased = params._replace(input=params.input._replace(b=shut))
    assert_array_equal(gru_cell(X, H, biased, reset=reset)[0], H)
    fresh = params._replace(input=params.input._replace(b=-1e3 * np.array([1, 1, 0]).repeat(3)))
    Y, _ = gru_cell(X, H, fresh, reset=reset)  # Z = 0 and R = 0: the state is forgotten
    bias = params.hidden.b[6:] if reset == "before" else 0.0
    assert_allclose(Y, np.tanh(X @ params.input.W[:, 6:] + bias), rtol=1e-12)


def test_without_a_hidden_bias_and_with_one_of_zeros(make_params, draw):
    params, X, H = make_params(hidden_bias=False), draw(2, 4), draw(2, 3)
    zeros = params._replace(hidden=params.hidden._replace(b=np.zeros(9)))
    for reset in ("before", "after"):
        Y, same = (gru_cell(X, H, p, reset=reset)[0] for p in (params, zeros))
        assert_array_equal(Y, same)
    assert gru_cell_backward(H, gru_cell(X, H, params)[1])[2].hidden.b is None


def test_before_the_product_one_bias_is_enough(make_params, draw):
    params, X, H = make_params(), draw(2, 4), draw(2, 3)
    joined = GRUParams(
        params.input._replace(b=params.input.b + params.hidden.b), params.hidden._replace(b=None)
    )
    assert_allclose(gru_cell(X, H, params)[0], gru_cell(X, H, joined)[0], rtol=1e-13)


@resets
def test_large_inputs_saturate_without_warning(make_params, reset):
    params = make_params()
    for X in (np.full((2, 4), 1e6), np.full((2, 4), -1e6)):
        Y, cache = gru_cell(X, np.ones((2, 3)), params, reset=reset)
        leaves = tree_leaves((Y, gru_cell_backward(Y, cache)))
        assert all(np.isfinite(leaf).all() for leaf in leaves)


@resets
@pytest.mark.parametrize("hidden_bias", [False, True])
def test_convention(convention, make_params, draw, reset, hidden_bias):
    args = draw(2, 5, 4), draw(2, 5, 3), make_params(hidden_bias)
    convention(gru_cell, gru_cell_backward, *args, reset=reset)


# ---- gradients ----


@resets
@pytest.mark.parametrize("hidden_bias", [False, True])
@pytest.mark.parametrize("leading", [(), (2,), (2, 5)])
def test_gradients(assert_gradients, make_params, draw, reset, hidden_bias, leading):
    args = draw(*leading, 4), draw(*leading, 3), make_params(hidden_bias)
    assert_gradients(gru_cell, gru_cell_backward, *args, reset=reset)


def test_against_torch(make_params, draw):
    torch = pytest.importorskip("torch")
    params, X, H, dY = make_params(), draw(2, 4), draw(2, 3), draw(2, 3)
    cell = torch.nn.GRUCell(4, 3, dtype=torch.float64)
    named = {"weight_ih": params.input.W.T, "bias_ih": params.input.b,
             "weight_hh": params.hidden.W.T, "bias_hh": params.hidden.b}
    cell.load_state_dict({name: torch.tensor(p.copy(order="C")) for name, p in named.items()})
    tX, tH = (torch.tensor(array, requires_grad=True) for array in (X, H))
    expected = cell(tX, tH)
    expected.backward(torch.tensor(dY))
    Y, cache = gru_cell(X, H, params, reset="after")
    assert_allclose(Y, expected.detach().numpy(), rtol=0, atol=1e-13)
    dX, dH, dparams = gru_cell_backward(dY, cache)
    found = tree_map(lambda d: d.T, (dX.T, dH.T, dparams))
    for d, tensor in zip(tree_leaves(found), (tX, tH, cell.weight_ih, cell.bias_ih, cell.weight_hh,
                                              cell.bias_hh), strict=True):
        assert_allclose(d, tensor.grad.numpy(), rtol=0, atol=1e-13)


# ---- errors ----


def test_another_reset(make_params):
    with pytest.raises(ValueError, match='reset must be "before" or "after", got True'):
        gru_cell(np.zeros(4), np.zeros(3), make_params(), reset=True)


@pytest.mark.parametrize("X, H", [((2, 4), (3,)), ((4,), (2, 3)), ((2, 4), (2, 4)), ((2, 4), ())])
def test_states_that_do_not_fit(make_params, X, H):
    with pytest.raises(ValueError) as error:
        gru_cell(np.zeros(X), np.zeros(H), make_params())
    assert f"got X {X}, H {H}, " in str(error.value)


def test_inputs_and_parameters_that_do_not_fit(make_params):
    params = make_params()
    with pytest.raises(ValueError, match="^D is 5 in X, 4 in input.W"):
        gru_cell(np.zeros((2, 5)), np.zeros((2, 3)), params)
    narrow = params._replace(input=LinearParams(np.zeros((4, 6)), None))
    with pytest.raises(ValueError, match="^G is 6 in input.W, 9 in hidden.W"):
        gru_cell(np.zeros((2, 4)), np.zeros((2, 3)), narrow)
    narrow = narrow._replace(hidden=LinearParams(np.zeros((3, 6)), None))
    with pytest.raises(ValueError, match=r"hidden.W \(3, 6\) must have 9 columns"):
        gru_cell(np.zeros((2, 4)), np.zeros((2, 3)), narrow)
    with pytest.raises(TypeError, match="^X must be a NumPy array, got list"):
        gru_cell([[0.0] * 4] * 2, np.zeros((2, 3)), params)
    with pytest.raises(TypeError, match="^H must be float32 or float64, got int64"):
        gru_cell(np.zeros((2, 4)), np.zeros((2, 3), int), params)
