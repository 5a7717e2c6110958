"""Rotary positions."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.checking import gradcheck_second_order
from npattn.kernels.rotary import rotary, rotary_backward
from npattn.kernels.rotary_pairings import PAIRINGS, pairing_order
from npattn.kernels.rotary_speeds import (
    linear_scaling,
    llama3_scaling,
    ntk_scaling,
    rotary_speeds,
)
from npattn.kernels.rotary_table import rotary_table

every_pairing = pytest.mark.parametrize("pairing", PAIRINGS)

# ---- values ----


def test_a_quarter_turn_by_hand():
    # with D = 2 the angle is t radians; at t = 0 nothing turns
    Y, cache = rotary(np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 1.0]]))
    sin, cos = math.sin(1), math.cos(1)
    assert_allclose(Y, [[3, 4], [cos, sin], [-math.sin(2), math.cos(2)]], rtol=1e-14)
    dX = rotary_backward(np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 1.0]]), cache)
    assert_allclose(dX[1], [cos, -sin], rtol=1e-14)


def test_pairs_turn_at_their_own_speeds():
    Y, _ = rotary(np.tile([1.0, 0.0], (1, 3)), offset=10)
    speeds = 10000.0 ** (-np.array([0, 2, 4]) / 6)
    assert_allclose(Y[0, 0::2], np.cos(10 * speeds), rtol=1e-14)
    assert_allclose(Y[0, 1::2], np.sin(10 * speeds), rtol=1e-14)


def test_halves_turn_columns_that_lie_half_a_width_apart():
    Y, _ = rotary(np.array([[1.0, 2.0, 0.0, 0.0]]), offset=3, pairing="halves")
    sin, cos = np.sin([3, 0.03]), np.cos([3, 0.03])
    assert_allclose(Y[0], [cos[0], 2 * cos[1], sin[0], 2 * sin[1]], rtol=1e-14)


@every_pairing
def test_columns_beyond_the_speeds_pass_as_they_are(draw, pairing):
    X = draw(2, 4, 7)
    Y, _ = rotary(X, speeds=rotary_speeds(4), pairing=pairing)
    assert_array_equal(Y[..., 4:], X[..., 4:])
    assert_allclose(Y[..., :4], rotary(X[..., :4], pairing=pairing)[0], rtol=1e-14)


def test_rows_in_one_piece_turn_as_any_others_do(draw):
    X = draw(2, 5, 8)
    for X in (X, draw(5, 2, 8).swapaxes(0, 1), X.astype(np.float32), X[:, :1].repeat(5, 1)[:, ::-1],
              np.broadcast_to(X[:, :1], X.shape), X.astype(X.dtype.newbyteorder())):
        Y, cache = rotary(X, offset=3)
        spread = np.asfortranarray(X.astype(X.dtype.newbyteorder("=")))
        limit = dict(rtol=0, atol=8 * np.finfo(X.dtype).eps)
        for turned, expected in ((Y, rotary(spread, offset=3)[0]),
                                 (rotary_backward(X, cache), rotary_backward(spread, cache))):
            assert turned.dtype == X.dtype
            assert_allclose(turned, expected, **limit)


def test_speeds_by_hand():
    assert_allclose(rotary_speeds(6, base=1000.0), [1, 0.1, 0.01], rtol=1e-15)
    assert_allclose(linear_scaling(rotary_speeds(4, base=100.0), 4.0), [0.25, 0.025], rtol=1e-15)
    f, D = 8.0, 6
    assert_allclose(
        ntk_scaling(rotary_speeds(D), f), rotary_speeds(D, base=10000.0 * f ** (D / (D - 2))),
        rtol=1e-14,
    )


def test_the_scaling_of_llama_3_by_hand():
    turns = np.array([5.0, 4.0, 2.5, 1.0, 0.5])  # within 100 positions
    scaled = llama3_scaling(turns * 2 * math.pi / 100, 8.0, length=100)
    assert_allclose(scaled * 100 / (2 * math.pi), [5, 4, 2.5 * (0.5 + 0.5 / 8), 1 / 8, 0.5 / 8])


def test_a_factor_of_1_changes_no_speed():
    speeds = rotary_speeds(6)
    for scale in (linear_scaling, ntk_scaling, llama3_scaling):
        assert_allclose(scale(speeds, 1.0), speeds, rtol=1e-14)
        with pytest.raises(ValueError, match="^factor must be 1 or more"):
            scale(speeds, np.inf)
        for other in (speeds.tolist(), np.arange(3), speeds[None]):
            with pytest.raises(TypeError, match="^speeds must be a float array"):
                scale(other, 1.0)


def test_of_few_speeds_the_last_is_slower_by_the_factor():
    assert_allclose(ntk_scaling(np.array([1.0, 0.1]), 4.0), [1.0, 0.025], rtol=1e-15)
    assert_array_equal(ntk_scaling(np.array([1.0]), 4.0), [1.0])


def test_pairs_of_a_small_base_turn_faster_and_faster():
    assert_allclose(rotary_speeds(4, base=1.0), [1.0, 1.0])
    assert_allclose(rotary_speeds(4, base=0.25), [1.0, 2.0])


# ---- the two pairings ----


def test_the_orders_undo_each_other():
    there, back = (pairing_order(6, to, D=8, num_heads=3) for to in ("halves", "interleaved"))
    assert_array_equal(there[:8], [0, 2, 4, 1, 3, 5, 6, 7])
    assert_array_equal(there[back], np.arange(24))
    assert_array_equal(back[there], np.arange(24))


@pytest.mark.parametrize("width", [4, 6])
@every_pairing
def test_one_pairing_is_the_other_with_the_columns_in_order(draw, width, pairing):
    X, speeds = draw(2, 5, 6), rotary_speeds(width)
    other, = {*PAIRINGS} - {pairing}
    order = pairing_order(width, pairing, D=6)
    expected = rotary(X, speeds=speeds, pairing=other)[0][..., order]
    turned = rotary(X[..., order], speeds=speeds, pairing=pairing)[0]
    assert_allclose(turned, expected, rtol=0, atol=1e-15)


def test_a_projection_reordered_head_by_head_gives_the_same_scores(draw):
    H, D = 3, 4
    X, Wq, Wk = draw(5, 7), draw(7, H * D), draw(7, H * D)
    order = pairing_order(D, "halves", num_heads=H)

    def scores(Wq, Wk, pairing):
        Q, K = (rotary((X @ W).reshape(5, H, D).swapaxes(0, 1), pairing=pairing)[0]
                for W in (Wq, Wk))
        return Q @ K.swapaxes(-1, -2)

    expected = scores(Wq, Wk, "interleaved")
    assert_allclose(scores(Wq[:, order], Wk[:, order], "halves"), expected, atol=1e-13)
    assert np.abs(scores(Wq, Wk, "halves") - expected).max() > 0.1


# ---- invariants ----


def test_positions_are_rows_of_offsets(draw):
    X, positions = draw(2, 3, 4, 6), np.array([[[0, 1, 2, 3]], [[7, 8, 3, 0]]])
    Y, _ = rotary(X, positions=positions)
    assert_allclose(Y[0], rotary(X[0])[0], rtol=0, atol=1e-15)
    for t, position in enumerate(positions[1, 0]):
        expected, _ = rotary(X[1, :, t:t + 1], offset=int(position))
        assert_allclose(Y[1, :, t:t + 1], expected, rtol=0, atol=1e-15)


@every_pairing
def test_a_table_made_once_serves_all_offsets_and_positions(draw, pairing):
    X, speeds = draw(2, 3, 4, 6), rotary_speeds(6, base=50.0)
    table, positions = rotary_table(np.arange(9), speeds), np.array([[[8, 0, 3, 3]]])
    for where in ({"offset": 5}, {"positions": positions}, {}):
        assert_array_equal(
            rotary(X, table=table, pairing=pairing, **where)[0],
            rotary(X, speeds=speeds, pairing=pairing, **where)[0],
        )


def test_each_sequence_may_have_a_table_of_its_own(draw):
    X, positions = draw(2, 3, 4, 6), np.array([[0, 5, 2, 2], [1, 2, 3, 4]])
    cos, sin = rotary_table(positions, rotary_speeds(6))
    expected, _ = rotary(X, positions=positions[:, None])
    assert_array_equal(rotary(X, table=(cos[:, None], sin[:, None]))[0], expected)


def test_the_same_positions_may_pick_rows_of_a_table_for_each_sequence(draw):
    X, positions, (cos, sin) = draw(2, 4, 6), np.array([4, 0, 2, 2]), draw(2, 2, 5, 3)
    Y, _ = rotary(X, table=(cos, sin), positions=positions)
    for one, x, c, s in zip(Y, X, cos, sin):
        assert_array_equal(one, rotary(x, table=(c, s), positions=positions)[0])


def test_angles_of_far_positions_keep_their_digits_in_single_precision():
    X = np.tile(np.float32([1.0, 0.0]), (1, 3))
    Y, _ = rotary(X, offset=100_000)
    assert Y.dtype == np.float32
    assert_allclose(Y, rotary(X.astype(float), offset=100_000)[0], rtol=0, atol=1e-7)


def test_scores_depend_on_the_distance_only(draw):
    Q, K = draw(2, 4, 6), draw(2, 5, 6)

    def scores(offset):
        return rotary(Q, offset=offset)[0] @ rotary(K, offset=offset)[0].swapaxes(-1, -2)

    assert_allclose(scores(1000), scores(0), rtol=0, atol=1e-11)
    assert np.abs(scores(0) - Q @ K.swapaxes(-1, -2)).max() > 0.1


def test_lengths_stay_and_the_backward_turns_back(draw):
    X = draw(2, 3, 5, 6)
    Y, cache = rotary(X, offset=7)
    assert_allclose(np.linalg.norm(Y, axis=-1), np.linalg.norm(X, axis=-1), rtol=1e-14)
    assert_allclose(rotary_backward(Y, cache), X, rtol=0, atol=1e-14)


def test_offset_continues_a_sequence(draw):
    X = draw(2, 5, 6)
    assert_allclose(rotary(X[:, 3:], offset=3)[0], rotary(X)[0][:, 3:], rtol=0, atol=1e-14)


@pytest.mark.parametrize("T", [0, 1])
def test_a_table_of_one_row_serves_the_first_position(draw, T):
    X, table = draw(2, T, 6), rotary_table(np.arange(1), rotary_speeds(6))
    assert_array_equal(rotary(X, table=table, positions=np.zeros(T, int))[0], X)


def test_convention(convention, draw):
    convention(rotary, rotary_backward, draw(2, 3, 6), offset=4)


# ---- gradients ----


@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
@every_pairing
def test_gradients(assert_gradients, draw, leading, pairing):
    options = dict(offset=3, pairing=pairing)
    assert_gradients(rotary, rotary_backward, draw(*leading, 5, 6), **options)
    options = dict(positions=np.array([4, 0, 9, 1, 1]), speeds=rotary_speeds(4), pairing=pairing)
    assert_gradients(rotary, rotary_backward, draw(*leading, 5, 7), **options)
    report = gradcheck_second_order(rotary, rotary_backward, draw(*leading, 5, 7), **options)
    assert report.ok, str(report)


def test_the_gradient_of_a_table_that_is_no_rotation(assert_gradients, draw):
    table = draw(9, 2), draw(9, 2)
    assert_gradients(rotary, rotary_backward, draw(2, 5, 6), table=table, offset=4)


# ---- errors ----


@pytest.mark.parametrize("shape", [(4, 5), (4, 0), (6,), ()])
def test_shapes_that_do_not_fit(shape):
    with pytest.raises(ValueError) as error:
        rotary(np.zeros(shape))
    assert f"D even, got shape {shape}" in str(error.value)


def test_other_arguments():
    with pytest.raises(ValueError, match="offset must be at least 0, got -1"):
        rotary(np.zeros((3, 4)), offset=-1)
    with pytest.raises(TypeError, match="^X must be float32 or float64, got int64"):
        rotary(np.zeros((3, 4), int))


X = np.zeros((2, 3, 4, 6))
TABLE = rotary_table(np.arange(5), rotary_speeds(6))


@pytest.mark.parametrize("options, message", [
    (dict(pairing="neox"), 'pairing must be "interleaved" or "halves", got \'neox\''),
    (dict(positions=np.arange(4), offset=2), "offset or positions, not both"),
    (dict(positions=np.array([0, 1, -2, 3])), "positions must be 0 or more, got -2"),
    (dict(positions=np.zeros((2, 4), int)), r"positions \(2, 4\) must be .* insert axes"),
    (dict(speeds=rotary_speeds(8)), "8 columns would turn, X .* has fewer"),
    (dict(table=np.zeros((2, 1, 1, 4, 4))), "8 columns would turn, X .* has fewer"),
    (dict(table=TABLE, offset=2), "position 5 is beyond the table, which has 0 … 4"),
    (dict(table=TABLE, positions=np.array([0, 7, 1, 2])), "position 7 is beyond the table"),
    (dict(table=TABLE, speeds=rotary_speeds(6)), "speeds or table, not both"),
    (dict(table=(TABLE.cos, TABLE.sin[1:])), r"cos \(5, 3\) and sin \(4, 3\)"),
    *((dict(table=(cos, sin), positions=np.zeros((1, 4), int)), "pick rows of one table")
      for cos, sin in (np.stack(TABLE)[:, None], np.stack(TABLE)[:, None, None])),
])
def test_positions_speeds_and_tables_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        rotary(X, **options)


def test_a_table_has_the_precision_of_what_it_turns():
    with pytest.raises(TypeError, match="^cos is float32 but sin is float64|^sin is .* but"):
        rotary(X, table=TABLE._replace(cos=TABLE.cos.astype(np.float32)))
    with pytest.raises(TypeError, match="^X is float32 but sin is float64"):
        rotary(X.astype(np.float32), table=TABLE)
    with pytest.raises(TypeError, match="^sin must be float32 or float64, got int64"):
        rotary(X, table=TABLE._replace(sin=TABLE.sin.astype(int)))


def test_positions_that_are_no_integers():
    with pytest.raises(TypeError, match="positions must be an integer array, got float64"):
        rotary(X, positions=np.arange(4.0))


@pytest.mark.parametrize("call, message", [
    (lambda: rotary_speeds(5), "width must be even, since columns turn in pairs, got 5"),
    (lambda: rotary_speeds(0), "width must be at least 2"),
    (lambda: rotary_speeds(4, base=0.0), "base must be positive, such as 10000.0, got 0.0"),
    (lambda: linear_scaling(rotary_speeds(4), 0.5), "factor must be 1 or more"),
    (lambda: llama3_scaling(rotary_speeds(4), 8.0, low=4.0, high=1.0), "need 0 < low < high"),
    (lambda: pairing_order(5, "halves"), "width must be even and at most D, got width=5, D=5"),
    (lambda: pairing_order(8, "halves", D=6), "got width=8, D=6"),
    (lambda: pairing_order(0, "halves", D=6), "width must be at least 1, got 0"),
    (lambda: pairing_order(2, "halves", D=0), "D must be at least 1, got 0"),
    (lambda: pairing_order(2, "halves", num_heads=0), "num_heads must be at least 1, got 0"),
    (lambda: pairing_order(6, "neox"), "to must be"),
])
def test_speeds_and_orders_that_do_not_exist(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_no_positions_are_fine_and_no_columns_are_not():
    assert rotary(np.zeros((2, 0, 4)))[0].shape == (2, 0, 4)
    with pytest.raises(ValueError, match="D even, got shape"):
        rotary(np.zeros((2, 3, 0)), speeds=np.zeros(0))
