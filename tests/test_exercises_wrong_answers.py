"""The grader on wrong answers that were not written from its catalogue."""

import re

import pytest
from wrong_answers import judged
from wrong_answers_blind import first
from wrong_answers_fourth import fourth
from wrong_answers_layers import wild as layers
from wrong_answers_second import second
from wrong_answers_sections import wild as sections
from wrong_answers_statements import WRONG
from wrong_answers_third import third

from npattn.exercises import check

WILD = [*layers, *sections]
UNSURE = {  # nothing is on record of these
    "adam-step:largest_slope_so_far", "attention-backward:added_for_self_attention",
    "attention-backward:weights_for_upstream", "changed-keys:rectified",
    "cross-entropy-backward:gradient_of_the_log_alone", "gelu-backward:like_a_sigmoid",
    "head-gate-backward:size_of_the_head", "key-norm-attention-backward:squares_of_keys",
    "nadaraya-watson-dw:absolute_distance", "query-gradient-covariance:keys_as_one_softmax",
    "random-heatmap:keys_above_the_average",
    "sinusoidal-positions:frequencies_as_in_speech_code", "vector-sum-score:one_column_of_dK",
}


@pytest.mark.thorough
@pytest.mark.parametrize(("exercise", "function", "true"), WILD)
def test_the_true_cause_is_named_and_no_other(exercise, function, true):
    name = f"{exercise}:{function.__name__}"
    assert judged(exercise, function, true) == ("unsure" if name in UNSURE else "diagnosed")


def test_most_causes_are_found():
    assert len(UNSURE) <= 0.07 * len(WILD)


# ---- answers written from the statements alone: words is None where the cause is not known ----


BLIND = [
    pytest.param(*answer, id=f"{answer[0]}:{answer[2].__name__.replace('<lambda>', str(k))}")
    for k, answer in enumerate([*WRONG, *first, *second, *third, *fourth])]


@pytest.mark.sampled(8)
@pytest.mark.parametrize(("exercise", "words", "function"), BLIND)
def test_nothing_wrong_is_accepted_nor_another_cause_named(exercise, words, function):
    verdict = check(exercise, function)
    assert not verdict.ok
    named = verdict.explanations or verdict.diagnosis and verdict.diagnosis.slips
    if words is None:  # a change that makes it right may be known: it is true by construction
        assert not named, verdict
    else:
        assert re.search(words, " ".join(verdict.paragraphs()).replace("\n", " ")), verdict


@pytest.mark.parametrize("answers", [WRONG, first, second, third, fourth],
                         ids=["lines", "first", "second", "third", "fourth"])
def test_nine_of_ten_of_each_set_are_named(answers):
    named = [words for _, words, _ in answers if words is not None]
    assert len(named) >= 0.9 * len(answers) > 50
