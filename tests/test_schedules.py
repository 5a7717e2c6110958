"""Schedules at points worked out by hand."""

import pytest

from npattn.training.schedules import constant, linear_warmup_linear_decay, noam


def test_constant_is_the_same_at_every_step():
    assert [constant(step, lr=0.5) for step in (1, 2, 1000)] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    "step, rate", [(1, 0.25), (2, 0.5), (4, 1.0), (5, 0.875), (8, 0.5), (12, 0.0), (13, 0.0)]
)
def test_linear_schedule_by_hand(step, rate):
    assert linear_warmup_linear_decay(step, peak=1.0, warmup=4, total=12) == rate


def test_linear_schedule_without_warmup_only_falls():
    rates = [linear_warmup_linear_decay(step, peak=2, warmup=0, total=4) for step in range(1, 5)]
    assert rates == [1.5, 1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    "step, rate", [(1, 1 / 128), (8, 1 / 16), (16, 1 / 8), (64, 1 / 16), (256, 1 / 32)]
)
def test_noam_by_hand(step, rate):
    # width 4, warm-up 16: ½ · s / 64 up to the peak 1 / √(4 · 16) = ⅛, then ½ / √s
    assert noam(step, width=4, warmup=16) == pytest.approx(rate, rel=1e-15)


def test_noam_peaks_at_the_end_of_the_warmup():
    rates = [noam(step, width=256, warmup=40) for step in range(1, 200)]
    assert max(rates) == rates[39]
    assert rates[39] == pytest.approx((256 * 40) ** -0.5, rel=1e-15)


@pytest.mark.parametrize(
    "schedule, sizes",
    [
        (constant, {"lr": 1.0}),
        (linear_warmup_linear_decay, {"peak": 1.0, "warmup": 2, "total": 5}),
        (noam, {"width": 8, "warmup": 4}),
    ],
)
def test_rates_are_python_floats_and_steps_start_at_one(schedule, sizes):
    assert type(schedule(3, **sizes)) is float
    with pytest.raises(ValueError, match="step must be at least 1, got 0"):
        schedule(0, **sizes)


@pytest.mark.parametrize("warmup, total", [(5, 5), (6, 5), (-1, 5)])
def test_linear_schedule_refuses_impossible_sizes(warmup, total):
    with pytest.raises(ValueError, match=f"warmup {warmup} and total {total}"):
        linear_warmup_linear_decay(1, peak=1.0, warmup=warmup, total=total)


@pytest.mark.parametrize("width, warmup", [(0, 4), (4, 0)])
def test_noam_refuses_impossible_sizes(width, warmup):
    with pytest.raises(ValueError, match=f"at least 1, got {width} and {warmup}"):
        noam(1, width=width, warmup=warmup)
