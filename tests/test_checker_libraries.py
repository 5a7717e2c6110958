"""How the checker calls functions of torch and of JAX, and what it calls their arguments."""

from functools import partial

import numpy as np
import pytest

from npattn import checking

X = np.array([[0.3, -1.2]])
gradcheck_torch = partial(checking.gradcheck_torch, quick=True)
gradcheck_jax = partial(checking.gradcheck_jax, quick=True)


def paths(report):
    assert report.ok, str(report)
    return [row.path for row in report.rows]


# ---- torch ----


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is not installed")


def test_a_function_of_torch_is_checked_in_double_precision_beside_what_is_held_fixed(torch):
    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(ctx, X, factor, which):
            assert not isinstance(which, torch.Tensor) or which.dtype == torch.int64
            ctx.factor = factor
            return X * factor

        @staticmethod
        def backward(ctx, dY):
            assert dY.dtype == torch.float64
            return dY * ctx.factor, None, None

    for function, given, which in (
        (Scale, X.astype(np.float32), torch.tensor([1])),
        (Scale.apply, torch.tensor(X).float().requires_grad_(), np.array([1])),
    ):
        report = gradcheck_torch(function, given, 3.0, which)
        assert paths(report) == ["dX"] and report.name == "Scale"
        assert report.rows[0].got.dtype == np.float64 and report.smallest_fault < 1e-9
    report = gradcheck_torch(Scale, X, 3.0, None, name="three", names=("Z", "f", "w"))
    assert paths(report) == ["dZ"] and report.name == "three"


def test_a_module_of_torch_stays_as_it_is_and_draws_the_same_numbers(torch):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(2, 2)
            self.fixed = torch.nn.Parameter(torch.ones(2), requires_grad=False)

        def forward(self, X, keep):
            return torch.nn.functional.dropout(self.inner(X), 0.5) * self.fixed * keep

    net, state = Net(), torch.get_rng_state()
    keep = torch.tensor([True, False])
    report = gradcheck_torch(net, torch.tensor(X), keep, max_entries=1)
    assert paths(report) == ["dX", "dinner.weight", "dinner.bias"] and report.name == "Net"
    assert paths(gradcheck_torch(net, X, keep, names=["A", "m"]))[0] == "dA"
    assert torch.equal(torch.get_rng_state(), state) and net.inner.weight.grad is None
    assert net.inner.weight.dtype == torch.float32


def test_every_check_draws_the_same_numbers_of_torch(torch):
    seen = []

    def f(X):
        seen.append(float(torch.rand(())))
        return X * seen[-1]

    for _ in range(2):
        torch.rand(())
        assert gradcheck_torch(f, X).ok
    assert len({*seen}) == 1


def test_what_torch_does_not_reach_has_the_gradient_0(torch):
    assert paths(gradcheck_torch(lambda A, B: A * 2, X, X)) == ["dA", "dB"]
    assert paths(gradcheck_torch(lambda A, B: (A * B, torch.ones(2).double()), X, X)) == [
        "dA", "dB"]
    assert gradcheck_torch(lambda A, B: (A * B).detach(), X, X).verdict == "wrong"
    assert gradcheck_torch(lambda A: torch.ones(2).double(), X).ok


def test_outputs_of_torch_come_in_tuples_lists_and_dicts_and_only_floats_count(torch):
    def f(X):
        return {"a": X * 2, "b": [X * X, (X.sum(), torch.arange(2))], "n": 3}

    report = gradcheck_torch(f, X)
    assert report.ok and report.method == "complex step"
    assert gradcheck_torch(lambda X: (X * X,), X).ok and gradcheck_torch(lambda X: X.sum(), X).ok


# ---- JAX ----


@pytest.fixture
def jax():
    return pytest.importorskip("jax", reason="JAX is not installed")


def square(jax, factor=2.0, more=lambda Y: Y):
    """X² with a backward of its own; fwd returns more(X²)."""
    f = jax.custom_vjp(lambda X: X * X)
    f.defvjp(lambda X: (more(X * X), X), lambda X, dY: (factor * X * dY,))
    return f


def test_a_function_of_jax_is_checked_in_double_precision(jax):
    usual = jax.config.jax_enable_x64
    for given in (X, X.astype(np.float32), jax.numpy.asarray(X)):
        report = gradcheck_jax(square(jax), given, name="square", names=("Z",))
        assert paths(report) == ["dZ"] and report.name == "square"
        assert report.rows[0].got.dtype == np.float64 and report.smallest_fault < 1e-9
    assert gradcheck_jax(square(jax, 2.0001), X).verdict == "wrong"
    assert jax.config.jax_enable_x64 == usual


def test_jax_holds_fixed_what_is_no_array_of_floats(jax):
    def scaled(A, factor, which, nothing, p):
        assert isinstance(factor, np.float64) and nothing == {} and which.dtype.kind == "i"
        return {"Y": A * (factor * which[0]), "more": [p["W"] * A, p["b"]]}

    W = jax.numpy.asarray(X)
    report = gradcheck_jax(scaled, X, np.float64(3.0), np.array([1]), {}, {"W": W, "b": X})
    assert paths(report) == ["dA", "dp.W", "dp.b"] and report.name == "scaled"
    with pytest.raises(TypeError, match="^p is a dict that holds float arrays beside other things"):
        gradcheck_jax(lambda A, p: A * 2, X, {"W": X, "n": 3})


def test_the_value_that_fwd_returns_agrees_to_a_billionth(jax):
    Z = np.array([1.0, 1e-6])

    def verdict(*parts, Z=Z):
        more = np.array(parts)
        return gradcheck_jax(square(jax, more=lambda Y: Y + more), Z).verdict

    assert verdict(0.9e-9, 0.0) == verdict(0.0, 0.9e-12) == "right"
    assert verdict(1.2e-9, 0.0) == verdict(0.0, 1.2e-12) == "wrong"
    assert verdict(0.0, 1e-15, Z=np.array([1e-3, 1e-9])) == "wrong"
    report = gradcheck_jax(square(jax, more=lambda Y: Y * 1.1), Z)
    assert report.failures == ("fwd returns another value than the function itself",)
    assert gradcheck_jax(square(jax), np.zeros((0, 2))).ok
