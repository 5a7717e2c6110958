"""The grader on wrong answers that were not written from its catalogue."""

import collections

import pytest
from wild import judged
from wild_1 import wild as layers
from wild_2 import wild as sections

from npattn.exercises import check

WILD = [*layers, *sections]


@pytest.mark.parametrize(("exercise", "function", "true"), WILD)
def test_no_wrong_cause_is_named(exercise, function, true):
    assert judged(exercise, function, true) != "wrong", str(check(exercise, function))


def test_most_causes_are_found(record_property):
    shares = collections.Counter(judged(*answer.values) for answer in WILD)
    record_property("verdicts on wrong answers", dict(shares))
    assert shares["diagnosed"] >= 0.85 * len(WILD), shares
