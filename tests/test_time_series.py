"""The Transformer for time series, and what goes wrong when it attends over the batch."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.positions import sinusoidal_positions
from npattn.models.block import attention_weights
from npattn.models.encoder import encoder
from npattn.models.time_series import (
    TimeSeriesConfig,
    init_time_series,
    time_series_transformer,
    time_series_transformer_backward,
)
from npattn.trees import tree_items, tree_leaves

SMALL = TimeSeriesConfig(
    (4, 3), (2, 5), num_heads=3, hidden=7, num_blocks=2, dropout=0.0, paired_positions=False
)
WIDE = dataclasses.replace(
    SMALL, width=6, num_blocks=1, norm="pre", activation="gelu", paired_positions=True
)


def forward(X, params, config, **options):
    return time_series_transformer(X, params, config=config, **options)[0]


# ---- values ----


def test_the_sizes_of_the_common_example(rng):
    config = TimeSeriesConfig()
    params = init_time_series(config, rng, dtype=np.float32)
    assert len(params.encoder.blocks) == 10
    block = params.encoder.blocks[0]
    assert block.attention.query.W.shape == (9, 9)
    assert block.feed_forward.hidden.W.shape == (9, 2048)
    assert params.input is None and params.output.W.shape == (288, 32)
    X = rng.random((16, 32, 9), np.float32)
    Y, cache = time_series_transformer(X, params, config=config, rng=rng)
    assert Y.shape == (16, 4, 8)
    assert attention_weights(cache)[9]["self"].shape == (16, 3, 32, 32)
    dX, dparams = time_series_transformer_backward(np.ones_like(Y), cache)
    assert dX.shape == X.shape
    for (path, p), (_, d) in zip(tree_items(params), tree_items(dparams), strict=True):
        assert d.shape == p.shape and d.dtype == np.float32, path
        assert d.any() and np.isfinite(d).all(), path


def test_it_is_positions_an_encoder_and_a_linear_layer(draw, rng, shake):
    X, params = draw(2, 4, 3), shake(init_time_series(SMALL, rng))
    Z = X + sinusoidal_positions(4, 3, paired=False)
    E, _ = encoder(Z, params.encoder, num_heads=3)
    flat = E.reshape(2, 12) @ params.output.W + params.output.b
    assert_allclose(forward(X, params, SMALL), flat.reshape(2, 2, 5), rtol=1e-12, atol=1e-13)


def test_an_input_layer_where_a_width_is_given(draw, rng, shake):
    X, params = draw(2, 4, 3), shake(init_time_series(WIDE, rng))
    assert params.input.W.shape == (3, 6) and params.output.W.shape == (24, 10)
    inner = dataclasses.replace(WIDE, input_shape=(4, 6), width=None)
    Z = X @ params.input.W + params.input.b
    expected = forward(Z, params._replace(input=None), inner)
    assert_allclose(forward(X, params, WIDE), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_the_encoder_is_made_as_the_configuration_says(rng, norm):
    config = dataclasses.replace(SMALL, norm=norm, bias=False)
    made = init_time_series(config, rng).encoder
    assert made.blocks[0].feed_forward.hidden.b is None
    assert (made.norm is None) == (norm == "post")


# ---- invariants ----


def test_a_forecast_does_not_depend_on_the_other_series(draw, rng):
    X, params = draw(5, 4, 3), init_time_series(SMALL, rng)
    others = np.arange(5)[:, None, None] != 2
    changed = np.where(others, draw(5, 4, 3), X)
    assert_array_equal(forward(changed, params, SMALL)[2], forward(X, params, SMALL)[2])
    assert_allclose(forward(X[2], params, SMALL), forward(X, params, SMALL)[2], rtol=1e-12)


def over_batch(X, params):
    """The mistake of many examples: the encoder takes the batch for its sequence."""
    Z = X.swapaxes(0, 1)
    Z = Z + sinusoidal_positions(*Z.shape[-2:], paired=False)
    return encoder(Z, params.encoder, options=SMALL)[0].swapaxes(0, 1)


def test_an_encoder_over_the_batch_makes_a_series_depend_on_the_others(draw, rng):
    # and blind to its own past: step t of a series meets step t of the others and nothing else
    X, params = draw(5, 4, 3), init_time_series(SMALL, rng)
    changed = X.copy()
    changed[2, 0] += 1.0
    moved = over_batch(changed, params) != over_batch(X, params)
    assert moved[:, 0].all() and not moved[:, 1:].any()
    moved = forward(changed, params, SMALL) != forward(X, params, SMALL)
    assert moved[2].all() and not moved[[0, 1, 3, 4]].any()


def test_leading_axes_are_free(draw, rng):
    X, params = draw(2, 3, 4, 3), init_time_series(SMALL, rng)
    Y = forward(X, params, SMALL)
    assert Y.shape == (2, 3, 2, 5)
    assert_allclose(forward(X[1], params, SMALL), Y[1], rtol=1e-12, atol=1e-14)


def test_dropout_only_with_a_generator(draw, rng):
    config = dataclasses.replace(SMALL, dropout=0.5)
    X, params = draw(2, 4, 3), init_time_series(config, rng)
    assert_array_equal(forward(X, params, config), forward(X, params, SMALL))
    assert (forward(X, params, config, rng=rng) != forward(X, params, SMALL)).any()


# ---- gradients ----


@pytest.mark.sampled(2)
@pytest.mark.parametrize("config", [SMALL, WIDE], ids=["post-norm", "pre-norm, input layer"])
def test_gradients(assert_gradients, draw, rng, shake, config):
    params = shake(init_time_series(config, rng))
    assert_gradients(
        time_series_transformer, time_series_transformer_backward, draw(2, 4, 3), params,
        config=config, max_entries=30,
    )


def test_gradients_with_dropout(assert_gradients, draw, rng, shake):
    config = dataclasses.replace(WIDE, dropout=0.3)
    params = shake(init_time_series(config, rng))
    assert_gradients(
        time_series_transformer, time_series_transformer_backward, draw(2, 4, 3), params,
        config=config, rng=np.random.default_rng(3), max_entries=30,
    )


def test_the_convention(convention, draw, rng, shake):
    params = shake(init_time_series(WIDE, rng))
    convention(
        time_series_transformer, time_series_transformer_backward, draw(2, 4, 3), params,
        config=WIDE,
    )


def test_no_windows(rng):
    for config in (SMALL, WIDE):
        params, X = init_time_series(config, rng), np.zeros((0, 4, 3))
        Y, cache = time_series_transformer(X, params, config=config)
        dX, dparams = time_series_transformer_backward(Y, cache)
        assert Y.shape == (0, 2, 5) and dX.shape == X.shape
        assert not any(leaf.any() for leaf in tree_leaves(dparams))


# ---- errors ----


def test_windows_of_another_shape(draw, rng):
    params = init_time_series(SMALL, rng)
    with pytest.raises(TypeError, match="^X must be a NumPy array, got list"):
        forward([[[0.0] * 3] * 4], params, SMALL)
    with pytest.raises(ValueError, match=r"T, M = \(4, 3\), got \(2, 3, 4\)"):
        forward(draw(2, 3, 4), params, SMALL)
