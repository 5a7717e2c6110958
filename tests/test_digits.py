"""Reading digits: the split, the shipped weights, training again, and the figures."""

import builtins

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.experiments import digits
from npattn.experiments.digits import CONFIGS, WEIGHTS, Digits, load, loss_and_grads
from npattn.models.vision import init_vision
from npattn.training import CheckpointError
from npattn.trees import tree_leaves, tree_map

POOLS = [*CONFIGS]


@pytest.fixture(scope="module")
def parts():
    pytest.importorskip("sklearn", reason="the digits need scikit-learn")
    return digits.digits()


@pytest.fixture(params=POOLS)
def params(request):
    return load(request.param)


# ---- values ----


def test_the_digits_are_what_they_were(parts):
    known, held_out = parts
    assert known.X.shape == (1437, 1, 8, 8) and held_out.X.shape == (360, 1, 8, 8)
    assert known.X.dtype == np.float32 and known.y.dtype == np.int64
    assert known.X.min() == 0.0 and known.X.max() == 1.0
    assert not known.X.flags.writeable
    counts = np.bincount(np.concatenate([known.y, held_out.y]))
    assert_array_equal(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    assert np.bincount(held_out.y).min() >= 20


def test_held_out_digits_are_read(parts, params):
    assert digits.accuracy(params) >= 0.97


def test_the_loss_of_an_undecided_model_by_hand(draw):
    params = init_vision(CONFIGS["class"], np.random.default_rng(0))
    zero = params._replace(output=tree_map(np.zeros_like, params.output))
    batch = Digits(draw(5, 1, 8, 8), np.array([0, 0, 3, 9, 0]))
    loss, _, metrics = loss_and_grads(zero, batch)
    assert loss == pytest.approx(np.log(10))
    assert metrics == {"accuracy": 0.6}  # all logits are equal, and the first is taken
    assert_allclose(digits.classify(zero, batch.X), 0.1)
    assert digits.accuracy(zero, batch) == 0.6


# ---- invariants ----


@pytest.mark.parametrize("pool", POOLS)
def test_the_shipped_weights_are_small_and_single_precision(pool):
    assert WEIGHTS[pool].stat().st_size <= 100_000
    assert {leaf.dtype for leaf in tree_leaves(load(pool))} == {np.dtype(np.float32)}


def test_the_parameters_tell_how_they_pool(params):
    config = digits.config_of(params)
    assert (config.pool == "class") == (params.class_token is not None)
    assert len(params.positions) == config.tokens


def test_attention_sums_to_one(params, draw):
    P = digits.attention_maps(params, draw(3, 1, 8, 8).astype(np.float32))
    tokens = digits.config_of(params).tokens
    assert P.shape == (2, 3, 4, tokens, tokens)
    assert_allclose(P.sum(axis=-1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("pool", POOLS)
def test_training_learns_and_again_the_same(parts, pool):
    first, again = (digits.train(3, pool=pool, steps=60) for _ in range(2))
    for p, q in zip(tree_leaves(first.params), tree_leaves(again.params), strict=True):
        assert_array_equal(p, q)
    loss = first.history["loss"]
    assert loss[-5:].mean() < 0.6 * loss[:5].mean()
    assert digits.accuracy(first.params) > 0.5


# ---- gradients ----


@pytest.mark.thorough
@pytest.mark.parametrize("pool", POOLS)
def test_gradient_of_the_loss(assert_gradients, draw, shake, pool):
    params = shake(init_vision(CONFIGS[pool], np.random.default_rng(0)))
    batch = Digits(draw(2, 1, 8, 8), np.array([7, 2]))

    def loss(params):
        value, grads, _ = loss_and_grads(params, batch)
        return value, grads

    def loss_backward(dloss, grads):
        return tree_map(lambda g: g * dloss, grads)

    assert_gradients(loss, loss_backward, params, max_entries=1)


# ---- errors ----


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **options):
        if name.startswith("sklearn"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *args, **options)

    digits.digits.cache_clear()
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"not installed: pip install 'npattn\[digits\]'"):
        digits.digits()


def test_the_weights_of_one_pooling_are_refused_for_the_other():
    with pytest.raises(CheckpointError, match="class_token"):
        load("mean", WEIGHTS["class"])


def test_without_a_class_token_none_looks(draw):
    with pytest.raises(ValueError, match="no class token"):
        digits.attention_figure(load("mean"), draw(1, 1, 8, 8))


# ---- figures ----


def test_the_figures_show_what_was_computed(draw):
    params, X = load("class"), draw(3, 1, 8, 8).astype(np.float32)
    axes = digits.images_figure(X, ["a", "b", "c"]).axes
    assert [ax.get_title() for ax in axes] == ["a", "b", "c"]
    assert_array_equal(axes[1].images[0].get_array(), X[1, 0])
    panels = [ax for ax in digits.attention_figure(params, X).axes if ax.images]
    assert len(panels) == 3 * 5
    drawn = panels[5 + 2].images[0].get_array()  # second image, second head
    assert_array_equal(drawn.ravel(), digits.attention_maps(params, X)[1, 1, 1, 0, 1:])
    drawn = [ax.images[0].get_array() for ax in digits.positions_figure(params).axes if ax.images]
    assert_allclose([cosines.ravel()[i] for i, cosines in enumerate(drawn)], 1.0, rtol=1e-5)
