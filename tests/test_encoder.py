"""The encoder: its block, and the stack."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.layer_norm import layer_norm
from npattn.kernels.masks import valid_lens_mask
from npattn.models.block import attention_weights
from npattn.models.config import BlockOptions
from npattn.models.encoder import (
    encoder,
    encoder_backward,
    encoder_block,
    encoder_block_backward,
    init_encoder,
    init_encoder_block,
)
from npattn.models.feed_forward import feed_forward
from npattn.models.multihead import multihead_attention
from npattn.trees import tree_items, tree_leaves, tree_map

both_norms = pytest.mark.parametrize("norm", ["post", "pre"])


@pytest.fixture
def block(rng, shake):
    """A block of width 4, 6 wide inside."""
    return shake(init_encoder_block(4, 6, rng))


@pytest.fixture
def make_stack(rng, shake):
    return lambda norm: shake(init_encoder(4, 6, 2, rng, norm=norm))


# ---- values ----


def test_a_post_norm_block_line_by_line(draw, block, draw_mask):
    X, mask = draw(2, 5, 4), draw_mask(2, 5, 5)
    A, _ = multihead_attention(X, X, X, block.attention, mask, num_heads=2)
    H, _ = layer_norm(X + A, block.attention_norm)
    F, _ = feed_forward(H, block.feed_forward, activation="gelu")
    expected, _ = layer_norm(H + F, block.feed_forward_norm)
    Y, _ = encoder_block(X, block, mask, num_heads=2, norm="post", activation="gelu")
    assert_array_equal(Y, expected)


def test_a_pre_norm_block_line_by_line(draw, block, draw_mask):
    X, mask = draw(2, 5, 4), draw_mask(2, 5, 5)
    Z, _ = layer_norm(X, block.attention_norm)
    H = X + multihead_attention(Z, Z, Z, block.attention, mask, num_heads=2)[0]
    Z, _ = layer_norm(H, block.feed_forward_norm)
    Y, _ = encoder_block(X, block, mask, num_heads=2, norm="pre")
    assert_array_equal(Y, H + feed_forward(Z, block.feed_forward)[0])


@both_norms
def test_a_stack_is_its_blocks_one_after_the_other(draw, make_stack, norm):
    X, params = draw(2, 5, 4), make_stack(norm)
    Y, cache = encoder(X, params, num_heads=2, norm=norm)
    for block in params.blocks:
        X, _ = encoder_block(X, block, num_heads=2, norm=norm)
    assert_array_equal(Y, X if norm == "post" else layer_norm(X, params.norm)[0])
    assert attention_weights(cache)[1]["self"].shape == (2, 2, 5, 5)


def test_sizes_of_the_text(rng, draw):
    # width 24, 48 inside, 8 heads, 2 blocks, 100 positions
    params = init_encoder(24, 48, 2, rng, bias=False)
    options = dict(num_heads=8, norm="post", dropout=0.5)
    Y, _ = encoder(draw(2, 100, 24), params, valid_lens_mask([3, 2], 100), **options)
    assert Y.shape == (2, 100, 24)


@both_norms
def test_silent_sublayers_leave_the_plain_path(draw, block, norm):
    X, zero = draw(2, 5, 4), tree_map(np.zeros_like, block)
    silent = block._replace(attention=zero.attention, feed_forward=zero.feed_forward)
    expected = X
    if norm == "post":
        expected, _ = layer_norm(layer_norm(X, block.attention_norm)[0], block.feed_forward_norm)
    assert_array_equal(encoder_block(X, silent, num_heads=2, norm=norm)[0], expected)


@both_norms
def test_initial_parameters(rng, norm):
    params = init_encoder(4, 6, 3, rng, norm=norm, bias=False, dtype=np.float32)
    assert len(params.blocks) == 3
    assert (params.norm is None) == (norm == "post")
    assert params.blocks[0].attention.query.b is None
    assert {X.dtype for X in tree_leaves(params)} == {np.dtype(np.float32)}
    first, second = (block.attention.query.W for block in params.blocks[:2])
    assert (first != second).all()


# ---- invariants ----


@both_norms
def test_permuted_positions_give_permuted_outputs(draw, make_stack, rng, norm):
    X, params, order = draw(2, 5, 4), make_stack(norm), rng.permutation(5)
    Y, _ = encoder(X, params, num_heads=2, norm=norm)
    found, _ = encoder(X[:, order], params, num_heads=2, norm=norm)
    assert_allclose(found, Y[:, order], rtol=0, atol=1e-12)


@both_norms
def test_a_padded_batch_computes_each_sequence_as_if_alone(draw, make_stack, norm):
    X, params, lens = draw(3, 5, 4), make_stack(norm), (5, 2, 3)
    Y, _ = encoder(X, params, valid_lens_mask(lens, 5), num_heads=2, norm=norm)
    for b, n in enumerate(lens):
        alone, _ = encoder(X[b, :n], params, num_heads=2, norm=norm)
        assert_allclose(Y[b, :n], alone, rtol=0, atol=1e-13)


@both_norms
def test_what_stands_in_the_padding_does_not_matter(draw, make_stack, norm):
    X, params, mask = draw(2, 5, 4), make_stack(norm), valid_lens_mask([3, 4], 5)
    real, dY = mask.swapaxes(-1, -2), draw(2, 5, 4)
    (Y, cache), (other, other_cache) = (
        encoder(Z, params, mask, num_heads=2, norm=norm) for Z in (X, np.where(real, X, 1e3))
    )
    assert_array_equal(np.where(real, Y, 0.0), np.where(real, other, 0.0))
    for one, two in zip(
        tree_leaves(encoder_backward(dY * real, cache)),
        tree_leaves(encoder_backward(dY * real, other_cache)),
        strict=True,
    ):
        assert_allclose(one, two, rtol=0, atol=1e-12)
    dX, _ = encoder_backward(dY * real, cache)
    assert not (dX * ~real).any()


@both_norms
def test_where_nobody_may_attend_attention_is_dead_and_all_else_alive(draw, block, norm):
    X, dead = draw(2, 5, 4), np.zeros((5, 5), bool)
    Y, cache = encoder_block(X, block, dead, num_heads=2, norm=norm)
    dX, dparams = encoder_block_backward(draw(2, 5, 4), cache)
    for layer in (dparams.attention.query, dparams.attention.key, dparams.attention.value):
        assert not layer.W.any() and not layer.b.any()
    assert not dparams.attention.output.W.any() and dparams.attention.output.b.all()
    assert np.isfinite(Y).all() and dX.all()
    # no position hears another: X and Y of a position go together
    alone, _ = encoder_block(X[1, 2:3], block, np.zeros((1, 1), bool), num_heads=2, norm=norm)
    assert_allclose(Y[1, 2:3], alone, rtol=0, atol=1e-13)


@both_norms
@pytest.mark.parametrize("shape", [(2, 0, 4), (0, 5, 4)])
def test_no_positions(make_stack, norm, shape):
    Y, cache = encoder(np.zeros(shape), make_stack(norm), num_heads=2, norm=norm)
    dX, dparams = encoder_backward(Y, cache)
    assert Y.shape == dX.shape == shape
    assert not any(leaf.any() for leaf in tree_leaves(dparams))


@both_norms
def test_dropout_needs_a_generator(draw, make_stack, norm):
    X, params, options = draw(2, 5, 4), make_stack(norm), dict(num_heads=2, norm=norm)
    Y, _ = encoder(X, params, **options)
    assert_array_equal(encoder(X, params, dropout=0.5, **options)[0], Y)
    dropped, _ = encoder(X, params, dropout=0.5, rng=np.random.default_rng(0), **options)
    assert (dropped != Y).any()


@both_norms
@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh"])
def test_convention(convention, draw, make_stack, draw_mask, norm, activation):
    options = dict(num_heads=2, norm=norm, activation=activation, dropout=0.3)
    args = draw(2, 5, 4), make_stack(norm), draw_mask(2, 5, 5)
    convention(encoder, encoder_backward, *args, rng=np.random.default_rng(3), **options)


# ---- gradients ----


@pytest.mark.sampled(2)
@both_norms
@pytest.mark.parametrize("options", [
    {}, {"activation": "gelu", "dropout": 0.3, "rng": np.random.default_rng(3)},
], ids=["plain", "gelu and dropout"])
def test_gradients_of_a_block(assert_gradients, draw, block, draw_mask, norm, options):
    args = draw(2, 3, 4), block, draw_mask(2, 3, 3)
    options = {"num_heads": 2, "norm": norm, **options}
    assert_gradients(encoder_block, encoder_block_backward, *args, **options)


@pytest.mark.sampled(2)
@both_norms
def test_gradients_of_a_stack(assert_gradients, draw, make_stack, draw_mask, norm):
    args = draw(2, 3, 4), make_stack(norm), draw_mask(3, 3)
    assert_gradients(encoder, encoder_backward, *args, num_heads=2, norm=norm, max_entries=4)


# ---- errors ----


@pytest.mark.parametrize("options, message", [
    ({"num_heads": 3}, "num_heads=3 for a width of 4"),
    ({"norm": "none"}, 'norm must be "post", "pre" or "sandwich", got \'none\''),
    ({"activation": "swish"}, 'activation must be "relu", .* got .swish'),
    ({"dropout": 1.0}, r"rate must lie in \[0, 1\), got 1.0"),
])
def test_options_that_make_no_sense(block, options, message):
    with pytest.raises(ValueError, match=message):
        encoder_block(np.zeros((2, 5, 4)), block, **{"num_heads": 2, **options})


def test_arrays_that_do_not_fit(block):
    with pytest.raises(ValueError, match="^Din is 3 in X, 4 in W"):
        encoder_block(np.zeros((2, 5, 3)), block, num_heads=2)
    with pytest.raises(ValueError, match=r"mask \(2, 1, 1, 4\) .* \(2, 2, 5, 5\)"):
        encoder_block(np.zeros((2, 5, 4)), block, valid_lens_mask([3, 4], 4), num_heads=2)


def test_a_norm_that_init_does_not_know(rng):
    with pytest.raises(ValueError, match='norm must be "post", "pre" or "sandwich", got .Pre'):
        init_encoder(4, 6, 1, rng, norm="Pre")


def test_a_pre_norm_stack_may_do_without_its_last_norm(draw, make_stack, rng):
    X, params = draw(2, 5, 4), make_stack("pre")
    Y, cache = encoder(X, params._replace(norm=None), num_heads=2, norm="pre")
    whole, _ = encoder(X, params, num_heads=2, norm="pre")
    assert_array_equal(layer_norm(Y, params.norm)[0], whole)
    assert encoder_backward(Y, cache)[1].norm is None
    assert init_encoder(4, 6, 2, rng, norm="pre", last_norm=False).norm is None
    assert init_encoder(4, 6, 2, rng, norm="post", last_norm=True).norm is not None


def test_no_bias_means_no_bias_anywhere(rng, draw):
    for norm in ("post", "pre"):
        params = init_encoder(4, 6, 2, rng, norm=norm, bias=False)
        paths = [path for path, _ in tree_items(params)]
        assert len(paths) == 2 * 8 + (norm == "pre")
        assert not [path for path in paths if path.endswith((".b", ".bias"))]


def test_options_come_as_keywords_or_as_one_object(draw, make_stack):
    X, params = draw(2, 5, 4), make_stack("post")
    options = BlockOptions(num_heads=2, eps=0.1, activation="silu")
    Y, _ = encoder(X, params, options=options)
    assert_array_equal(encoder(X, params, num_heads=2, eps=0.1, activation="silu")[0], Y)
    assert_array_equal(encoder(X, params, options=options, eps=1e-5)[0],
                       encoder(X, params, num_heads=2, activation="silu")[0])
    with pytest.raises(TypeError, match="num_heads is missing"):
        encoder(X, params)
    with pytest.raises(TypeError, match="unexpected keyword argument 'nrom'"):
        encoder(X, params, num_heads=2, nrom="pre")
    with pytest.raises(ValueError, match="eps must be 0 or more, such as 1e-6, got -1"):
        encoder(X, params, num_heads=2, eps=-1)


MODERN = dict(norm="pre", normalization="rms_norm", bias=False, activation="silu", gated=True)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("options", [
    dict(eps=0.1, bias=False, activation="silu"), MODERN, dict(MODERN, activation="gelu_tanh"),
], ids=["torch", "Llama", "Gemma"])
def test_gradients_with_other_options(assert_gradients, convention, draw, rng, shake, options):
    params = shake(init_encoder(4, 6, 2, rng, **options))
    args = draw(2, 3, 4), params
    assert_gradients(encoder, encoder_backward, *args, num_heads=2, max_entries=6, **options)
    convention(encoder, encoder_backward, *args, num_heads=2, **options)


def test_a_post_norm_stack_may_have_one_more(draw, make_stack):
    X, params = draw(2, 5, 4), make_stack("pre")
    Y, _ = encoder(X, params, num_heads=2, norm="post")
    plain, _ = encoder(X, params._replace(norm=None), num_heads=2, norm="post")
    assert_array_equal(Y, layer_norm(plain, params.norm)[0])
