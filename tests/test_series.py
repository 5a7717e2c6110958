"""The flights of 2013 as windows, and the forecasts that are made of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.datasets.series import FEATURES, MEASURES, flights, hourly
from npattn.experiments.series import (
    CONFIG,
    compare,
    forecast,
    forecast_figure,
    last_value,
    least_squares,
    linear_forecast,
    load,
    loss,
    loss_and_grads,
    loss_backward,
    results,
    table,
    train,
)
from npattn.models.time_series import init_time_series
from npattn.trees import tree_leaves


@pytest.fixture(scope="module")
def trained():
    """A tenth of the recipe: enough to see that it learns."""
    return train(0, steps=150)


# ---- values ----


def test_the_first_morning_of_the_year():
    # flights scheduled 5:00–5:59 on the 1st of January: 2, 3 and 1 left, none was cancelled
    columns, times = hourly()
    assert columns.shape == (8760, 7) and str(times[5]) == "2013-01-01T05"
    assert_array_equal(columns[5, 4:], [2, 3, 1])
    assert columns[5, 3] == 0.0
    assert not columns[:5].any()  # nothing leaves at night


def test_totals_of_the_year():
    columns, _ = hourly()
    assert columns[:, 4:].sum() == 328_521
    assert round(np.expm1(columns[:, 3]).sum()) == 8_255
    late = (np.expm1(columns[:, :3]) * columns[:, 4:]).sum(axis=0) / columns[:, 4:].sum(axis=0)
    assert_allclose(late, [17.48, 14.62, 13.82], atol=0.005)  # minutes per flight at EWR, JFK, LGA


def test_a_window_is_what_it_says():
    data = flights(np.float64)
    columns, times = hourly()
    X, Y, first = (array[100] for array in data.held_out)
    start = int(np.flatnonzero(times == first)[0])
    measures = columns[:, : len(MEASURES)]
    assert_allclose(X[:, :4] * data.scale + data.mean, measures[start : start + 32], atol=1e-12)
    later = measures[start + 32 : start + 40].T
    assert_allclose(Y * data.scale[:, None] + data.mean[:, None], later, atol=1e-12)
    hour = (times[start : start + 32] - times[start].astype("datetime64[D]")).astype(int) % 24
    assert_allclose(X[:, 7], np.sqrt(2) * np.cos(2 * np.pi * hour / 24), atol=1e-12)


def test_least_squares_by_hand(rng):
    X, W = rng.normal(size=(500, 32, 9)), rng.normal(size=(288, 32))
    Y = (X.reshape(500, 288) @ W + 3.0).reshape(500, 4, 8)
    found = least_squares(X, Y)
    assert_allclose(found.W, W, rtol=0, atol=1e-11)
    assert_allclose(found.b, 3.0, rtol=0, atol=1e-11)
    assert_allclose(linear_forecast(found, X), Y, rtol=0, atol=1e-10)
    flat = X.reshape(500, 288) - X.reshape(500, 288).mean(axis=0)
    ridge = np.linalg.solve(flat.T @ flat + 7 * np.eye(288), flat.T @ Y.reshape(500, 32))
    assert_allclose(least_squares(X, Y, ridge=7.0).W, ridge, rtol=0, atol=1e-11)


def test_the_last_value_repeated(rng):
    X = rng.normal(size=(2, 32, 9))
    assert_array_equal(last_value(X), np.stack([X[:, -1, :4]] * 8, axis=-1))


# ---- invariants ----


def test_the_shapes_and_units():
    data = flights()
    assert len(FEATURES) == 9 and len(MEASURES) == 4
    for part in data[:2]:
        n = len(part.X)
        assert part.X.shape == (n, 32, 9) and part.Y.shape == (n, 4, 8) and n > 1500
        assert part.X.dtype == part.Y.dtype == np.float32
        assert not part.X.flags.writeable
    assert_allclose(data.train.X.mean(axis=(0, 1)), 0.0, atol=0.05)
    assert_allclose(data.train.X.std(axis=(0, 1)), 1.0, atol=0.05)


def test_no_hour_is_in_both_parts():
    hours = [np.unique(part.first[:, None] + np.arange(40)) for part in flights()[:2]]
    assert not np.intersect1d(*hours).size
    days = [(h.astype("datetime64[D]") - h.astype("datetime64[M]")).astype(int) + 1 for h in hours]
    assert days[0].max() == 22 and days[1].min() == 23


@pytest.mark.thorough
def test_training_is_reproducible_and_learns(trained):
    again = train(0, steps=150)
    for p, q in zip(tree_leaves(trained.params), tree_leaves(again.params), strict=True):
        assert_array_equal(p, q)
    assert trained.history["loss"][-50:].mean() < 0.5 * trained.history["loss"][:10].mean()


@pytest.mark.thorough
def test_even_a_tenth_of_the_training_beats_repeating_the_last_value(trained):
    errors = results({0: trained.params})
    assert list(errors) == [
        "last value repeated", "least squares", "least squares, ridge 100", "Transformer, seed 0",
    ]
    assert (errors["Transformer, seed 0"] < 0.8 * errors["last value repeated"]).all()
    assert (errors["least squares"] < errors["last value repeated"]).all()
    lines = table(errors).splitlines()
    assert len(lines) == 5 and lines[0].split()[::2] == [*"12345678", "mean"]
    assert lines[-1].endswith(f"{errors['Transformer, seed 0'].mean():.4f}")


@pytest.mark.thorough
def test_the_comparison_has_a_line_for_every_seed():
    names = [line[:20].strip() for line in compare(seeds=(3, 5), steps=20).splitlines()[1:]]
    assert names[0] == "last value repeated"
    assert names[-2:] == ["Transformer, seed 3", "Transformer, seed 5"]


def test_the_figure_shows_one_panel_per_measure(trained):
    figure = forecast_figure(trained.params)
    assert [ax.get_title() for ax in figure.axes] == list(MEASURES)
    assert all(len(ax.lines) == 5 for ax in figure.axes)
    part = flights().held_out
    [index] = np.flatnonzero(part.first + np.timedelta64(31, "h") == np.datetime64("2013-06-28T14"))
    drawn = figure.axes[1].lines[2].get_ydata()
    expected = forecast(trained.params, part.X[index : index + 1])[0, 1]
    assert_allclose(drawn, expected * flights().scale[1] + flights().mean[1], rtol=1e-6)


# ---- gradients ----


def test_gradients_of_the_loss(assert_gradients, draw, shake):
    params = shake(init_time_series(CONFIG, np.random.default_rng(0)))
    X, Y = draw(2, 32, 9), draw(2, 4, 8)

    def of_params(params):
        return loss(params, X, Y)

    assert_gradients(of_params, loss_backward, params, max_entries=5)


def test_loss_and_grads_keep_float32(draw):
    params = init_time_series(CONFIG, np.random.default_rng(0), dtype=np.float32)
    batch = [array[:3] for array in flights().train[:2]]
    value, grads, metrics = loss_and_grads(params, batch)
    assert value > 0 and metrics == {}
    assert {g.dtype for g in tree_leaves(grads)} == {np.dtype(np.float32)}


# ---- errors ----


@pytest.mark.parametrize("now", ["2013-06-10T12", "2014-06-28T12"])
def test_an_hour_that_ends_no_held_out_window(now):
    params = init_time_series(CONFIG, np.random.default_rng(0), dtype=np.float32)
    with pytest.raises(ValueError, match=f"now='{now}' ends no held-out window"):
        forecast_figure(params, now)


def test_the_shipped_model_beats_both_rivals_in_every_hour():
    errors = results({0: load()})
    rivals = [error for name, error in errors.items() if not name.startswith("Transformer")]
    assert (errors["Transformer, seed 0"] < np.min(rivals, axis=0)).all()
