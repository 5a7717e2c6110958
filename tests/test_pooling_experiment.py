"""Nadaraya–Watson regression: the text's points, its training, and where the optimizer ends."""

import numpy as np
import pytest
from matplotlib import pyplot
from numpy.testing import assert_allclose, assert_array_equal

from npattn.experiments import pooling
from npattn.experiments.pooling import (
    Points,
    best_width,
    chinese_points,
    descend,
    english_points,
    loss,
    loss_backward,
    overshoot,
    predict,
    slope,
)
from npattn.kernels.pooling import KERNELS, boxcar, constant, gaussian


@pytest.fixture(scope="module")
def points():
    return chinese_points()


# ---- values ----


def test_three_points_by_hand():
    x = np.array([0.0, 1.0, 3.0])
    three = Points(x, np.array([1.0, 5.0, 0.0]), np.array([0.5, 9.0]), np.zeros(2))
    found, P = predict(three, boxcar)
    assert_array_equal(P, [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])
    assert_array_equal(found, [3.0, 0.0])
    assert_array_equal(predict(three, boxcar, width=2.5)[1][0], [1 / 3, 1 / 3, 1 / 3])
    # w = 0: each point is predicted by the mean of the other two
    assert slope(0.0, three)[0] == pytest.approx((1.5**2 + 4.5**2 + 3.0**2) / 3)
    assert slope(0.0, three, leave_one_out=False)[0] == pytest.approx((1 + 9 + 4) / 3)


def test_the_points_are_the_texts():
    for points, n, noise, curve in (
        (chinese_points(3), 50, 0.5, lambda x: 2 * np.sin(x) + x**0.8),
        (english_points(3), 40, 1.0, lambda x: 2 * np.sin(x) + x),
    ):
        assert points.x.shape == points.y.shape == (n,)
        assert (np.diff(points.x) > 0).all() and points.x[0] >= 0 and points.x[-1] <= 5
        assert_allclose(points.truth, curve(points.grid))
        assert np.std(points.y - curve(points.x)) == pytest.approx(noise, rel=0.3)
        assert len(points.grid) == 50


def test_one_step_of_the_texts_training_by_the_definition(points):
    x, y, w = points.x, points.y, 0.5
    E = np.exp(-0.5 * ((x[:, None] - x) * w) ** 2)
    np.fill_diagonal(E, 0.0)
    P = E / E.sum(axis=1, keepdims=True)
    f = P @ y
    slope_of_sum = -2 * w * ((f - y)[:, None] * P * (y - f[:, None]) * (x[:, None] - x) ** 2).sum()
    assert descend(w, points)[1] == pytest.approx(w - 0.5 * slope_of_sum, rel=1e-12)


# ---- invariants ----


def test_the_optimizer_finds_the_least_of_a_fine_grid(points):
    w, least = best_width(points)
    grid = np.linspace(0.1, 20.0, 1000)
    losses = [slope(one, points)[0] for one in grid]
    assert least <= min(losses)
    assert w == pytest.approx(grid[np.argmin(losses)], abs=0.02)
    assert slope(w, points)[1] == pytest.approx(0.0, abs=1e-6)
    assert best_width(points, start=10.0)[0] == pytest.approx(w, rel=1e-5)


def test_the_texts_five_steps_overshoot():
    descended, best = overshoot(range(40))
    assert np.median(best) < 5.0 < 12.0 < np.median(descended)
    assert (descended > 2 * best).sum() > 20


def test_small_steps_reach_the_valley(points):
    path = descend(0.5, points, rate=0.5 / 50, epochs=200)
    assert len(path) == 201 and (np.diff(path) > 0).all()
    assert path[-1] < best_width(points)[0]
    assert slope(path[-1], points)[0] < 1.03 * best_width(points)[1]


def test_in_sample_the_narrowest_kernel_always_wins(points):
    losses = [slope(w, points, leave_one_out=False)[0] for w in (1.0, 5.0, 20.0, 1e4)]
    assert (np.diff(losses) < 0).all() and losses[-1] < 1e-3


def test_the_constant_kernel_predicts_the_mean(points):
    assert_allclose(predict(points, constant)[0], points.y.mean())


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_weights_of_every_kernel_sum_to_one(points, kernel):
    found, P = predict(points, kernel)
    assert_allclose(P.sum(axis=1), 1.0)
    assert_allclose(found, P @ points.y)


# ---- gradients ----


@pytest.mark.parametrize("leave_one_out", [True, False])
def test_gradient_of_the_loss(assert_gradients, points, leave_one_out):
    def of_w(w):
        return loss(w, points, leave_one_out=leave_one_out)

    assert_gradients(of_w, loss_backward, np.array([1.7]))


# ---- errors ----


@pytest.mark.parametrize("start", [0.0, -1.0, float("nan")])
def test_a_start_that_is_not_positive(points, start):
    with pytest.raises(ValueError, match="start must be positive"):
        best_width(points, start)


# ---- figures ----


def test_the_figures_show_what_was_computed(points):
    assert [ax.get_title() for ax in pooling.kernels_figure().axes] == [*KERNELS]
    found = {f"width {s:g}": predict(points, gaussian, s) for s in pooling.WIDTHS}
    axes = pooling.fits_figure(points, {name: f for name, (f, _) in found.items()}).axes
    assert [ax.get_title() for ax in axes] == [*found]
    assert_array_equal(axes[1].lines[2].get_ydata(), found["width 0.2"][0])
    figure = pooling.weights_figure(points, {name: P for name, (_, P) in found.items()})
    panels = [ax for ax in figure.axes if ax.get_title()]
    assert_allclose(panels[2].images[0].get_array().reshape(50, 50), found["width 0.5"][1])
    pyplot.close(figure)
    path = descend(0.5, points)
    left, right = pooling.width_figure(points, path, best_width(points)[0]).axes
    assert_array_equal(right.lines[0].get_ydata(), np.abs(path))
    assert left.lines[2].get_xdata()[0] == best_width(points)[0]
