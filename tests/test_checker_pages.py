"""Small numbers by hand for pages of the checker that verdicts look at from afar."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from npattn.checking import arithmetic, ladder as ladder_page
from npattn.checking.arithmetic import inner_epsilons
from npattn.checking.central import UNSURE, CentralDifference
from npattn.checking.complex_step import (
    STEP, ComplexStep, _every_other, _size, shortening,
)
from npattn.checking.derivatives import Derivatives, UnitDirections, envelope, span
from npattn.checking.entries import (
    VANISHING, _others, compare, natural_scale, smallest_faults, tolerances,
)
from npattn.checking.gradcheck import (
    _advice, _quick_rows, _same, backward_scatter, gradcheck, require_options,
)
from npattn.checking.ladder import Slopes, bend, ladder, units
from npattn.checking.one_array import Leaf, _bisection, check_leaf
from npattn.checking.quick import Sum, along_all

DOUBLE = 2.0**-52

# ---- ladder ----


def test_units_are_the_size_of_each_entry_and_of_zeros_a_length_over_which_functions_bend():
    assert units(np.array([0.0, -3.0, 5.0])).tolist() == [1.0, 3.0, 5.0]
    assert bend(np.array([3.0, -4.0])) == 1.0 and bend(np.zeros(3)) == bend(np.zeros(0)) == 1.0
    assert bend(np.array([0.04, -0.04, np.nan])) == pytest.approx(0.2, rel=1e-15)
    assert units(np.array([0.0, 1e-4, -1e-4, 0.0])).tolist() == pytest.approx(
        [(0.5e-8) ** 0.25, 1e-4, 1e-4, (0.5e-8) ** 0.25], rel=1e-14)


@pytest.mark.parametrize("unit", [1.0, 2.0**-10, 2.0**12])
def test_a_ladder_scales_with_its_unit(unit):
    # G(s) = F(unit s): slopes are unit times as steep, and so are errors and kinks
    def change(s):
        return np.array([(1.5 + s) * (1.5 + s) - 2.25, abs(s) + s, 1 / (2.0 + s) - 0.5])

    own = ladder(change, 1.0, np.zeros(3))
    other = ladder(lambda t: change(t / unit), unit, np.zeros(3))
    for part in ("value", "error", "kink"):
        np.testing.assert_array_equal(getattr(other, part), getattr(own, part) / unit)
    np.testing.assert_array_equal(other.noise, own.noise)
    assert own.kink.tolist() == [0.0, 2.0, 0.0]


def test_rungs_that_leave_the_domain_of_some_outputs_serve_the_others():
    # an output that is NaN from 1e-3 on, beside one that is defined everywhere
    slopes = ladder(lambda t: np.array([3.0 * t, 2.0 * t if abs(t) < 1e-3 else np.nan]), 1.0,
                    np.zeros(2))
    np.testing.assert_allclose(slopes.value, [3.0, 2.0], rtol=1e-9)
    assert (slopes.error < 1e-9).all() and not slopes.kink.any()


def test_where_no_rung_gives_a_number_the_slope_is_unknown():
    slopes = ladder(lambda t: np.full(2, np.nan), 1.0, np.zeros(2))
    assert np.isnan(slopes.value).all() and (slopes.error == np.inf).all()
    assert np.isfinite(slopes.noise).all()


@pytest.mark.parametrize("unit", [1.0, 2.0**-10])
def test_a_ladder_ends_where_shorter_steps_show_rounding_only(unit):
    seen = []

    def change(t):  # in steps of 2⁻²⁰: within shorter ones it stands still
        seen.append(t / unit)
        return np.array([np.round(3.0 * t / unit * 2.0**20) / 2.0**20])

    slopes = ladder(change, unit, np.array([2.0**-20]))
    assert abs(slopes.value[0] * unit - 3.0) < 2.0**-13
    assert 2.0**-12 in seen and 2.0**-24 not in seen and 2.0**-30 not in seen


def test_a_bend_that_short_steps_show_is_no_kink_beside_an_output_that_shows_nothing():
    def change(t):  # |t| but for its innermost part, and an output that is rounding alone
        return np.array([np.sqrt(t * t + 2.0**-48) - 2.0**-24, 0.0])

    assert ladder(change, 1.0, np.array([0.0, 1.0])).kink.tolist() == [0.0, 0.0]


# ---- arithmetic: outputs under moves of fine/4 and fine, both ways ----


def jumps(up_4, up, down, down_4, noise=0.0, coarse=lambda t: 0.0):
    """`_jumps` for a function that has these values at t = 1/4, 1, −1/4, −1 (so named)."""
    values = {0.25: up, -0.25: down, 1.0: up_4, -1.0: down_4}

    def change(t):
        return np.array([values[t] if t in values else coarse(t)])

    return bool(arithmetic._jumps(change, 1.0, 0.5, np.array([noise]))[0])


def test_a_slope_a_bend_and_a_kink_are_no_jumps():
    assert not jumps(4.0, 1.0, -1.0, -4.0)                 # t
    assert not jumps(16.0, 1.0, 1.0, 16.0)                 # t²
    assert not jumps(20.0, 2.0, 0.0, 12.0)                 # 4 t + 16 t²
    assert not jumps(4.0, 1.0, 0.0, 0.0)                   # relu
    assert not jumps(4.0, 1.0, 2.0, 8.0)                   # another slope to each side
    assert not jumps(np.nan, 1.0, -1.0, -4.0)              # not defined there


def test_steps_are_jumps_unless_they_are_within_the_noise():
    assert jumps(1.0, 1.0, 0.0, 0.0) and jumps(1.0, 0.0, 0.0, -1.0)
    assert not jumps(1.0, 0.0, 0.0, -1.0, noise=1.0)
    # one side alone is a kink; half as much as its move is allowed
    assert not jumps(4.0, 1.5, -1.0, -4.0) and jumps(4.0, 1.6, -1.0, -4.0)
    assert not jumps(4.0, 1.0, -1.5, -4.0) and jumps(4.0, 1.0, -1.6, -4.0)
    assert not jumps(4.0, 1.6, -1.0, -4.0, noise=0.5) and not jumps(4.0, 1.0, -1.6, -4.0, noise=0.5)
    assert jumps(4.0, 0.0, 0.0, -1.0) and jumps(1.0, 0.0, 0.0, -4.0)


def test_a_slope_and_a_bend_may_be_wrong_by_half_a_move():
    # from up and down at 1/4 they foretell 2 (up − down) + 8 (up + down) at 1
    assert not jumps(32.0, 1.0, 1.0, 100.0) and jumps(33.0, 1.0, 1.0, 100.0)
    assert not jumps(33.0, 1.0, 1.0, 100.0, noise=0.5)
    assert not jumps(24.0, 3.0, 1.0, 100.0) and not jumps(72.0, 3.0, 1.0, 100.0)


def test_moves_are_so_short_that_only_coarse_arithmetic_shows_steps(monkeypatch, rng):
    seen, Y = [], np.array([1.0, 4.0, 0.0])

    def jumps(change, fine, coarse, noise):
        seen.append((fine, coarse, (noise / np.array([1.0, 4.0, 1.0])).tolist()))
        return np.full(3, True)

    monkeypatch.setitem(arithmetic._epsilon.__globals__, "_jumps", jumps)
    assert arithmetic._epsilon(lambda leaves: Y, Y, [np.ones(2)], [0], rng) == 2.0**-8
    assert seen == [
        (2.0**-38, 2.0**-17, [2.0**-41] * 3), (2.0**-25, 2.0**-17, [2.0**-41] * 3),
        (2.0**-13, 2.0**-9, [2.0**-12] * 3)]


@pytest.mark.parametrize("first, second, eps", [
    ([True, False], [False, True], DOUBLE), ([True, False], [True, False], 2.0**-23)])
def test_what_jumps_under_one_of_two_moves_has_a_kink_there(monkeypatch, rng, first, second, eps):
    fine = {2.0**-38: first, 2.0**-25: second, 2.0**-13: [False, False]}
    monkeypatch.setitem(arithmetic._epsilon.__globals__, "_jumps",
                        lambda change, t, coarse, noise: np.array(fine[t]))
    Y = np.ones(2)
    assert arithmetic._epsilon(lambda leaves: Y, Y, [np.ones(2)], [0], rng) == eps


def test_plateaus_are_looked_for_far_away_and_a_millionth_further(monkeypatch):
    seen = []

    def stands(change, t, fine, noise):
        seen.append(t)
        return np.full(1, False)

    moved = []
    arithmetic._stands(lambda t: moved.append(t) or np.zeros(1), 0.5, 1.0, np.zeros(1))
    assert {*map(abs, moved)} <= {0.5, 0.5 + 0.5 * 2.0**-20}
    arithmetic._stands(lambda t: moved.append(t) or np.array([np.sign(t)]), 0.5, 1.0, np.zeros(1))
    assert {*moved} == {0.5, -0.5, 0.5 + 0.5 * 2.0**-20, -0.5 - 0.5 * 2.0**-20}
    monkeypatch.setitem(arithmetic._jumps.__globals__, "_stands", stands)
    assert not jumps(0.0, 0.0, 0.0, 0.0) and seen == [0.5, 2.0**-7, 2.0**-4, 2.0**-2]


def test_what_stands_still_beside_a_place_where_it_moves_is_coarse_and_a_kink_is_not():
    def steps(t):
        return np.floor(t * 4 + 0.5) / 4  # of 1/4: stands still again beyond each

    def line(t):
        return max(0.0, t - 0.125) - max(0.0, -t - 0.125)  # goes on smoothly beyond

    far = {"coarse": steps, "noise": 0.0}
    assert jumps(0.0, 0.0, 0.0, 0.0, **far)
    assert not jumps(0.0, 0.0, 0.0, 0.0, noise=256.0, coarse=steps)
    assert not jumps(0.0, 0.0, 0.0, 0.0, coarse=line)
    assert jumps(0.0, 0.0, 0.0, 0.0, noise=255.0, coarse=steps)
    assert not jumps(0.0, 0.0, 0.0, -4.0, coarse=steps)    # it moves to one side


@pytest.mark.parametrize("seed", range(3))
def test_leaves_are_told_apart_by_the_precision_that_they_go_through(seed):
    def F(leaves):
        a, b, c = leaves
        return np.concatenate([a.astype(np.float32).astype(np.float64) * 3.0, b * b,
                               c.astype(np.float16).astype(np.float64)])

    leaves = [np.array([0.3, -1.7]), np.array([1e-3, 5.0]), np.linspace(0.7, 2.2, 12)]
    with np.errstate(all="raise"):
        found = inner_epsilons(F, F(leaves), leaves, np.random.default_rng(seed))
    assert found == [2.0**-23, DOUBLE, 2.0**-8]


def test_an_infinite_output_hides_no_other_ones_precision(rng):
    def F(leaves):
        return np.append(leaves[0].astype(np.float32), np.inf)

    X = np.linspace(0.7, 2.2, 12)
    with np.errstate(all="raise"):
        assert inner_epsilons(F, F([X]), [X], rng) == [2.0**-23]


# ---- one direction for all entries ----


def test_the_weights_of_all_entries_are_between_a_half_and_one_and_a_half_of_both_signs(rng):
    moved = []

    def F(leaves):
        moved.append(np.concatenate([leaf.ravel() for leaf in leaves]))
        return np.array([leaves[0].sum() * 2.0, leaves[1].sum()])

    leaves, dY = [np.zeros((40, 5)), np.zeros(300)], np.array([1.0, -3.0])
    found = along_all(F, leaves, dY, [np.full((40, 5), 2.0), np.full(300, -3.0)], rng)
    way = moved[0].imag / STEP
    assert np.abs(way).min() >= 0.5 and np.abs(way).max() <= 1.5
    assert np.ptp(np.abs(way)) > 0.95 and 200 < (way > 0).sum() < 300
    assert found.gap <= 1e-13 * found.size
    want = 2 * way[:200].sum(), -3 * way[200:].sum()
    terms = np.linalg.norm([*(2 * way[:200]), *(-3 * way[200:])])
    assert found.size == pytest.approx(np.abs(want).sum() + terms, rel=1e-12)
    off = along_all(F, leaves, dY, [np.full((40, 5), 2.0), np.full(300, -3.25)], rng)
    assert off.gap > 1e-3 and off.tolerance < 1e-6


def quickly(offset=0.0, gap=0.0):
    """`along_all` for X + offset, where differences find a slope of 1 + gap; also its way."""
    moved = []

    def F(leaves):
        [X] = leaves
        moved.append(X - 1.0)
        return X + offset if np.iscomplexobj(X) else X + offset + gap * (X - 1.0)

    X = np.ones(1)
    found = along_all(F, [X], np.ones(1), [X], np.random.default_rng(0))
    return found, abs(moved[0].imag[0]) / STEP


def test_a_quick_look_is_believed_as_far_as_two_real_forwards_confirm_it():
    found, way = quickly()
    noise = DOUBLE * 2.0**18 * (1.0 + 2.0**-18 * way)
    assert found.tolerance == pytest.approx(2 * noise, rel=1e-4) and found.size == 2 * way
    found, way = quickly(gap=1.99e-6)
    assert found.tolerance == pytest.approx(2 * 1.99e-6 * way, rel=1e-3)
    assert quickly(gap=2.05e-6)[0] is None                         # a millionth of both sums
    found, way = quickly(offset=1e4, gap=3e-5)                     # or 100 roundings
    assert found.tolerance == pytest.approx(6e-5 * way, rel=0.1)
    assert quickly(offset=1e4, gap=1e-4)[0] is None
    assert quickly(offset=1e6)[0] is None                          # rounding alone is as large


def test_a_function_that_is_0_takes_a_quick_look(rng):
    assert along_all(lambda leaves: 0 * leaves[0], [np.ones(2)], np.ones(2), [np.zeros(2)],
                     rng) == Sum(0.0, 0.0, 0.0)


def test_moves_out_of_the_domain_are_silent():
    method = CentralDifference(
        lambda leaves: np.array([np.sqrt(leaves[0][0]), 3.0]), [np.ones(1)], np.ones(2))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        value, error = method.along([np.ones(1)])
    assert value == pytest.approx(0.5, rel=1e-9) and not seen


def test_a_quick_look_takes_the_step_of_the_tiniest_entry(rng):
    seen = []
    along_all(lambda leaves: seen.append(leaves) or leaves[0] + leaves[1],
              [np.ones(1), np.full(1, 2.0**-40)], np.ones(1), [np.ones(1)] * 2, rng)
    for leaf in seen[0]:
        assert 0.5 <= abs(leaf.imag[0]) / (STEP * 2.0**-40) <= 1.5


# ---- derivatives ----


def test_unit_directions_move_one_entry_by_1():
    ways = UnitDirections((2, 2), np.array([3, 1]))
    assert [way.tolist() for way in ways] == [[[0.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]]]


def test_an_entry_that_no_output_depends_on_does_not_move_beside_one_that_does():
    X = np.array([1.5, 2.5])
    method = ComplexStep(lambda leaves: 2.0 * leaves[0][:1], [X], np.ones(1), 2.0 * X[:1])
    found = method.measure(0, UnitDirections(X.shape, np.arange(2)))
    assert found.moves.tolist() == [True, False] and found.value.tolist() == [2.0, 0.0]


@pytest.mark.parametrize("times, noise", [(1000.0, 5.0), (1200.0, 1.0)])
def test_rounding_of_an_entry_a_thousand_times_as_large_counts_and_of_a_larger_one_not(
    times, noise
):
    assert envelope(np.array([1.0, 5.0]), np.array([1.0, times])).tolist() == [noise, 5.0]


def test_rounding_is_that_of_entries_up_to_a_thousand_times_as_large():
    noise, size = np.array([1.0, 5.0, 2.0, 9.0]), np.array([1.0, 900.0, 2.0, 1e7])
    assert envelope(noise, size).tolist() == [5.0, 5.0, 5.0, 9.0]
    assert envelope(np.zeros(0), np.zeros(0)).tolist() == []


def test_the_span_of_a_direction_is_the_mean_size_of_what_it_moves():
    leaf = np.array([[1.0, -2.0], [4.0, 0.0]])
    assert span(leaf, UnitDirections(leaf.shape, np.array([1, 2]))).tolist() == [2.0, 4.0]
    ways = [np.array([[1.0, -1.0], [0.0, 0.0]]), np.zeros((2, 2))]
    assert span(leaf, ways).tolist() == [1.5, 0.0]


def test_derivatives_overlook_nothing_unless_told():
    found = Derivatives(np.ones(2), np.ones(2), np.zeros(2), np.full(2, True), 0.5)
    assert found.smooth.all() and found.unseen == 0.0
    one = found._replace(kink=np.array([0.0, 3.0])).among(np.array([1]))
    assert one.smooth.tolist() == [False] and one.rounding == 0.5 and one.value.shape == (1,)


# ---- one array ----


class Exact:
    """A truth that is sure of itself."""

    def measure(self, k, directions):
        ones = np.ones(len(directions))
        return Derivatives(ones, ones, 0 * ones, ones > 0, 0 * ones)


def test_scatter_is_rounding_and_a_jump_is_not():
    got = np.array([100.0, 1.0, 1.0])
    scatter = np.array([0.0, 1e-5, 2e-5])  # below 1e-6 of the largest entry
    leaf = Leaf(Exact(), 0, got, str, scatter, 1e-12, DOUBLE)
    np.testing.assert_allclose(leaf.entries(np.arange(3)).rounding, [2e-6] * 3, rtol=1e-12)
    scatter = np.array([0.0, 1e-5, 2e-4])  # above it: a jump, that counts where it is alone
    leaf = leaf._replace(scatter=scatter)
    np.testing.assert_allclose(leaf.entries(np.arange(3)).rounding, [1e-6, 1e-6, 2e-5], rtol=1e-12)
    total, found = leaf.along(np.array([1.0, -1.0, 0.5]))
    assert total == 99.5 and found.rounding.tolist() == pytest.approx([2e-5])


def test_a_jump_is_above_a_millionth_of_the_largest_entry():
    def noise(part, eps=DOUBLE):
        leaf = Leaf(Exact(), 0, np.array([0.25, 0.125]), str, np.array([part, 0.0]), 1e-12, eps)
        return leaf.entries(np.arange(2)).rounding[1]

    assert noise(1e-6 * 0.25) > 0.0 and noise(1.1e-6 * 0.25) == 0.0
    eps = 2.0**-23                                      # or above 10,000 roundings
    assert noise(0.9e4 * eps * 0.25, eps) > 0.0 and noise(1.1e4 * eps * 0.25, eps) == 0.0


def test_a_sample_as_large_as_the_array_is_all_of_it_and_none_is_taken_twice(rng):
    got, chosen = np.ones(9), []

    class Seen(Exact):
        def measure(self, k, directions):
            chosen.append(list(getattr(directions, "indices", ())))
            return super().measure(k, directions)

    def check(most):
        chosen.clear()
        return check_leaf(Seen(), 0, got, str, scatter=np.zeros(9), rtol=1e-12, eps=DOUBLE,
                          rng=rng, max_entries=most)

    assert check(9).row.checked == 9 and chosen == [[*range(9)]]
    for _ in range(5):
        check(8)
        assert len({*chosen[1]}) == len(chosen[1]) == 8


class Sums:
    """Entries that should be 1; along all, their sum and `off`, with kinks and rounding of its own.
    """

    def __init__(self, off=0.0, rounding=0.0, kink=0.0, own_kink=0.0, own_rounding=0.0, unseen=0.0):
        self.off, self.rounding, self.kink, self.unseen = off, rounding, kink, unseen
        self.own_kink, self.own_rounding = own_kink, own_rounding

    def measure(self, k, directions):
        ones = np.ones(len(directions))
        if isinstance(directions, UnitDirections):
            return Derivatives(ones, ones, 0 * ones, ones > 0, self.own_rounding * ones,
                               self.own_kink * ones)
        value = np.array([v.sum() + self.off for v in directions])
        return Derivatives(value, 0 * ones, 0 * ones, ones > 0, self.rounding * ones,
                           self.kink * ones, self.unseen)

    def sampled(self, eps=DOUBLE, looked_at=1):
        """The `Outcome` for four entries of which some are looked at."""
        return check_leaf(self, 0, np.ones(4), lambda i: f"dX{list(i)}" if i else "dX",
                          scatter=np.zeros(4), rtol=1e-12, eps=eps, rng=np.random.default_rng(0),
                          max_entries=looked_at)


def test_a_sum_that_is_off_is_wrong_even_where_no_entry_is():
    row, [sentence], kinks = Sums(off=1.0).sampled()
    assert row.verdict == "wrong" and not row.passed and not kinks and row.checked == 2
    assert sentence.startswith("the entries of dX, added with random weights, give ")
    row, wrong, kinks = Sums(off=1.0, own_kink=1.0).sampled()
    assert not wrong and len(kinks) == 1 and row.verdict == "undecided"
    assert row.smallest_fault == np.inf and row.checked == 0


def test_a_sum_without_a_derivative_decides_nothing():
    row, wrong, kinks = Sums(kink=1.0).sampled()
    assert not wrong and row.smallest_fault == np.inf and row.verdict == "undecided"
    assert kinks[0].endswith("]: no derivative here, the slopes to both sides differ; "
                             "move the input")
    row, wrong, kinks = Sums(off=np.nan).sampled()
    assert not wrong and not kinks and row.smallest_fault == np.inf
    assert row.doubt == ("dX: along random weights of all entries no derivative could be measured")
    row, _, kinks = Sums(off=np.nan, own_kink=1.0).sampled()
    assert row.doubt == kinks[0]


@pytest.mark.parametrize("options, tolerance", [
    ({"rounding": 1e-9}, 1e-7),             # 100 times its own rounding
    ({"own_rounding": 1e-9}, 2e-7),         # or √4 times that of an entry
    ({"eps": 2.0**-23}, 200 * 2.0**-23),    # or the arithmetic's, of the length of the gradient
    ({"unseen": 1e-7}, 1e-7),
])
def test_a_sum_may_be_off_by_its_rounding_and_promises_twice_what_it_leaves_open(
    options, tolerance
):
    options = dict(options)
    eps = options.pop("eps", DOUBLE)
    for part, right in ((0.0, True), (0.5, True), (0.99, True), (1.01, False)):
        row, wrong, _ = Sums(off=part * tolerance, **options).sampled(eps)
        assert row.passed == right == (not wrong)
        open_ = tolerance + min(part, 1.0) * tolerance + options.get("unseen", 0.0)
        assert row.smallest_fault == pytest.approx(2 * open_, rel=1e-6)
        assert right == (row.verdict == "right")


def test_a_sum_may_be_off_by_the_largest_rounding_of_the_entries_that_are_looked_at():
    row, wrong, _ = Sums(off=1.98e-7, own_rounding=np.array([0.0, 1e-9])).sampled(looked_at=2)
    assert row.passed and not wrong


def test_bisection_follows_what_is_not_finite():
    for nowhere in (np.nan, np.inf, 5.0):
        for at in range(6):
            def gap(some, at=at):
                return nowhere if some[at] else 1.0

            assert _bisection(np.ones(6), gap).tolist() == [at]


def test_a_derivative_without_an_error_or_an_error_without_one_is_unknown():
    class Unknown(Exact):
        def measure(self, k, directions):
            return super().measure(k, directions)._replace(
                value=np.array([1.0, np.nan, 1.0]), error=np.array([np.inf, 0.0, 0.0]))

    row, wrong, kinks = check_leaf(
        Unknown(), 0, np.ones(3), lambda i: f"dX{list(i)}", scatter=np.zeros(3), rtol=1e-12,
        eps=DOUBLE, rng=None, max_entries=None)
    assert row.checked == 1 and not wrong and not kinks
    assert row.doubt == ("dX[0]: no derivative could be measured, no step gave finite numbers "
                         "(2 such entries)")


def test_a_sum_that_hides_a_hundredth_of_the_largest_entry_is_undecided():
    row = Sums(rounding=0.5e-4).sampled().row
    assert row.smallest_fault == 0.01 and row.verdict == "right"
    row = Sums(rounding=1.1 * 0.5e-4).sampled().row
    assert row.doubt == ("dX: a fault below 1.1e-02 in one entry would not show, "
                         "and the largest is 1.0e+00")


# ---- central differences ----


def test_shorter_steps_are_taken_where_they_leave_no_doubt_and_agree():
    method = CentralDifference(lambda leaves: leaves[0] * 1.0, [np.ones(1)], np.ones(1))

    def chosen(first, second):
        method._slope = lambda moved, unit, eps: second
        return method._closer(first, None, 0.1, 0)

    sure, doubtful, kinked = (2.0, 1e-7, 0.0), (2.0, 1e-3, 0.0), (2.0, 1e-3, 1.0)
    assert chosen(sure, (3.0, 0.0, 0.0)) == sure                        # no doubt, no look
    assert chosen(doubtful, (2.01, 1e-4, 0.0)) == (2.01, 1e-4, 0.0)     # less error, and agrees
    assert chosen(doubtful, (2.02, 1e-4, 0.0)) == doubtful              # too far away
    assert chosen(doubtful, (2.0, 1e-2, 0.0)) == doubtful               # more error
    assert chosen(kinked, (3.0, 1e-2, 0.0)) == (3.0, 1e-2, 0.0)         # the kink is further away
    assert chosen(kinked, (2.0, 1e-2, 1.0)) == kinked                   # it is here
    assert chosen(kinked, (2.0, 1e-4, 1.0)) == (2.0, 1e-4, 1.0)
    # an error of a millionth is no doubt; of two looks with one error the closer one counts
    assert chosen((2.0, UNSURE * 2.0, 0.0), (2.0, 0.0, 0.0)) == (2.0, UNSURE * 2.0, 0.0)
    assert chosen((2.0, 2.5e-6, 0.0), (2.0, 0.0, 0.0)) == (2.0, 0.0, 0.0)
    assert chosen(kinked, (3.0, 1e-3, 1.0)) == (3.0, 1e-3, 1.0)
    assert chosen(doubtful, (2.001, 1e-3, 0.0)) == (2.001, 1e-3, 0.0)
    # they agree within ten times both errors
    unsure = (8.0, 0.125, 0.0)
    assert chosen(unsure, (9.875, 0.0625, 3.0)) == (9.875, 0.0625, 3.0)
    assert chosen(unsure, (9.9375, 0.0625, 3.0)) == unsure
    # or the first knows nothing, and the closer one is sure
    nothing, sure = (1.0, 1.5, 0.0), (50.0, UNSURE * 50.0, 0.0)
    assert chosen(nothing, sure) == sure and chosen(nothing, (50.0, 6e-5, 0.0)) == nothing
    assert chosen((1.0, 1.0, 0.0), sure) == (1.0, 1.0, 0.0)


def laddered(F, leaf, dY, monkeypatch, unit=0.5, eps=2.0**-8):
    """The moves that come before a ladder, the rounding that it is given, and what is shown."""
    seen, given = [], []

    def moved(t):
        seen.append(t)
        return {0: leaf + t}

    def ladder(change, unit, rounding):
        given.append(rounding)
        return Slopes(*np.ones((4, 1)))

    method = CentralDifference(lambda leaves: F(leaves[0]), [leaf], dY)
    monkeypatch.setitem(CentralDifference._slope.__globals__, "ladder", ladder)
    method._slope(moved, unit, eps)
    return seen, given[0], method.shown


def test_only_the_rounding_of_outputs_that_move_counts(monkeypatch):
    leaf, dY = np.array([1.0, 3.0, 4.0]), np.array([2.0, 1.0, 1.0])
    near = [ladder_page.FAR * 0.5, ladder_page.FIRST_STEP * 0.5]
    moves, [noise], shown = laddered(lambda X: X * 1.0, leaf, dY, monkeypatch)
    assert moves == near and shown and noise == pytest.approx(2.0**-8 * np.sqrt(4 + 9 + 16))
    late = np.array([0.0, 3.0, 4.0 + 0.75 * near[1]])  # the last moves only by the longer step

    def some(X):
        return np.where([False, True, X[2] > late[2]], X, leaf)

    moves, [noise], shown = laddered(some, leaf, dY, monkeypatch)
    assert moves[:2] == near and len(moves) == 4 and shown
    assert noise == pytest.approx(2.0**-8 * 5)
    assert laddered(lambda X: np.where([True, True, X[2] > late[2]], X, leaf), leaf, dY,
                    monkeypatch)[0] == near

    def close_by(X):  # where it is far away, the second is what it was
        return np.where([False, abs(X[1] - 3.0) < 1.0, True], X, leaf)

    assert laddered(close_by, leaf, dY, monkeypatch)[1] == pytest.approx(2.0**-8 * 5)

    def far_above(X):  # one long move shows that the first is not independent, the other does not
        return np.where([X[0] > 1e9, False, True], X, leaf)

    assert laddered(far_above, leaf, dY, monkeypatch)[1] == pytest.approx(2.0**-8 * np.sqrt(20))
    moves, [noise], shown = laddered(lambda X: leaf, leaf, dY, monkeypatch)
    assert len(moves) == 4 and not shown and noise == 0.0


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_outputs_of_every_size_have_rounding_where_f_is_not_defined_close_by(monkeypatch, size):
    leaf = np.array([3.0, 4.0]) * size

    def F(X):
        if (X != leaf).any():
            raise ValueError("outside the domain")
        return X

    _, [noise], shown = laddered(F, leaf, np.ones(2), monkeypatch, unit=size)
    assert shown and noise == pytest.approx(2.0**-8 * 5 * size, rel=1e-12, abs=0.0)
    assert laddered(lambda X: X[:0], leaf, np.ones(0), monkeypatch, unit=size)[1:] == ([0.0], False)


def test_where_all_leaves_move_the_coarsest_arithmetic_and_the_shortest_bend_count(rng):
    leaves = [np.array([1.5]), np.array([0.25])]
    method = CentralDifference(lambda leaves: leaves[0] * leaves[1], leaves, np.ones(1),
                               [2.0**-8, DOUBLE])
    slopes, _ = method.each(rng)
    assert slopes.noise >= 2.0**-8 * 0.375
    method._slope = lambda moved, unit, eps: (unit, eps, 0.0)
    assert method.along([np.ones(1), np.ones(1)]) == (0.5, 2.0**-8)


def measured(leaf, directions, slope, eps=None):
    """What a method measures along directions, and the units that it looks at; slope(unit) stands
    in place of what it finds there."""
    units, leaf = [], np.array(leaf)
    method = CentralDifference(lambda leaves: leaves[0] * 1.0, [leaf], np.ones(leaf.shape), eps)
    method.shown = True
    method._slope = lambda moved, unit, eps: units.append(unit) or slope(unit)
    found = method.measure(0, [np.array(v) for v in directions])
    return units, found


def test_steps_are_as_long_as_what_moves_and_once_more_as_its_smallest_entry():
    def units(leaf, way, error=0.0):
        return measured(leaf, [way], lambda unit: (1.0, error, 0.0))[0]

    leaf = [1.0, 1e-4, 1e-3, np.nan, np.inf, 0.0]
    least = bend(np.array(leaf))
    assert 0.7 < least < 0.8
    assert units(leaf, [1.0, -1.0, 1.0, 1.0, 1.0, 1.0]) == [1.0, 1e-4]
    assert units(leaf, [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]) == [1.0]             # 1e-3 is not below 1e-3
    assert units(leaf, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]) == [least]
    assert units(leaf, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0], error=0.1) == [least, 1e-4]
    assert units(leaf, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0], error=0.1) == [1.0]  # no look from closer by
    assert units(leaf, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0], error=0.1) == [least]
    assert units(leaf, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0]) == [least]
    assert units([0.25, 5e-4], [1.0, 1.0]) == [bend(np.array([0.25, 5e-4]))]
    assert units([0.25, 1e-4], [1.0, 1.0]) == [bend(np.array([0.25, 1e-4])), 1e-4]
    assert measured(leaf, [], None)[0] == []


def test_the_smallest_entry_has_the_last_word_where_it_contradicts():
    def value(nearby, error=0.125):
        def slope(unit):
            return nearby if unit == 1e-4 else (8.0, error, 0.0)

        return measured([1.0, 1e-4], [[1.0, 1.0]], slope)[1]

    assert value((9.75, 0.0625, 3.0)).value == 8.0      # within ten times both errors
    assert value((9.875, 0.0625, 3.0)).value == 8.0     # just so
    far = value((9.9375, 0.0625, 3.0))
    assert (far.value, far.error, far.kink) == (9.9375, 0.0625, 3.0) and not far.smooth


def test_outputs_that_hide_may_be_as_large_as_a_rounding_of_the_largest_slope():
    slopes = iter([(np.nan, 0.0, 0.0), (0.0, 0.0, 0.0), (-0.25, 1.0, 0.0), (np.inf, 0.0, 0.0)])
    _, found = measured([1.0] * 4, np.eye(4), lambda unit: next(slopes), eps=[2.0**-8])
    assert found.rounding[1:3].tolist() == [DOUBLE / 4, 2.0**-10] and found.moves.all()
    assert found.value[1:3].tolist() == [0.0, -0.25] and found.size[1:3].tolist() == [0.0, 0.25]
    slopes = iter([(1.0, 0.0, 0.0), (2.0**-20, 0.0, 0.0)])
    _, found = measured([1.0] * 2, np.eye(2), lambda unit: next(slopes))
    assert found.rounding.tolist() == [DOUBLE, DOUBLE * 2.0**-20]


def test_all_random_parts_of_a_move_have_both_signs(rng):
    leaves = [np.arange(1.0, 401.0)]
    method = CentralDifference(lambda leaves: leaves[0][:2] * 3.0, leaves, np.ones(2))
    slopes, [way] = method.each(rng)
    parts = way / leaves[0]
    assert np.abs(parts).min() >= 0.5 and np.abs(parts).max() <= 1.5
    assert 150 < (parts > 0).sum() < 250
    np.testing.assert_allclose(slopes.value, 3 * way[:2], rtol=1e-9)


def kinked(*sizes, noise=0.0):
    """`_kink` where the slopes to both sides differ by these at steps FAR and NEAR."""

    def change(t):
        n = int(np.argmin(np.abs(abs(t) - np.array([ladder_page.FAR, *ladder_page.NEAR]))))
        return np.array([abs(t) / 2 * sizes[min(n, len(sizes) - 1)]])

    [kink], bent = ladder_page._kink(change, 1.0, np.array([noise]))
    return kink, bent


@pytest.mark.parametrize("ratio, close", [
    (7.9, True), (8.0, False), (8.1, False), (0.126, True), (0.125, False), (0.124, False)])
def test_a_kink_stays_at_short_steps_and_bends_long_ones_within_a_factor_of_8(ratio, close):
    kink, bent = kinked(4.0, 4.0 * ratio)
    assert kink == pytest.approx(4.0 * ratio) and bent == close


def test_a_kink_that_stays_from_long_steps_on_may_be_lost_in_noise_at_short_ones():
    limit = ladder_page.NEAR[1]  # of the noise that hides a kink of 1000
    assert kinked(1000.0, 1000.0, 250.0, noise=0.9 * limit) == (250.0, True)
    assert kinked(1000.0, 1000.0, 250.0, noise=limit) == (0.0, True)
    assert kinked(*1e3 ** np.array([1.0, 1.0, 0.0, -1.0, -2.0, -3.0, -4.0])) == (0.0, True)


@pytest.mark.parametrize("ratio, weak", [(1.9, True), (2.0, False), (0.6, True), (0.5, False)])
def test_a_kink_that_a_bend_hides_at_first_stays_within_a_factor_of_2(ratio, weak):
    found = kinked(1000.0, 10.0, 10.0 * ratio, noise=0.1 * ladder_page.NEAR[2])
    assert found == (pytest.approx(10.0 * ratio) if weak else 0.0, False)


def test_kinks_are_looked_for_at_lengths_from_a_hundredth_on_and_in_one_output_at_least():
    seen = []

    def change(t):
        seen.append(t)
        return np.array([abs(t), t * t])

    kink, bent = ladder_page._kink(change, 1.0, np.zeros(2))
    assert kink.tolist() == [2.0, 0.0] and bent
    lengths = 2.0 ** -np.array([7.0, 14.0, 20.0, 26.0, 32.0, 38.0, 44.0])
    assert seen == [side * t for t in lengths for side in (1, -1)]


def rungs(F, rounding):
    """How many rungs are looked at."""
    seen = []

    def change(t):
        seen.append(t)
        return np.array([F(t)])

    slopes = ladder(change, 1.0, np.array([rounding]))
    return sum(t > 0.0 for t in seen[seen.index(ladder_page.FIRST_STEP):]), slopes


def test_a_ladder_ends_where_shorter_steps_tell_nothing_more():
    assert rungs(lambda t: 0.0, 0.0)[0] == 3                    # two of them agree
    assert rungs(lambda t: 0.0, 1e-6)[0] == 4                   # noise is 4 times the least error
    assert rungs(lambda t: t, 1e-6)[0] == 5
    assert rungs(lambda t: t * (1 + 4.3e-4 * t**4), 0.0)[0] == 5   # 2.5e-12 is not below 2e-12
    # beside a kink: where noise is 8 times the slope, and no earlier
    assert rungs(lambda t: (abs(t) + t) / 4, 2.0**-31)[0] == 15
    assert rungs(lambda t: (abs(t) + t) / 4, 2.0**-30.9)[0] == 14


def test_floating_point_warnings_of_f_and_infinite_outputs_stay_on_the_ladder():
    with np.errstate(all="raise"):
        slopes = ladder(lambda t: np.array([np.exp(1e6 * t) - 1, np.nan, np.inf, 3.0 * t]), 1.0,
                        np.zeros(4))
    assert slopes.value[[0, 3]] == pytest.approx([1e6, 3.0], rel=1e-6)
    assert np.isnan(slopes.value[1:3]).all() and slopes.noise[1:3].tolist() == [0.0, 0.0]


def test_jitter_is_the_largest_fourth_difference_over_4():
    values = {-3: 1.0, 1: 1.0, 3: 2.0}

    def change(t):
        k = t / (0.5 * ladder_page.SPACING)
        return np.array([values.get(k, 0.0), 4.0 * t, np.inf if k == 1 else 0.0, np.nan])

    jitter, slope = ladder_page._jitter(change, 0.5, (4,))
    assert jitter.tolist() == [2.0, 0.0, 0.0, 0.0]
    assert slope[:2].tolist() == [1 / (3 * ladder_page.SPACING), 4.0]


def test_the_rung_with_the_least_error_is_taken_that_finer_ones_allow():
    def best(*rungs):
        rungs = [(np.array(R), np.array(doubt)) for R, doubt in rungs]
        value, error = ladder_page._best(rungs, rungs[0][0].shape)
        return value.tolist(), error.tolist()

    assert best(([1.0], [0.5]), ([2.0], [0.75])) == ([1.0], [0.5])
    assert best(([1.0], [0.5]), ([2.0], [0.5])) == ([2.0], [0.5])           # the finer of two
    assert best(([0.0], [0.0625]), ([1.875], [0.125])) == ([0.0], [0.0625])  # ten times both
    assert best(([0.0], [0.0625]), ([1.9375], [0.125])) == ([1.9375], [0.125])
    assert best(([np.nan], [0.01]), ([2.0], [0.5])) == ([2.0], [0.5])
    # a rung that is not defined for all outputs contradicts none, and serves where it is
    assert best(([1.0, 0.0], [0.05, 0.05]), ([np.nan, 5.0], [0.1, 0.1])) == ([1.0, 0.0], [0.05] * 2)
    assert best(([1.0, 0.0], [0.2, 0.2]), ([np.nan, 5.0], [0.1, 0.1])) == ([1.0, 5.0], [0.2, 0.1])


def grain(F, first=2.0**-6):
    """`_grain` on steps from the first one on, and where it looks for plateaus."""
    seen, steps = [], [t for t in (first, 2.0**-8, 2.0**-10, 2.0**-12, 2.0**-14)]

    def change(t):
        seen.append(t)
        return np.array(F(t))

    moved = [(t, np.array(F(t)), np.array(F(-t))) for t in steps]
    return ladder_page._grain(change, moved, moved[0][1].shape).tolist(), seen


def test_jumps_that_are_far_above_the_last_bit_are_the_grain():
    def jumps(t):
        return np.floor(t * 2.0**10 + 0.5) / 2.0**10

    def beyond(t):  # goes on smoothly from 2^-11 on
        return max(t - 2.0**-11, 0.0)

    part = 2.0**-10 / 16
    around = [2.0**-10 + part, 2.0**-10 - part]
    assert grain(lambda t: [jumps(t)]) == ([2.0**-10], [*around, *(-t for t in around)])
    # on one side alone; at least eight jumps
    assert grain(lambda t: [jumps(t) if t > 0 else -beyond(-t)])[0] == [2.0**-10]
    assert grain(lambda t: [beyond(t) if t > 0 else jumps(t)])[0] == [2.0**-10]
    assert grain(lambda t: [jumps(t)], first=2.0**-7)[0] == [2.0**-10]
    assert grain(lambda t: [jumps(t)], first=7 * 2.0**-10)[0] == [0.0]
    assert grain(lambda t: [beyond(t)])[0] == [0.0]
    # beside others: one that is never still has none
    never = 2.0**-10
    both = grain(lambda t: [jumps(t), np.sign(t) * never * np.ceil(abs(t) / never), beyond(t)])[0]
    assert both == [2.0**-10, 0.0, 0.0]


def test_a_noisy_difference_of_slopes_is_no_kink():
    def change(t):
        return np.array([abs(t)])

    limit = 2 / 1e3 * ladder_page.NEAR[1]  # of the noise that hides 2: two short steps must tell
    assert ladder_page._kink(change, 1.0, np.array([limit * 0.9]))[0].tolist() == [2.0]
    assert ladder_page._kink(change, 1.0, np.array([limit * 1.1]))[0].tolist() == [0.0]


def test_moves_that_look_for_the_precision_are_parts_of_each_entry(rng):
    moved, leaf = [], np.arange(1.0, 401.0)

    def F(leaves):
        moved.append((leaves[0] - leaf) / leaf)
        return leaves[0] * 1.0

    assert inner_epsilons(F, leaf * 1.0, [leaf], rng) == [DOUBLE]
    fine = 2.0**-38
    for part in (-1, 1, -0.25, 0.25):
        assert any(np.abs(m / (part * fine)).min() > 0.49
                   and np.abs(m / (part * fine)).max() < 1.51 for m in moved)
    assert 150 < (moved[0] > 0).sum() < 250


# ---- complex step ----


def test_steps_are_shorter_beside_tiny_entries_and_zeros_do_not_count():
    assert shortening(np.array([0.0, 8.0, -1.01 * 2.0**-33])) == 1.0
    assert shortening(np.array([0.0, 1.0, -2.0**-33])) == 2.0**-33
    assert shortening(np.array([2.0**-35, 3 * 2.0**-41, 1.0])) == 2.0**-40
    assert shortening(np.array([1.0, 2.0**-400])) == shortening(np.zeros(0)) == 1.0
    assert shortening(np.array([1.0, 1.5 * 2.0**-400])) == 2.0**-400
    seen = []
    method = ComplexStep(lambda leaves: seen.append(leaves[0]) or leaves[0] * 3.0,
                         [np.array([1.0, 2.0**-40])], np.ones(2), np.ones(2))
    assert method._slopes(0, np.array([1.0, 0.0])).tolist() == [3.0, 0.0]
    assert seen[0].imag.tolist() == [STEP * 2.0**-40, 0.0]


def test_every_other_sign_is_turned_and_sizes_are_means_of_squares():
    assert _every_other(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])).tolist() == [
        [1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]]
    assert _size(np.array([3.0, -4.0])) == np.sqrt(12.5) and _size(np.zeros(0)) == 0.0


def stepped(noise, unseen, Y, drift=0.0):
    """`measure` of twelve directions of 4.0; which are measured anew, and which asked if they show.

    An even one moves the first of two outputs by its place, an odd one the second as well; the last
    moves none, and shows in the second."""
    X, again, asked = np.full(12, 4.0), [], []
    method = ComplexStep(lambda leaves: Y, [X], [1.0, -3.0], np.array(Y))
    method.noise, method.unseen = np.array(noise), np.array(unseen)

    def slopes(k, v, h=STEP):
        i = int(np.argmax(v))
        again.extend([(i, h / STEP)] * (h != STEP))
        more = drift * (h / STEP > 1) + drift if h != STEP else 0.0
        return np.array([i + 1 + more, 0.5 * (i % 2)]) if i != 11 else np.zeros(2)

    def shows(k, v):
        asked.append(int(np.argmax(v)))
        return np.array([False, True])

    method._slopes, method._shows = slopes, shows
    return method.measure(0, UnitDirections((12,), np.arange(12))), again, asked


def test_what_a_complex_step_overlooks_or_loses_is_told_of_the_outputs_that_move():
    found, again, asked = stepped([2.0**-45, 2.0**-46], [2.0**-41, 2.0**-40], [8.0, 2.0])
    i = np.arange(12)
    odd, last = i % 2 == 1, i == 11
    np.testing.assert_array_equal(found.value, np.where(last, 0.0, i + 1 - 1.5 * odd))
    np.testing.assert_array_equal(found.size, np.where(last, 0.0, i + 1 + 1.5 * odd))
    assert not found.error.any() and found.moves.all() and asked == [11]
    # the largest, and every third of the rest, by two other steps
    assert [j for j, _ in again] == [10, 6, 5, 0]
    assert [h for _, h in again] == pytest.approx([0.7, 1.3, 0.7, 1.3])
    lost = np.where(odd, (2.0**-45 + 3 * 2.0**-46) / 8, 2.0**-45 / 4)
    np.testing.assert_allclose(found.rounding[:11], lost[:11], rtol=1e-12)
    assert found.rounding[11] == 6 * DOUBLE / 4
    np.testing.assert_array_equal(found.unseen[:11], np.where(odd, 2.0**-40, 2.0**-41)[:11] / 4)
    assert found.unseen[11] == 0.0
    # no more than 1e-10 of the contributions
    found, _, _ = stepped([1.0, 1.0], [1.0, 1.0], [8.0, 2.0])
    np.testing.assert_allclose(found.rounding[:11], 1e-10 * found.size[:11], rtol=1e-12)
    np.testing.assert_allclose(found.unseen, 1e-10 * found.size, rtol=1e-12)


def test_what_other_steps_change_is_rounding_of_entries_of_that_size():
    found, _, _ = stepped([0.0, 0.0], [0.0, 0.0], [0.0, 0.0], drift=2.0**-20)
    np.testing.assert_array_equal(found.rounding[:11], np.full(11, 2.0**-19))
    assert found.rounding[11] == pytest.approx(11.5e-50, rel=1e-12, abs=0.0)
    method = ComplexStep(lambda leaves: leaves[0], [np.ones(2)], np.ones(2), np.ones(2))
    assert method.measure(0, UnitDirections((2,), np.zeros(0, int))).value.shape == (0,)


def test_an_entry_shows_where_nan_or_a_long_move_changes_any_output():
    moved = []

    def shows(F, X=(1.0, 2.0, 3.0)):
        X = np.array(X)

        def recorded(leaves):
            moved.append(leaves[0] - X)
            return F(leaves[0])

        method = ComplexStep(recorded, [X], np.ones(2), F(X))
        moved.clear()
        return method._shows(0, np.array([0.0, 1.0, 0.0])).tolist()

    assert shows(lambda X: np.array([X[0], X[2]])) == [False, False]
    assert len(moved) == 4 and not any(m[0] or m[2] for m in moved)
    assert np.isnan(moved[0][1]) and len({m[1] for m in moved[1:]}) == 3
    assert shows(lambda X: np.array([X[0], X[1] * X[2]])) == [False, True] and len(moved) == 1
    assert shows(lambda X: np.array([X[0], 1.0 * (np.abs(X[1]) > 1e10)])) == [False, True]
    assert len(moved) == 4

    def picky(X):
        if np.isnan(X).any():
            raise ValueError("NaN")
        return X[:2] * 0.0

    assert shows(picky) == [True, True]


def refused(slopes, value, error=0.0, parts=((0.0, 0.0),) * 2, Y=3.0, dY=1.0):
    """Why the complex step with these slopes is refused, and what it may overlook: witnesses give
    `value` and `error`, and the parts of conjugates are `parts` with their doubts, way by way."""
    slopes, looks = np.array(slopes), iter(parts)
    every = np.ones(slopes.size)
    method = ComplexStep(lambda leaves: Y + 1j * STEP * slopes, [np.ones(2)], dY * every, Y * every)
    method._conjugate = lambda way, noise, radii: (*(x * every for x in next(looks)), radii)
    witness = Slopes(np.array(value), error * every, 0 * every, 0 * every)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return method.refusal(witness, [np.ones(2)]), method.unseen.tolist()


def test_differences_must_be_sure_to_confirm_a_slope():
    words = "differences around X cannot confirm the complex step"
    assert refused([1.0], [1.0], error=1e-4 * 4.0)[0] is None
    assert refused([1.0], [1.0], error=1.1e-4 * 4.0)[0] == words
    assert refused([1.0, 1.0], [1.0, 1.0], error=np.array([0.0, 1e-3]))[0] == words
    assert refused([], [])[0] is refused([0.0], [0.0])[0] is None
    assert refused([1.0, np.nan], [1.0, 1.0])[0] == "f's complex arithmetic gives NaN or inf"


def test_what_f_does_to_complex_numbers_is_said():
    def why(F, X=np.ones(2)):
        slopes, looks = Slopes(np.ones(2), *np.zeros((3, 2))), []
        method = ComplexStep(lambda leaves: F(leaves[0]), [X], X, X)
        assert method.eps == [DOUBLE] and method.unseen.tolist() == [0.0, 0.0]
        method._conjugate = lambda way, noise, radii: looks.append(radii) or (X * 0, X * 0, radii)
        return method.refusal(slopes, [X]), looks

    def fails(*words):
        def F(X):
            raise ValueError(*words)
        return F

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert why(lambda X: X.astype(np.float64) + 0j)[0] == "f drops the imaginary part"
    assert why(fails("no\nnumbers"))[0] == "f does not take complex numbers (no)"
    assert why(fails())[0] == "f does not take complex numbers (ValueError)"
    reason, looks = why(lambda X: X)
    assert reason is None and [list(radii) for radii in looks] == 2 * [
        [2.0**-k for k in range(4, 34, 3)]]
    assert ComplexStep(lambda leaves: 1, [np.ones(1)], 1.0, 1.0, [2.0**-23]).eps == [2.0**-23]


def test_slopes_that_differ_by_30_errors_are_refused_and_the_worst_is_named():
    assert refused([1.0], [1.0 + 29.9e-6], error=1e-6)[0] is None
    words = "f is not analytic code or has a kink here (slope 1, by differences "
    assert refused([1.0], [1.0 + 30.5e-6], error=1e-6)[0] == words + "1.00003)"
    assert refused([0.0], [30 * 2.0**-20], error=2.0**-20)[0] is None
    assert refused([1.0, 1.0], [1.5, 1.01], error=np.array([1e-4, 1e-9]))[0] == words + "1.01)"
    assert refused([0.0, 0.0], [0.0, 1.0])[0].endswith("(slope 0, by differences 1)")
    assert refused([1e-6], [1e-6 + 1e-12])[0] is not None
    assert refused([1.0, 0.0], [1.0, 1e-16])[0] is None      # a bit of the usual slope is rounding


def test_conjugates_above_8_times_their_doubt_are_refused_and_the_worst_is_named():
    def why(part, doubt, slopes):
        part, doubt = np.array(part), np.array(doubt)
        return refused(slopes, slopes, parts=[(0.0, 0.0), (part, doubt)])[0]

    assert why([8 * 2.0**-30], [2.0**-30], [4.0]) is None
    assert why([8.5 * 2.0**-30], [2.0**-30], [4.0]) is not None
    assert why([3.9e-50], [0.0], [4.0]) is why([0.0], [0.0], [0.0]) is None
    assert why([4.5e-50], [0.0], [4.0]) is not None
    words = "f is not analytic code (0.4 of slope 2 of conjugates)"
    assert why([0.5, 0.4], [0.01, 1e-6], [1.0, 2.0]) == words
    assert why([0.0, 0.4], [0.0, 0.0], [1.0, 2.0]) == words
    assert why([0.0, 0.4], [1.0, 0.0], [1.0, 2.0]) == words


def test_what_is_overlooked_is_bounded_by_conjugates_and_by_differences():
    parts = [(2.0**-30, 2.0**-31), (2.0**-32, 2.0**-33)]
    assert refused([1.0], [1.0], 1e-5, parts, dY=-3.0)[1] == [12 * 1.5 * 2.0**-30]
    assert refused([1.0], [1.0], 1e-5, parts[::-1], dY=-3.0)[1] == [12 * 1.5 * 2.0**-30]
    unseen = refused([1.0], [1.0], 1e-12, parts, dY=-3.0)[1]
    assert unseen == pytest.approx([6 * 30 * 2e-12], rel=1e-3)


def conjugated(F, X, v, noise, radii):
    """`_conjugate`, and how often it calls F."""
    calls = []

    def counted(leaves):
        calls.append(leaves)
        return F(leaves[0])

    method = ComplexStep(counted, [np.array(X)], np.ones(len(X)), np.ones(len(noise)))
    part, doubt, worth = method._conjugate([np.array(v)], np.array(noise), np.array(radii))
    return part, doubt, worth.tolist(), len(calls)


def test_the_part_of_a_conjugate_is_found_on_a_circle():
    noise, radii = [2.0**-50, 2.0**-60], [2.0**-4, 2.0**-7, 2.0**-10]

    def F(X):  # the power 15 looks like a conjugate on long radii
        return np.array([3.0 * X[0] + 0.25 * np.conj(X[0]), 2.0**40 * X[1] ** 15])

    part, doubt, worth, calls = conjugated(F, [1.0, 0.0], [2.0, 1.0], noise, radii)
    assert part == pytest.approx([0.5, 2.0**-58], rel=1e-6)
    assert doubt.tolist() == [2.0**-42, 2.0**-49]
    assert worth == radii[1:] and calls == 27
    *_, worth, calls = conjugated(lambda X: 3.0 * X, [1.0, 0.0], [2.0, 1.0], [1e-15] * 2, radii)
    assert worth == radii and calls == 9
    *_, worth, calls = conjugated(
        lambda X: np.where(np.abs(X) > 2.0**-5, np.conj(X), 0.0), [0.0], [1.0], [0.0], radii)
    assert worth == radii[1:] and calls == 18


def test_where_f_overflows_on_a_circle_a_smaller_one_is_taken_in_silence():
    def F(X):
        return np.where(np.abs(X - 1.0) > 2.0**-9, np.exp(1e4 * X), X)

    with warnings.catch_warnings(record=True) as seen, np.errstate(all="warn"):
        warnings.simplefilter("always")
        part, doubt, _, _ = conjugated(F, [1.0], [1.0], [2.0**-50], [2.0**-4, 2.0**-7, 2.0**-10])
    assert doubt == 2.0**-36 and part < doubt and not seen


def test_the_digits_that_f_loses_are_those_of_the_outputs_that_move():
    # x + 2e6 and x + 8e6: the steps are exact, and each sum has lost what its output cannot hold
    X, more = np.array([0.5, 4.0]), np.array([2.0**21, 2.0**23])
    method = ComplexStep(lambda leaves: leaves[0] + more, [X], [1.0, 3.0], X + more)
    found = method.measure(0, np.eye(2))
    assert found.value.tolist() == found.size.tolist() == [1.0, 3.0] and found.moves.all()
    np.testing.assert_allclose(
        found.rounding, DOUBLE * np.array([X[0] + more[0], 3 * (X[1] + more[1]) / 4]), rtol=1e-12)


def test_without_outputs_nothing_moves_and_nothing_is_lost():
    method = ComplexStep(lambda leaves: leaves[0][:0], [np.ones(2)], np.zeros(0), np.zeros(0))
    found = method.measure(0, np.eye(2))
    assert not found.value.any() and not found.size.any() and not found.moves.any()
    assert not np.any(found.rounding) and not np.any(found.unseen)


def test_a_refusal_names_the_output_that_differs_most():
    def F(leaves):
        return np.array([2.0, 1.0, 1.0]) * leaves[0] * np.array([1.0, 1.0, 1.0]) + np.array(
            [0.0, 0.0, 3.0]) * np.conj(leaves[0])

    X = np.array([1.0, 1.5, 0.5])
    method = ComplexStep(F, [X], np.ones(3), F([X]))
    slopes = Slopes(np.array([2.0, 1.0, 4.0]), np.full(3, 1e-12), np.zeros(3), np.zeros(3))
    assert method.refusal(slopes, [np.ones(3)]) == (
        "f is not analytic code or has a kink here (slope -2, by differences 4)")
    slopes = slopes._replace(error=np.full(3, 1.0))
    assert method.refusal(slopes, [np.ones(3)]) == (
        "differences around X cannot confirm the complex step")


# ---- entries ----


def test_the_scale_of_an_array_is_its_largest_entry_or_what_cancelled():
    def scale(value, rounding, error=0.0):
        ones = np.ones(len(value))
        return natural_scale(Derivatives(
            np.array(value), ones, error * ones, ones > 0, rounding * ones))

    assert scale([1.0, -3.0], 1e-16) == 3.0
    assert scale([1e-17, -3e-17], DOUBLE) == 1.0                  # all of it is rounding of 1
    assert scale([1e-17], DOUBLE, error=1e-3) == 1.0
    assert scale([], 0.0) == scale([0.0], 0.0) == 1.0 and scale([1e-3], 0.0) == 1e-3
    assert scale([1e-3, 0.0], DOUBLE, error=np.array([1.0, 0.0])) == 1.0
    assert scale([1.0], 1e-10) == 1.0


def test_tolerances_and_promises_are_those_of_the_formula():
    def found(size=0.0, error=0.0, rounding=0.0, unseen=0.0):
        parts = (np.array([x]) for x in (1.0, size, error, True, rounding))
        return Derivatives(*parts, unseen=np.array([unseen]))

    assert tolerances(found(size=3.0), 0.25, DOUBLE) == 0.75
    assert tolerances(found(size=3.0), 0.0, DOUBLE) == 300 * DOUBLE
    assert tolerances(found(3.0, error=0.5), 0.25, DOUBLE) == 5.0
    assert tolerances(found(3.0, rounding=0.5), 0.25, DOUBLE) == 50.0
    assert tolerances(found(3.0, unseen=2.0), 0.25, DOUBLE) == 2.0
    for error, promise in ((0.25, 0.75), (2.0, 1.0)):   # what is off by more counts as reported
        assert smallest_faults(np.array([error]), np.array([0.5]), found()) == promise
        assert smallest_faults(np.array([error]), np.array([0.5]), found(unseen=1.0)) == promise + 1


def test_an_entry_passes_up_to_its_tolerance_and_underflow_passes_for_zero():
    assert judged([1.5], [1.0], [0.5])[0].passed and not judged([1.5], [1.0], [0.499])[0].passed
    assert not judged([VANISHING], [0.0], [1.0], moves=False)[0].passed
    assert judged([VANISHING * 0.99], [0.0], [1.0], moves=False)[0].passed
    assert VANISHING == 2.0**-1022 / STEP
    row, wrong = judged([], [], [])
    assert row.smallest_fault == 0.0 and row.passed and row.worst is None and wrong == []
    row, wrong = judged([1.0, 2.5], [1.0, 2.0], [0.1, 0.1])
    assert not row.passed and len(wrong) == 1 and row.worst.index == (1,)


def test_a_fault_that_would_not_show_is_weighed_against_the_entry():
    def doubt(got, value, tolerance, error=0.0, largest=1.0, **more):
        row, wrong = judged([largest, got], [largest, value], [1e-12, tolerance], error, **more)
        assert not wrong
        return row.doubt

    # 1 % of the entry itself, and of a millionth of the largest where it agrees
    assert doubt(0.25, 0.25, 0.0025) is None and doubt(0.25, 0.25, 0.0026)
    assert doubt(1e-9, 1e-9, 1e-8) is None and doubt(1e-9, 1e-9, 1.01e-8)
    # of 1e-10 of it where it differs: by 1 % of what would show, and by a thousandth of itself
    assert doubt(1e-9 + 1.1e-12, 1e-9, 1e-10) and doubt(1e-9 + 0.9e-12, 1e-9, 1e-11) is None
    assert doubt(2e-9, 1e-9, 1.5e-7 * 0.01, error=2e-9) is None
    assert doubt(2e-12, 1e-12, 1.01e-12) and doubt(1e-12, 0.0, 1e-12, error=1e-13)
    assert doubt(2.0**-30, 0.0, 2.0**-30, error=2.0**-30) is None
    assert doubt(1e-13, 0.0, 1.2e-12) and doubt(1e-13, 0.0, 0.8e-12) is None
    assert doubt(4e-9, 4e-9, 3.9e-8, largest=4.0) is None
    assert doubt(0.0, 0.0, 0.005, size=1.0) is None and doubt(0.0, 0.0, 0.011, size=1.0)
    row, _ = judged([1.0, 8.0], [1.0, 8.0], [0.2, 0.8])
    assert row.doubt.startswith("dX[0]: a fault below 2.0e-01 ")


def judged(got, value, tolerance, error=0.0, moves=True, size=0.0):
    """`compare` for an array whose entries should be `value`, each with its tolerance."""
    got, value = np.array(got), np.array(value)
    ones = np.ones(value.size)
    sizes = np.maximum(size, np.abs(value))
    found = Derivatives(value, sizes, error * ones, np.full(value.size, moves), 0 * ones)
    return compare(found, got, np.arange(value.size), lambda i: f"dX{list(i)}",
                   np.array(tolerance))


def test_the_entry_that_hides_most_of_itself_is_named_and_others_are_counted():
    got = [1.0, 2.0, 4.0]
    row, wrong = judged(got, got, [1e-9, 1e-9, 1e-9])
    assert row.passed and not wrong and not row.doubt and row.smallest_fault == 1e-9
    row, _ = judged(got, got, [1e-9, 0.5, 0.05])
    assert row.doubt.startswith("dX[1]: a fault below 5.0e-01 would not show, and the gradient")
    assert row.doubt.endswith("(2 such entries)") and row.smallest_fault == 0.5
    row, _ = judged(got, got, [1e-9, 1e-9, 0.05])
    assert row.doubt == ("dX[2]: a fault below 5.0e-02 would not show, and the gradient itself is "
                         "4.0e+00")


def test_the_worst_of_the_wrong_entries_is_named_and_one_factor_is_said():
    row, [sentence] = judged([1.0, 4.0, 6.0], [1.0, 2.0, 3.0], [1e-9] * 3)
    assert not row.passed and row.worst.index == (2,) and row.worst.error == 1.0
    assert sentence.endswith("; 2 of 3 entries are wrong, all by this ratio")
    row, _ = judged([1.001, 2.5], [1.0, 2.0], [1e-9, 1.0])  # the second is not wrong
    assert row.worst.index == (0,)
    _, [sentence] = judged([1.0, 4.0, 7.0], [1.0, 2.0, 3.0], [1e-9] * 3)
    assert sentence.endswith("; 2 of 3 entries are wrong")
    _, [sentence] = judged([1.0, np.nan, 9.0], [1.0, 2.0, 3.0], [1e-9] * 3)
    assert sentence.startswith("dX[1]") and sentence.endswith("; 2 of 3 entries are wrong")
    _, [sentence] = judged([0.0, 1e-200], [0.0, 0.0], [1.0, 1.0], moves=False)
    assert "must be exactly 0: no output depends on it" in sentence


def test_one_ratio_of_all_wrong_entries_is_said_up_to_a_millionth():
    def words(got, want):
        with np.errstate(all="raise"):
            return _others(np.array(got), np.array(want), np.full(len(got), True))

    many, alike = "; 2 of 2 entries are wrong", ", all by this ratio"
    assert words([2.0, 4.0], [1.0, 2.0]) == words([1.0, 1.0 + 0.9e-6], [1.0, 1.0]) == many + alike
    assert words([1.0, 1.0 + 1.2e-6], [1.0, 1.0]) == words([0.0, 0.0], [1.0, 2.0]) == many
    assert words([1.0, 2.0], [0.0, 2.0]) == words([0.0, 2.0], [0.0, 2.0]) == many
    assert words([2.0], [1.0]) == ""


# ---- what a nudge to the last bits changes ----


class Recorded:
    """A pair f(X) = X that writes down what it is called with."""

    def __init__(self, leaves):
        self.leaves, self.seen = leaves, []

    def forward(self, leaves, widen):
        assert not widen  # what is nudged is the backward in its own precision
        self.seen.append(leaves)
        np.log(0.0 * leaves[0])  # as behind a mask
        return leaves, leaves

    def gradients(self, dY, cache):
        self.upstream = dY
        return [dY * cache[0], None], None


def test_leaves_and_upstream_are_nudged_by_their_own_epsilon_both_ways(rng):
    pair = Recorded([np.ones(200), np.full(200, 2.0, np.float32)])
    dY = np.full(200, -3.0)
    with np.errstate(all="raise"):
        scatter = backward_scatter(pair, dY, [dY * 1.0, None], [DOUBLE, 2.0**-8], rng)
    for leaf, eps, size in ((0, DOUBLE, 1.0), (1, 2.0**-8, 2.0)):
        moves = (pair.seen[0][leaf].astype(float) - size) / size / eps
        assert set(np.round(moves, 1)) <= {-1.0, -0.5, 1.0}  # 1 − eps/2 is a neighbour of 1 as well
        assert 60 < (moves > 0).sum() < 140
    assert pair.seen[0][1].dtype == np.float32 and len(pair.seen) == 4
    moves = (pair.upstream + 3.0) / 3.0 * 2.0**8
    assert set(np.round(moves, 6)) == {-1.0, 1.0}
    assert scatter[1] is None and scatter[0].shape == (200,)
    assert scatter[0].max() == pytest.approx(3 * 2.0**-8, rel=1e-6)
    single = Recorded([np.ones(50, np.float32)] * 2)
    backward_scatter(single, np.ones(50), [np.ones(50), None], [DOUBLE, DOUBLE], rng)
    moves = np.abs(single.seen[0][0].astype(float) - 1.0)
    assert moves.min() >= 2.0**-24 and moves.max() <= 2.0**-23  # float32 moves by its own bit


def test_gradients_that_are_missing_in_one_call_alone_do_not_scatter(rng):
    pair, ones = Recorded([np.ones(3), np.ones(3)]), np.ones(3)
    pair.gradients = lambda dY, cache: ([dY, None], None)
    scatter = backward_scatter(pair, ones, [None, ones], [DOUBLE, DOUBLE], rng)
    assert scatter[0] is None and scatter[1].tolist() == [0.0, 0.0, 0.0]


# ---- what verdicts are made of ----


def test_a_quick_row_promises_twice_what_a_sum_leaves_open(monkeypatch):
    def fault(gap, tolerance, size, *gradients):
        monkeypatch.setitem(_quick_rows.__globals__, "along_all",
                            lambda *args: Sum(gap, tolerance, size))
        pair = SimpleNamespace(outputs=None, leaves=gradients, paths="AB"[:len(gradients)])
        rows = _quick_rows(pair, np.ones(1), gradients, None)
        assert all(row.ok and row.checked == 0 for row in rows)
        return [row.smallest_fault for row in rows]

    large, small = np.array([0.0, -3.0]), np.array([2.0])
    assert fault(2.0**-31, 2.0**-30, 0.0, large, small) == [3 * 2.0**-30] * 2
    assert fault(2.0**-30, 2.0**-30, 0.0, small) == [2.0**-28]
    assert fault(0.0, 0.0, 4.0, small) == [800 * DOUBLE]            # 100 roundings of all parts
    assert fault(0.0, 0.0, 4.0, small.astype(np.float32)) == [800 * 2.0**-23]
    assert fault(1.1 * 2.0**-30, 2.0**-30, 0.0, small) == []        # wrong, perhaps
    assert fault(0.0, 0.01, 0.0, small) == [0.02]                   # 1 % of the smaller array
    assert fault(0.0, 0.011, 0.0, small, large) == fault(0.0, 0.011, 0.0, large, small) == []
    assert fault(0.0, 0.0, 4.0, small, small.astype(np.float32)) == [800 * 2.0**-23] * 2
    assert fault(0.0, 6e-5, 0.0, np.full(1, 0.01)) == []
    assert fault(0.0, 0.0, 0.0, np.zeros(0)) == [0.0] and fault(0.0, 1.0, 0.0, np.zeros(0)) == []


def test_results_are_the_same_up_to_a_thousand_roundings_of_the_largest():
    for dtype, eps in ((np.float64, DOUBLE), (np.float32, 2.0**-23)):
        a = np.array([1.0, -4.0, np.nan, np.inf], dtype)
        step = np.array([eps * 4000, 0.0, 0.0, 0.0], dtype)
        assert _same(a, a + step) and not _same(a, a + 1.1 * step)
    assert _same(np.zeros(0), np.zeros(0)) and not _same(np.ones(1), np.ones(2))
    assert not _same(np.full(1, np.nan), np.ones(1)) and not _same(np.zeros(1), np.full(1, 1e-300))


def test_the_most_that_a_tolerance_may_be_is_a_hundredth():
    require_options()
    require_options(rtol=0.01)
    require_options(rtol=np.float32(0.005), max_entries=np.int64(1))
    for rtol in (0.0101, -1e-9, np.nan, "0"):
        with pytest.raises(ValueError, match="^rtol must be a number from 0 to 0.01, got "):
            require_options(rtol=rtol)


@pytest.mark.parametrize("options", [
    {"max_entries": 2.0}, {"max_entries": True}, {"max_entries": 0}, {"seed": -1}, {"seed": "a"},
    {"quick": 1}])
def test_options_without_a_meaning_are_refused(options):
    with pytest.raises(ValueError, match=f"^{[*options][0]} must be "):
        require_options(**options)


def test_what_would_decide_is_said_of_the_arithmetic_that_is_coarse():
    assert _advice(np.float32, DOUBLE) == "float64 arguments would decide it"
    assert _advice(np.float64, 2.0**-23).startswith("let f compute in float64 inside, too")
    assert _advice(np.float64, DOUBLE).startswith("arguments of another scale, or an f that takes")


def test_the_coarsest_precision_inside_is_noted():
    def f(A, B):
        return np.array([A * 3.0, B.astype(np.float32)])

    X = np.linspace(0.7, 2.2, 7)
    report = gradcheck(f, lambda dY, Y: (3 * dY[0], dY[1]), X, X + 0.1)
    assert "f computes in about float32 inside" in report.notes


def modulus(X):
    return np.abs(X) * X, X


def modulus_backward(dY, X):
    return 2.0 * dY * np.abs(X)


def test_what_a_quick_look_does_not_pass_is_looked_at_by_samples():
    X = np.linspace(0.7, 2.2, 7)
    for options, checked in (({}, 1), ({"max_entries": 3}, 3)):
        report = gradcheck(modulus, modulus_backward, X, quick=True, **options)
        assert report.ok and report.checked == checked and report.name == "modulus"
    assert gradcheck(modulus, modulus_backward, X, name="|X| X").name == "|X| X"


def test_a_gradient_that_cannot_be_compared_has_a_row_of_its_own():
    X = np.ones((2, 3))
    report = gradcheck(lambda A, B: A + B, lambda dY, Y: (dY, None), X, X)
    good, bad = report.rows
    assert good.ok and good.checked == 6
    assert (bad.path, bad.checked, bad.total, bad.verdict) == ("dB", 0, 6, "wrong")
    assert bad.smallest_fault == np.inf and bad.got is bad.want is bad.worst is None


def test_float32_has_the_tolerance_of_float32():
    X = np.linspace(0.7, 2.2, 7, dtype=np.float32)
    report = gradcheck(lambda X: (X * X, X), lambda dY, X: 2 * dY * X, X)
    assert report.ok and report.smallest_fault > 100 * 2.0**-23


def test_an_argument_with_one_nan_is_named():
    X = np.array([1.0, np.nan, 2.0])
    with pytest.raises(ValueError, match="^X holds NaN or inf"):
        gradcheck(lambda X: X * 2.0, lambda dY, Y: 2.0 * dY, X)


def test_an_upstream_gradient_may_be_written_to_by_code_that_refuses_read_only_arrays():
    def check(refuses):
        seen = []

        def backward(dY, Y):
            seen.append(dY.flags.writeable)
            if refuses and not dY.flags.writeable:
                raise ValueError("buffer source array is read-only")
            return 2.0 * dY

        assert gradcheck(lambda X: X * 2.0, backward, np.ones(2)).ok
        return seen

    assert check(refuses=False)[:2] == [False, False]
    assert check(refuses=True)[:3] == [False, True, True]


def test_a_backward_runs_once_in_a_quick_look_and_where_an_object_holds_the_cache():
    calls, X = [], np.linspace(0.7, 2.2, 7)
    report = gradcheck(lambda X: X * 2.0, lambda dY, Y: calls.append(1) or 2.0 * dY, X, quick=True)
    assert report.ok and len(calls) == 1

    class Square:
        def forward(self, X):
            self.X = [X]
            return X * X

        def backward(self, dY):
            return 2.0 * dY * self.X.pop()  # a second call would fail

    layer = Square()
    assert gradcheck(layer.forward, layer.backward, X).ok
