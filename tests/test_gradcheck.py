import time
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest

from npattn.checking import assert_gradients, gradcheck, gradcheck_second_order
from npattn.checking.pairs import random_upstream
from npattn.kernels.activations import relu, relu_backward
from npattn.kernels.attention import attention, attention_backward
from npattn.kernels.dropout import dropout, dropout_backward
from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.kernels.softmax import softmax, softmax_backward

AXES = {"Q": "batch head query dim", "K": "batch head key dim", "V": "batch head key dim"}


class Params(NamedTuple):
    W: np.ndarray
    b: np.ndarray


class Cache(NamedTuple):
    X: np.ndarray
    params: Params


def affine(X, params):
    return X @ params.W + params.b, Cache(X, params)


def affine_backward(dY, cache):
    X, params = cache
    return dY @ params.W.T, Params(X.T @ dY, dY.sum(axis=0))


def softplus_of_modulus(X):
    """np.abs silently returns the real modulus of a complex number."""
    return np.log1p(np.exp(np.abs(X))) + X, Cache(X, None)


def softplus_of_modulus_backward(dY, cache):
    return dY * (np.sign(cache.X) / (1 + np.exp(-np.abs(cache.X))) + 1)


def arguments(dtype=np.float64):
    rng = np.random.default_rng(7)
    Q, K, V = (rng.normal(size=shape) for shape in [(2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 7)])
    mask = rng.random((2, 1, 4, 6)) < 0.6
    mask[0, 0, 0, 3] = True
    mask[0, 0, 2] = False      # a query that may attend to nothing
    mask[1, :, :, 3] = False   # a key that nobody may attend to
    return [Q.astype(dtype), K.astype(dtype), V.astype(dtype), mask]


def affine_arguments():
    rng = np.random.default_rng(3)
    return rng.normal(size=(4, 3)), Params(rng.normal(size=(3, 2)), rng.normal(size=2))


def planted(backward, position, index, fault):
    """`backward`, with fault(entry) in place of one entry of the gradient at `position`.

    position  of the gradient, and of the field in a parameter tuple: 0, or (1, "W")
    """
    outer, field = position if isinstance(position, tuple) else (position, None)

    def wrong(dY, cache):
        gradients = list(backward(dY, cache))
        array = np.array(gradients[outer] if field is None else getattr(gradients[outer], field))
        array[index] = fault(array[index])
        replaced = array if field is None else gradients[outer]._replace(**{field: array})
        gradients[outer] = replaced
        return tuple(gradients)

    return wrong


# What is right passes


def test_attention_passes_with_errors_of_rounding_size():
    report = gradcheck(attention, attention_backward, *arguments(), axes=AXES)
    assert report.ok and report.method == "complex step" and not report.notes
    assert report.checked == report.total == 120 + 180 + 252
    assert report.worst.error < 1e-14
    assert report.smallest_fault < 1e-10
    assert [row.path for row in report.rows] == ["dQ", "dK", "dV"]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("size", [1e-3, 1.0, 30.0])
def test_no_false_alarm_from_flat_to_saturated_weights(size):
    Q, K, V, mask = arguments()
    for seed in range(5):
        assert_gradients(attention, attention_backward, size * Q, size * K, V, mask, seed=seed)


def test_a_gradient_that_is_zero_but_for_rounding_passes():
    """A bias on the keys shifts all scores of a query alike, and softmax ignores that."""

    def biased(Q, K, V, b):
        return attention(Q, K + b, V)

    def biased_backward(dO, cache):
        dQ, dK, dV = attention_backward(dO, cache)
        return dQ, dK, dV, dK.sum(axis=0)

    for seed in range(60):
        rng = np.random.default_rng(seed)  # so small that rounding often cancels exactly
        Q, K, V, b = (rng.normal(size=shape) for shape in [(1, 2), (2, 2), (2, 1), (2,)])
        report = assert_gradients(biased, biased_backward, Q, K, V, b, seed=seed)
        assert report.worst.error < 1e-12


def test_a_backward_that_takes_the_output_and_a_scalar_loss():
    S = np.random.default_rng(0).normal(size=(3, 5))
    assert_gradients(softmax, softmax_backward, S)
    targets = np.array([1, 4, 0])
    assert_gradients(cross_entropy, cross_entropy_backward, S, targets, ignore=0)


def test_dropout_draws_the_same_units_in_every_call():
    rng = np.random.default_rng(5)
    assert_gradients(attention, attention_backward, *arguments(), dropout=0.4, rng=rng)
    assert_gradients(dropout, dropout_backward, arguments()[0], 0.4, rng)
    assert rng.random() == np.random.default_rng(5).random(), "the caller's Generator was used"


def test_several_outputs_and_none_among_the_arguments():
    def swap(A, mask, B):
        return (2 * B, A * B), Cache(A, B)

    def swap_backward(dY, cache):
        return dY[1] * cache.params, 2 * dY[0] + dY[1] * cache.X

    A, B = np.arange(1.0, 4.0), np.arange(2.0, 5.0)
    assert [row.path for row in assert_gradients(swap, swap_backward, A, None, B).rows] == [
        "dA", "dB",
    ]


def test_float32_is_held_to_what_float32_can_do():
    args = arguments(np.float32)
    report = assert_gradients(attention, attention_backward, *args)
    assert 1e-9 < report.worst.error < 1e-5 and 1e-6 < report.smallest_fault < 1e-3
    wrong = planted(attention_backward, 1, (0, 2, 3, 1), lambda d: d + 2 * report.smallest_fault)
    assert not gradcheck(attention, wrong, *args).ok


# What is wrong is caught and named


@pytest.mark.parametrize("position, path", [(0, "dQ"), (1, "dK"), (2, "dV")])
@pytest.mark.parametrize("fault", [lambda d: d + 1e-6, lambda d: d * (1 + 1e-6)])
def test_one_entry_of_attention_off_by_a_millionth(position, path, fault):
    index = (0, 2, 3, 1)
    report = gradcheck(attention, planted(attention_backward, position, index, fault),
                       *arguments(), axes=AXES)
    kind = "query" if path == "dQ" else "key"
    [failure] = report.failures
    assert failure.startswith(f"{path}[batch 0, head 2, {kind} 3, dim 1] is ")
    assert report.worst.index == index


@pytest.mark.parametrize("field, index, name", [
    ("W", (2, 1), "dparams.W[in 2, out 1]"), ("b", (1,), "dparams.b[out 1]"),
])
def test_one_entry_of_a_weight_or_bias_off_by_a_millionth(field, index, name):
    wrong = planted(affine_backward, (1, field), index, lambda d: d + 1e-6)
    report = gradcheck(affine, wrong, *affine_arguments(), axes={"params.W": "in out"})
    assert report.worst.where == name and name in str(report)
    assert not report.ok and len(report.failures) == 1


def test_the_promise_of_the_smallest_fault_is_kept():
    """Faults of twice the promised size, in 60 random entries, each caught and named."""
    rng = np.random.default_rng(11)
    args = [rng.normal(size=shape) for shape in [(3, 2), (4, 2), (4, 5)]]
    promise = gradcheck(attention, attention_backward, *args).smallest_fault
    for trial in range(60):
        k = trial % 3
        index = tuple(int(rng.integers(n)) for n in args[k].shape)
        shift = 2 * promise * rng.choice([-1, 1])
        wrong = planted(attention_backward, k, index, lambda d, shift=shift: d + shift)
        report = gradcheck(attention, wrong, *args)
        assert not report.ok
        assert report.worst.where == f"d{'QKV'[k]}[{', '.join(map(str, index))}]"


def test_relative_faults_of_a_millionth_are_caught_in_every_moving_entry():
    args = affine_arguments()
    for index in np.ndindex(4, 3):
        wrong = planted(affine_backward, 0, index, lambda d: d * (1 - 1e-6))
        assert gradcheck(affine, wrong, *args).worst.index == index


def test_missing_row_sum_in_the_softmax_backward():
    S = np.random.default_rng(0).normal(size=(3, 5))
    report = gradcheck(softmax, lambda dP, P: P * dP, S)
    assert not report.ok and "15 of 15 entries are wrong" in report.failures[0]


def test_a_forgotten_scale_is_recognized_as_one_ratio():
    def wrong(dO, cache):
        dQ, dK, dV = attention_backward(dO, cache)
        return dQ * np.sqrt(5.0), dK, dV

    [failure] = gradcheck(attention, wrong, *arguments()).failures
    assert "ratio 2.236" in failure and failure.endswith("all by this ratio")


def test_faults_of_unlike_ratios_are_not_said_to_be_alike():
    def wrong(dY, cache):
        dX, dparams = affine_backward(dY, cache)
        return dX * np.array([2.0, 3.0, 3.0]), dparams

    [failure] = gradcheck(affine, wrong, *affine_arguments()).failures
    assert failure.endswith("; 12 of 12 entries are wrong")


def test_where_there_is_no_gradient_an_error_counts_as_it_is():
    report = gradcheck(lambda X: 0.0 * X, lambda dY, Y: np.array([0.25, 0.0]), np.ones(2))
    assert report.worst.error == 0.25


def test_an_upstream_gradient_has_both_signs_and_weighs_every_output():
    dY = random_upstream(np.zeros(100), np.random.default_rng(0))
    assert 30 < (dY > 0).sum() < 70
    assert 0.5 <= np.abs(dY).min() < 0.6 and 1.4 < np.abs(dY).max() <= 1.5


def test_a_masked_key_must_have_a_gradient_of_exactly_zero():
    wrong = planted(attention_backward, 1, (1, 2, 3, 4), lambda d: d + 1e-30)
    [failure] = gradcheck(attention, wrong, *arguments(), axes=AXES).failures
    assert failure == (
        "dK[batch 1, head 2, key 3, dim 4] is 1e-30, must be exactly 0: no output depends on it"
    )


def test_slopes_that_cancel_to_zero_by_luck_do_not_demand_an_exact_zero():
    """Both outputs move, and their slopes are exactly 0 only here: rounding noise is allowed."""
    report = gradcheck(lambda X: np.array([X[0] ** 2, 1 + X[0] ** 2 - X[1]]),
                       lambda dY, Y: np.array([1e-17, -dY[1]]), np.array([0.0, 2.0]))
    assert report.ok, str(report)


def test_nan_is_never_right():
    wrong = planted(attention_backward, 2, (0, 0, 0, 0), lambda d: np.nan)
    report = gradcheck(attention, wrong, *arguments())
    assert report.worst.where == "dV[0, 0, 0, 0]" and "nan" in report.failures[0]


@pytest.mark.parametrize("backward, words", [
    (lambda dY, cache: None, "returned None (is a return missing?) instead of 2: dX, dparams"),
    (lambda dY, cache: affine_backward(dY, cache)[0], "returned float64 of shape (4, 3)"),
    (lambda dY, cache: (*affine_backward(dY, cache), dY), "returned 3 gradients instead of 2"),
    (lambda dY, cache: (affine_backward(dY, cache)[0].T, affine_backward(dY, cache)[1]),
     "dX is float64 of shape (3, 4), should be float64 of shape (4, 3)"),
    (lambda dY, cache: (None, affine_backward(dY, cache)[1]), "dX is None"),
    (lambda dY, cache: (affine_backward(dY, cache)[0].astype("f4"), affine_backward(dY, cache)[1]),
     "dX is float32 of shape (4, 3), should be float64"),
    (lambda dY, cache: (affine_backward(dY, cache)[0], tuple(affine_backward(dY, cache)[1])),
     "dparams should be a Params like params: trees disagree at the root"),
    (lambda dY, cache: (affine_backward(dY, cache)[0], Params(cache.X.T @ dY, None)),
     "trees disagree at b: an array against None"),
    (lambda dY, cache: (affine_backward(dY, cache)[0].tolist(), affine_backward(dY, cache)[1]),
     "dX is a list"),
])
def test_gradients_that_cannot_be_compared(backward, words):
    report = gradcheck(affine, backward, *affine_arguments())
    assert not report.ok and any(words in failure for failure in report.failures), str(report)


def test_who_writes_to_what_is_found_out():
    X, params = affine_arguments()

    def writes(X, params):
        X *= 2
        return affine(X, params)

    def writes_dY(dY, cache):
        dY += 1
        return affine_backward(dY, cache)

    def writes_cache(dY, cache):
        cache[0][...] *= 2
        return affine_backward(dY, cache)

    before = X.copy()
    assert "f writes to one of its arguments" in gradcheck(
        writes, affine_backward, X, params).failures[0]
    assert "backward writes to dY" in gradcheck(affine, writes_dY, X, params).failures[0]
    copying = lambda X, params: (affine(X, params)[0], Cache(X.copy(), params))  # noqa: E731
    report = gradcheck(copying, writes_cache, X, params)
    assert any("writes to the cache" in failure for failure in report.failures)
    np.testing.assert_array_equal(X, before)


def test_hidden_randomness_and_nan_outputs_are_found_out():
    rng = np.random.default_rng(0)
    hidden = gradcheck(lambda X: X * rng.random(X.shape), lambda dY, Y: dY, np.ones(3))
    assert "another result when called again" in hidden.failures[0]
    nan = gradcheck(lambda X: X * np.nan, lambda dY, Y: dY, np.ones(3))
    assert "NaN or inf" in nan.failures[0]


# Where the complex step cannot be used


@pytest.mark.parametrize("f, why", [
    (softplus_of_modulus, "not analytic code"),
    (lambda X: (np.log1p(np.exp(np.hypot(X, 0.0))) + X, Cache(X, None)),
     "does not take complex numbers"),
    (lambda X: (np.array([float(x) + np.log1p(np.exp(abs(x))) for x in X]), Cache(X, None)),
     "drops the imaginary part"),
    (lambda X: (np.log1p(np.exp(np.abs(X))) + X.real, Cache(X, None)),
     "drops the imaginary part"),
])
def test_functions_that_are_not_complex_safe_fall_back_and_still_catch_a_millionth(f, why):
    X = np.array([-1.3, 0.4, 2.0, -0.2, 0.9])
    report = gradcheck(f, softplus_of_modulus_backward, X)
    assert report.ok and report.method == "central differences" and why in report.notes[0]
    assert 1e-12 < report.smallest_fault < 1e-6

    def wrong(dY, cache):
        dX = softplus_of_modulus_backward(dY, cache)
        dX[3] += 1e-6
        return dX

    assert gradcheck(f, wrong, X).worst.where == "dX[3]"
    with pytest.raises(TypeError, match=why):
        gradcheck(f, wrong, X, method="complex")


@pytest.mark.thorough
def test_both_methods_agree():
    step = gradcheck(attention, attention_backward, *arguments())
    central = gradcheck(attention, attention_backward, *arguments(), method="central")
    assert central.ok and central.smallest_fault < 1e-7
    for a, b in zip(step.rows, central.rows, strict=True):
        np.testing.assert_allclose(a.want, b.want, rtol=0, atol=1e-9)


# Where there is no derivative


def network(X, b):
    """A row of zeros and a bias of 0 put every unit of that row at the kink of relu."""
    W = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]])
    Y = relu(X @ W + b)
    return Y, Cache(Y, W)


def network_backward(dY, cache):
    Y, W = cache
    dH = relu_backward(dY, Y)
    return dH @ W.T, dH.sum(axis=0)


def padded():
    return np.array([[1.0, 2.0], [0.0, 0.0], [-1.0, 0.5]]), np.zeros(3)


@pytest.mark.parametrize("place", [0.0, 1e-9, 5e-8, -2e-7])
def test_at_a_kink_nothing_is_called_wrong(place):
    report = gradcheck(relu, relu_backward, np.array([place, 1.0]))
    assert not report.failures
    if report.method == "complex step":  # which sees on which side of it the input lies
        assert report.ok and place != 0.0
        return
    assert not report.ok and "WRONG" not in str(report)
    assert report.kinks == (
        "dX[0]: no derivative here, the slopes to both sides differ; move the input",
    )
    assert report.kinks[0] in str(report) and report.kinks[0] in report._repr_html_()
    assert (report.checked, report.total) == (1, 2)
    assert np.isnan(report.rows[0].want[0])
    with pytest.raises(AssertionError, match="UNDECIDED AT KINKS.*\n.*move the input"):
        assert_gradients(relu, relu_backward, np.array([place, 1.0]))


def test_a_row_of_zeros_before_relu_is_a_kink_of_its_entries_and_of_the_bias():
    report = gradcheck(network, network_backward, *padded())
    assert not report.failures
    assert [row.checked for row in report.rows] == [4, 0]
    assert [kink.split(":")[0] for kink in report.kinks] == ["dX[1, 0]", "db[out 0]"]
    assert "(3 such entries)" in report.kinks[1]
    X, b = padded()
    assert_gradients(network, network_backward, X, b + 0.1)  # moved


def test_a_fault_beside_a_kink_is_found():
    X, b = padded()
    report = gradcheck(network, planted(network_backward, 0, (2, 1), lambda d: d + 1e-6), X, b)
    assert report.worst.index == (2, 1) and len(report.failures) == 1 and report.kinks


def test_a_sample_tells_of_kinks_that_it_does_not_hold():
    X = np.random.default_rng(0).normal(size=(8, 6))
    X[5, 4] = 0.0
    report = gradcheck(relu, relu_backward, X, max_entries=3)
    assert not report.failures and report.smallest_fault == np.inf
    assert [kink.split(":")[0] for kink in report.kinks] == ["dX[5, 4]"]


@pytest.mark.parametrize("method", ["auto", "complex", "central"])
@pytest.mark.parametrize("f", [lambda X: 2 * X, np.sin])
def test_arrays_without_entries(f, method):
    report = gradcheck(f, lambda dY, Y: dY, np.zeros((0, 3)), method=method)
    assert report.ok and (report.checked, report.total) == (0, 0)


# A sample of entries, and all of them at once


@pytest.mark.thorough
def test_a_sample_still_sees_every_entry():
    args = arguments()
    report = assert_gradients(attention, attention_backward, *args, max_entries=5)
    assert (report.checked, report.total) == (15, 552) and report.smallest_fault < 1e-8
    rng = np.random.default_rng(2)
    for _ in range(30):
        index = tuple(int(rng.integers(n)) for n in args[2].shape)
        wrong = planted(attention_backward, 2, index, lambda d: d + 1e-6)
        report = gradcheck(attention, wrong, *args, max_entries=5)
        assert report.worst.index == index and report.rows[2].checked <= 6


@pytest.mark.thorough
def test_the_promise_is_kept_for_entries_outside_the_sample():
    rng = np.random.default_rng(5)
    args = arguments()
    promise = gradcheck(attention, attention_backward, *args, max_entries=2).smallest_fault
    for trial in range(30):
        index = tuple(int(rng.integers(n)) for n in args[trial % 3].shape)
        shift = 2 * promise * rng.choice([-1, 1])
        wrong = planted(attention_backward, trial % 3, index, lambda d, shift=shift: d + shift)
        assert not gradcheck(attention, wrong, *args, max_entries=2).ok


def calls_and_report(f, backward, *args, **options):
    """How often f is called, and the report."""
    calls = []

    def counted(*args, **kwargs):
        calls.append(np.iscomplexobj(args[0]))
        return f(*args, **kwargs)

    return calls, gradcheck(counted, backward, *args, **options)


def test_a_quick_look_takes_one_complex_forward_and_states_what_it_sees():
    args = arguments()
    calls, report = calls_and_report(attention, attention_backward, *args, quick=True)
    assert report.ok and len(calls) == 4 and sum(calls) == 1
    assert report.checked == 0 and report.smallest_fault < 1e-6 and "quick" in str(report)
    rng = np.random.default_rng(3)
    for trial in range(6):
        index = tuple(int(rng.integers(n)) for n in args[2].shape)
        wrong = planted(attention_backward, 2, index, lambda d: d * 1.01)
        found = gradcheck(attention, wrong, *args, quick=True)
        assert found.verdict == "wrong" and found.worst.index == index
        shift = 1.5 * report.smallest_fault
        wrong = planted(attention_backward, 2, index, lambda d: d + shift)
        assert not gradcheck(attention, wrong, *args, quick=True).ok


def test_a_quick_look_at_what_is_not_analytic_takes_longer():
    X = np.array([-1.3, 0.4, 2.0])
    report = gradcheck(softplus_of_modulus, softplus_of_modulus_backward, X, quick=True)
    assert report.ok and report.method == "central differences"
    wrong = planted(lambda d, c: (softplus_of_modulus_backward(d, c),), 0, 1, lambda d: d * 1.01)
    report = gradcheck(softplus_of_modulus, lambda d, c: wrong(d, c)[0], X, quick=True)
    assert report.verdict == "wrong"


def test_a_quick_look_finds_what_the_fast_mode_of_torch_misses():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    X = np.random.default_rng(0).normal(size=(20, 30))

    def off(dX):
        dX = dX * 1.0
        dX[7, 11] *= 1.01
        return dX

    class Tanh(torch.autograd.Function):
        @staticmethod
        def forward(ctx, X):
            ctx.save_for_backward(torch.tanh(X))
            return torch.tanh(X)

        @staticmethod
        def backward(ctx, d):
            return off(d * (1 - ctx.saved_tensors[0] ** 2))

    x = torch.tensor(X, requires_grad=True)
    assert torch.autograd.gradcheck(Tanh.apply, (x,), fast_mode=True, raise_exception=False)
    report = gradcheck(np.tanh, lambda d, Y: off(d * (1 - Y**2)), X, quick=True)
    assert report.worst.index == (7, 11) and not report.ok


# How it is called


def test_one_seed_one_report():
    wrong = planted(attention_backward, 0, (0, 1, 2, 3), lambda d: d * 1.001)
    check = partial(gradcheck, attention, wrong, *arguments(), max_entries=4)
    texts = [str(check(seed=seed)) for seed in (3, 3, 4)]
    assert texts[0] == texts[1] != texts[2]


def test_arguments_are_named_after_the_signature_or_as_told():
    def path(f, **options):
        return gradcheck(f, lambda dY, Y: 2 * dY, np.ones(2), **options).rows[0].path

    double = partial(lambda factor, X: factor * X, 2.0)
    assert path(double) == "dX"
    assert path(double, names=["Z"]) == "dZ"
    assert path(lambda *given: 2 * given[0]) == "dgiven[0]"


def test_what_the_caller_does_wrong_raises():
    X, params = affine_arguments()
    check = partial(gradcheck, affine, affine_backward)
    with pytest.raises(ValueError, match="nothing to differentiate.*astype"):
        check(X.astype(int), None)
    with pytest.raises(TypeError, match="X must hold only float32 or float64.*f2"):
        check(X.astype(np.float16), params)
    with pytest.raises(TypeError, match="params must hold only"):
        check(X, params._replace(b=np.ones(2, int)))
    with pytest.raises(ValueError, match="axes names 'params.V'.*X, params.W, params.b"):
        check(X, params, axes={"params.V": "in out"})
    with pytest.raises(ValueError, match="3 words for X of shape"):
        check(X, params, axes={"X": "a b c"})
    with pytest.raises(ValueError, match="method"):
        check(X, params, method="forward")
    with pytest.raises(ValueError, match="names must be one per argument"):
        check(X, params, names=["X"])
    with pytest.raises(TypeError, match="f must return float arrays, got int64"):
        gradcheck(lambda X: np.sign(X).astype(np.int64), affine_backward, X)
    with pytest.raises(TypeError, match="tuple of 3"):
        gradcheck(lambda X: (X, X, X), affine_backward, X)


def test_float_arrays_in_a_list_or_dict_beside_other_things_are_not_passed_over():
    with pytest.raises(TypeError, match="params is a list that holds float"):
        gradcheck(lambda X, params: X, lambda dY, Y: dY, np.ones(2), [0, ({}, {1: np.ones(1)})])


def test_lists_and_dicts_without_float_arrays_are_held_fixed():
    for fixed in ([2, 1], {"rate": 0.5}, [np.ones(2, int)]):
        assert gradcheck(lambda X, fixed: 2 * X, lambda dY, Y: 2 * dY, np.ones(2), fixed).ok


def test_a_keyword_that_f_has_too_is_not_kept_from_it():
    def scaled(X, seed=0):
        return X * seed, Cache(X, seed)

    def scaled_backward(dY, cache):
        return dY * cache.params

    X = np.ones(2)
    with pytest.raises(ValueError, match="gradcheck and f both have a parameter seed, and 3 would"):
        gradcheck(scaled, scaled_backward, X, seed=3)
    for report in (
        gradcheck(scaled, scaled_backward, X, 5, seed=3),
        gradcheck(partial(scaled, seed=5), scaled_backward, X, seed=3),
        gradcheck(scaled, scaled_backward, X),
    ):
        assert report.ok
        assert abs(report.rows[0].want).max() > 2.0 or report.rows[0].want.max() == 0.0
    with pytest.raises(ValueError, match="gradcheck_second_order and f both have a parameter rtol"):
        gradcheck_second_order(lambda X, rtol: X * X, scaled_backward, X, rtol=1e-3)


def test_assert_gradients_raises_with_the_whole_report():
    wrong = planted(attention_backward, 0, (0, 1, 2, 3), lambda d: d + 1.0)
    with pytest.raises(AssertionError, match=r"(?s)WRONG  dQ\[0, 1, 2, 3\].*dV .* yes"):
        assert_gradients(attention, wrong, *arguments())


def test_it_is_quick():
    start = time.process_time()
    gradcheck(attention, attention_backward, *arguments())
    assert time.process_time() - start < 3.0  # a tenth of that where nothing else runs
