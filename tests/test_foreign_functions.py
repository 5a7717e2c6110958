"""Functions that are not ours, each kind with a right backward and with a wrong one."""

import dataclasses
import math

import numpy as np
import pytest

from npattn.checking import (
    assert_gradients, gradcheck, gradcheck_jax, gradcheck_layer, gradcheck_second_order,
    gradcheck_torch,
)

RNG = np.random.default_rng(5)
W4 = np.array([1.0, 2.0, -3.0, 0.5])


def both(f, right, wrong, *args, **options):
    """The verdicts on a right and on a wrong backward."""
    return tuple(gradcheck(f, b, *args, **options).verdict for b in (right, wrong))


# ---- a witness that cannot be fooled


@pytest.mark.sampled(8)
@pytest.mark.parametrize("seed", range(40))
def test_a_forgotten_penalty_is_found_for_every_draw_of_the_weights(seed):
    rng = np.random.default_rng(seed)
    w = W4 if seed == 0 else rng.choice([-1, 1], 4) * rng.uniform(0.2, 3, 4)
    verdicts = both(
        lambda w: ((w**2).sum() + np.abs(w).sum(), w),
        lambda d, w: d * (2 * w + np.sign(w)), lambda d, w: 2 * d * w, w, seed=seed,
    )
    assert verdicts == ("right", "wrong")


@pytest.mark.parametrize("size", [1e-3, 1e-5, 1e-7, 1e-8, 1e-9, 1e-10])
def test_a_part_far_smaller_than_the_whole_is_looked_at(size):
    verdicts = both(
        lambda w: ((w**2).sum() + size * np.abs(w).sum(), w),
        lambda d, w: d * (2 * w + size * np.sign(w)), lambda d, w: 2 * d * w, W4,
    )
    assert verdicts == ("right", "wrong")


@pytest.mark.parametrize("f, right", [
    (lambda X: (np.sin(X), X), lambda d, X: d * np.cos(X)),
    (lambda X: (np.sin(X).sum() + np.abs(X).sum(), X), lambda d, X: d * (np.cos(X) + np.sign(X))),
], ids=["analytic", "not analytic"])
def test_a_fault_of_a_billionth_in_one_entry_is_found(f, right):
    def wrong(d, X):
        dX = right(d, X)
        dX[1, 2] *= 1 + 1e-9
        return dX

    X = np.array([[0.3, -1.2, 0.8], [2.0, -0.4, 0.5]])
    assert both(f, right, wrong, X) == ("right", "wrong")
    report = gradcheck(f, right, X)
    assert report.smallest_fault < 1e-9


def test_a_gradient_of_rounding_size_is_right_where_outputs_are_computed_from_an_entry():
    """The softmax over one allowed key is 1, wherever the query is."""
    def f(x):
        return np.exp(x - x) * np.array([1.0, 2.0]), x

    assert both(f, lambda d, x: x * 0 + 1e-17, lambda d, x: x * 0 + 1e-3, np.array([0.7])) == (
        "right", "wrong")


def writes_at(X):
    np.add.at(X, 0, 1.0)
    return X * 2


def writes_through_a_buffer(X):
    import ctypes
    ctypes.c_double.from_address(X.ctypes.data).value += 1.0
    return X * 2


@pytest.mark.parametrize("writes", [writes_at, writes_through_a_buffer])
def test_what_writes_to_read_only_arrays_is_found_by_comparing(writes):
    X = np.array([1.0, 2.0])
    report = gradcheck(lambda X: (writes(X), X), lambda d, X: 2 * d, X)
    assert "f writes to one of its arguments" in report.failures[0]

    def to_dY(d, X):
        writes(d)
        return 2 * d

    report = gradcheck(lambda X: (2 * X, X), to_dY, X)
    assert "the backward writes to dY" in report.failures[0]
    assert X.tolist() == [1.0, 2.0]


def test_one_output_among_many_that_drops_the_imaginary_part_is_seen():
    X = RNG.normal(size=500)

    def f(X):
        Y = X**2
        Y = Y.copy()
        Y[77] = X[77].real ** 3
        return Y, X

    def right(dY, X):
        dX = 2 * X * dY
        dX[77] = 3 * X[77] ** 2 * dY[77]
        return dX

    def wrong(dY, X):
        dX = right(dY, X)
        dX[77] = 0.0
        return dX

    assert both(f, right, wrong, X) == ("right", "wrong")


@pytest.mark.parametrize("f, right, x", [
    (lambda x: (np.sqrt(x), x), lambda d, x: d / (2 * np.sqrt(x)), 1e-4),
    (lambda x: (np.log(x) + np.abs(x), x), lambda d, x: d * (1 / x + 1), 4e-3),
    (lambda x: (np.array([math.log(v) for v in x]), x), lambda d, x: d / x, 1e-3),
    (lambda x: (np.array([math.asin(v) for v in x]), x),
     lambda d, x: d / np.sqrt(1 - x * x), 0.999),
    (lambda x: (np.sin(1e6 * x), x), lambda d, x: d * 1e6 * np.cos(1e6 * x), 0.3),
    (lambda x: (x**3, x), lambda d, x: 3 * d * x * x, 1e12),
    (lambda x: (np.abs(x), x), lambda d, x: d * np.sign(x), 1e12),
    (lambda x: (np.abs(x), x), lambda d, x: d * np.sign(x), 1e-5),
])
def test_edges_of_a_domain_and_unlike_scales(f, right, x):
    X = np.array([x, 0.7 * x])
    for wrong in (lambda d, c: -right(d, c), lambda d, c: 1.5 * right(d, c), lambda d, c: 0 * d):
        assert both(f, right, wrong, X) == ("right", "wrong")


def test_a_kink_too_near_to_tell_is_undecided():
    X = np.array([1e-12, 0.7e-12])
    right, wrong = both(lambda x: (np.abs(x), x), lambda d, x: d * np.sign(x), lambda d, x: -d, X)
    assert right != "wrong" and wrong != "right"


def test_an_output_of_1e12_beside_ordinary_ones_hides_no_fault():
    def f(x):
        return np.array([1e12 * x[0], x[1] ** 2]), x

    verdicts = both(
        f, lambda d, x: np.array([1e12 * d[0], 2 * x[1] * d[1]]),
        lambda d, x: np.array([1e12 * d[0], 3 * x[1] * d[1]]), np.array([0.3, 0.8]),
    )
    assert verdicts[0] == "right" and verdicts[1] != "right"


def test_the_inverse_of_a_hilbert_matrix():
    H = 1.0 / (np.arange(7)[:, None] + np.arange(7) + 1)

    def right(d, Y):
        return -Y.T @ d @ Y.T

    verdicts = both(np.linalg.inv, right, lambda d, Y: -right(d, Y), H)
    assert verdicts == ("right", "wrong")


# ---- arithmetic that is coarser than it looks


def single(X):
    """tanh in float32, or complex64, whatever comes."""
    X = np.asarray(X)
    inner = X.astype(np.complex64 if np.iscomplexobj(X) else np.float32)
    return np.tanh(inner)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float32_inside_hides_no_gross_fault_and_accuses_no_right_gradient(dtype):
    for seed in range(10):
        X = np.random.default_rng(seed).normal(size=(3, 4)).astype(dtype)
        f = lambda X: (single(X).astype(np.result_type(X.dtype)), X)  # noqa: E731
        right = lambda d, X: (d * (1 - single(X) ** 2)).astype(X.dtype)  # noqa: E731
        assert gradcheck(f, right, X, seed=seed).verdict != "wrong"
        for factor in (-1, 2, 0):
            wrong = lambda d, X: factor * right(d, X)  # noqa: B023, E731
            assert gradcheck(f, wrong, X, seed=seed).verdict == "wrong"


def test_half_inside_is_undecided_and_says_what_helps():
    def f(X):
        return (X.astype(np.float16) * 3).astype(np.float64), X

    report = gradcheck(f, lambda d, X: 3 * d, RNG.normal(size=5))
    assert report.verdict == "undecided" and not report.ok
    assert "float16" in str(report) and "float64 inside" in report.reasons[0]
    assert gradcheck(f, lambda d, X: 0 * d, RNG.normal(size=5)).verdict != "right"
    with pytest.raises(AssertionError, match="UNDECIDED"):
        assert_gradients(f, lambda d, X: 3 * d, RNG.normal(size=5))


@pytest.mark.parametrize("offset", [1e3, 1e4])
def test_layer_norm_in_float32_at_an_offset(offset):
    def f(X):
        M = X - X.mean(-1, keepdims=True)
        std = np.sqrt((M * M).mean(-1, keepdims=True) + X.dtype.type(1e-5))
        return M / std, (M / std, std)

    def right(d, cache):
        N, std = cache
        return (d - d.mean(-1, keepdims=True) - N * (d * N).mean(-1, keepdims=True)) / std

    for seed in range(10):
        X = (np.random.default_rng(seed).normal(size=(4, 8)) + offset).astype(np.float32)
        assert gradcheck(f, right, X, seed=seed).verdict in ("right", "undecided")
        assert not gradcheck(f, lambda d, c: -right(d, c), X, seed=seed).ok
    if offset == 1e3:
        assert gradcheck(f, right, X).ok


def test_other_byte_orders_are_the_same_numbers():
    X = RNG.normal(size=4).astype(">f8")
    assert both(lambda X: (X**2, X), lambda d, X: 2 * d * X, lambda d, X: d * X, X) == (
        "right", "wrong")


# ---- any failure of the complex step falls back


def test_whatever_the_complex_step_raises_there_is_a_way():
    def strict(X):
        assert X.dtype == np.float64, X.dtype
        return {np.dtype(np.float64): X**2}[X.dtype], X

    report = gradcheck(strict, lambda d, X: 2 * d * X, RNG.normal(size=3))
    assert report.ok and report.method == "central differences" and report.notes


def test_torch_inside():
    torch = pytest.importorskip("torch", reason="torch is not installed")

    def f(X):
        return torch.nn.functional.gelu(torch.as_tensor(np.array(X))).numpy(), X

    def right(d, X):
        x = torch.tensor(X, requires_grad=True)
        return torch.autograd.grad(torch.nn.functional.gelu(x), x, torch.tensor(d))[0].numpy()

    assert both(f, right, lambda d, X: 0.5 * right(d, X), RNG.normal(size=(2, 3))) == (
        "right", "wrong")


# ---- entries of unlike sizes in one array

SIZES = np.array([1e-9, 1e-3, 1.0, 1e4, 1e9]) * 1.3


@pytest.mark.parametrize("k", range(5))
@pytest.mark.parametrize("fault", [1.0, 1e-6])
def test_a_fault_in_any_entry_is_measured_by_the_size_of_that_entry(k, fault):
    factors = np.ones(5)
    factors[k] += fault
    verdicts = both(
        lambda x: (x * x * x, x), lambda d, x: 3 * d * x * x,
        lambda d, x: 3 * d * x * x * factors, SIZES,
    )
    assert verdicts == ("right", "wrong")


def test_a_large_output_hides_no_fault_in_entries_that_it_does_not_depend_on():
    def f(x):
        return np.stack([1e12 * x[0] ** 2, np.sin(x[1]), x[0] * x[2]]), x

    def backward(d, x, turn):
        return np.stack([2e12 * d[0] * x[0] + d[2] * x[2], d[1] * turn(x[1]), d[2] * x[0]])

    verdicts = both(
        f, lambda d, x: backward(d, x, np.cos), lambda d, x: backward(d, x, np.sin),
        np.array([0.3, -0.8, 1.2]),
    )
    assert verdicts == ("right", "wrong")


@pytest.mark.parametrize("f, right", [
    (lambda x: (x**3, x), lambda d, x: 3 * d * x * x),
    (lambda x: (np.sin(x / 1e12), x), lambda d, x: d * np.cos(x / 1e12) / 1e12),
])
def test_entries_of_1e12_keep_their_digits(f, right):
    x = 1e12 * np.array([0.4, -1.3, 0.8])
    factors = np.array([1.0, 1.0 + 1e-6, 1.0])
    assert both(f, right, lambda d, x: right(d, x) * factors, x) == ("right", "wrong")


@pytest.mark.parametrize("f, right", [
    (lambda x: (np.linalg.norm(x), x), lambda d, x: d * x / np.linalg.norm(x)),
    (lambda x: (np.abs(x), x), lambda d, x: d * np.sign(x)),
])
def test_a_kink_as_far_away_as_an_entry_is_large_is_none(f, right):
    x = 1e-12 * np.array([0.7, -0.1, 1.9, -0.02])
    assert both(f, right, lambda d, x: -right(d, x), x) == ("right", "wrong")


def test_a_pole_close_by_is_no_kink():
    H = 1.0 / (np.arange(5)[:, None] + np.arange(5) + 1)
    verdicts = both(
        lambda A: (np.linalg.slogdet(A)[1], A), lambda d, A: d * np.linalg.inv(A).T,
        lambda d, A: -d * np.linalg.inv(A).T, H,
    )
    assert verdicts == ("right", "wrong")


def test_a_jump_of_the_backward_in_one_entry_hides_no_fault_in_others():
    verdicts = both(
        lambda s: ((np.maximum(0, 1 - s) ** 2).sum(), s),
        lambda d, s: -2 * d * np.maximum(0, 1 - s), lambda d, s: -2 * d * (s < 1),
        np.array([0.2, 1.0, 1.7, -0.5]),
    )
    assert verdicts == ("right", "wrong")


# ---- any style


def test_gradients_in_a_list():
    verdicts = both(
        lambda a, b: (a * b, (a, b)), lambda d, c: [d * c[1], d * c[0]],
        lambda d, c: [d * c[1], d * c[1]], np.array([1.0, 2.0]), np.array([3.0, 4.0]),
    )
    assert verdicts == ("right", "wrong")


@pytest.mark.peers
def test_compiled_code_that_refuses_read_only_arrays():
    numba = pytest.importorskip("numba", reason="numba is not installed")

    @numba.njit("float64[:](float64[::1], float64[::1])")
    def mix(a, b):
        return a * np.exp(-b)

    verdicts = both(
        lambda a, b: (mix(a, b), (a, b)),
        lambda d, c: (d * np.exp(-c[1]), -d * c[0] * np.exp(-c[1])),
        lambda d, c: (d * np.exp(-c[1]), d * c[0] * np.exp(-c[1])), np.ones(4), np.ones(4),
    )
    assert verdicts == ("right", "wrong")


def test_library_code_that_asks_for_writable_buffers():
    from scipy.spatial.transform import Rotation

    R = Rotation.from_rotvec([0.3, -0.2, 0.5])
    verdicts = both(
        lambda x: (R.apply(x), None), lambda d, _: R.inv().apply(d), lambda d, _: R.apply(d),
        np.random.default_rng(0).normal(size=(4, 3)),
    )
    assert verdicts == ("right", "wrong")


def test_an_autograd_function_and_a_module_of_torch():
    torch = pytest.importorskip("torch", reason="torch is not installed")

    class Tanh(torch.autograd.Function):
        @staticmethod
        def forward(ctx, X, W):
            ctx.save_for_backward(X, W)
            return torch.tanh(X @ W)

        @staticmethod
        def backward(ctx, dY):
            X, W = ctx.saved_tensors
            dS = dY * (1 - torch.tanh(X @ W) ** 2)
            return dS @ W.T, X.T @ dS

    class Doubled(Tanh):
        @staticmethod
        def backward(ctx, dY):
            dX, dW = Tanh.backward(ctx, dY)
            return dX, 2 * dW

    class Layer(torch.nn.Module):
        def __init__(self, function):
            super().__init__()
            self.function, self.W = function, torch.nn.Parameter(W.clone())

        def forward(self, X):
            return self.function.apply(X, self.W)

    X, W = torch.tensor(RNG.normal(size=(3, 4))), torch.tensor(RNG.normal(size=(4, 2)))
    report = gradcheck_torch(Tanh, X.float(), W)
    assert report.ok and report.method == "complex step"
    assert gradcheck_torch(Tanh.apply, X, W).ok and gradcheck_torch(Layer(Tanh), X).ok
    for report in (gradcheck_torch(Doubled, X, W), gradcheck_torch(Layer(Doubled), X)):
        assert report.verdict == "wrong" and "dW" in report.failures[0]
        assert "ratio 2" in report.failures[0]


@pytest.mark.peers
def test_a_custom_vjp_of_jax():
    jax = pytest.importorskip("jax", reason="JAX is not installed")

    def made(factor=1.0, other=0.0):
        def tanh(X, W):
            return jax.numpy.tanh(X @ W)

        def fwd(X, W):
            return tanh(X, W) + other, (X, W)

        def bwd(cache, dY):
            X, W = cache
            dS = dY * (1 - tanh(X, W) ** 2)
            return dS @ W.T, factor * X.T @ dS

        function = jax.custom_vjp(tanh)
        function.defvjp(fwd, bwd)
        return function

    X, W = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2))
    report = gradcheck_jax(made(), jax.numpy.asarray(X), W)
    assert report.ok and report.method == "complex step"
    assert "ratio 2" in gradcheck_jax(made(2.0), X, W).failures[0]
    assert "fwd returns another value" in gradcheck_jax(made(other=1e-3), X, W).failures[0]


class Affine:
    """As CS231n and many books write it."""

    def __init__(self, W, b):
        self.W, self.b, self.grads = W, b, {}
        self.dW, self.db = np.ones_like(W), np.ones_like(b)

    def forward(self, X):
        self.X = X
        return X @ self.W + self.b

    def backward(self, dY):
        self.dW += self.X.T @ dY
        self.db += dY.sum(axis=0)
        self.grads["W"] = self.X.T @ dY
        return dY @ self.W.T


class ForgetsTheBias(Affine):
    def backward(self, dY):
        dX = super().backward(dY)
        self.db *= 0
        return dX


def affine(kind=Affine):
    return kind(RNG.normal(size=(3, 2)), RNG.normal(size=2)), RNG.normal(size=(4, 3))


def test_a_layer_with_state_and_gradients_that_add_up():
    layer, X = affine()
    report = gradcheck_layer(layer, X, params={"W": "dW", "b": "db"})
    assert report.ok and [row.path for row in report.rows] == ["dX", "dW", "db"]
    assert report.name == "Affine" and not hasattr(layer, "X")
    assert gradcheck_layer(layer, X, params={"W": "grads['W']"}).ok
    report = gradcheck_layer(affine(ForgetsTheBias)[0], X, params={"b": "db"})
    assert report.verdict == "wrong" and report.worst.where.startswith("db")


def test_bound_methods_alone():
    layer, X = affine()
    assert gradcheck(layer.forward, layer.backward, X).ok
    wrong = affine()[0]
    wrong.backward = lambda dY: dY @ wrong.W.T * 2
    assert not gradcheck(wrong.forward, wrong.backward, X).ok


def test_a_loss_with_its_gradient():
    def f(w, X):
        r = X @ w - 1.0
        return (r * r).sum(), (2 * X.T @ r, 2 * np.outer(r, w))

    args = RNG.normal(size=3), RNG.normal(size=(5, 3))
    assert gradcheck(f, None, *args).ok
    assert not gradcheck(lambda *a: (f(*a)[0], (2 * f(*a)[1][0], f(*a)[1][1])), None, *args).ok


@dataclasses.dataclass
class Weights:
    W: np.ndarray
    b: np.ndarray


@pytest.mark.parametrize("make, read", [
    (lambda W, b: {"W": W, "b": b}, lambda p: (p["W"], p["b"])),
    (lambda W, b: [W, b], tuple),
    (Weights, lambda p: (p.W, p.b)),
    (lambda W, b: {"layers": [{"W": W}], "b": b}, lambda p: (p["layers"][0]["W"], p["b"])),
])
def test_parameters_in_dicts_lists_and_dataclasses(make, read):
    def f(X, params):
        W, b = read(params)
        return X @ W + b, (X, W)

    def right(dY, cache):
        X, W = cache
        return dY @ W.T, make(X.T @ dY, dY.sum(0))

    def wrong(dY, cache):
        X, W = cache
        return dY @ W.T, make(X.T @ dY, 2 * dY.sum(0))

    params = make(RNG.normal(size=(3, 2)), RNG.normal(size=2))
    assert both(f, right, wrong, RNG.normal(size=(4, 3)), params) == ("right", "wrong")


def test_a_backward_that_hands_out_what_it_goes_on_adding_to_is_not_compared_with_itself():
    total = np.zeros(3)

    class Sum:
        def forward(self, X):
            self.X, self.dX = X, np.zeros_like(X)
            return X**2

        def backward(self, dY):
            self.dX += 2 * self.X * dY
            return self.dX

    layer = Sum()
    assert gradcheck(layer.forward, layer.backward, total + [1.0, 2.0, 3.0]).ok


# ---- what the caller does wrong


@pytest.mark.parametrize("options, words", [
    ({"rtol": np.inf}, "rtol"), ({"rtol": 1.0}, "rtol"), ({"rtol": np.nan}, "rtol"),
    ({"rtol": -1e-3}, "rtol"), ({"max_entries": -1}, "max_entries"),
    ({"max_entries": 1.5}, "max_entries"), ({"max_entries": 0}, "max_entries"),
])
def test_options_without_meaning_raise(options, words):
    with pytest.raises(ValueError, match=words):
        gradcheck(lambda X: X * 2, lambda d, Y: 2 * d, np.ones(2), **options)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_arguments_that_are_nearly_arrays_are_named_with_the_way_out():
    check = lambda X: gradcheck(lambda X: X * 2, lambda d, Y: 2 * d, X)  # noqa: E731
    with pytest.raises(TypeError, match=r"X is a masked array.*filled"):
        check(np.ma.masked_array(np.ones(2)))
    with pytest.raises(TypeError, match=r"X is a np.matrix.*asarray"):
        check(np.asmatrix(np.ones(2)))
    torch = pytest.importorskip("torch", reason="torch is not installed")
    with pytest.raises(TypeError, match=r"X is a torch Tensor.*detach"):
        check(torch.ones(2))


def test_a_forgotten_return_is_named():
    report = gradcheck(lambda X: None, lambda d, Y: d, np.ones(2))
    assert "f returned None" in report.failures[0]


def test_second_order_falls_back_where_the_complex_step_fails():
    f = lambda w: ((w**3).sum() + np.abs(w).sum(), w)  # noqa: E731
    right = lambda d, w: d * (3 * w**2 + np.sign(w))  # noqa: E731
    assert gradcheck_second_order(f, right, W4).ok


@pytest.mark.parametrize("seed", range(8))
def test_second_order_sees_an_asymmetric_hessian_for_every_seed(seed):
    A = 3 * np.triu(np.ones((5, 5)), 1)
    f, X = lambda X: ((X**3).sum(), X), np.arange(1.0, 6.0)
    assert gradcheck_second_order(f, lambda d, X: 3 * X * X * d, X, seed=seed).ok
    wrong = gradcheck_second_order(f, lambda d, X: (3 * X * X + A @ X) * d, X, seed=seed)
    assert wrong.verdict == "wrong"


@pytest.mark.parametrize("rtol", [np.inf, 1.0, -1.0, np.nan])
def test_second_order_refuses_a_tolerance_without_meaning(rtol):
    with pytest.raises(ValueError, match="rtol"):
        gradcheck_second_order(lambda X: (X**3, X), lambda d, X: 3 * X * X * d, W4, rtol=rtol)


# ---- dicts are read by their keys


NAMED = {"fc1.weight": np.array([0.3, -1.2, 0.7]), "fc2.weight": np.array([1.3, -0.2, 1.7])}
A, B = NAMED


def product_of(p):
    return np.sin(p[A]) * p[B], p


def test_gradients_in_a_dict_are_found_by_key_in_any_order():
    right = {A: lambda d, p: d * np.cos(p[A]) * p[B], B: lambda d, p: d * np.sin(p[A])}
    for order in ((A, B), (B, A)):
        check = gradcheck(product_of, lambda d, p, order=order: {k: right[k](d, p) for k in order},
                          NAMED)
        assert check.ok
    swapped = gradcheck(product_of, lambda d, p: {A: right[B](d, p), B: right[A](d, p)}, NAMED)
    assert swapped.verdict == "wrong"


def test_other_keys_are_named():
    report = gradcheck(product_of, lambda d, p: {"w": d, A: d}, NAMED)
    assert report.verdict == "wrong"
    assert "dp has the keys ['w', 'fc1.weight'], should have" in report.failures[0]


def test_a_list_may_answer_a_tuple_and_a_tuple_a_list():
    f, parts = lambda p: (p[0] * p[1], p), (W4, W4 + 1)
    assert gradcheck(f, lambda d, p: [d * p[1], d * p[0]], parts).ok
    assert gradcheck(f, lambda d, p: (d * p[1], d * p[0]), list(parts)).ok


def test_arrays_inside_containers_are_looked_at_as_those_outside():
    f, b = lambda X, p: (X * p["W"], (X, p)), lambda d, c: (d * c[1]["W"], {"W": d * c[0]})
    assert gradcheck(f, b, W4, {"W": W4.astype(">f8")}).ok
    with pytest.raises(TypeError, match="p.W is a masked array"):
        gradcheck(f, b, W4, {"W": np.ma.masked_array(W4)})


# ---- what differences and steps must not be taken for


def test_an_entry_that_cannot_be_measured_leaves_the_others_alone():
    report = gradcheck(lambda X: (X**1.5, X), lambda d, X: 1.5 * d * np.sqrt(X), np.arange(3.0))
    assert report.verdict == "undecided" and not report.failures


@pytest.mark.parametrize("seed", range(5))
def test_a_plateau_is_no_half_precision(seed):
    rng = np.random.default_rng(seed)
    X, W = rng.standard_normal((4, 5)), rng.standard_normal((5, 5))
    assert both(
        lambda X: (np.maximum(X @ W, 0), X), lambda d, X: (d * (X @ W > 0)) @ W.T,
        lambda d, X: d @ W.T, X) == ("right", "wrong")
    assert both(
        lambda X: (np.clip(X, -0.5, 0.7)**2, X),
        lambda d, X: 2 * d * np.clip(X, -0.5, 0.7) * ((X > -0.5) & (X < 0.7)),
        lambda d, X: 2 * d * np.clip(X, -0.5, 0.7), X) == ("right", "wrong")


@pytest.mark.parametrize("scale", [1e-16, 1e-20, 1e-25, 1e-40])
def test_arguments_far_below_the_usual_step(scale):
    X = scale * np.array([0.5, 1.0, 1.5, 2.0])
    assert both(lambda X: (np.log(X), X), lambda d, X: d / X, lambda d, X: -d / X, X) == (
        "right", "wrong")
    assert both(lambda X: (np.tanh(X / scale), X),
                lambda d, X: d / np.cosh(X / scale)**2 / scale, lambda d, X: 0 * d, X) == (
        "right", "wrong")


@pytest.mark.parametrize("options", [{}, {"max_entries": 1}, {"quick": True}])
@pytest.mark.parametrize("X", [[1e-12, 1.0, 2.0], [1e-8, 1e3, 2.0]])
def test_a_small_entry_beside_large_ones_is_not_stepped_over(X, options):
    verdicts = both(lambda X: (np.log(np.abs(X)), X), lambda d, X: d / X, lambda d, X: -d / X,
                    np.array(X), **options)
    assert verdicts == ("right", "wrong")


# ---- outputs and arguments of other kinds


def test_torch_takes_labels_lists_and_what_is_cut_off():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    X = torch.tensor([[0.3, -1.2, 0.7, 2.0], [1.3, 0.2, -0.7, 0.4]])
    labels = torch.tensor([0, 2])
    assert gradcheck_torch(torch.nn.functional.cross_entropy, X, labels).ok
    assert gradcheck_torch(lambda X: [X * 2, {"square": X * X}], X).ok
    assert gradcheck_torch(lambda X: X.detach() * 3, X).verdict == "wrong"


def test_jax_takes_parameters_and_outputs_in_dicts():
    jax = pytest.importorskip("jax", reason="JAX is not installed")

    def check(factor):
        f = jax.custom_vjp(lambda p, X: {"Y": X @ p["W"]})
        f.defvjp(lambda p, X: ({"Y": X @ p["W"]}, (p, X)),
                 lambda c, d: ({"W": factor * c[1].T @ d["Y"]}, d["Y"] @ c[0]["W"].T))
        return gradcheck_jax(f, {"W": np.ones((3, 2))}, np.arange(6.0).reshape(2, 3)).verdict

    assert (check(1.0), check(0.5)) == ("right", "wrong")


@pytest.mark.parametrize("size", [1.0, 1e-1, 1e-2, 1e-3])
def test_a_kink_in_the_shadow_of_a_bend_is_one(size):
    X = np.array([1.0, 2.0])
    f = lambda X: (X * X + size * np.abs(X - 1), X)  # noqa: E731
    report = gradcheck(f, lambda d, X: d * (2 * X + size * np.sign(X - 1)), X)
    assert report.verdict == "undecided" and len(report.kinks) == 1 and "X[0]" in report.kinks[0]


# ---- NaN, other people's arrays, outputs in containers


@pytest.mark.parametrize("hidden", [np.nan, np.inf])
@pytest.mark.parametrize("options", [{}, {"max_entries": 1}, {"method": "central"}])
def test_what_is_not_finite_behind_a_mask_does_not_matter(hidden, options):
    X, mask = np.array([0.7, hidden, -1.2, 2.0]), np.array([True, False, True, True])
    f = lambda X: (np.where(mask, X, 0.0) ** 2, X)  # noqa: E731
    assert both(
        f, lambda d, X: np.where(mask, 2 * d * X, 0.0), lambda d, X: np.where(mask, d * X, 0.0),
        X, **options) == ("right", "wrong")


def test_arguments_that_spoil_the_result_are_named():
    with pytest.raises(ValueError, match="X holds NaN or inf"):
        gradcheck(lambda X: X * X, lambda d, X: 2 * d * X, np.array([1.0, np.nan]))


@dataclasses.dataclass(frozen=True)
class Halves:
    left: np.ndarray
    right: np.ndarray = dataclasses.field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "right", 2 * self.left)


@pytest.mark.parametrize("pack, unpack", [
    (lambda a, b: {"a": a, "b": b}, lambda d: (d["a"], d["b"])),
    (lambda a, b: [a, b], tuple),
    (lambda a, b: {"first": [a], "second": {"b": b}}, lambda d: (d["first"][0], d["second"]["b"])),
])
def test_several_outputs_in_a_container_get_their_upstream_in_the_same(pack, unpack):
    def backward(d, X, turned):
        da, db = unpack(d)
        return 2 * X * da - turned * np.sin(X) * db

    f = lambda X: (pack(X * X, np.cos(X)), X)  # noqa: E731
    for check in (gradcheck, gradcheck_second_order):
        assert check(f, lambda d, X: backward(d, X, 1), W4).ok
    assert gradcheck(f, lambda d, X: backward(d, X, -1), W4).verdict == "wrong"


def test_a_dataclass_field_that_is_no_argument_is_an_array_like_the_others():
    def backward(d, p):
        found = Halves(d * p.right)
        object.__setattr__(found, "right", d * p.left)
        return found

    assert gradcheck(lambda p: (p.left * p.right, p), backward, Halves(W4)).ok


@pytest.mark.parametrize("library", ["torch", "jax.numpy"])
def test_a_backward_may_return_arrays_of_others(library):
    other = pytest.importorskip(library, reason=f"{library} is not installed")
    f = lambda X: (X**3, X)  # noqa: E731
    right = lambda d, X: other.asarray(3 * d * X**2, dtype=other.float32)  # noqa: E731
    wrong = lambda d, X: other.asarray(3.03 * d * X**2, dtype=other.float32)  # noqa: E731
    assert both(f, right, wrong, W4) == ("right", "wrong")
    short = gradcheck(f, lambda d, X: other.asarray(1 * d[1:]), W4)
    assert short.verdict == "wrong" and "shape (3,)" in short.failures[0]


@pytest.mark.parametrize("options, error, words", [
    ({"quick": "no"}, ValueError, "quick must be True or False"),
    ({"seed": "a"}, ValueError, "seed must be a whole number"),
    ({"seed": -1}, ValueError, "seed must be a whole number"),
    ({"axes": ["in"]}, TypeError, "axes must be like"),
    ({"metod": "central"}, TypeError, "metod is no parameter of f and no option of gradcheck"),
])
def test_options_without_a_meaning_are_named(options, error, words):
    with pytest.raises(error, match=words):
        gradcheck(lambda X: X * X, lambda d, X: 2 * d * X, W4, **options)


def test_what_second_order_does_not_have_is_no_keyword_of_f():
    with pytest.raises(TypeError, match="method is no parameter of f .* name, names, rtol, seed"):
        gradcheck_second_order(lambda X: X * X, lambda d, X: 2 * d * X, W4, method="central")


@pytest.mark.parametrize("arg, words", [
    (2.0, "X is a float"), (np.arange(3), "X is an array of int64"), (Halves, "X is a type")])
def test_where_nothing_is_to_be_differentiated_it_is_said_what_came(arg, words):
    with pytest.raises(ValueError, match=words):
        gradcheck(lambda X: X * X, lambda d, X: 2 * d * X, arg)


def test_functions_must_be_functions():
    with pytest.raises(TypeError, match="must be functions, got 3"):
        gradcheck(3, lambda d, X: d, W4)


@pytest.mark.parametrize("options, error, words", [
    ({"params": ["W"]}, TypeError, "params must be like"),
    ({"forward": "fwd"}, AttributeError, "forward must name a method of Plain, got 'fwd'"),
    ({"backward": 3}, AttributeError, "backward must name a method of Plain, got 3"),
])
def test_what_a_layer_does_not_have_is_named(options, error, words):
    class Plain:
        def forward(self, X):
            return X

        def backward(self, d):
            return d

    with pytest.raises(error, match=words):
        gradcheck_layer(Plain(), W4, **options)
