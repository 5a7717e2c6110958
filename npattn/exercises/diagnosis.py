"""Which mistake gives exactly these numbers?

An exercise can make its own mistakes, one or two at a time, and slips in its solution. What each
would return, in every case, is compared with what the learner's function returned: the same shapes,
the same numbers to rounding, and in the same cases no numbers but the same exception. A single
mistake is tried first, then a slip, then two mistakes. If several explanations give the same
numbers, all are named; where the whole answer has none, its arrays are tried one by one, and what
is left is described (symptoms.py), not guessed at.

An explanation of one array changes no other array that is right: its words are true of the file.
"""

import itertools
from functools import lru_cache, partial
from itertools import combinations
from typing import NamedTuple

import numpy as np

from npattn.exercises.answers import Trouble, call, close
from npattn.exercises.probing import one_part, right_again, right_elsewhere, unused
from npattn.exercises.slips import rarer_slips, sentence, slipped, slipped_too, slips
from npattn.exercises.symptoms import changed, exact, split_by, symptoms
from npattn.exercises.trials import trials

BOTH = 1500  # pairs of a mistake and a slip that are tried
MANY = 3  # more slips than these give the same numbers: none of them is named


class Explanation(NamedTuple):
    """What gives exactly the numbers found."""

    scope: str    # the array that is explained, "" for the whole answer
    sets: tuple   # of tuples of ids of mistakes: any one of them, made together, would do
    beside: str = ""  # a sentence: what is wrong besides


class Diagnosis(NamedTuple):
    """What is known about a wrong answer."""

    explanations: tuple  # of `Explanation`
    facts: tuple         # sentences about what has no explanation
    compared: int        # cases in which there were numbers to compare
    slips: tuple = ()    # sentences: what in the solution would give the numbers found

    @property
    def likely(self):
        """The ids of the mistakes, where a single explanation fits the whole answer; else ()."""
        whole = [each.sets for each in self.explanations if not (each.scope or each.beside)]
        return whole[0][0] if whole and len(whole[0]) == 1 else ()


class Wrong(NamedTuple):
    """A wrong answer and what is compared with it."""

    exercise: object
    seed: int
    outcomes: list
    given: tuple
    truths: tuple
    order: list  # of trials, those first that tell most: with numbers, then small ones
    tried: dict  # {(id of a slip, trial): what comes out}


def diagnose(exercise, seed, function, outcomes, judged):
    """The `Diagnosis` of wrong `outcomes`, one for each of `trials(exercise, seed)`.

    judged  for each outcome a tuple of `Answer`, or a Trouble
    """
    compared = _compared(outcomes, outcomes)
    if not compared:
        return Diagnosis((), (), 0)
    given, truths = trials(exercise, seed), predictions(exercise, seed, ())
    order = sorted(range(len(given)), key=lambda i: (
        isinstance(outcomes[i], Trouble), given[i].derived, given[i].size
    ))
    wrong = Wrong(exercise, seed, outcomes, given, truths, order, {})
    everything = range(len(exercise.answer))
    if _same(given, outcomes, truths, everything):
        return Diagnosis((), ("The formula is right, but digits get lost on the way.",), compared)
    bad = [k for k in everything if not _right_where_it_ran(outcomes, truths, k)]
    whole = {k: symptoms(exercise, given, function, outcomes, judged, k, True) for k in bad}
    more = len(everything) == 1 and not exact(whole.get(0, ()))
    sets, written, beside = _explain(wrong, everything, more)
    if beside:
        return Diagnosis((Explanation("", sets, beside),), (), compared)
    if sets:
        compared = _compared(outcomes, predictions(exercise, seed, sets[0]), truths)
        return Diagnosis((Explanation("", sets),), _raises(wrong, sets[0]), compared)
    if written:
        facts = [*whole.values()]
        facts.append(_raises(wrong, ()))
        return Diagnosis((), tuple(itertools.chain(*facts)), compared, tuple(written))
    explanations, facts, told, open_, each = [], [], [], [], []
    triples = zip(given, outcomes, truths, strict=True)
    right = [_same([trial], [found], [truth], everything) for trial, found, truth in triples]
    again = partial(right_again, exercise, seed, function, everything)
    others = partial(right_elsewhere, exercise, seed + 1, function)
    split = split_by(exercise, given, right, "All", again, partial(others, everything))
    for k in bad:
        name = list(exercise.answer)[k]
        several = len(exercise.answer) > 1
        alone = ""
        part = one_part(exercise, given, outcomes, k)
        more = not (part or exact(whole[k]))
        sets, written, beside = _explain(wrong, [k], more) if several else ((), (), "")
        if several and more and not (sets or written):
            written = _slips(wrong, [k], apart=True)
            alone = " alone" * bool(written)
        if more and not (sets or written):
            sets, beside = _and_a_symptom(wrong, k)
        if sets:
            explanations.append(Explanation(name if several else "", sets, beside))
        elif written:
            told += [f"In {name}{alone}: {text}" for text in written]
        else:
            open_.append(k)
            facts += symptoms(exercise, given, function, outcomes, judged, k)
            facts += part
            fits = [isinstance(X, Trouble) or _equal(X[k], Y[k])
                    for X, Y in zip(outcomes, truths, strict=True)]
            again = partial(right_again, exercise, seed, function, [k])
            if several and not (split and "axes" not in split[0]):
                each += split_by(
                    exercise, given, fits, name, again, partial(others, [k]))
    still = unused(exercise, seed, function, open_) if open_ else []
    facts += still or each or split
    if not (explanations or told or any(map(exact, whole.values()))):
        found = _exchanged(wrong)
        if found:
            return found
    fine = all(_right_where_it_ran(outcomes, truths, k) for k in everything)
    if fine and not facts:
        verb = "are" if len(exercise.answer) > 1 else "is"
        facts += [f"{', '.join(exercise.answer)} {verb} right in every case that ran."]
    return Diagnosis(tuple(explanations), tuple(dict.fromkeys(facts)), compared, tuple(told))


def predictions(exercise, seed, made):
    """What comes out of each trial where the mistakes `made` are made."""
    return tuple(prediction(exercise, seed, made, i) for i in range(len(trials(exercise, seed))))


@lru_cache(maxsize=2**15)
def prediction(exercise, seed, made, i):
    """What comes out of trial i where the mistakes `made` are made."""
    trial = trials(exercise, seed)[i]
    if trial.words in {exercise.unsettled.get(key) for key in made}:
        return Trouble("it may do anything here", "Unsettled")
    return call(exercise.with_mistakes(made), trial, exercise.answer, False)


def _explain(wrong, arrays, more):
    """(smallest sets of mistakes, sentences about slips, a sentence): what gives these numbers.

    One of the first two is empty; with the sentence, a slip besides the one mistake is needed.

    more  whether that last kind is looked for
    """
    for size in (1, 2):
        sets = _sets(wrong, arrays, size)
        if sets:
            return sets, (), ""
        written = _slips(wrong, arrays) if size == 1 else ()
        if written:
            return (), written, ""
    for size in (1, 2):
        sets = _sets(wrong, arrays, size, lenient=True)
        if sets:
            return sets, (), ""
    raised = any(isinstance(outcome, Trouble) for outcome in wrong.outcomes)
    written = _slips(wrong, arrays, True) if raised else ()
    if more and not written:
        written = _slips(wrong, arrays, among=rarer_slips)
    return _and_a_slip(wrong, arrays) if more and not written else ((), written, "")


def _sets(wrong, arrays, size, lenient=False):
    """Sets of so many mistakes that give these numbers."""
    tried = (made for made in combinations(wrong.exercise.mistakes, size)
             if wrong.exercise.can_be_made(made))
    return tuple(made for made in tried if _explains(
        wrong, partial(prediction, wrong.exercise, wrong.seed, made), arrays, lenient=lenient))


def _exchanged(wrong):
    """The `Diagnosis` by a mistake, or a slip, where two arrays are also exchanged; else None."""
    names = list(wrong.exercise.answer)
    for i, j in combinations(range(len(names)), 2):
        def turned(outcome, i=i, j=j):
            if isinstance(outcome, Trouble):
                return outcome
            order = [{i: j, j: i}.get(k, k) for k in range(len(names))]
            return [outcome[k] for k in order]

        other = wrong._replace(outcomes=[*map(turned, wrong.outcomes)])
        beside = f"{names[i]} and {names[j]} are exchanged."
        for key in wrong.exercise.mistakes:
            if _explains(other, partial(prediction, wrong.exercise, wrong.seed, (key,)),
                         range(len(names))):
                return Diagnosis((Explanation("", ((key,),), beside),), (), len(wrong.given))
        written = _slips(other, range(len(names)))
        if written:
            return Diagnosis((), (beside,), len(wrong.given), tuple(written))
    return None


def _and_a_slip(wrong, arrays):
    """((the mistake,),), (), the slip: a mistake and a slip that together give these numbers.

    Only those are tried that both change the array, and not more than BOTH pairs.
    """
    exercise, found = wrong.exercise, {}
    if any(truth.dtype.kind != "f" for truth in wrong.truths[0]):
        return (), (), ""  # truth values agree by chance
    keys = [key for key, mistake in exercise.mistakes.items() if mistake.edit and _moves(
        wrong, partial(prediction, exercise, wrong.seed, (key,)), arrays)]
    moving = [slip for slip in slips(exercise.reference)
              if keys and _moves(wrong, partial(_try, wrong, slip), arrays)]
    moving.sort(key=lambda slip: "stands where" in slip.edit.words)
    several = [slipped_too(exercise.reference, exercise.mistakes[key].edit) for key in keys]
    for key, both in zip(keys, several, strict=True):
        for slip in moving[: BOTH // (len(keys) * len(exercise.answer))]:
            function = both(slip)
            if function and _explains(wrong, partial(_called, wrong, function), arrays, True):
                found.setdefault(key, []).append(slip)
    if len(found) != 1 or len(*found.values()) > MANY:
        return (), (), ""
    [(key, written)] = found.items()
    return ((key,),), (), sentence(exercise.reference, written[0])


def _moves(wrong, predicted, arrays):
    """Whether a function changes one of the arrays, in a few of the trials."""
    for i in (*wrong.order[:3], wrong.order[-1]):
        found, truth = predicted(i), wrong.truths[i]
        if isinstance(found, Trouble) or any(not _equal(found[k], truth[k]) for k in arrays):
            return True
    return False


def _called(wrong, function, i):
    return call(function, wrong.given[i], wrong.exercise.answer, False)


def _and_a_symptom(wrong, k):
    """((the mistake,),), a sentence on how array k differs from what that mistake gives."""
    found = {}
    for key in wrong.exercise.mistakes:
        others = predictions(wrong.exercise, wrong.seed, (key,))
        pairs = list(zip(wrong.outcomes, others, wrong.truths, strict=True))
        alike = all(type(X) is type(Y) or isinstance(X, Trouble) for X, Y, _ in pairs)
        if alike and not _right_where_it_ran(others, wrong.truths, k) and _harmless(pairs, k):
            found[key] = changed(wrong.exercise, wrong.given, wrong.outcomes, others, k)
    found = {key: words for key, words in found.items() if words}
    if len(found) != 1:
        return (), ""
    [(key, words)] = found.items()
    return ((key,),), words


def _harmless(pairs, k):
    """Whether no array but k is right in the answer and wrong with the mistake."""
    return all(
        isinstance(X, Trouble) or isinstance(Y, Trouble)
        or all(_equal(Y[j], right[j]) or _equal(Y[j], X[j]) for j in range(len(X)) if j != k)
        for X, Y, right in pairs)


def _raises(wrong, made):
    """(a sentence,) where the answer raises in cases in which the mistakes `made` do not."""
    pairs = zip(wrong.outcomes, predictions(wrong.exercise, wrong.seed, made), strict=True)
    errors = [found.error or "nothing of use" for found, other in pairs
              if isinstance(found, Trouble) and not isinstance(other, Trouble)]
    total = len(wrong.outcomes)
    return tuple(f"Besides, it raises {error} in {len(errors)} of {total} cases."
                 for error in errors[:1])


def _slips(wrong, arrays, lenient=False, apart=False, among=slips):
    """Sentences about the slips that give these numbers; () if there are too many to be of use."""
    reference, found = wrong.exercise.reference, []
    for slip in among(reference):
        if _explains(wrong, partial(_try, wrong, slip), arrays, True, lenient, apart):
            found.append(sentence(reference, slip))
            if len(found) > MANY:
                return ()
    return found


def _try(wrong, slip, i):
    """What comes out of trial i with a slip."""
    key = id(slip), i
    if key not in wrong.tried:
        function = slipped(wrong.exercise.reference, slip)
        wrong.tried[key] = call(function, wrong.given[i], wrong.exercise.answer, False)
    return wrong.tried[key]


def _explains(wrong, predicted, arrays, number=False, lenient=False, apart=False):
    """Whether a function did what the answer does in `arrays`, and harms no array that is right.

    predicted  what the function returns in trial i
    number     whether a wrong number must be among it, and not only an exception
    lenient    whether the answer may raise where the function does not, and may be right, or 0,
               where it overflows; two wrong cases must then be alike
    apart      whether other arrays do not matter
    """
    others = [k for k in range(len(wrong.exercise.answer)) if k not in arrays]
    telling = 0
    for i in wrong.order:
        found, other, truth = wrong.outcomes[i], predicted(i), wrong.truths[i]
        if isinstance(other, Trouble) and other.unsettled:
            continue
        if isinstance(found, Trouble) or isinstance(other, Trouble):
            alike = type(found) is type(other) and found.error == other.error
            spared = lenient and not isinstance(other, Trouble)
            if not (alike or spared or wrong.given[i].derived):  # there it depends on the writing
                return False
            telling += alike and not number
            continue
        if lenient and not number:
            other = _without_overflow(found, other, truth)
        if not all(_equal(found[k], other[k]) for k in arrays):
            return False
        if not apart and not all(_equal(truth[k], other[k]) or _alike(found[k], other[k])
                                 for k in others):
            return False
        telling += any(not _equal(found[k], truth[k]) for k in arrays)
    return telling > lenient


def _same(given, outcomes, others, arrays):
    """Whether two functions did the same in every trial, as far as `arrays` tell."""
    for trial, found, other in zip(given, outcomes, others, strict=True):
        if isinstance(found, Trouble) or isinstance(other, Trouble):
            if type(found) is not type(other) or found.error != other.error:
                return False
        elif not all(_equal(found[k], other[k]) for k in arrays):
            return False
    return True


def _compared(outcomes, others, truths=None):
    """In how many trials both functions gave numbers, and the second no NaN of its own."""
    triples = zip(outcomes, others, truths or others, strict=True)
    return sum(
        not (isinstance(found, Trouble) or isinstance(other, Trouble))
        and all(map(_equal, other, _without_overflow(found, other, truth)))
        for found, other, truth in triples
    )


def _without_overflow(found, others, truths):
    """The `others`; for NaN or inf where there must be a number, what is right, or 0, if found."""
    return [
        np.where(np.isfinite(Y) & ~np.isfinite(X) & (close(Z, Y) | (Z == 0.0)), Z, X)
        if X.shape == Y.shape == Z.shape and X.dtype.kind == "f" else X
        for Z, X, Y in zip(found, others, truths, strict=True)
    ]


def _right_where_it_ran(outcomes, truths, k):
    """Whether array k needs no explanation, whatever is wrong beside it."""
    pairs = zip(outcomes, truths, strict=True)
    return all(_equal(X[k], Y[k]) for X, Y in pairs if not isinstance(X, Trouble))


def _alike(X, Y):
    """Whether arrays are equal where the first is a number."""
    return np.shape(X) == np.shape(Y) and bool((close(X, Y) | ~np.isfinite(X)).all())


def _equal(X, Y):
    return np.shape(X) == np.shape(Y) and bool(close(X, Y).all())
