"""Every exercise keeps what the engine promises; these tests find new ones by themselves."""

import ast
import dataclasses
import inspect
import re
from itertools import combinations

import numpy as np
import pytest

from npattn.edits import Edit, edited, source_of, wrote
from npattn.exercises.derived import free_lengths, least_rank, lengths_in, rank_of, shapes_of
from npattn.exercises.files import file_name, solution, start_text, stub
from npattn.exercises.grading import grade
from npattn.exercises.registry import headings, load
from npattn.exercises.trials import cases_of, quiet, trials

every_exercise = pytest.mark.parametrize("exercise", [load(name) for name in headings()],
                                         ids=list(headings()))


@pytest.mark.sampled(3)
@every_exercise
def test_the_reference_is_right(exercise):
    judge_the_reference(exercise, [0])


@pytest.mark.long
@every_exercise
def test_the_reference_is_right_for_many_seeds(exercise):
    judge_the_reference(exercise, range(1, 20))


def judge_the_reference(exercise, seeds):
    for seed in seeds:
        verdict = grade(exercise, exercise.reference, seed)
        assert verdict.ok and not verdict.notes, verdict


@pytest.mark.sampled(4)
@every_exercise
def test_each_mistake_gets_its_own_diagnosis_and_no_other(exercise):
    judge_each_mistake(exercise, [0])


@pytest.mark.long
@every_exercise
def test_each_mistake_gets_its_own_diagnosis_for_other_seeds(exercise):
    judge_each_mistake(exercise, range(1, 4))


def judge_each_mistake(exercise, seeds):
    for seed in seeds:
        for mistake in exercise.mistakes:
            verdict = grade(exercise, exercise.with_mistakes((mistake,)), seed)
            assert not verdict.ok, f"seed {seed}: {mistake!r} changes nothing"
            assert verdict.likely == (mistake,), f"seed {seed}, {mistake!r}:\n{verdict}"


@every_exercise
def test_every_mistake_is_an_edit_of_the_solution(exercise):
    """Texts that are found there once, and what comes out is Python."""
    for mistake in exercise.mistakes.values():
        assert callable(edited(exercise.reference, mistake.edit))
        assert wrote(source_of(exercise.reference), mistake.edit)


@pytest.mark.thorough
@every_exercise
def test_two_mistakes_together_are_explained(exercise):
    """By those two, or where other mistakes give the same numbers, by these."""
    pairs = list(combinations(exercise.mistakes, 2))
    for pair in filter(exercise.can_be_made, pairs[:: max(1, len(pairs) // 6)]):
        verdict = grade(exercise, exercise.with_mistakes(pair))
        if not verdict.ok and verdict.diagnosis.compared and not verdict.diagnosis.slips:
            [(scope, sets)] = verdict.explanations.items()
            assert scope == "" and (pair in sets or len(sets[0]) == 1)


@pytest.mark.sampled(3)
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


@pytest.mark.sampled(3)
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


def inputs_of(exercise):
    """{what is special: the inputs of a case}, derived ones included."""
    with quiet():
        return {case.words: case.inputs for case in cases_of(exercise, 0)}


@pytest.mark.sampled(3)
@every_exercise
def test_every_number_of_leading_axes_that_the_statement_allows_is_tried(exercise):
    ranks = {rank_of(exercise, inputs) for inputs in inputs_of(exercise).values()}
    assert ("..." in exercise.statement.split("Return")[0]) == (ranks != {None}) or ranks >= {0}
    assert ranks == {None} or ranks >= set(range(least_rank(exercise), 4))


@every_exercise
def test_every_length_is_1_somewhere_and_all_are_equal_somewhere(exercise):
    given = list(inputs_of(exercise).values())
    names = [name for name in free_lengths(exercise, given[0]) if name not in exercise.excluded]
    lengths = [lengths_in(exercise, inputs) for inputs in given]
    for name in names:
        tried = {found.get(name) for found in lengths}
        assert 1 in tried and len(tried) > 1, f"{name}: {tried}"
    alike = [{found.get(name) for name in names} for found in lengths]
    assert not names or min(map(len, alike)) == 1


@every_exercise
def test_scores_are_large_somewhere_unless_the_statement_excludes_them(exercise):
    for reason in exercise.excluded.values():
        assert reason in " ".join(exercise.statement.split())
    if exercise.forward is None and "exp(" in inspect.getsource(exercise.specification):
        large = [words for words in inputs_of(exercise) if "large" in words or "1000" in words]
        assert large or "large" in exercise.excluded


@every_exercise
def test_a_maximum_that_is_not_the_rows_own_is_not_accepted(exercise):
    source = source_of(exercise.reference)
    for found in re.finditer(r"(\w+)\.max\(axis=-1(, keepdims=True)?\)", source):
        whole = Edit(source, f"{source[:found.start()]}{found[1]}.max(){source[found.end():]}")
        assert "large" in exercise.excluded or not grade(
            exercise, edited(exercise.reference, whole)).ok


@every_exercise
def test_the_truth_is_a_number_wherever_a_gradient_is_asked_for(exercise):
    if exercise.forward is not None:
        with quiet():
            for case in cases_of(exercise, 0):
                assert all(np.isfinite(truth.value).all() for truth in case.truths), case.words


@every_exercise
def test_masks_forbid_some_keys_all_keys_and_none(exercise):
    masks = [
        inputs[list(shapes_of(exercise)).index("mask")] if len(inputs) > n else None
        for n in [list(shapes_of(exercise)).index("mask")]
        for inputs in inputs_of(exercise).values()
    ] if "mask" in shapes_of(exercise) else [None]
    if any(mask is not None for mask in masks):
        assert any((~mask.any(-1)).any() for mask in masks if mask is not None)
        assert any(mask is None or mask.all(-1).any() for mask in masks)


@every_exercise
def test_the_first_case_is_small_enough_to_redo_by_hand(exercise):
    with quiet():
        first = trials(exercise, 0)[0]
    arrays = [value for _, value in first.inputs(exercise.reference)]
    assert all(np.size(X) <= 12 for X in arrays)
