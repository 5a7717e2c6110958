"""The grader on wrong answers that were not written from its catalogue."""

import collections
import functools
import re

import pytest
from wrong_answers import judged
from wrong_answers_layers import wild as layers
from wrong_answers_sections import wild as sections
from wrong_answers_statements import WRONG

from npattn.exercises import check as graded

check = functools.lru_cache(maxsize=None)(graded)

WILD = [*layers, *sections]


@pytest.mark.parametrize(("exercise", "function", "true"), WILD)
def test_no_wrong_cause_is_named(exercise, function, true):
    assert judged(exercise, function, true) != "wrong", str(check(exercise, function))


def test_most_causes_are_found(record_property):
    shares = collections.Counter(judged(*answer.values) for answer in WILD)
    record_property("verdicts on wrong answers", dict(shares))
    assert shares["diagnosed"] >= 0.93 * len(WILD), shares


# ---- answers written from the statements alone ----


def said(verdict):
    """Whether a cause, or a property of all numbers, is named."""
    found = verdict.diagnosis
    return bool(found.explanations or found.slips or found.facts)


@pytest.mark.parametrize(("exercise", "words", "function"), WRONG)
def test_no_wrong_answer_is_accepted_and_no_other_cause_is_named(exercise, words, function):
    verdict = check(exercise, function)
    assert not verdict.ok and said(verdict)
    if verdict.explanations or verdict.diagnosis.slips:
        assert re.search(words, " ".join(verdict.paragraphs())), verdict


def test_nine_of_ten_are_named():
    found = [
        bool(re.search(words, " ".join(check(exercise, function).paragraphs())))
        for exercise, words, function in WRONG
    ]
    assert len(found) >= 150 and sum(found) >= 0.9 * len(found)
