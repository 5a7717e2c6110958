"""Changes of an answer's text: each goes as the whole changed text would, and they are counted."""

import numpy as np
import pytest

from npattn.exercises.changed import FEWEST, TRIES, runs

PLAIN = """\
def weighed(X, w):
    top = X.max(axis=-1, keepdims=True)
    E = helper(X - top)
    return E * w


def helper(X):
    return np.exp(X)
"""
WRITING = """\
def weighed(X, w):
    total = np.zeros(len(X))
    for i in range(len(X)):
        total[i] += X[i].sum() * w
    return total
"""


def change(text, old, new):
    start = text.index(old)
    return start, start + len(old), new


def ran(text, changes, quick=True):
    def args():
        return np.arange(6.0).reshape(2, 3), 2.0

    return list(runs(text, changes, "weighed", {"np": np}, args, quick))


@pytest.mark.parametrize(("text", "changes"), [
    (PLAIN, [("axis=-1", "axis=-2"), ("np.exp(X)", "np.exp(2 * X)"), ("X - top", "top - X"),
             ("E * w", "E + w"), ("E = helper(X - top)\n    ", ""), ("E * w", "E * nothing")]),
    (WRITING, [("+= X", "-= X"), ("zeros", "ones"), ("* w", "* i"), ("return total", "return X")]),
])
def test_a_changed_statement_goes_as_the_whole_changed_text(text, changes):
    made = [change(text, *each) for each in changes]
    for found, wanted in zip(ran(text, made), ran(text, made, False), strict=True):
        np.testing.assert_equal(found, wanted)


def test_one_change_leaves_no_trace_in_the_next():
    for text, old, new in ((PLAIN, "E * w", "E - w"), (WRITING, "+= X", "*= X")):
        first, _, third = ran(text, [(0, 0, ""), change(text, old, new), (0, 0, "")])
        np.testing.assert_array_equal(first, third)


def test_how_many_changes_are_tried_depends_on_lines_and_not_on_seconds():
    slow = WRITING.replace("len(X)):", "len(X) * 5000):").replace("[i]", "[i % 2]")
    assert len(ran(PLAIN, [(0, 0, "")] * (TRIES + 1))) == TRIES
    assert len(ran(slow, [(0, 0, "")] * 50)) == FEWEST
