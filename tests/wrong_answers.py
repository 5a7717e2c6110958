"""Wrong answers as learners write them: a list of them, and a judge of what is said about them.

Beside each stands what may be said about it: ids of catalogued mistakes (joined by + where both
were made), or a part of a sentence about the numbers; nothing stands beside those of which nothing
is on record. The grader may be unsure of any of them, but must not name a cause that is not the
true one.
"""

import functools

import pytest

from npattn.exercises import check


class WrongAnswers(list):
    """A list of parameters (exercise, function, true), filled by decorating functions."""

    def __call__(self, exercise, *true):
        def put(function):
            name = f"{exercise}:{function.__name__}"
            self.append(pytest.param(exercise, function, true, id=name))
            return function

        return put


@functools.lru_cache(maxsize=None)
def judged(exercise, function, true, seed=0):
    """"diagnosed", "unsure" or "wrong"."""
    verdict = check(exercise, function, seed)
    assert not verdict.ok and verdict.diagnosis is not None, verdict
    causes = [set(words.split(" + ")) for words in true]
    named = [
        any(set(made) <= cause for made in sets for cause in causes)
        for sets in verdict.explanations.values()
    ]
    if not all(named):
        return "wrong"
    stated = any(words in fact for words in true for fact in verdict.diagnosis.facts)
    return "diagnosed" if named or stated else "unsure"
