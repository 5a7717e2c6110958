"""Patch embedding."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.linear import LinearParams, linear
from npattn.models.patches import init_patch_embedding, patch_embedding, patch_embedding_backward

# ---- values ----


def test_by_hand():
    # one channel, 2 × 4 pixels, two patches of 2 × 2; W adds up a patch, and picks its corner
    X = np.array([[[1.0, 2.0, 5.0, 6.0], [3.0, 4.0, 7.0, 8.0]]])
    W = np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    Y, cache = patch_embedding(X, LinearParams(W, np.array([0.0, 100.0])), patch=2)
    assert_array_equal(Y, [[10, 101], [26, 105]])
    dX, dparams = patch_embedding_backward(np.array([[1.0, 0.0], [0.0, 1.0]]), cache)
    assert_array_equal(dX, [[[1, 1, 1, 0], [1, 1, 0, 0]]])
    assert_array_equal(dparams.W, [[1, 5], [2, 6], [3, 7], [4, 8]])
    assert_array_equal(dparams.b, [1, 1])


def test_shapes_of_the_text(rng):
    params = init_patch_embedding(3, 16, 512, rng, dtype=np.float32)
    Y, _ = patch_embedding(np.zeros((4, 3, 96, 96), np.float32), params, patch=16)
    assert Y.shape == (4, 36, 512) and Y.dtype == np.float32


# ---- invariants ----


def test_patches_of_one_pixel_are_a_linear_layer(draw):
    X, params = draw(2, 3, 4, 6), LinearParams(draw(3, 5), draw(5))
    Y, _ = patch_embedding(X, params, patch=1)
    assert_allclose(Y, linear(X.transpose(0, 2, 3, 1).reshape(2, 24, 3), params)[0], rtol=1e-13)


def test_a_patch_knows_its_own_pixels_only(draw, rng):
    params, X = init_patch_embedding(3, 2, 5, rng), draw(2, 3, 4, 6)
    changed = X.copy()
    changed[:, :, 2:, 4:] += 1.0  # the last patch
    Y, other = (patch_embedding(Z, params, patch=2)[0] for Z in (X, changed))
    assert_array_equal(other[:, :-1], Y[:, :-1])
    assert (other[:, -1] != Y[:, -1]).all()


def test_it_is_a_convolution_that_skips(draw, rng, shake):
    torch = pytest.importorskip("torch")
    params, X, dY = shake(init_patch_embedding(3, 2, 5, rng)), draw(2, 3, 4, 6), draw(2, 6, 5)
    tX = torch.tensor(X, requires_grad=True)
    kernel = torch.tensor(np.ascontiguousarray(params.W.reshape(2, 2, 3, 5).transpose(3, 2, 0, 1)))
    expected = torch.nn.functional.conv2d(tX, kernel, torch.tensor(params.b), stride=2)
    expected = expected.flatten(2).transpose(1, 2)
    expected.backward(torch.tensor(dY))
    Y, cache = patch_embedding(X, params, patch=2)
    assert_allclose(Y, expected.detach().numpy(), rtol=0, atol=1e-13)
    assert_allclose(patch_embedding_backward(dY, cache)[0], tX.grad.numpy(), rtol=0, atol=1e-13)


def test_convention(convention, draw, rng, shake):
    params = shake(init_patch_embedding(3, 2, 5, rng))
    convention(patch_embedding, patch_embedding_backward, draw(2, 3, 4, 6), params, patch=2)


# ---- gradients ----


@pytest.mark.parametrize("leading", [(), (2,), (2, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_gradients(assert_gradients, draw, leading, bias):
    params = LinearParams(draw(12, 7), draw(7) if bias else None)
    args = draw(*leading, 3, 4, 6), params
    assert_gradients(patch_embedding, patch_embedding_backward, *args, patch=2)


def test_no_images():
    X, params = np.zeros((0, 3, 4, 6)), LinearParams(np.ones((12, 7)), np.ones(7))
    Y, cache = patch_embedding(X, params, patch=2)
    assert Y.shape == (0, 6, 7)
    dX, dparams = patch_embedding_backward(Y, cache)
    assert dX.shape == X.shape and not dparams.W.any() and not dparams.b.any()


# ---- errors ----


@pytest.mark.parametrize("shape, patch", [
    ((3, 4, 6), 3), ((3, 4, 6), 4), ((4, 6), 2), ((3, 4, 6), 0),
])
def test_patches_that_do_not_fit(shape, patch):
    with pytest.raises(ValueError) as error:
        patch_embedding(np.zeros(shape), LinearParams(np.zeros((12, 7)), None), patch=patch)
    assert f"divisible by patch={patch}, got {shape}" in str(error.value)


def test_widths_and_dtypes_that_do_not_fit():
    params = LinearParams(np.zeros((12, 7)), None)
    with pytest.raises(ValueError, match="^Din is 8 in X, 12 in W"):
        patch_embedding(np.zeros((2, 4, 6)), params, patch=2)
    with pytest.raises(TypeError, match="^X must be a NumPy array, got list"):
        patch_embedding([[[0.0]]], params, patch=1)
    with pytest.raises(TypeError, match="^X must be float32 or float64, got uint8"):
        patch_embedding(np.zeros((3, 4, 6), np.uint8), params, patch=2)
