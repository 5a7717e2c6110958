"""What kernels ask of their arguments, and the words they use."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from npattn.kernels.arrays import require_floats, require_integers
from npattn.kernels.shapes import require_mask
from npattn.kernels.sums import as_rows


@pytest.mark.parametrize("dtypes", [
    (np.float32, np.float32), (np.float64, np.float64),
    (np.float32, np.complex64), (np.float64, np.complex128),
])
def test_floats_of_one_precision_pass(dtypes):
    require_floats(X=np.zeros(2, dtypes[0]), W=np.zeros((2, 3), dtypes[1]))


def test_nothing_passes():
    require_floats()


@pytest.mark.parametrize("dtype", [
    "int64", "uint8", "bool", "float16", "longdouble", "object", "U3"
])
def test_other_dtypes_are_named_with_a_way_out(dtype):
    W = np.zeros(2, dtype)
    with pytest.raises(TypeError) as error:
        require_floats(X=np.zeros(2), W=W)
    assert str(error.value) == (
        f"W must be float32 or float64, got {W.dtype}; "
        "convert it with W.astype(np.float32) or .astype(np.float64)"
    )


@pytest.mark.parametrize("value, kind", [
    ([0.0], "list"), (1.0, "float"), (np.float64(1.0), "float64"), (None, "NoneType"),
    (np.zeros((1, 1)).view(np.matrix), "matrix"),
])
def test_what_is_no_array_is_named_with_a_way_out(value, kind):
    with pytest.raises(TypeError) as error:
        require_floats(X=value)
    assert str(error.value) == (
        f"X must be a NumPy array, got {kind}; convert it with np.asarray(X, dtype=np.float64)"
    )


def test_masked_arrays_would_bring_a_mask_of_their_own():
    masked = np.ma.masked_greater([1.0, 2.0], 1.5)
    with pytest.raises(TypeError, match=r"^X must be .* got MaskedArray; .* with X.filled\(0.0\)"):
        require_floats(X=masked)
    with pytest.raises(TypeError, match="^ids must be an integer array, got MaskedArray"):
        require_integers(ids=masked.astype(int))
    with pytest.raises(TypeError, match="^mask must be a boolean array .* got MaskedArray"):
        require_mask(masked > 0, (2,))


def test_arrays_that_lie_in_a_file_pass(tmp_path):
    np.save(tmp_path / "X.npy", np.ones(3))
    require_floats(X=np.load(tmp_path / "X.npy", mmap_mode="r"))


@pytest.mark.parametrize("value, kind", [
    (np.zeros(2), "float64"), (np.ones(2, bool), "bool"), ([1], "list"), (None, "NoneType"),
])
def test_what_is_no_integer_array_is_named_with_a_way_out(value, kind):
    with pytest.raises(TypeError) as error:
        require_integers(ids=np.arange(3), targets=value)
    assert str(error.value) == (
        f"targets must be an integer array, got {kind}; "
        "np.asarray(targets, dtype=np.int64) makes one"
    )


@pytest.mark.parametrize("first, second", [
    (np.float32, np.float64), (np.float64, np.float32), (np.complex64, np.float64),
])
def test_mixed_precision_names_both(first, second):
    with pytest.raises(TypeError) as error:
        require_floats(X=np.zeros(2, first), W=np.zeros(2, second))
    for part in (f"X is {np.dtype(first)}", f"W is {np.dtype(second)}"):
        assert part in str(error.value)


@pytest.mark.parametrize("shape", [(), (1,), (4,), (3, 1), (3, 4), (1, 3, 4), (2, 1, 4)])
def test_masks_broadcast(rng, shape):
    mask = np.asarray(rng.random(shape) < 0.5)
    assert_array_equal(require_mask(mask, (2, 3, 4)), np.broadcast_to(mask, (2, 3, 4)))


@pytest.mark.parametrize("mask, came", [
    (np.zeros(4), "float64"), (np.zeros(4, int), "int64"), ([True], "list"), (True, "bool"),
])
def test_masks_must_be_boolean_arrays(mask, came):
    with pytest.raises(TypeError, match=rf"^mask must be a boolean array .* got {came}; mask != 0"):
        require_mask(mask, (3, 4))


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 3, 4)])
def test_masks_that_do_not_broadcast(shape):
    with pytest.raises(ValueError) as error:
        require_mask(np.ones(shape, bool), (3, 4), "the grid")
    assert f"mask {shape} does not broadcast to the grid (3, 4)" in str(error.value)


@pytest.mark.parametrize("shape, rows", [
    ((2, 3, 4), (6, 4)), ((4,), (1, 4)), ((2, 3, 0), (6, 0)), ((0, 3, 4), (0, 4)),
])
def test_rows(shape, rows):
    X = np.arange(float(np.prod(shape))).reshape(shape)
    assert_array_equal(as_rows(X), X.reshape(rows))
