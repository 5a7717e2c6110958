"""Every exercise keeps what the engine promises; these tests find new ones by themselves."""

import ast
import dataclasses
import re
from functools import partial
from itertools import combinations

import numpy as np
import pytest

from npattn.exercises.files import file_name, solution, start_text, stub
from npattn.exercises.grading import grade
from npattn.exercises.registry import headings, load
from npattn.exercises.trials import quiet, trials

SEEDS = range(20)

every_exercise = pytest.mark.parametrize("exercise", [load(name) for name in headings()],
                                         ids=list(headings()))


@every_exercise
def test_the_reference_is_right(exercise):
    for seed in SEEDS:
        verdict = grade(exercise, exercise.reference, seed)
        assert verdict.ok and not verdict.notes, verdict


@every_exercise
def test_nothing_mistaken_is_the_reference(exercise):
    verdict = grade(exercise, partial(exercise.mistaken, frozenset()))
    assert verdict.ok, verdict


@every_exercise
def test_each_mistake_gets_its_own_diagnosis_and_no_other(exercise):
    for seed in SEEDS:
        for mistake in exercise.mistakes:
            verdict = grade(exercise, partial(exercise.mistaken, frozenset([mistake])), seed)
            assert not verdict.ok, f"seed {seed}: {mistake!r} changes nothing"
            assert verdict.likely == (mistake,), f"seed {seed}, {mistake!r}:\n{verdict}"


@every_exercise
def test_two_mistakes_together_are_explained(exercise):
    """By those two, or where other mistakes give the same numbers, by these."""
    pairs = list(combinations(exercise.mistakes, 2))
    for pair in pairs[:: max(1, len(pairs) // 6)]:
        verdict = grade(exercise, partial(exercise.mistaken, frozenset(pair)))
        if not verdict.ok and verdict.diagnosis.compared:
            [(scope, sets)] = verdict.explanations.items()
            assert scope == "" and (pair in sets or len(sets[0]) == 1)


@every_exercise
def test_the_stub_fails_politely_and_gives_nothing_away(exercise, tmp_path):
    path = tmp_path / file_name(exercise.name)
    path.write_text(start_text(exercise), encoding="utf-8")
    space = {"__name__": "learner"}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), space)
    verdict = grade(exercise, space[path.stem])
    assert re.fullmatch(
        rf"{exercise.name}: nothing is written yet, line \d+: `raise NotImplementedError`\.",
        str(verdict),
    )
    body = ast.parse(solution(exercise)).body[0].body
    last = ast.unparse(body[-1])
    assert last not in ast.unparse(ast.parse(stub(exercise)))


@every_exercise
def test_the_quoted_forward_is_the_one_that_is_differentiated(exercise):
    if exercise.forward is None:
        assert exercise.specification is not None
        return
    assert exercise.given[-1] is exercise.forward
    space = {"__name__": "learner"}
    exec(start_text(exercise), space)
    quoted = dataclasses.replace(exercise, forward=space[exercise.forward.__name__])
    assert grade(quoted, exercise.reference).ok


@every_exercise
def test_a_specification_agrees_with_the_reference(exercise):
    if exercise.specification is None:
        return
    with quiet():
        given = trials(exercise, 0)
    for trial in given:
        with quiet():
            found, wanted = exercise.reference(*trial.args), exercise.specification(*trial.args)
        if not isinstance(found, tuple):
            found, wanted = (found,), (wanted,)
        for X, Y in zip(found, wanted, strict=True):
            np.testing.assert_allclose(X, Y, rtol=1e-9, atol=1e-12)


@every_exercise
def test_the_words_are_complete(exercise):
    steps = re.findall(r"^\*\*(\d+)\.\*\*", exercise.derivation, re.M)
    assert steps == [str(i) for i in range(1, len(steps) + 1)]
    assert len(exercise.hints) == 3
    assert len(exercise.mistakes) >= 5
    assert all(str(mistake.step) in steps for mistake in exercise.mistakes.values())
    words = [mistake.words for mistake in exercise.mistakes.values()]
    assert all(text == text.strip() and text[-1] in ".?" for text in (*exercise.hints, *words))
    assert re.search(r"^    \w.*  \(.*\)", exercise.statement, re.M), "a table of shapes"


@every_exercise
def test_the_first_case_is_small_enough_to_redo_by_hand(exercise):
    with quiet():
        first = trials(exercise, 0)[0]
    arrays = [value for _, value in first.inputs(exercise.reference)]
    assert all(np.size(X) <= 12 for X in arrays)
