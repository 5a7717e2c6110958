"""BLEU: the text's golden case, what lowers it, predictions too short for long runs."""

import math

import pytest

from npattn.experiments.bleu import bleu, precision


def test_the_golden_case():
    found = [precision("ABBCD", "ABCDEF", n) for n in (1, 2, 3, 4)]
    assert found == [4 / 5, 3 / 4, 1 / 3, 0.0]
    assert bleu("ABBCD", "ABCDEF") == 0.0
    expected = math.exp(1 - 6 / 5) * (4 / 5) ** (1 / 2) * (3 / 4) ** (1 / 4) * (1 / 3) ** (1 / 8)
    assert bleu("ABBCD", "ABCDEF", k=3) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("label", [["va", "!"], ["il", "est", "calme", "."], ["!"]])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_a_right_translation_has_one(label, k):
    assert bleu(label, label, k) == 1.0


def test_a_short_prediction_pays_and_a_long_one_does_not():
    label = "ABCDEF"
    assert bleu("ABC", label, k=2) == pytest.approx(math.exp(1 - 6 / 3))
    assert bleu("ABCDEFGH", label, k=1) == pytest.approx(math.sqrt(6 / 8))


def test_a_run_of_the_label_is_used_once():
    assert precision("AAAA", "AAB", 1) == 2 / 4
    assert precision("ABAB", "AB", 2) == 1 / 3


@pytest.mark.parametrize("prediction, expected", [
    ("", 0.0),                               # no word at all
    ("A", math.exp(1 - 4)),                  # only p_1 exists
    ("B", math.exp(1 - 4)),
    ("AB", math.exp(1 - 2)),                 # p_1 and p_2 exist
    ("X", 0.0),
])
def test_predictions_with_too_few_words_for_long_runs(prediction, expected):
    assert bleu(prediction, "ABCD") == pytest.approx(expected)


def test_words_count_and_not_their_characters():
    assert bleu(["il", "est"], ["il", "estime"], k=1) == pytest.approx(math.sqrt(1 / 2))


def test_what_has_no_meaning_is_refused():
    with pytest.raises(ValueError, match="at least one word and k of at least 1, got 0 and 4"):
        bleu("A", "")
    with pytest.raises(ValueError, match="got 1 and 0"):
        bleu("A", "A", k=0)
    with pytest.raises(ValueError, match="a prediction of 1 words has no run of 2 words"):
        precision("A", "AB", 2)
