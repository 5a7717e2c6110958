"""Both translators: small files, right on pairs they have not seen, trainable again, and seen."""

import re

import numpy as np
import pytest
from matplotlib import pyplot

from npattn.checking import assert_gradients
from npattn.datasets.phrases import PAD, TEST_SENTENCES, held_out_pairs, phrase_batch
from npattn.experiments import translation
from npattn.experiments.translation import BAHDANAU, TRANSFORMER
from npattn.training import CheckpointError
from npattn.trees import tree_leaves, tree_map

RECIPES = {"Transformer": TRANSFORMER, "Bahdanau": BAHDANAU}
SENTENCE = "the boy's red car is not old."
FRENCH = "la voiture rouge du garçon n'est pas vieille."


@pytest.fixture(scope="module")
def models():
    return {name: translation.load(recipe) for name, recipe in RECIPES.items()}


@pytest.fixture(params=RECIPES)
def params(request, models):
    return models[request.param]


@pytest.mark.parametrize("name", RECIPES)
def test_the_shipped_weights_are_small_and_single_precision(models, name):
    assert RECIPES[name].file.stat().st_size <= 300_000
    assert {leaf.dtype for leaf in tree_leaves(models[name])} == {np.dtype(np.float32)}


def test_held_out_pairs_are_translated(params):
    found = translation.evaluate(params)
    assert found["bleu"] >= 0.97
    assert found["exact"] >= 0.93
    few = phrase_batch(held_out_pairs()[:50])
    assert translation.exact_match(params, few) == translation.measure(params, few)["exact"]


def test_the_sentences_of_the_text(params):
    found = [answer.french for answer in translation.translate(params, list(TEST_SENTENCES))]
    assert found == ["va !", "j'ai perdu.", "il est calme.", "je suis chez moi."]


def test_padding_does_not_change_a_translation(params):
    alone = translation.translate(params, ["He’s calm"])[0]
    beside = translation.translate(params, ["He’s calm", SENTENCE])[0]
    assert alone.english == "He’s calm"
    assert beside.french == alone.french == "il est calme."
    assert beside.probability == pytest.approx(alone.probability, rel=1e-4)
    assert 0.9 < alone.probability <= 1.0


def test_attention_shows_the_reordering(params):
    assert translation.translate(params, [SENTENCE])[0].french == FRENCH
    weights, french, english = translation.cross_attention(params, SENTENCE, FRENCH)
    heads = getattr(translation.recipe_of(params).config, "num_heads", 1)
    assert weights.shape == (1, heads, len(french), len(english))
    assert " ".join(french) == "la voiture rouge du garçon n' est pas vieille ."
    assert " ".join(english) == "the boy 's red car is not old ."
    np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-5)
    strongest = weights.mean(axis=(0, 1)).argmax(axis=-1)
    rouge, garçon = (strongest[french.index(word)] for word in ("rouge", "garçon"))
    assert english[rouge] == "red" and english[garçon] in ("boy", "'s")  # from right to left


def test_words_that_change_places_look_at_each_other(params):
    answer = translation.translate(params, ["she often watches the old white house."])[0]
    assert answer.french == "elle observe souvent la vieille maison blanche."
    weights, french, english = translation.cross_attention(params, answer.english, answer.french)
    strongest = weights.mean(axis=(0, 1)).argmax(axis=-1)
    found = {word: english[key] for word, key in zip(french, strongest, strict=True)}
    assert found["observe"] == "watches" and found["souvent"] == "often"
    assert found["vieille"] == "old" and found["maison"] == "house" and found["blanche"] == "white"


@pytest.mark.thorough
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_gradient_of_the_loss_is_right(recipe):
    """By complex step through the whole model, padding in source and target."""
    rng = np.random.default_rng(1)
    batch = phrase_batch(held_out_pairs()[:3])
    assert (batch.target_out == PAD).any() and not batch.source_mask.all()
    params = recipe.init(recipe.config, rng)

    def loss(params):
        value, grads, _ = translation.loss_and_grads(params, batch)
        return value, grads

    def loss_backward(dloss, grads):
        return tree_map(lambda g: g * dloss, grads)

    assert_gradients(loss, loss_backward, params, max_entries=1, method="complex")


def test_padding_counts_in_neither_loss_nor_accuracy(params):
    params = tree_map(lambda p: p.astype(np.float64), params)
    batch = phrase_batch(held_out_pairs()[:4])
    longer = batch._replace(**{
        name: np.pad(getattr(batch, name), ((0, 0), (0, 3)))
        for name in ("source", "source_mask", "target_in", "target_out")
    })
    loss, grads, metrics = translation.loss_and_grads(params, batch)
    padded_loss, padded_grads, padded_metrics = translation.loss_and_grads(params, longer)
    assert padded_loss == pytest.approx(loss, rel=1e-12)
    assert padded_metrics["accuracy"] == metrics["accuracy"] > 0.9
    for g, padded in zip(tree_leaves(grads), tree_leaves(padded_grads), strict=True):
        np.testing.assert_allclose(padded, g, rtol=1e-9, atol=1e-12)


@pytest.mark.thorough
@pytest.mark.parametrize("train", [translation.train_transformer, translation.train_bahdanau])
def test_training_learns_quickly_and_again_the_same(train):
    few = held_out_pairs()[:8]
    options = dict(steps=40, evaluate_every=20, evaluate=lambda params: translation.measure(
        params, phrase_batch(few)))
    first, again = train(5, **options), train(5, **options)
    loss = first.history["loss"]
    assert loss[-5:].mean() < 0.85 * loss[:5].mean()
    for one, other in zip(tree_leaves(first.params), tree_leaves(again.params), strict=True):
        np.testing.assert_array_equal(one, other)
    points = translation.curves(first)
    assert points["step"] == [20, 40]
    assert points["loss"] == pytest.approx([loss[:20].mean(), loss[20:].mean()])
    assert {len(values) for values in points.values()} == {2}


def test_the_weights_of_one_model_are_refused_for_the_other(models, tmp_path):
    path = tmp_path / "weights.npz"
    translation.save(path, models["Bahdanau"], {"seed": 0})
    assert translation.load(BAHDANAU, path)._fields == ("encoder", "decoder")
    with pytest.raises(CheckpointError, match="encode.embedding is missing"):
        translation.load(TRANSFORMER, path)


def test_parameters_of_no_recipe_are_refused():
    message = "params must be TransformerParams or Seq2SeqParams, got dict"
    with pytest.raises(TypeError, match=message):
        translation.translate({}, ["go."])


def test_a_word_that_no_model_knows_is_named(params):
    with pytest.raises(ValueError, match=re.escape("'bicycle' at position 2 is none of")):
        translation.translate(params, ["a bicycle."])


# ---- figures ----


def test_the_figure_shows_words_on_both_axes(models):
    figure = translation.alignment_figure([*models.values()], SENTENCE)
    drawn = [ax for ax in figure.axes if ax.get_label().startswith("panel")]
    assert [ax.get_title() for ax in drawn] == [*RECIPES]
    assert [text.get_text() for text in drawn[0].get_xticklabels()][:3] == ["the", "boy", "'s"]
    assert [text.get_text() for text in drawn[0].get_yticklabels()][:2] == ["la", "voiture"]
    pyplot.close(figure)


def test_the_curves_of_the_shipped_weights_are_drawn():
    points = {name: translation.shipped_curves(recipe) for name, recipe in RECIPES.items()}
    for name, recipe in RECIPES.items():
        assert points[name]["step"][-1] == recipe.steps
        assert points[name]["bleu"][-1] >= 0.97
    left, right = translation.training_figure(points).axes
    assert [line.get_label() for line in left.lines] == [*RECIPES]
    np.testing.assert_array_equal(right.lines[1].get_ydata(), points["Bahdanau"]["bleu"])
