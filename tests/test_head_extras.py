"""What comes between the projections and the attention, each part by itself."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.key_value_cache import KeysValues
from npattn.kernels.positional_masks import window_mask
from npattn.kernels.qk_norm import QKNormParams, qk_norm
from npattn.kernels.rotary import rotary
from npattn.kernels.rotary_speeds import rotary_speeds
from npattn.models import head_extras
from npattn.models.head_extras import (
    HeadExtras, Rotary, init_head_extras, prepare_heads, prepare_heads_backward, require_rotary,
)

H, G, TQ, TK, D, DV = 4, 2, 3, 5, 6, 7


@pytest.fixture(params=[(), (2,), (5, 2)], ids=["no batch", "one axis", "two axes"])
def heads(request, draw):
    return tuple(draw(*request.param, *shape) for shape in ((H, TQ, D), (G, TK, D), (G, TK, DV)))


def test_without_extras_everything_is_handed_on(heads):
    (Q, K, V), cache = prepare_heads(*heads)
    assert Q is heads[0] and K is heads[1] and V is heads[2]
    assert cache.mask is cache.window is None and (cache.past, cache.new) == (0, TK)
    assert cache.present.K is K and cache.present.V is V
    for d, X in zip(prepare_heads_backward((Q, K, V), cache)[:3], heads, strict=True):
        assert_array_equal(d, X)


def test_the_norm_of_queries_and_keys_has_its_own_eps(heads, draw):
    params = HeadExtras(QKNormParams(draw(D), draw(D)), None, None)
    for eps in (1e-6, 0.5):
        (Q, K, _), _ = prepare_heads(*heads, params, qk_eps=eps)
        (Qhat, Khat), _ = qk_norm(heads[0], heads[1], params.qk_norm, eps=eps)
        assert_array_equal(Q, Qhat)
        assert_array_equal(K, Khat)


@pytest.mark.parametrize("turn, told", [
    ("halves", dict(pairing="halves")),
    ("interleaved", {}),
    (Rotary("halves", base=100.0), dict(pairing="halves", speeds=rotary_speeds(D, base=100.0))),
    (Rotary(width=4), dict(speeds=rotary_speeds(4))),
    (Rotary("halves", speeds=(0.5, 0.25)), dict(pairing="halves", speeds=np.array([0.5, 0.25]))),
], ids=str)
def test_queries_and_keys_turn_behind_those_of_the_past(heads, draw, turn, told):
    Q, K, V = heads
    past = KeysValues(draw(*K.shape[:-2], 2, D), draw(*V.shape[:-2], 2, DV))
    (Qt, Kt, Vt), cache = prepare_heads(Q, K, V, turn=turn, past=past)
    assert_array_equal(Qt, rotary(Q, offset=2, **told)[0])
    assert_array_equal(Kt, np.concatenate([past.K, rotary(K, offset=2, **told)[0]], axis=-2))
    assert_array_equal(Vt, np.concatenate([past.V, V], axis=-2))
    assert (cache.past, cache.new) == (2, TK)
    assert_array_equal(cache.present.K, Kt)
    assert_array_equal(cache.present.V, Vt)


def test_a_window_stays_one_unless_a_key_comes_behind_the_others(heads, draw):
    Q, K, V = heads
    assert prepare_heads(*heads, window=2)[1].window == 2
    assert prepare_heads(*heads, window=2)[1].mask is None
    past = KeysValues(draw(*K.shape[:-2], 2, D), draw(*V.shape[:-2], 2, DV))
    for window, left, right in ((2, 1, 1), ((3, 0), 3, 0), ((None, 1), None, 1)):
        _, cache = prepare_heads(*heads, window=window, past=past, zero_key=True)
        assert cache.window is None and cache.mask.shape[-2:] == (TQ, TK + 3)
        allowed = window_mask(TQ, TK + 2, left=left, right=right, offset=2)
        assert_array_equal(np.broadcast_to(allowed, (TQ, TK + 2)), cache.mask[..., :-1])
        assert cache.mask[..., -1].all()


def test_a_mask_and_a_window_are_both_obeyed_and_may_both_have_leading_axes(heads, draw_mask):
    mask = draw_mask(*heads[0].shape[:-1], TK)
    _, cache = prepare_heads(*heads, mask=mask, window=2, zero_key=True)
    allowed = mask & (np.abs(np.arange(TQ)[:, None] - np.arange(TK)) < 2)
    assert_array_equal(cache.mask, np.concatenate([allowed, np.ones((*mask.shape[:-1], 1), bool)],
                                                  axis=-1))
    _, cache = prepare_heads(*heads, mask=mask)
    assert cache.mask is mask


def test_the_learned_key_and_then_the_key_of_0_come_behind_the_others(heads, draw):
    params = HeadExtras(None, draw(G * D), draw(G * DV))
    (_, K, V), cache = prepare_heads(*heads, params, zero_key=True)
    assert K.shape[-2:] == (TK + 2, D) and V.shape[-2:] == (TK + 2, DV)
    for X, own, row, width in ((K, heads[1], params.extra_key, D),
                               (V, heads[2], params.extra_value, DV)):
        assert_array_equal(X[..., :TK, :], own)
        for head in range(G):
            part = X[..., head, TK, :]
            assert_array_equal(part, np.broadcast_to(row[head * width:][:width], part.shape))
        assert not X[..., TK + 1, :].any()
    assert cache.mask is None and cache.present.K is heads[1]
    dK, dV = draw(*K.shape), draw(*V.shape)
    _, dK_own, dV_own, dparams = prepare_heads_backward((heads[0], dK, dV), cache)
    assert_array_equal(dK_own, dK[..., :TK, :])
    assert_array_equal(dV_own, dV[..., :TK, :])
    for d, row in ((dK, dparams.extra_key), (dV, dparams.extra_value)):
        assert_allclose(row, d[..., TK, :].reshape(-1, row.size).sum(axis=0), rtol=1e-13)
    assert dparams.qk_norm is None


def test_a_key_of_0_alone_needs_no_parameters(heads):
    (_, K, V), cache = prepare_heads(*heads, zero_key=True)
    assert K.shape[-2] == V.shape[-2] == TK + 1 and not K[..., -1, :].any() and cache.mask is None
    assert K.dtype == V.dtype == np.float64
    single = [X.astype(np.float32) for X in heads]
    assert {X.dtype for X in prepare_heads(*single, zero_key=True)[0]} == {np.dtype(np.float32)}


def test_queries_without_an_axis_of_heads_are_named(heads):
    with pytest.raises(ValueError, match="Q"):
        prepare_heads(np.ones((TQ, D)), *heads[1:])


def test_keys_and_values_of_other_lengths_are_named(heads):
    with pytest.raises(ValueError, match=f"Tk is {TK} in K, {TK - 1} in V"):
        prepare_heads(*heads[:2], heads[2][..., 1:, :])


def test_nobody_can_write_into_a_table_that_others_read(heads):
    Q, K, _ = heads
    for by_column in (False, True):
        table = head_extras._table(None, D, 100.0, 0, TQ, Q.dtype, by_column)
        assert not any(part.flags.writeable for part in table)


def test_initial_extras(rng):
    assert init_head_extras(4, 8, rng) == HeadExtras(None, None, None)
    extras = init_head_extras(16, 4096, rng, qk_norm=True, extra_key=True, dtype=np.float32)
    assert extras.qk_norm.query.tolist() == extras.qk_norm.key.tolist() == [1.0] * 16
    for row in extras[1:]:
        assert row.shape == (4096,) and row.dtype == np.float32
        assert row.std() == pytest.approx(0.25, rel=0.1) and abs(row.mean()) < 0.02
    assert (extras.extra_key != extras.extra_value).any()


@pytest.mark.parametrize("turn, error, words", [
    ("quarters", ValueError, "rotary must be"), (Rotary("quarters"), ValueError, "rotary must be"),
    (3, TypeError, 'rotary must be "interleaved", "halves" or a Rotary, got 3'),
])
def test_turns_that_are_none(turn, error, words):
    with pytest.raises(error, match=words):
        require_rotary(turn)


def test_turns_that_are_some():
    for turn in (None, "interleaved", "halves", Rotary("halves")):
        require_rotary(turn)
