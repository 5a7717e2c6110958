"""The decoder: its block, and the stack."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.layer_norm import layer_norm
from npattn.kernels.masks import causal_mask, valid_lens_mask
from npattn.models.decoder import (
    decoder,
    decoder_backward,
    decoder_block,
    decoder_block_backward,
    init_decoder,
    init_decoder_block,
)
from npattn.models.feed_forward import feed_forward
from npattn.models.multihead import multihead_attention
from npattn.trees import tree_leaves

both_norms = pytest.mark.parametrize("norm", ["post", "pre"])
HEARS = causal_mask(3)


@pytest.fixture
def block(rng, shake):
    """A block of width 4, 6 wide inside."""
    return shake(init_decoder_block(4, 6, rng))


@pytest.fixture
def make_stack(rng, shake):
    return lambda norm: shake(init_decoder(4, 6, 2, rng, norm=norm))


@pytest.fixture
def XM(draw):
    """X (2, 3, 4) and the memory M (2, 5, 4)."""
    return draw(2, 3, 4), draw(2, 5, 4)


# ---- values ----


def test_a_post_norm_block_line_by_line(XM, block, draw_mask):
    (X, M), hears = XM, draw_mask(2, 3, 5)
    A, _ = multihead_attention(X, X, X, block.self_attention, HEARS, num_heads=2)
    G, _ = layer_norm(X + A, block.self_attention_norm)
    C, _ = multihead_attention(G, M, M, block.cross_attention, hears, num_heads=2)
    H, _ = layer_norm(G + C, block.cross_attention_norm)
    F, _ = feed_forward(H, block.feed_forward, activation="gelu")
    expected, _ = layer_norm(H + F, block.feed_forward_norm)
    options = dict(num_heads=2, norm="post", activation="gelu")
    assert_array_equal(decoder_block(X, M, block, HEARS, hears, **options)[0], expected)


def test_a_pre_norm_block_line_by_line(XM, block, draw_mask):
    (X, M), hears = XM, draw_mask(2, 3, 5)
    Z, _ = layer_norm(X, block.self_attention_norm)
    G = X + multihead_attention(Z, Z, Z, block.self_attention, HEARS, num_heads=2)[0]
    Z, _ = layer_norm(G, block.cross_attention_norm)
    H = G + multihead_attention(Z, M, M, block.cross_attention, hears, num_heads=2)[0]
    Z, _ = layer_norm(H, block.feed_forward_norm)
    expected = H + feed_forward(Z, block.feed_forward)[0]
    found, _ = decoder_block(X, M, block, HEARS, hears, num_heads=2, norm="pre")
    assert_array_equal(found, expected)


@both_norms
def test_a_stack_is_its_blocks_one_after_the_other(XM, make_stack, norm):
    (X, M), params = XM, make_stack(norm)
    Y, cache = decoder(X, M, params, HEARS, num_heads=2, norm=norm)
    for block in params.blocks:
        X, _ = decoder_block(X, M, block, HEARS, num_heads=2, norm=norm)
    assert_array_equal(Y, X if norm == "post" else layer_norm(X, params.norm)[0])
    assert cache.blocks[1].self_attention.attention.P.shape == (2, 2, 3, 3)
    assert cache.blocks[1].cross_attention.attention.P.shape == (2, 2, 3, 5)


@both_norms
def test_initial_parameters(rng, norm):
    params = init_decoder(4, 6, 3, rng, norm=norm, bias=False, dtype=np.float32)
    assert len(params.blocks) == 3
    assert (params.norm is None) == (norm == "post")
    assert params.blocks[0].cross_attention.query.b is None
    assert {X.dtype for X in tree_leaves(params)} == {np.dtype(np.float32)}


def test_without_blocks_the_memory_has_no_gradient(XM, rng):
    Y, cache = decoder(*XM, init_decoder(4, 6, 0, rng), num_heads=2)
    dX, dM, _ = decoder_backward(Y, cache)
    assert_array_equal(dX, XM[0])
    assert dM == 0.0


# ---- invariants ----


@both_norms
@pytest.mark.parametrize("t", [1, 2])
def test_the_past_does_not_feel_the_future(XM, make_stack, draw, norm, t):
    (X, M), params = XM, make_stack(norm)
    changed = np.concatenate([X[:, :t], draw(2, 3 - t, 4)], axis=1)
    (Y, cache), (other, _) = (
        decoder(Z, M, params, HEARS, num_heads=2, norm=norm) for Z in (X, changed)
    )
    assert_array_equal(other[:, :t], Y[:, :t])
    assert (other[:, t:] != Y[:, t:]).all()
    dY = draw(2, 3, 4)
    dY[:, t:] = 0.0
    dX, _, _ = decoder_backward(dY, cache)
    assert dX[:, :t].all() and not dX[:, t:].any()


@both_norms
def test_the_order_of_the_memory_does_not_matter(XM, make_stack, draw_mask, rng, norm):
    (X, M), params, mask, order = XM, make_stack(norm), draw_mask(2, 3, 5), rng.permutation(5)
    Y, _ = decoder(X, M, params, HEARS, mask, num_heads=2, norm=norm)
    found, _ = decoder(X, M[:, order], params, HEARS, mask[..., order], num_heads=2, norm=norm)
    assert_allclose(found, Y, rtol=0, atol=1e-12)


@both_norms
def test_a_masked_memory_might_as_well_be_absent(XM, make_stack, draw, norm):
    (X, M), params, mask = XM, make_stack(norm), valid_lens_mask([2, 4], 5)
    Y, cache = decoder(X, M, params, HEARS, mask, num_heads=2, norm=norm)
    for b, n in enumerate((2, 4)):
        alone, _ = decoder(X[b], M[b, :n], params, HEARS, num_heads=2, norm=norm)
        assert_allclose(Y[b], alone, rtol=0, atol=1e-13)
    _, dM, _ = decoder_backward(draw(2, 3, 4), cache)
    assert_array_equal(dM != 0.0, np.broadcast_to(mask.swapaxes(-1, -2), M.shape))


@both_norms
def test_a_dead_memory_silences_cross_attention(XM, block, draw, norm):
    (X, M), dead = XM, np.zeros((2, 1, 5), bool)
    Y, cache = decoder_block(X, M, block, HEARS, dead, num_heads=2, norm=norm)
    assert_array_equal(decoder_block(X, -M, block, HEARS, dead, num_heads=2, norm=norm)[0], Y)
    dX, dM, dparams = decoder_block_backward(draw(2, 3, 4), cache)
    assert dX.all() and not dM.any()
    *projections, output = dparams.cross_attention
    assert not any(leaf.any() for leaf in tree_leaves((*projections, output.W)))
    assert output.b.all()


@both_norms
@pytest.mark.parametrize("B, T, Tm", [(2, 0, 5), (2, 3, 0), (0, 3, 5)])
def test_nothing_to_read_or_to_hear(make_stack, norm, B, T, Tm):
    X, M = np.zeros((B, T, 4)), np.zeros((B, Tm, 4))
    Y, cache = decoder(X, M, make_stack(norm), causal_mask(T), num_heads=2, norm=norm)
    dX, dM, _ = decoder_backward(Y, cache)
    assert (Y.shape, dX.shape, dM.shape) == (X.shape, X.shape, M.shape)


@both_norms
@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh"])
def test_convention(convention, XM, make_stack, draw_mask, norm, activation):
    options = dict(num_heads=2, norm=norm, activation=activation, dropout=0.3)
    args = *XM, make_stack(norm), HEARS, draw_mask(2, 3, 5)
    convention(decoder, decoder_backward, *args, rng=np.random.default_rng(3), **options)


# ---- gradients ----


@pytest.mark.thorough
@both_norms
@pytest.mark.parametrize("options", [
    {}, {"activation": "gelu", "dropout": 0.3, "rng": np.random.default_rng(3)},
], ids=["plain", "gelu and dropout"])
def test_gradients_of_a_block(assert_gradients, XM, block, draw_mask, norm, options):
    args = *XM, block, HEARS, draw_mask(2, 3, 5)
    options = {"num_heads": 2, "norm": norm, **options}
    assert_gradients(decoder_block, decoder_block_backward, *args, **options)


@pytest.mark.thorough
@both_norms
def test_gradients_of_a_stack(assert_gradients, XM, make_stack, draw_mask, norm):
    args = *XM, make_stack(norm), draw_mask(3, 3), draw_mask(3, 5)
    assert_gradients(decoder, decoder_backward, *args, num_heads=2, norm=norm, max_entries=4)


# ---- errors ----


@pytest.mark.parametrize("options, message", [
    ({"num_heads": 3}, "num_heads=3 for a width of 4"),
    ({"norm": "none"}, 'norm must be "post", "pre" or "sandwich", got \'none\''),
    ({"activation": "swish"}, 'activation must be "relu", .* got .swish'),
    ({"dropout": 1.0}, r"rate must lie in \[0, 1\), got 1.0"),
])
def test_options_that_make_no_sense(XM, block, options, message):
    with pytest.raises(ValueError, match=message):
        decoder_block(*XM, block, **{"num_heads": 2, **options})


def test_arrays_that_do_not_fit(XM, block):
    X, M = XM
    with pytest.raises(ValueError, match="^Din is 3 in X, 4 in W"):
        decoder_block(X, M[..., :3], block, num_heads=2)
    with pytest.raises(ValueError, match="leading axes that do not broadcast"):
        decoder_block(X, np.concatenate([M, M[:1]]), block, num_heads=2)
    with pytest.raises(ValueError, match=r"mask \(4, 4\) .* \(2, 2, 3, 3\)"):
        decoder_block(X, M, block, causal_mask(4), num_heads=2)
    with pytest.raises(ValueError, match=r"mask \(2, 1, 1, 4\) .* \(2, 2, 3, 5\)"):
        decoder_block(X, M, block, HEARS, valid_lens_mask([3, 4], 4), num_heads=2)


def test_a_pre_norm_stack_may_do_without_its_last_norm(XM, make_stack, rng):
    params = make_stack("pre")
    Y, _ = decoder(*XM, params._replace(norm=None), num_heads=2, norm="pre")
    whole, _ = decoder(*XM, params, num_heads=2, norm="pre")
    assert_array_equal(layer_norm(Y, params.norm)[0], whole)
    with pytest.raises(ValueError, match='norm must be "post", "pre" or "sandwich", got .Pre'):
        init_decoder(4, 6, 1, rng, norm="Pre")
