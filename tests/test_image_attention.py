"""Attention over the channels and over the places of an image."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.checking import gradcheck_second_order
from npattn.kernels.channel_attention import (
    ChannelParams,
    channel_attention,
    channel_attention_backward,
    init_channel_attention,
    sigmoid,
)
from npattn.kernels.linear import LinearParams
from npattn.kernels.spatial_attention import (
    SpatialParams,
    init_spatial_attention,
    spatial_attention,
    spatial_attention_backward,
)

CHANNEL = channel_attention, channel_attention_backward
SPATIAL = spatial_attention, spatial_attention_backward
H, W, C = 4, 5, 6


@pytest.fixture
def channels(draw):
    return ChannelParams(LinearParams(draw(C, 3), draw(3)), LinearParams(draw(3, C), draw(C)))


def second_order(*args, **options):
    report = gradcheck_second_order(*args, **options)
    assert report.ok, str(report)


# ---- channels ----


@pytest.mark.parametrize("use_max", [False, True])
def test_a_channel_is_multiplied_by_one_number(draw, channels, use_max):
    X = draw(2, H, W, C)
    Y, cache = channel_attention(X, channels, use_max=use_max)
    (W1, b1), (W2, b2) = channels
    G = sum(np.maximum(Z @ W1 + b1, 0) @ W2 + b2
            for Z in (X.mean(axis=(1, 2)), X.max(axis=(1, 2)))[:1 + use_max])
    assert_allclose(Y, X * (1 / (1 + np.exp(-G)))[:, None, None], rtol=1e-13)
    assert cache.gate.shape == (2, 1, 1, C) and (cache.gate > 0).all() and (cache.gate < 1).all()


@pytest.mark.parametrize("use_max", [False, True])
def test_the_order_of_places_does_not_matter_to_channels(draw, channels, rng, use_max):
    X = draw(H, W, C)
    order = rng.permutation(H * W)
    shuffled = X.reshape(-1, C)[order].reshape(X.shape)
    expected = channel_attention(X, channels, use_max=use_max)[0].reshape(-1, C)[order]
    found = channel_attention(shuffled, channels, use_max=use_max)[0]
    assert_allclose(found.reshape(-1, C), expected, rtol=1e-12)


def test_places_that_share_a_maximum_share_its_gradient(channels, draw):
    _, cache = channel_attention(np.zeros((H, W, C)), channels, use_max=True)
    assert_allclose(cache.top, 1 / (H * W))
    dX, _ = channel_attention_backward(draw(H, W, C), cache)
    assert np.isfinite(dX).all()


@pytest.mark.sampled(3)
@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
@pytest.mark.parametrize("use_max", [False, True])
def test_gradients_of_channels(assert_gradients, draw, channels, leading, use_max):
    X = draw(*leading, H, W, C)
    assert_gradients(*CHANNEL, X, channels, use_max=use_max)
    second_order(*CHANNEL, X, channels, use_max=use_max)


@pytest.mark.parametrize("use_max", [False, True])
def test_convention_of_channels(convention, draw, channels, use_max):
    convention(*CHANNEL, draw(2, H, W, C), channels, use_max=use_max)


def test_a_bottleneck_is_never_empty(rng):
    params = init_channel_attention(8, rng, dtype=np.float32)
    assert params.squeeze.W.shape == (8, 1)
    assert {X.dtype for layer in params for X in layer} == {np.dtype(np.float32)}
    assert init_channel_attention(64, rng, ratio=4).squeeze.W.shape == (64, 16)


def test_channels_that_do_not_fit(draw, channels):
    with pytest.raises(ValueError, match="C is 5 in X, 6 in W1"):
        channel_attention(draw(H, W, 5), channels)
    with pytest.raises(ValueError, match="X has 2 axes, and needs at least 3"):
        channel_attention(draw(W, C), channels)
    for shape in ((0, W, C), (H, 0, C)):
        with pytest.raises(ValueError, match=r"X \(., ., 6\) must have a place"):
            channel_attention(np.zeros(shape), channels)
    assert channel_attention(np.zeros((0, H, W, C)), channels)[0].shape == (0, H, W, C)


# ---- places ----


@pytest.mark.parametrize("k", [1, 3, 7])
def test_a_place_is_multiplied_by_one_number_made_from_its_surroundings(draw, k):
    X, params = draw(H, W, C), SpatialParams(draw(k, k, 2), draw(1))
    Y, cache = spatial_attention(X, params)
    Z = np.stack([X.mean(axis=-1), X.max(axis=-1)], axis=-1)
    for i, j in np.ndindex(H, W):
        G = params.b[0]
        for a, b in np.ndindex(k, k):
            row, column = i + a - k // 2, j + b - k // 2
            if 0 <= row < H and 0 <= column < W:
                G = G + Z[row, column] @ params.kernel[a, b]
        assert_allclose(cache.gate[i, j], 1 / (1 + np.exp(-G)), rtol=1e-12)
    assert_allclose(Y, X * cache.gate[..., None])


def test_the_order_of_channels_does_not_matter_to_places(draw, rng):
    X, params = draw(2, H, W, C), init_spatial_attention(rng, k=3)
    order = rng.permutation(C)
    expected = spatial_attention(X, params)[0][..., order]
    assert_allclose(spatial_attention(X[..., order], params)[0], expected, rtol=1e-12)


def test_channels_that_share_a_maximum_share_its_gradient():
    X = np.array([[[1.0, 3.0, 3.0]]])
    Y, cache = spatial_attention(X, SpatialParams(np.array([[[0.0, 1.0]]]), np.zeros(1)))
    assert_array_equal(cache.top, [[[0.0, 0.5, 0.5]]])
    assert_allclose(Y, X / (1 + np.exp(-3)), rtol=1e-14)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
@pytest.mark.parametrize("k", [1, 3, 7])
def test_gradients_of_places(assert_gradients, draw, leading, k):
    X, params = draw(*leading, H, W, C), SpatialParams(0.3 * draw(k, k, 2), draw(1))
    assert_gradients(*SPATIAL, X, params)
    second_order(*SPATIAL, X, params)


def test_convention_of_places(convention, draw):
    convention(*SPATIAL, draw(2, H, W, C), SpatialParams(draw(3, 3, 2), draw(1)))


@pytest.mark.parametrize("kernel, b", [((2, 2, 2), 1), ((3, 3, 1), 1), ((3, 3, 2), 2)])
def test_kernels_that_do_not_fit(draw, kernel, b):
    with pytest.raises(ValueError, match="must be .k, k, 2. with k odd, b .1,."):
        spatial_attention(draw(H, W, C), SpatialParams(np.zeros(kernel), np.zeros(b)))


def test_the_kernel_starts_around_0(rng):
    kernel, b = init_spatial_attention(rng, k=31)
    assert abs(kernel.mean()) < 0.01 and not b.any()


def test_every_image_has_a_place_and_a_channel(rng):
    params = init_spatial_attention(rng, k=3)
    assert spatial_attention(np.zeros((0, H, W, C)), params)[0].shape == (0, H, W, C)
    for shape in ((0, W, C), (H, 0, C), (H, W, 0)):
        with pytest.raises(ValueError, match="must have a place and a channel"):
            spatial_attention(np.zeros(shape), params)


def test_both_together_are_cbam(assert_gradients, draw, channels, rng):
    spatial = init_spatial_attention(rng, k=3)

    def cbam(X, channels, spatial):
        Y, first = channel_attention(X, channels, use_max=True)
        Y, second = spatial_attention(Y, spatial)
        return Y, (first, second)

    def cbam_backward(dY, cache):
        dY, dspatial = spatial_attention_backward(dY, cache[1])
        dX, dchannels = channel_attention_backward(dY, cache[0])
        return dX, dchannels, dspatial

    assert_gradients(cbam, cbam_backward, draw(2, H, W, C), channels, spatial)


def test_the_sigmoid_of_large_numbers():
    assert_array_equal(sigmoid(np.array([-1e4, 0.0, 1e4])), [0.0, 0.5, 1.0])
