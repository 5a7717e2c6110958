"""Inner-patch and cross-patch attention, and the blocks of CAT."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.models.cat import (
    cat,
    cat_backward,
    cat_block,
    cat_block_backward,
    init_cat,
    init_cat_block,
)
from npattn.models.config import BlockOptions
from npattn.models.multihead import init_multihead, multihead_attention
from npattn.models.patch_attention import (
    attention_cost,
    cross_patch_attention,
    cross_patch_attention_backward,
    from_patches,
    inner_patch_attention,
    inner_patch_attention_backward,
    to_patches,
)
from npattn.trees import tree_leaves, tree_map


@pytest.fixture
def X(draw):
    """Batch 2, H 6, W 4, C 3."""
    return draw(2, 6, 4, 3)


@pytest.fixture
def inner(rng, shake):
    return shake(init_multihead(3, rng))


@pytest.fixture
def cross(rng, shake):
    return shake(init_multihead(4, rng))


# ---- values ----


def test_patches_by_hand():
    X = np.arange(16.0).reshape(4, 4, 1)
    assert_array_equal(
        to_patches(X, 2)[..., 0], [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    )
    assert_array_equal(to_patches(X, 1)[:, 0], X.reshape(16, 1))


def test_inner_attention_is_attention_in_each_patch_alone(X, inner):
    Y, cache = inner_patch_attention(X, inner, patch=2, num_heads=3)
    assert cache.multihead.attention.P.shape == (2, 6, 3, 4, 4)
    tile = X[:, 2:4, 2:4].reshape(2, 4, 3)
    expected, _ = multihead_attention(tile, tile, tile, inner, num_heads=3)
    assert_allclose(Y[:, 2:4, 2:4].reshape(2, 4, 3), expected, rtol=0, atol=1e-14)


def test_cross_attention_is_attention_between_the_patches_of_a_channel(X, cross):
    Y, cache = cross_patch_attention(X, cross, patch=2)
    assert cache.multihead.attention.P.shape == (2, 3, 1, 6, 6)
    tokens = to_patches(X, 2)[..., 1]
    expected, _ = multihead_attention(tokens, tokens, tokens, cross, num_heads=1)
    assert_allclose(to_patches(Y, 2)[..., 1], expected, rtol=0, atol=1e-14)


def test_costs_by_hand():
    H, W, C, P = 56, 48, 96, 8
    pixels = H * W
    assert attention_cost("plain", H, W, C) == 4 * pixels * C**2 + 2 * pixels**2 * C
    assert attention_cost("inner", H, W, C, patch=P) == 4 * pixels * C**2 + 2 * P**2 * pixels * C
    assert attention_cost("cross", H, W, C, patch=P) == (
        4 * P**2 * pixels * C + 2 * pixels**2 * C // P**2
    )


def test_both_cost_less_than_plain_attention_at_the_sizes_of_the_paper():
    plain = attention_cost("plain", 56, 56, 96)
    assert plain / attention_cost("inner", 56, 56, 96, patch=7) > 13
    assert plain / attention_cost("cross", 56, 56, 96, patch=7) > 20


def test_one_patch_makes_inner_attention_plain(draw, inner):
    X = draw(2, 4, 4, 3)
    Y, _ = inner_patch_attention(X, inner, patch=4, num_heads=1)
    tokens = X.reshape(2, 16, 3)
    expected, _ = multihead_attention(tokens, tokens, tokens, inner, num_heads=1)
    assert_allclose(Y.reshape(2, 16, 3), expected, rtol=0, atol=1e-14)
    assert attention_cost("inner", 4, 4, 3, patch=4) == attention_cost("plain", 4, 4, 3)


# ---- invariants ----


@pytest.mark.parametrize("P", [1, 2])
def test_cutting_and_putting_back_are_inverse_and_adjoint(X, draw, P):
    patches = to_patches(X, P)
    assert_array_equal(from_patches(patches, P, X.shape), X)
    Z = draw(*patches.shape)
    assert_allclose((patches * Z).sum(), (X * from_patches(Z, P, X.shape)).sum(), rtol=1e-12)


def test_inner_attention_stays_inside_the_patch(X, inner):
    Y, _ = inner_patch_attention(X, inner, patch=2, num_heads=1)
    changed = X.copy()
    changed[:, 2:4, 0:2] += 1.0
    moved = inner_patch_attention(changed, inner, patch=2, num_heads=1)[0] != Y
    assert moved[:, 2:4, 0:2].all()
    moved[:, 2:4, 0:2] = False
    assert not moved.any()


def test_cross_attention_stays_inside_the_channel_and_reaches_every_patch(X, cross):
    Y, _ = cross_patch_attention(X, cross, patch=2)
    changed = X.copy()
    changed[:, 0, 0, 1] += 1.0
    moved = cross_patch_attention(changed, cross, patch=2)[0] != Y
    assert moved[..., 1].all()
    assert not moved[..., [0, 2]].any()


def test_a_block_with_silent_sublayers_is_the_identity(X, rng):
    params = tree_map(np.zeros_like, init_cat(3, 5, rng, patch=2))
    assert_array_equal(cat(X, params, patch=2, num_heads=1)[0], X)


def test_cross_attention_is_as_wide_as_a_patch_and_inner_attention_as_the_channels(rng):
    blocks = init_cat(4, 5, rng, patch=3)
    assert [block.attention.query.W.shape for block in blocks] == [(4, 4), (9, 9), (4, 4)]


# ---- gradients ----


def test_gradients_of_inner_attention(assert_gradients, X, inner):
    assert_gradients(
        inner_patch_attention, inner_patch_attention_backward, X, inner, patch=2, num_heads=3
    )


def test_gradients_of_cross_attention(assert_gradients, X, cross):
    assert_gradients(
        cross_patch_attention, cross_patch_attention_backward, X, cross, patch=2, num_heads=2
    )


@pytest.mark.parametrize("kind", ["inner", "cross"])
def test_gradients_of_a_block(assert_gradients, draw, rng, shake, kind):
    params = shake(init_cat_block(3, 5, rng, kind=kind, patch=2))
    assert_gradients(cat_block, cat_block_backward, draw(4, 6, 3), params, kind=kind, patch=2)


@pytest.mark.thorough
def test_gradients_of_all_three_blocks(assert_gradients, draw, rng, shake):
    params = shake(init_cat(3, 5, rng, patch=2))
    assert_gradients(cat, cat_backward, draw(4, 6, 3), params, patch=2, num_heads=3,
                     max_entries=20)


def test_the_convention(convention, X, rng, shake):
    params = shake(init_cat(3, 5, rng, patch=2))
    convention(cat, cat_backward, X, params, patch=2, num_heads=3)


def test_a_block_drops_weights_and_what_both_sublayers_return(X, rng):
    for kind in ("inner", "cross"):
        params = init_cat_block(3, 5, rng, kind=kind, patch=2)
        _, cache = cat_block(X, params, kind=kind, patch=2, dropout=0.5, rng=rng)
        attended = cache.attention.sublayer.multihead.attention
        for dropped in (attended, cache.attention.dropped, cache.feed_forward.dropped):
            assert (dropped.keep == 0).any()


# ---- errors ----


@pytest.mark.parametrize("shape, P", [((6, 4), 2), ((2, 5, 4, 3), 2), ((2, 4, 6, 3), 4),
                                      ((4, 4, 3), 0)])
def test_patches_that_do_not_tile_the_map(draw, shape, P):
    with pytest.raises(ValueError, match="divisible by P=") as caught:
        to_patches(draw(*shape), P)
    assert str(shape) in str(caught.value)


def test_parameters_of_the_wrong_width(X, inner):
    with pytest.raises(ValueError, match="in X, . in W"):
        cross_patch_attention(X, inner, patch=2)


def test_unknown_kinds(X, rng):
    with pytest.raises(ValueError, match='kind must be "inner" or "cross", got .outer'):
        init_cat_block(3, 5, rng, kind="outer", patch=2)
    params = init_cat_block(3, 5, rng, kind="inner", patch=2)
    with pytest.raises(ValueError, match='kind must be "inner" or "cross", got .outer'):
        cat_block(X, params, kind="outer", patch=2)
    with pytest.raises(ValueError, match='kind must be "plain", "inner" or "cross", got .outer'):
        attention_cost("outer", 4, 4, 3, patch=2)


@pytest.mark.parametrize("option", [
    dict(scale=0.1), dict(cap=0.5), dict(activation="relu"), dict(norm="post"), dict(eps=0.5),
    dict(dropout=0.5), dict(rotary="halves"), dict(window=2),
], ids=str)
def test_a_block_of_cat_hears_every_option(option, rng):
    X, params = rng.standard_normal((4, 4, 4)), init_cat(4, 5, rng, patch=2)
    there, _ = cat(X, params, patch=2, num_heads=2, rng=rng, **option)
    assert np.abs(there - cat(X, params, patch=2, num_heads=2, rng=rng)[0]).max() > 1e-4


def test_options_come_as_an_object_or_as_keywords(X, inner):
    told = dict(num_heads=3, norm="post", activation="relu", normalization="rms_norm", eps=0.5)
    options, seed = BlockOptions(**told), np.random.default_rng
    params = init_cat(3, 5, seed(0), patch=2, options=options)
    for one, other in zip(tree_leaves(params),
                          tree_leaves(init_cat(3, 5, seed(0), patch=2, **told)), strict=True):
        assert_array_equal(one, other)
    for f, given in ((cat, params), (inner_patch_attention, inner)):
        expected, _ = f(X, given, patch=2, **told)
        assert_array_equal(f(X, given, patch=2, options=options)[0], expected)
