"""Optimizers: first steps by hand, agreement with torch, clipping, which parameters move."""

import math
from typing import NamedTuple

import numpy as np
import pytest

from npattn.training.optimizers import (
    adam,
    clip_by_global_norm,
    global_norm,
    init_adam,
    init_sgd,
    merge,
    select,
    sgd,
)
from npattn.trees import tree_items, tree_leaves, tree_map

TORCH = "agreement with torch is checked where torch is installed"


@pytest.fixture
def rng():
    return np.random.default_rng(7)


class Layer(NamedTuple):
    W: np.ndarray
    b: np.ndarray | None


class Model(NamedTuple):
    encoder: tuple
    scale: np.ndarray


def model(rng, dtype=np.float64):
    """A tree of each kind: nested, a tuple of layers, a None leaf, a leaf without axes."""

    def draw(*shape):
        return np.array(rng.normal(size=shape), dtype)

    return Model((Layer(draw(2, 3), draw(3)), Layer(draw(3, 5), None)), draw())


def run(optimizer, params, gradients, **options):
    init, update = optimizer
    state = init(params)
    for grads in gradients:
        params, state = update(params, grads, state, **options)
    return params, state


def assert_trees_equal(tree, other):
    assert [path for path, _ in tree_items(tree)] == [path for path, _ in tree_items(other)]
    for (path, X), Y in zip(tree_items(tree), tree_leaves(other), strict=True):
        assert X.dtype == Y.dtype, path
        np.testing.assert_array_equal(X, Y, err_msg=path, strict=True)


OPTIMIZERS = {"sgd": ((init_sgd, sgd), {"momentum": 0.5}), "adam": ((init_adam, adam), {})}
both = pytest.mark.parametrize("optimizer, options", OPTIMIZERS.values(), ids=OPTIMIZERS)


def test_sgd_by_hand():
    params, _ = run((init_sgd, sgd), np.array([1.0, -2.0]), [np.array([0.5, 4.0])], lr=0.25)
    np.testing.assert_array_equal(params, [0.875, -3.0])


def test_sgd_momentum_by_hand():
    # v: 2, then ½ · 2 + 1 = 2; θ: 1 − ¼ · 2 = ½, then ½ − ¼ · 2 = 0
    gradients = [np.array([2.0]), np.array([1.0])]
    params, state = run((init_sgd, sgd), np.array([1.0]), gradients, lr=0.25, momentum=0.5)
    assert params.item() == 0.0
    assert state.v.item() == 2.0


def test_adam_first_two_steps_by_hand():
    # β₁ = ½, β₂ = ¾, ε = 1, η = 1, g = 2 then −1
    # t = 1: m = 1, m̂ = 2; v = 1, v̂ = 4; θ = 5 − 2 / 3
    # t = 2: m = ½ − ½ = 0: θ stays. v = ¾ + ¼ = 1
    options = {"lr": 1.0, "beta1": 0.5, "beta2": 0.75, "eps": 1.0}
    first, state = run((init_adam, adam), np.array([5.0]), [np.array([2.0])], **options)
    assert first.item() == pytest.approx(5 - 2 / 3, rel=1e-15)
    assert (state.m.item(), state.v.item(), int(state.t)) == (1.0, 1.0, 1)
    second, state = adam(first, np.array([-1.0]), state, **options)
    assert second.item() == first.item()
    assert (state.m.item(), state.v.item(), int(state.t)) == (0.0, 1.0, 2)


def test_adam_second_step_with_bias_correction_by_hand():
    # as above with g = 2 twice: m̂ = 2, v̂ = 4 again, because both means are corrected
    options = {"lr": 1.0, "beta1": 0.5, "beta2": 0.75, "eps": 1.0}
    params, _ = run((init_adam, adam), np.array([5.0]), [np.array([2.0])] * 2, **options)
    assert params.item() == pytest.approx(5 - 4 / 3, rel=1e-15)


def test_adam_first_step_has_the_length_of_the_learning_rate():
    grads = np.array([1e-3, -7.0, 300.0])
    params, _ = run((init_adam, adam), np.zeros(3), [grads], lr=0.1, eps=0.0)
    np.testing.assert_allclose(params, [-0.1, 0.1, -0.1], rtol=1e-14)


def _torch_run(name, start, gradients, dtype, **options):
    torch = pytest.importorskip("torch", reason=TORCH)
    tensors = [torch.tensor(X).requires_grad_() for X in tree_leaves(start)]
    optimizer = getattr(torch.optim, name)(tensors, **options)
    for grads in gradients:
        for tensor, g in zip(tensors, tree_leaves(grads), strict=True):
            tensor.grad = torch.tensor(g)
        optimizer.step()
    return [tensor.detach().numpy() for tensor in tensors]


@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize(
    "name, optimizer, ours, theirs",
    [
        ("SGD", (init_sgd, sgd), {}, {}),
        ("SGD", (init_sgd, sgd), {"momentum": 0.9}, {"momentum": 0.9}),
        ("Adam", (init_adam, adam), {}, {}),
        (
            "Adam",
            (init_adam, adam),
            {"beta1": 0.8, "beta2": 0.98, "eps": 1e-3},
            {"betas": (0.8, 0.98), "eps": 1e-3},
        ),
    ],
)
def test_agrees_with_torch(name, optimizer, ours, theirs, dtype, rtol, rng):
    start, gradients = model(rng, dtype), [model(rng, dtype) for _ in range(20)]
    params, _ = run(optimizer, start, gradients, lr=0.03, **ours)
    expected = _torch_run(name, start, gradients, dtype, lr=0.03, **theirs)
    for X, Y in zip(tree_leaves(params), expected, strict=True):
        np.testing.assert_allclose(X, Y, rtol=rtol, atol=rtol)


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_is_written_to_and_types_stay(optimizer, options, dtype, rng):
    init, update = optimizer
    params, grads = model(rng, dtype), model(rng, dtype)
    _, state = update(params, grads, init(params), lr=0.1, **options)
    for X in tree_leaves((params, grads, state)):
        X.flags.writeable = False
    new, new_state = update(params, grads, state, lr=np.float64(0.1), **options)
    assert type(new) is Model and new.encoder[1].b is None
    assert type(new_state) is type(state)
    for path, X in tree_items(new):
        assert isinstance(X, np.ndarray) and X.dtype == dtype, path
    for path, X in tree_items(new_state):
        assert isinstance(X, np.ndarray) and X.dtype in (dtype, np.int64), path
    before = {id(X) for X in tree_leaves((params, grads, state))}
    assert not before & {id(X) for X in tree_leaves((new, new_state))}


@both
def test_a_part_that_is_left_out_does_not_change_the_others(optimizer, options, rng):
    params, gradients = model(rng), [model(rng) for _ in range(3)]

    def cross(path):
        return path.startswith("encoder[1]")

    whole, _ = run(optimizer, params, gradients, lr=0.1, **options)
    part, _ = run(
        optimizer, select(params, cross), [select(g, cross) for g in gradients], lr=0.1, **options
    )
    assert [path for path, _ in tree_items(part)] == ["encoder[1].W"]
    np.testing.assert_array_equal(part.encoder[1].W, whole.encoder[1].W)
    merged = merge(params, part)
    assert merged.encoder[0].W is params.encoder[0].W and merged.scale is params.scale
    assert merged.encoder[1].W is part.encoder[1].W


def test_select_and_merge_are_inverse(rng):
    params = model(rng)

    def some(path):
        return path.endswith("W")

    assert_trees_equal(merge(params, select(params, some)), params)
    chosen = select(params, some)
    assert [path for path, _ in tree_items(chosen)] == ["encoder[0].W", "encoder[1].W"]
    other = model(rng)
    assert_trees_equal(select(merge(other, chosen), some), chosen)
    assert select(params, None) is params


def test_global_norm_by_hand():
    grads = Layer(np.array([[1.0, 2.0]]), np.array([2.0, 4.0]))
    assert global_norm(grads) == 5.0
    assert type(global_norm(grads)) is float
    assert global_norm(Layer(np.array([[3.0, 4.0]]), None)) == 5.0


def test_global_norm_of_float32_does_not_overflow():
    assert global_norm(np.full(4, 1e30, np.float32)) == pytest.approx(2e30, rel=1e-6)


def test_clip_scales_all_by_one_factor(rng):
    grads = model(rng)
    norm = global_norm(grads)
    clipped, before = clip_by_global_norm(grads, norm / 4)
    assert before == norm
    assert global_norm(clipped) == pytest.approx(norm / 4, rel=1e-14)
    for X, Y in zip(tree_leaves(clipped), tree_leaves(grads), strict=True):
        np.testing.assert_allclose(X, Y / 4, rtol=1e-14)


def test_clip_leaves_short_and_sick_gradients_alone(rng):
    grads = model(rng)
    assert clip_by_global_norm(grads, global_norm(grads))[0] is grads
    for bad in (np.inf, np.nan):
        sick = np.array([1.0, bad])
        same, norm = clip_by_global_norm(sick, 1.0)
        assert same is sick and not math.isfinite(norm)


def test_clip_is_pure_and_keeps_float32(rng):
    grads = model(rng, np.float32)
    for X in tree_leaves(grads):
        X.flags.writeable = False
    clipped, _ = clip_by_global_norm(grads, np.float64(0.01))
    assert {X.dtype for X in tree_leaves(clipped)} == {np.dtype(np.float32)}
    assert all(isinstance(X, np.ndarray) for X in tree_leaves(clipped))


@pytest.mark.parametrize("max_norm", [0.0, -1.0, np.nan])
def test_clip_refuses_a_norm_that_is_not_positive(max_norm):
    with pytest.raises(ValueError, match="max_norm must be positive"):
        clip_by_global_norm(np.ones(2), max_norm)


@both
def test_gradients_must_fit_their_parameters(optimizer, options, rng):
    init, update = optimizer
    params, grads = model(rng), model(rng)
    state = init(params)

    def step(**changes):
        layer = grads.encoder[0]._replace(**changes)
        update(params, grads._replace(encoder=(layer, grads.encoder[1])), state, lr=0.1, **options)

    with pytest.raises(ValueError, match=r"encoder\[0\].b is \(1,\) float64, .* \(3,\) float64"):
        step(b=np.ones(1))
    with pytest.raises(TypeError, match=r"encoder\[0\].W is \(2, 3\) float32, .* float64"):
        step(W=np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"encoder\[0\].b"):
        step(b=None)


@both
@pytest.mark.parametrize("dtype", ["int64", "float16", "complex128"])
def test_parameters_must_be_floats(optimizer, options, dtype):
    with pytest.raises(TypeError, match=f"parameter W must be float32 or float64, got {dtype}"):
        optimizer[0](Layer(np.ones((2, 3), dtype), None))


@both
@pytest.mark.parametrize("lr", [-0.1, np.inf, np.nan])
def test_learning_rate_must_be_finite_and_not_negative(optimizer, options, lr):
    init, update = optimizer
    with pytest.raises(ValueError, match="lr must be finite and at least 0"):
        update(np.ones(2), np.ones(2), init(np.ones(2)), lr=lr, **options)


@pytest.mark.parametrize(
    "optimizer, name",
    [((init_sgd, sgd), "momentum"), ((init_adam, adam), "beta1"), ((init_adam, adam), "beta2")],
)
@pytest.mark.parametrize("value", [1.0, -0.1])
def test_decays_must_lie_below_one(optimizer, name, value):
    init, update = optimizer
    with pytest.raises(ValueError, match=rf"{name} must lie in \[0, 1\)"):
        update(np.ones(2), np.ones(2), init(np.ones(2)), lr=0.1, **{name: value})


@both
def test_least_squares_converges(optimizer, options, rng):
    init, update = optimizer
    X, solution = rng.normal(size=(50, 4)), rng.normal(size=4)
    params, state = np.zeros(4), init(np.zeros(4))
    for step in range(600):
        grads = X.T @ (X @ params - X @ solution) / len(X)
        params, state = update(params, grads, state, lr=0.1 * 0.99**step, **options)
    np.testing.assert_allclose(params, solution, atol=1e-4)


def test_state_is_a_tree(rng):
    state = init_adam(model(rng))
    paths = [path for path, _ in tree_items(state)]
    assert paths[0] == "m.encoder[0].W" and paths[-1] == "t"
    assert_trees_equal(tree_map(np.copy, state), state)
