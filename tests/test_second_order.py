from typing import NamedTuple

import numpy as np
import pytest

from npattn.checking import second_order
from npattn.checking.complex_step import OTHER_STEPS, STEP
from npattn.checking import gradcheck, gradcheck_second_order, hessian_vector_product
from npattn.kernels.attention import attention, attention_backward


class Cache(NamedTuple):
    X: np.ndarray
    A: np.ndarray


def quadratic(X, A):
    return 0.5 * X @ A @ X, Cache(X, A)


def quadratic_backward(dY, cache):
    X, A = cache
    return dY * 0.5 * (A + A.T) @ X, dY * 0.5 * np.outer(X, X)


def arguments():
    rng = np.random.default_rng(1)
    Q, K, V = (rng.normal(size=shape) for shape in [(2, 3, 4), (2, 5, 4), (2, 5, 6)])
    mask = rng.random((2, 3, 5)) < 0.7
    mask[1, 2] = False
    return Q, K, V, mask


def test_the_hessian_of_a_quadratic_form_is_its_matrix():
    A, X, v = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([0.3, -0.7]), np.array([1.0, 2.0])
    HX, HA = hessian_vector_product(
        quadratic, quadratic_backward, X, A, dY=1.0, direction=(v, np.zeros((2, 2)))
    )
    np.testing.assert_allclose(HX, A @ v, rtol=1e-15)
    np.testing.assert_allclose(HA, 0.5 * (np.outer(X, v) + np.outer(v, X)), rtol=1e-15)


def test_one_argument_gives_one_bare_array():
    got = hessian_vector_product(
        lambda X: (X**3, Cache(X, None)), lambda dY, cache: dY * 3 * cache.X**2,
        np.array([1.0, 2.0]), dY=np.array([1.0, -1.0]), direction=np.array([1.0, 0.5]),
    )
    np.testing.assert_allclose(got, [6.0, -6.0], rtol=1e-15)


def test_attention_has_a_symmetric_hessian():
    report = gradcheck_second_order(attention, attention_backward, *arguments())
    assert report.ok, str(report)
    assert [row.path for row in report.rows] == ["d²L/dQ", "d²L/dK", "d²L/dV", "slope"]
    assert report.rows[0].worst.error < 1e-13 and report.smallest_fault < 1e-6


def test_a_backward_that_is_no_gradient_is_not_symmetric():
    def wrong(dO, cache):
        dQ, dK, dV = attention_backward(dO, cache)
        return dQ, dK * (1 + 1e-6), dV

    report = gradcheck_second_order(attention, wrong, *arguments())
    assert any(failure.startswith("d²L/dQ dK is ") for failure in report.failures)


def test_a_backward_that_drops_the_imaginary_part_disagrees_with_the_slope():
    def dropping(dO, cache):
        return tuple(d.real for d in attention_backward(dO, cache))

    report = gradcheck_second_order(attention, dropping, *arguments())
    assert any(failure.startswith("slope is 0, should be ") for failure in report.failures)


def test_broken_pairs_are_reported_and_wrong_directions_raise():
    report = gradcheck_second_order(attention, lambda dO, cache: None, *arguments())
    assert not report.ok and "returned None" in report.failures[0]
    with pytest.raises(ValueError, match="direction must have leaves of shapes"):
        hessian_vector_product(
            attention, attention_backward, *arguments(), dY=1.0, direction=(np.ones(2),) * 3
        )


def test_a_backward_that_gives_two_results_is_found_out():
    def wrong(dY, cache):
        cache[0] *= 2.0
        return dY * cache

    report = gradcheck_second_order(lambda X: (X * X, X.copy()), wrong, np.array([1.0, 2.0]))
    assert report.failures == (
        "the backward writes to the cache: called twice, it gives two results",)


def test_second_order_refuses_options_without_a_meaning():
    for options in ({"rtol": 1.0}, {"seed": -1}):
        with pytest.raises(ValueError, match=f"^{[*options][0]} must be "):
            gradcheck_second_order(attention, attention_backward, *arguments(), **options)


def test_differences_are_as_sure_of_a_smooth_hessian_as_they_can_be():
    # f = Σ A |X|³ has the Hessian 6 A |X| on its diagonal; |X| is no analytic code
    X, A = np.array([0.7, -1.3, 0.4]), np.array([1.0, 2.0, -0.5])
    report = gradcheck_second_order(
        lambda X, A: (np.sum(A * np.abs(X) ** 3), Cache(X, A)),
        lambda dY, cache: (dY * 3 * cache.A * cache.X * np.abs(cache.X), dY * np.abs(cache.X) ** 3),
        X, A,
    )
    assert report.ok, str(report)
    assert report.notes and report.smallest_fault < 1e-6


def test_what_other_steps_change_is_the_rounding_of_a_block(monkeypatch):
    drift = {STEP: 0.0, OTHER_STEPS[0]: -(2.0**-10), OTHER_STEPS[1]: 2.0**-20}
    monkeypatch.setattr(second_order, "_backward", lambda pair, dY, moves, h: tuple(
        1j * h * (1 + drift[h]) * move for move in moves))
    ways, weights = [np.ones(2), np.ones(3)], [np.array([1.0, -3.0]), np.full(3, 2.0)]
    value, size, moved = second_order._blocks(None, None, ways, weights)
    np.testing.assert_allclose(value, [[-2.0, 0.0], [0.0, 6.0]], rtol=1e-15)
    np.testing.assert_allclose(size, [[4.0, 0.0], [0.0, 6.0]], rtol=1e-15)
    np.testing.assert_allclose(moved, np.abs(value) * 2.0**-10, rtol=1e-12)


def test_numbers_are_judged_by_the_largest_rounding_of_their_blocks(monkeypatch):
    judged, judge = [], second_order._judge

    def noted(got, want, size, error, rounding, whole, names, rtol):
        judged.append((got.tolist(), np.ravel(want).tolist(), size.tolist(), rounding, names))
        return judge(got, want, size, error, rounding, whole, names, rtol)

    size, drift = np.array([[1.0, 2.0], [4.0, 8.0]]), np.array([[0.5, 0.0], [0.25, 0.0]])
    value = np.array([[1.0, 2.0], [3.0, 4.0]])
    monkeypatch.setattr(second_order, "_judge", noted)
    values = iter([value, value.T])
    monkeypatch.setattr(second_order, "_blocks", lambda pair, dY, ways, weights: (
        next(values), size, drift))
    monkeypatch.setattr(second_order, "_witness", lambda *args: (10.0, 0.0))
    second_order.gradcheck_second_order(
        lambda A, B: (A * B, (A, B)), lambda dY, c: (dY * c[1], dY * c[0]), np.ones(2), np.ones(2))
    eps = 2.0**-52
    assert judged == [
        ([1.0, 3.0], [1.0, 3.0], [1.0, 4.0], 0.5, ["d²L/dA dA", "d²L/dA dB"]),
        ([2.0, 4.0], [2.0, 4.0], [2.0, 8.0], 8 * eps, ["d²L/dB dA", "d²L/dB dB"]),
        ([10.0], [10.0], [15.0], 0.75 + 15 * eps, ["slope"])]


@pytest.mark.parametrize("unit", [1.0, 2.0**-20])
def test_differences_fill_the_same_tables_as_complex_steps(unit):
    f, backward = lambda A, B: (A * A * B, (A, B)), lambda dY, c: (  # noqa: E731
        2 * dY * c[0] * c[1], dY * c[0] ** 2)
    leaves, dY = [np.array([0.7, -1.3]), np.array([0.4, 2.0])], np.array([1.0, -0.5]) * unit
    pair = second_order.Pair(f, backward, leaves, {})
    ways = [np.array([1.0, 2.0]), np.array([-1.0, 0.5])]
    weights = [np.ones(2), np.array([3.0, 1.0])]
    exact = second_order._blocks(pair, dY, ways, weights)
    found = second_order._blocks_by_differences(pair, dY, ways, weights)
    assert found.shape == (3, 2, 2) and abs(exact[0][0, 1] - exact[0][1, 0]) > unit
    for one, other in zip(found[:2], exact):
        np.testing.assert_allclose(one, other, rtol=1e-8)
    assert (found[2] < 1e-8 * unit).all()


def test_where_the_slope_is_unsure_nothing_is_decided(monkeypatch):
    witness = second_order._witness

    def unsure(*args):
        slope, error = witness(*args)
        return slope, abs(slope)

    monkeypatch.setattr(second_order, "_witness", unsure)
    report = gradcheck_second_order(
        lambda X: (X**3, X), lambda dY, X: dY * 3 * X * X, np.array([1.0, 2.0]))
    assert report.verdict == "undecided" and report.reasons == (report.rows[-1].doubt,)


@pytest.mark.parametrize("absolute", [lambda X: np.sqrt(X * X), np.abs])
def test_parameters_in_dicts_are_read_by_their_keys_and_names_may_have_spaces(absolute):
    def backward(dY, p):
        dX = dY * 3 * p["A"] * p["X"] * absolute(p["X"])
        return {"A": dY * absolute(p["X"]) ** 3, "X": dX}

    params = {"X": np.array([0.7, -1.3, 0.4]), "A": np.array([1.0, 2.0, -0.5])}
    report = gradcheck_second_order(
        lambda p: (np.sum(p["A"] * absolute(p["X"]) ** 3), p), backward, params, names=["my p"])
    assert report.ok and bool(report.notes) == (absolute is np.abs), str(report)
    assert [row.path for row in report.rows] == ["d²L/dmy p.X", "d²L/dmy p.A", "slope"]


def test_the_gradients_of_a_loss_are_read_by_their_keys():
    X, A = np.array([0.7, -1.3, 0.4]), np.array([1.0, 2.0, -0.5])

    def loss(p):
        return np.sum(p["A"] * p["X"] ** 3), {"A": p["X"] ** 3, "X": 3 * p["A"] * p["X"] ** 2}

    for check in (gradcheck, gradcheck_second_order):
        report = check(loss, None, {"X": X, "A": A})
        assert report.ok, str(report)
    report = gradcheck(lambda p: (loss(p)[0], {"X": X}), None, {"X": X, "A": A})
    assert report.failures == ("dp has the keys ['X'], should have ['X', 'A']",)
