"""Shapes as the docstrings write them."""

import numpy as np
import pytest

import npattn
from npattn.kernels.shapes import require_shapes

ATTENTION = "Q ... Tq Dk, K ... Tk Dk, V ... Tk Dv"
LINEAR = "X ... Din, W Din Dout, b? Dout"


def zeros(*shapes):
    return [np.zeros(shape) for shape in shapes]


@pytest.mark.parametrize("shapes", [
    ((4, 6), (5, 6), (5, 7)), ((2, 3, 4, 6), (2, 3, 5, 6), (2, 3, 5, 7)),
    ((2, 3, 4, 6), (2, 1, 5, 6), (1, 1, 5, 7)), ((2, 3, 4, 6), (3, 5, 6), (5, 7)),
    ((1, 4, 6), (8, 5, 6), (1, 5, 7)), ((0, 4, 6), (0, 5, 6), (1, 5, 7)),
])
def test_leading_axes_broadcast_and_may_be_missing(shapes):
    require_shapes(ATTENTION, *zeros(*shapes))


@pytest.mark.parametrize("spec, shapes, why", [
    (ATTENTION, ((2, 4, 6), (2, 5, 8), (2, 5, 7)), "Dk is 6 in Q, 8 in K"),
    (ATTENTION, ((2, 4, 6), (2, 5, 6), (2, 3, 7)), "Tk is 5 in K, 3 in V"),
    (ATTENTION, ((4,), (5, 6), (5, 7)), "Q has 1 axis, and needs at least 2"),
    (ATTENTION, ((2, 4, 6), (3, 5, 6), (2, 5, 7)),
     "(2,) of Q and (3,) of K and (2,) of V are leading axes that do not broadcast"),
    (LINEAR, ((2, 4), (4, 3), (2,)), "Dout is 3 in W, 2 in b"),
    (LINEAR, ((2, 4), (1, 4, 3), (3,)), "W has 3 axes, and needs 2"),
    ("A N N", ((2, 3),), "N is 2 in A, 3 in A"),
])
def test_the_error_names_the_axis_and_shows_all_shapes(spec, shapes, why):
    with pytest.raises(ValueError) as error:
        require_shapes(spec, *zeros(*shapes))
    message = str(error.value)
    assert message.startswith(f"{why}: got ")
    for part, shape in zip(spec.split(", "), shapes, strict=True):
        assert f"{part.split()[0].rstrip('?')} {shape}" in message


def test_the_error_says_what_was_wanted():
    with pytest.raises(ValueError) as error:
        require_shapes(LINEAR, *zeros((2, 4), (5, 3), (3,)))
    assert str(error.value) == (
        "Din is 4 in X, 5 in W: got X (2, 4), W (5, 3), b (3,); "
        "wanted X (..., Din), W (Din, Dout), b (Dout,)"
    )


def test_a_transposed_array_is_recognized():
    with pytest.raises(ValueError, match=r"; K.swapaxes\(-1, -2\) would fit$"):
        require_shapes(ATTENTION, *zeros((2, 4, 6), (2, 6, 5), (2, 5, 7)))


@pytest.mark.parametrize("batch", [(), (2,)])
def test_unequal_heads_are_told_how_groups_are_written(batch):
    shapes = ((*batch, *shape) for shape in ((8, 4, 6), (2, 5, 6), (2, 5, 7)))
    with pytest.raises(ValueError) as error:
        require_shapes(ATTENTION, *zeros(*shapes))
    assert str(error.value).endswith(
        "; insert axes of length 1 where an array is shared; where 2 heads of K serve 8 of Q, "
        "write them (..., 2, 4, T, D) in Q and (..., 2, 1, T, D) in K"
    )


def test_none_passes_only_where_it_may():
    X, W, b = zeros((2, 4), (4, 3), (3,))
    require_shapes(LINEAR, X, W, None)
    with pytest.raises(TypeError, match="^W must be a NumPy array, got NoneType"):
        require_shapes(LINEAR, X, None, b)
    with pytest.raises(ValueError, match="^Din is 5 in X, 4 in W"):
        require_shapes(LINEAR, np.zeros((2, 5)), W, None)


def test_kinds_of_numbers():
    X, W, b = zeros((2, 4), (4, 3), (3,))
    require_shapes(LINEAR, X + 0j, W, b)
    with pytest.raises(TypeError, match="^W must be float32 or float64, got int64; convert it"):
        require_shapes(LINEAR, X, W.astype(int), b)
    with pytest.raises(TypeError, match="^b is float32 but W is float64; convert"):
        require_shapes(LINEAR, X, W, b.astype(np.float32))
    with pytest.raises(TypeError, match="^X must be a NumPy array, got list"):
        require_shapes(LINEAR, [[1.0]], W, b)
    with pytest.raises(TypeError, match="^X must be .* MaskedArray"):
        require_shapes(LINEAR, np.ma.masked_invalid(X), W, b)
    require_shapes("ids:int ..., E N D", np.zeros((2, 3), np.uint8), W)
    for ids in (b, [1, 2], None):
        with pytest.raises(TypeError, match="^ids must be an integer array"):
            require_shapes("ids:int ..., E N D", ids, W)


def test_what_fits_once_does_not_excuse_what_does_not(rng):
    require_shapes(LINEAR, *zeros((2, 4), (4, 3), (3,)))
    for _ in range(2):
        with pytest.raises(ValueError):
            require_shapes(LINEAR, *zeros((2, 4), (3, 4), (3,)))


def test_the_error_says_the_shape_that_an_upstream_gradient_must_have():
    """The other arrays come from a forward and fit, so the advice is about the gradient alone."""
    spec, P, V = "dO =... Tq Dv, P ... Tq Tk, V ... Tk Dv", np.ones((2, 3, 4)), np.ones((1, 4, 5))
    require_shapes(spec, np.ones((2, 3, 5)), P, V)
    for shape, advice in (
        ((3, 5), "dO must have the shape (2, 3, 5)"),
        ((2, 3, 4), "dO must have the shape (2, 3, 5)"),
        ((2, 5, 3), "dO.swapaxes(-1, -2) would fit"), ((), "dO must have the shape (2, 3, 5)"),
    ):
        with pytest.raises(ValueError) as error:
            require_shapes(spec, np.ones(shape), P, V)
        assert str(error.value).endswith(f"; {advice}")


@pytest.mark.parametrize("forward, backward, more", [
    (npattn.layer_norm, npattn.layer_norm_backward, (npattn.init_layer_norm(4),)),
    (npattn.rms_norm, npattn.rms_norm_backward, (np.ones(4),)),
    (npattn.soft_cap, npattn.soft_cap_backward, (5.0,)),
    (npattn.silu, npattn.silu_backward, ()),
    (npattn.swiglu, npattn.swiglu_backward, (np.ones((3, 4)),)),
])
@pytest.mark.parametrize("shape", [(4,), (1, 1), (2, 3, 4)])
def test_an_upstream_gradient_of_another_shape_is_no_broadcast(forward, backward, more, shape):
    _, cache = forward(np.ones((3, 4)), *more)
    with pytest.raises(ValueError, match=r"; dY must have the shape \(3, 4\)$"):
        backward(np.ones(shape), cache)


@pytest.mark.parametrize("spec, shapes, fits", [
    ("M a b c, N a b c", [(2, 3, 4), (2, 4, 3)], True),
    ("Q ... Tq D, K ... Tk D", [(2, 3, 4), (2, 4, 5)], True),
    ("Q ... Tq D, K ... Tk D", [(3, 4), (4, 5)], True),
    ("Q ... Tq D, K ... Tk D", [(2, 3, 4), (3, 4, 5)], False),  # other leading axes as well
])
def test_a_turned_array_is_advised_where_all_of_it_would_fit(spec, shapes, fits):
    with pytest.raises(ValueError) as caught:
        require_shapes(spec, *map(np.zeros, shapes))
    assert ("swapaxes(-1, -2) would fit" in str(caught.value)) == fits
