"""Cross-entropy."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.checking import gradcheck_second_order
from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.kernels.softmax import softmax
from npattn.kernels.token_losses import token_losses, token_losses_backward

LN = np.log([1.0, 2.0, 3.0])  # its softmax is 1/6, 1/3, 1/2


@pytest.fixture
def tokens(draw, rng):
    """logits (2, 4, 5) and targets, of which some are 0, the padding."""
    targets = rng.integers(1, 5, (2, 4))
    targets[0, 2:] = targets[1, 3] = 0
    return draw(2, 4, 5), targets


# ---- values ----


def test_two_tokens_by_hand():
    loss, cache = cross_entropy(np.array([LN, LN]), np.array([2, 0]))
    assert_allclose(loss, (math.log(2) + math.log(6)) / 2, rtol=1e-15)
    assert_allclose(
        cross_entropy_backward(1.0, cache),
        [[1 / 12, 1 / 6, -1 / 4], [-5 / 12, 1 / 6, 1 / 4]],
        rtol=1e-14,
    )


def test_smoothed_labels_by_hand():
    # ε = 0.3 over 3 classes: q = (0.1, 0.8, 0.1)
    loss, cache = cross_entropy(LN[None], np.array([1]), label_smoothing=0.3)
    assert_allclose(loss, 0.1 * math.log(6) + 0.8 * math.log(3) + 0.1 * math.log(2), rtol=1e-15)
    assert_allclose(
        cross_entropy_backward(1.0, cache), [[1 / 6 - 0.1, 1 / 3 - 0.8, 1 / 2 - 0.1]], rtol=1e-14
    )


def test_padding_by_hand():
    loss, cache = cross_entropy(np.array([LN, 7 * LN]), np.array([2, 0]), ignore=0)
    assert_allclose(loss, math.log(2), rtol=1e-15)
    assert_allclose(cross_entropy_backward(1.0, cache), [[1 / 6, 1 / 3, -1 / 2], [0, 0, 0]])


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_not_to_know_costs_the_logarithm_of_the_classes(label_smoothing):
    logits, targets = np.full((3, 7), 2.5), np.array([0, 3, 6])
    loss, _ = cross_entropy(logits, targets, label_smoothing=label_smoothing)
    assert_allclose(loss, math.log(7), rtol=1e-15)


def test_the_loss_is_a_scalar(tokens):
    assert np.shape(cross_entropy(*tokens)[0]) == ()


@pytest.mark.parametrize("logits, ignore", [(LN[None], 1), (np.array([[0.0, 999.0]]), None)])
def test_no_loss_is_zero_and_not_minus_zero(logits, ignore):
    loss, _ = cross_entropy(logits, np.array([1]), ignore=ignore)
    assert loss == 0.0 and not np.signbit(loss)


# ---- invariants ----


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_ignored_tokens_might_as_well_be_absent(tokens, label_smoothing):
    (logits, targets), real = tokens, tokens[1] != 0
    loss, cache = cross_entropy(logits, targets, ignore=0, label_smoothing=label_smoothing)
    alone, alone_cache = cross_entropy(logits[real], targets[real], label_smoothing=label_smoothing)
    assert_allclose(loss, alone, rtol=1e-14)
    dlogits = cross_entropy_backward(0.7, cache)
    assert_allclose(dlogits[real], cross_entropy_backward(0.7, alone_cache), rtol=1e-13)
    assert not dlogits[~real].any()


@pytest.mark.parametrize("padding", [-100, 999])
def test_the_padding_id_need_be_no_class(tokens, padding):
    logits, targets = tokens
    expected, _ = cross_entropy(logits, targets, ignore=0)
    renamed = np.where(targets == 0, padding, targets)
    assert cross_entropy(logits, renamed, ignore=padding)[0] == expected


def test_logits_of_ignored_tokens_cannot_leak(tokens):
    logits, targets = tokens
    poisoned = np.where((targets == 0)[..., None], np.nan, logits)
    loss, cache = cross_entropy(poisoned, targets, ignore=0)
    expected, expected_cache = cross_entropy(logits, targets, ignore=0)
    assert loss == expected
    assert_array_equal(
        cross_entropy_backward(1.0, cache), cross_entropy_backward(1.0, expected_cache)
    )


@pytest.mark.parametrize("shape", [(3,), (0,), (2, 0)])
def test_if_no_token_counts_loss_and_gradient_are_zero(draw, shape):
    loss, cache = cross_entropy(draw(*shape, 5), np.zeros(shape, int), ignore=0)
    assert loss == 0.0 and cache.N == 1.0
    assert_array_equal(cross_entropy_backward(1.0, cache), np.zeros((*shape, 5)))


def test_a_constant_per_token_changes_nothing_so_gradients_sum_to_zero(tokens):
    logits, targets = tokens
    loss, cache = cross_entropy(logits, targets, label_smoothing=0.1)
    assert_allclose(cross_entropy(logits + 50.0, targets, label_smoothing=0.1)[0], loss, rtol=1e-13)
    assert_allclose(cross_entropy_backward(1.0, cache).sum(axis=-1), 0.0, atol=1e-15)


def test_the_gradient_vanishes_where_the_model_is_right(draw):
    q = np.full(5, 0.1 / 5) + 0.9 * np.eye(5)[2]
    _, cache = cross_entropy(np.log(q), np.array(2), label_smoothing=0.1)
    assert_allclose(cross_entropy_backward(1.0, cache), 0.0, atol=1e-15)


def test_the_gradient_is_proportional_to_the_one_upstream(tokens):
    _, cache = cross_entropy(*tokens)
    assert_allclose(
        cross_entropy_backward(-2.5, cache), -2.5 * cross_entropy_backward(1.0, cache), rtol=1e-14
    )
    assert_allclose(
        cross_entropy_backward(8.0, cache), softmax(tokens[0]) - np.eye(5)[tokens[1]], atol=1e-15
    )


def test_certain_and_wrong_costs_the_margin():
    loss, cache = cross_entropy(np.array([[0.0, 1e4]]), np.array([0]))
    assert loss == 1e4
    assert_array_equal(cross_entropy_backward(1.0, cache), [[-1, 1]])


@pytest.mark.parametrize("options", [
    {}, {"ignore": 0}, {"ignore": 0, "label_smoothing": 0.1}, {"label_smoothing": np.float64(0.1)}
], ids=["plain", "ignore", "smoothed", "numpy smoothing"])
def test_convention(convention, tokens, options):
    convention(cross_entropy, cross_entropy_backward, *tokens, **options)


# ---- gradients ----


@pytest.mark.parametrize("ignore", [None, 0])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_gradients(assert_gradients, tokens, ignore, label_smoothing):
    options = dict(ignore=ignore, label_smoothing=label_smoothing)
    assert_gradients(cross_entropy, cross_entropy_backward, *tokens, **options)


# ---- errors ----


@pytest.mark.parametrize("targets, came", [
    (np.zeros(3), "float64"), (np.zeros(3, bool), "bool"), ([0, 1, 2], "list")
])
def test_targets_must_be_integers(targets, came):
    with pytest.raises(TypeError, match=f"targets must be an integer array, got {came}"):
        cross_entropy(np.zeros((3, 5)), targets)


@pytest.mark.parametrize("shape", [(), (4,), (3, 1), (3, 5)])
def test_targets_must_be_shaped_like_the_tokens(shape):
    with pytest.raises(ValueError) as error:
        cross_entropy(np.zeros((3, 5)), np.zeros(shape, int))
    assert f"targets {shape} do not fit logits (3, 5)" in str(error.value)


@pytest.mark.parametrize("targets, ignore, came", [
    ([0, 5, 1], None, "0 … 5"), ([-100, 0, 1], None, "-100 … 1"), ([0, 7, 5], 7, "0 … 5"),
])
def test_targets_must_be_classes(targets, ignore, came):
    with pytest.raises(ValueError, match=f"targets must lie in 0 … 4, .* got {came}"):
        cross_entropy(np.zeros((3, 5)), np.array(targets), ignore=ignore)


@pytest.mark.parametrize("label_smoothing", [-0.1, 1.0, float("nan")])
def test_smoothing_outside_the_range(label_smoothing):
    with pytest.raises(ValueError, match=rf"label_smoothing .* \[0, 1\), got {label_smoothing}"):
        cross_entropy(np.zeros((3, 5)), np.zeros(3, int), label_smoothing=label_smoothing)


def test_other_dtypes():
    with pytest.raises(TypeError, match="^logits must be float32 or float64, got float16"):
        cross_entropy(np.zeros((3, 5), np.float16), np.zeros(3, int))


@pytest.mark.parametrize("shape", [(1,), (5,), (3, 5)])
def test_the_upstream_gradient_is_a_scalar(shape):
    _, cache = cross_entropy(np.zeros((3, 5)), np.zeros(3, int))
    with pytest.raises(ValueError) as error:
        cross_entropy_backward(np.ones(shape), cache)
    assert f"got dloss {shape}, loss ()" in str(error.value)
    assert str(error.value).endswith("; dloss must have the shape ()")


def test_logits_without_classes():
    with pytest.raises(ValueError, match=r"targets \(\) do not fit logits \(\)"):
        cross_entropy(np.array(1.0), np.array(0))


# ---- reductions and class weights ----


def test_weighted_classes_by_hand():
    # LN's softmax is 1/6, 1/3, 1/2; the classes weigh 1, 2, 3
    logits, targets, weights = np.array([LN, LN]), np.array([2, 0]), np.array([1.0, 2.0, 3.0])
    each, cache = cross_entropy(logits, targets, weights=weights, reduction="none")
    assert_allclose(each, [3 * math.log(2), math.log(6)], rtol=1e-15)
    assert_allclose(
        cross_entropy_backward(np.array([1.0, 12.0]), cache), [[1 / 2, 1, -3 / 2], [-10, 4, 6]],
    )
    total, _ = cross_entropy(logits, targets, weights=weights, reduction="sum")
    mean, cache = cross_entropy(logits, targets, weights=weights)
    assert_allclose([total, mean], [each.sum(), each.sum() / 4], rtol=1e-15)
    dlogits = cross_entropy_backward(4.0, cache)
    assert_allclose(dlogits, [[1 / 2, 1, -3 / 2], [-5 / 6, 1 / 3, 1 / 2]])


@pytest.mark.parametrize("weights", [None, [0.5, 0.0, 2.0, 1.0, 3.0]])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradients_of_every_reduction(
    assert_gradients, tokens, weights, label_smoothing, reduction
):
    options = dict(
        ignore=0, label_smoothing=label_smoothing, reduction=reduction,
        weights=None if weights is None else np.array(weights),
    )
    assert_gradients(cross_entropy, cross_entropy_backward, *tokens, **options)
    report = gradcheck_second_order(cross_entropy, cross_entropy_backward, *tokens, **options)
    assert report.ok, str(report)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_weights_of_1_change_nothing(tokens, label_smoothing):
    options = dict(ignore=0, label_smoothing=label_smoothing)
    expected, cache = cross_entropy(*tokens, **options)
    found, weighted = cross_entropy(*tokens, weights=np.ones(5), **options)
    assert_allclose(found, expected, rtol=1e-14)
    assert_allclose(cross_entropy_backward(0.7, weighted), cross_entropy_backward(0.7, cache),
                    rtol=0, atol=1e-15)


def test_the_losses_of_tokens_add_up(tokens):
    each, _ = token_losses(*tokens, ignore=0)
    assert_array_equal(each == 0.0, tokens[1] == 0)
    assert_allclose(cross_entropy(*tokens, ignore=0, reduction="sum")[0], each.sum(), rtol=1e-15)


def test_tokens_of_weight_0_cost_nothing(draw):
    loss, cache = cross_entropy(draw(3, 4), np.array([1, 1, 1]), weights=np.eye(4)[0])
    assert loss == 0.0 and not cross_entropy_backward(1.0, cache).any()


def test_convention_of_token_losses(convention, tokens):
    logits, targets = tokens
    for options in ({}, {"label_smoothing": 0.1}):
        convention(token_losses, token_losses_backward, logits, targets, ignore=0,
                   weights=np.arange(1.0, 6.0), **options)


def test_reductions_and_weights_that_do_not_exist(tokens):
    with pytest.raises(ValueError, match='reduction must be "mean", "sum" or "none"'):
        cross_entropy(*tokens, reduction="average")
    for weights in (np.ones(4), np.ones((1, 5)), -np.ones(5)):
        with pytest.raises(ValueError, match=r"weights must be \(5,\), one for each class"):
            cross_entropy(*tokens, weights=weights)
    with pytest.raises(TypeError, match="weights must be float32 or float64, got int64"):
        cross_entropy(*tokens, weights=np.ones(5, int))
    with pytest.raises(ValueError, match=r"dloss must have the shape \(2, 4\)"):
        cross_entropy_backward(1.0, cross_entropy(*tokens, reduction="none")[1])


def test_without_tokens_there_need_be_no_class():
    logits, targets = np.zeros((0, 0)), np.zeros(0, int)
    assert cross_entropy(logits, targets, weights=np.zeros(0))[0] == 0.0
