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

from npattn.edits import source_of
from npattn.exercises.answers import Trouble, alike, call, close
from npattn.exercises.repairs import outcomes as outcomes_of
from npattn.exercises.repairs import repairs, said, shortest, source_of_answer
from npattn.exercises.probing import one_part, right_again, right_elsewhere, unused
from npattn.exercises.slips import rarer_slips, sentence, slipped, slipped_too, slips
from npattn.exercises.symptoms import changed, exact, split_by, symptoms
from npattn.exercises.trials import trials

BOTH = 1500  # pairs of a mistake and a slip that are tried
ENOUGH = 40  # numbers in the arguments of a trial that tells one change of the answer from another
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
    repairs: tuple = ()  # sentences: which line of the answer should read how

    @property
    def likely(self):
        """The ids of the mistakes, where a single explanation fits the whole answer; else ()."""
        whole = [each.sets for each in self.explanations if not (each.scope or each.beside)]
        return whole[0][0] if whole and len(whole[0]) == 1 else ()


class Wrong(NamedTuple):
    """A wrong answer and what is compared with it."""

    exercise: object
    seed: int
    function: object
    outcomes: list
    given: tuple
    truths: tuple
    order: list  # of trials, those first that tell most: with numbers, then small ones
    tried: dict  # what came out so far: {(id of a slip, trial): …}, and more (alike_first)


def diagnose(exercise, seed, function, outcomes, judged):
    """The `Diagnosis` of wrong `outcomes`, one for each of `trials(exercise, seed)`.

    judged  for each outcome a tuple of `Answer`, or a Trouble
    """
    compared = _compared(outcomes, outcomes)
    given, truths = trials(exercise, seed), predictions(exercise, seed, ())
    everything = range(len(exercise.answer))
    order = sorted(range(len(given)), key=lambda i: (
        isinstance(outcomes[i], Trouble), given[i].derived,
        _same(given[i:i + 1], outcomes[i:i + 1], truths[i:i + 1], everything), given[i].size
    ))
    wrong = Wrong(exercise, seed, function, outcomes, given, truths, order, {})
    if not compared:
        return Diagnosis((), (), 0, (), _repaired(wrong, everything))
    if _same(given, outcomes, truths, everything):
        return Diagnosis((), ("The formula is right, but digits get lost on the way.",), compared)
    bad = [k for k in everything if not _right_where_it_ran(outcomes, truths, k)]
    whole = {k: symptoms(exercise, given, function, outcomes, judged, k, True) for k in bad}
    (sets, written, beside), mended = _explained(wrong, whole)
    if sets and beside:
        return Diagnosis((Explanation("", sets, beside),), (), compared)
    if sets:
        compared = _compared(outcomes, predictions(exercise, seed, sets[0]), truths)
        return Diagnosis((Explanation("", sets),), _raises(wrong, sets[0]), compared)
    if written:
        facts = [[f"Besides, {beside}"] * bool(beside), *whole.values(), _raises(wrong, ())]
        return Diagnosis((), tuple(itertools.chain(*facts)), compared, tuple(written))
    parts = {k: one_part(exercise, given, outcomes, k) for k in bad}
    found = Diagnosis((), (), compared, (), mended)
    found, open_ = (found, bad) if mended else _each_array(wrong, whole, parts, compared)
    facts = [fact for k in open_ for fact in (
        *symptoms(exercise, given, function, outcomes, judged, k), *parts[k])]
    facts += _where(wrong, open_, bool(mended))
    if not (found.explanations or found.slips or found.repairs
            or any(map(exact, whole.values()))):
        turned = _exchanged(wrong)
        if turned:
            return turned
    if not (bad or facts):
        verb = "are" if len(exercise.answer) > 1 else "is"
        facts += [f"{', '.join(exercise.answer)} {verb} right in every case that ran."]
    return found._replace(facts=tuple(dict.fromkeys(facts)))


def _explained(wrong, whole):
    """What `_explain` returns for the whole answer, and sentences about changes that mend it.

    whole  {number of an array: what says it all about it}
    """
    everything = range(len(wrong.exercise.answer))
    told, nothing = any(map(exact, whole.values())), ((), (), "")
    found = _explain(wrong, everything, False)
    raised = any(isinstance(outcome, Trouble) for outcome in wrong.outcomes)
    if found[0] or found[1] or told and not raised:
        return found, ()
    mended = _repaired(wrong, everything)
    if mended:
        return nothing, mended
    found = _left_over(wrong)
    if len(everything) == 1 and not told and not (found[0] or found[1]):
        found = _explain(wrong, everything, True)
    return found, ()


def _each_array(wrong, whole, parts, compared):
    """(the `Diagnosis` of those arrays that have an explanation, the numbers of the others)."""
    explanations, told, fixed, open_ = [], [], [], []
    for k in whole:
        name = list(wrong.exercise.answer)[k]
        several, alone = len(wrong.exercise.answer) > 1, ""
        more = not (parts[k] or exact(whole[k]))
        sets, written, beside = _explain(wrong, [k], False) if several else ((), (), "")
        if several and more and not (sets or written):
            mended = _repaired(wrong, [k])
            if mended:
                fixed += [f"In {name}: {text}" for text in mended]
                open_.append(k)
                continue
            sets, written, beside = _explain(wrong, [k], True)
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
    return Diagnosis(tuple(explanations), (), compared, tuple(told), tuple(fixed)), open_


def _where(wrong, open_, mended):
    """Sentences about what tells the cases that are right from the others.

    open_   numbers of the arrays without an explanation
    mended  whether a change is known that makes all right
    """
    exercise, seed, function, outcomes = wrong[:4]
    everything = range(len(exercise.answer))
    triples = list(zip(wrong.given, outcomes, wrong.truths, strict=True))
    right = [_same([trial], [found], [truth], everything) for trial, found, truth in triples]
    again = partial(right_again, exercise, seed, function)
    others = partial(right_elsewhere, exercise, seed + 1, function)
    split = split_by(exercise, wrong.given, right, "All", partial(again, everything),
                     partial(others, everything))
    each = []
    for k in open_ if len(everything) > 1 and not (split and "axes" not in split[0]) else ():
        fits = [isinstance(X, Trouble) or _equal(X[k], Y[k]) for _, X, Y in triples]
        each += split_by(exercise, wrong.given, fits, list(exercise.answer)[k],
                         partial(again, [k]), partial(others, [k]))
    still = unused(exercise, seed, function, open_) if open_ and not mended else []
    return still or each or split


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
    i = wrong.order[0]
    if any(truth.dtype.kind != "f" for truth in wrong.truths[0]):
        return (), (), ""  # truth values agree by chance
    keys = [key for key, mistake in exercise.mistakes.items() if mistake.edit and _moves(
        wrong, partial(prediction, exercise, wrong.seed, (key,)), arrays)]
    moving = _moving(wrong, arrays) if keys else []
    moving.sort(key=lambda slip: "stands where" in slip.edit.words)
    several = [slipped_too(exercise.reference, exercise.mistakes[key].edit) for key in keys]
    for key, both in zip(keys, several, strict=True):
        for slip in moving[: BOTH // (len(keys) * len(exercise.answer))]:
            pair = key, id(slip)
            if pair not in wrong.tried:
                function = both(slip)
                tried = function and _called(wrong, function, i)
                wrong.tried[pair] = function, tried
            function, tried = wrong.tried[pair]
            if function and (isinstance(tried, Trouble) or all(
                    _equal(wrong.outcomes[i][k], tried[k]) for k in arrays)) and _explains(
                    wrong, partial(_called, wrong, function), arrays, True):
                found.setdefault(key, []).append(slip)
    if len(found) != 1 or len(*found.values()) > MANY:
        return (), (), ""
    [(key, written)] = found.items()
    return ((key,),), (), sentence(exercise.reference, written[0])


def _moving(wrong, arrays):
    """The slips that change one of the arrays, in the two trials that tell most."""
    candidates = slips(wrong.exercise.reference)
    if "moved" not in wrong.tried:
        wrong.tried["moved"] = ~np.logical_and.reduce([
            alike(wrong.truths[i], [_try(wrong, slip, i) for slip in candidates])
            for i in wrong.order[:2]])
    return [*itertools.compress(candidates, wrong.tried["moved"][:, list(arrays)].any(axis=1))]


def _changed(wrong):
    """(source, repairs, what comes of each in the trial that tells most); the last may be fewer."""
    if "changed" not in wrong.tried:
        source = source_of_answer(wrong.function)
        changes = repairs(source) if source else ()
        texts = [change.text for change in changes]
        first = wrong.given[_telling(wrong)]
        found = [*outcomes_of(wrong.function, source, texts, first, wrong.exercise.answer)] if (
            texts) else []
        wrong.tried["changed"] = source, changes, found
    return wrong.tried["changed"]


def _telling(wrong):
    """A trial of the task that went wrong, large enough to tell one change from another."""
    return min(wrong.order, key=lambda i: (
        _same(wrong.given[i:i + 1], wrong.outcomes[i:i + 1], wrong.truths[i:i + 1],
              range(len(wrong.exercise.answer))),
        wrong.given[i].derived, wrong.given[i].size < ENOUGH, wrong.given[i].size))


def _repaired(wrong, arrays):
    """Sentences about changes of the answer that make `arrays` right in every trial, MANY at most.

    What else is right must remain so.
    """
    source, changes, found = _changed(wrong)
    i, arrays = _telling(wrong), list(arrays)
    fits = alike(wrong.truths[i], [Trouble("") if X is None else X for X in found])
    good = [change for change, fit in zip(changes, fits, strict=False) if fit[arrays].all()]
    good = good[: 4 * MANY]
    for trial, truth, was in zip(wrong.given, wrong.truths, wrong.outcomes, strict=True):
        if good:
            tried = outcomes_of(wrong.function, source, [change.text for change in good], trial,
                                wrong.exercise.answer)
            good = [change for change, X in zip(good, tried, strict=False)
                    if X is not None and _mended(X, truth, was, arrays)]
    return tuple(said(change) for change in shortest(good)[:MANY])


def _mended(found, truth, was, arrays):
    """Whether `arrays` are right in one trial, and others where they were."""
    return all(_equal(found[k], truth[k]) or k not in arrays and not isinstance(was, Trouble)
               and not _equal(was[k], truth[k]) for k in range(len(truth)))


def _left_over(wrong):
    """((the mistake,),), (a slip,), what must be changed: what is left after one change of a line.

    () three times unless one mistake, or one slip, is left after one change.
    """
    source, changes, found = _changed(wrong)
    i, exercise = _telling(wrong), wrong.exercise
    keys = [(key, prediction(exercise, wrong.seed, (key,), i)) for key in exercise.mistakes]
    known = [*keys, *((slip, _try(wrong, slip, i)) for slip in slips(exercise.reference))]
    table = {}
    for what, outcome in known:
        if not isinstance(outcome, Trouble) and not _dull(outcome, wrong.truths[i]):
            table.setdefault(_mark(outcome), []).append((what, outcome))
    fits = {}
    for change, outcome in zip(changes, found, strict=False):
        moved = outcome is not None and (isinstance(wrong.outcomes[i], Trouble) or not all(
            map(_equal, outcome, wrong.outcomes[i])))
        near = table.get(_mark(outcome), ()) if moved else ()
        for what, other in near:
            if all(map(_equal, outcome, other)) and len(fits) < 4 * MANY:
                fits[change, what] = None
    good = [pair for pair in fits if _leaves(wrong, source, *pair)]
    known = {what: None for _, what in good if isinstance(what, str)}
    good = [pair for pair in good if pair[1] in known] or good
    if len({what for _, what in good}) != 1:
        return (), (), ""
    (change, what), beside = good[0], said(good[0][0])
    if isinstance(what, str):
        return ((what,),), (), beside
    return (), (sentence(exercise.reference, what),), beside


def _leaves(wrong, source, change, what):
    """Whether after the change the answer does in every trial what the mistake or slip does.

    In one trial it must be wrong in this way without the change: the change might make the mistake.
    """
    as_it_is = 0
    for i, trial in enumerate(wrong.given):
        [found] = outcomes_of(wrong.function, source, [change.text], trial, wrong.exercise.answer)
        other = (prediction(wrong.exercise, wrong.seed, (what,), i) if isinstance(what, str)
                 else _try(wrong, what, i))
        if isinstance(other, Trouble):
            if found is not None and not trial.derived:
                return False
            continue
        if found is None or not all(map(_equal, found, other)):
            return False
        was = wrong.outcomes[i]
        as_it_is += not isinstance(was, Trouble) and all(map(_equal, was, other)) and not all(
            map(_equal, was, wrong.truths[i]))
    return as_it_is > 0


def _mark(outcome):
    """What equal outcomes have in common: their shapes, and sums with few digits."""
    sums = [float(np.dot(X.ravel() * 1.0, np.cos(np.arange(X.size)))) for X in outcome]
    return tuple((X.shape, f"{total:.5g}") for X, total in zip(outcome, sums, strict=True))


def _dull(outcome, truth):
    """Whether an outcome says nothing: it is right, or an array of it is all one number."""
    return all(map(_equal, outcome, truth)) or any(
        X.size > 1 and not _equal(X, Y) and np.ptp(X * 1.0) == 0.0
        for X, Y in zip(outcome, truth, strict=True))


def _moves(wrong, predicted, arrays):
    """Whether a function changes one of the arrays, in a few of the trials."""
    for i in (*wrong.order[:3], wrong.order[-1]):
        found, truth = predicted(i), wrong.truths[i]
        if isinstance(found, Trouble) or any(not _equal(found[k], truth[k]) for k in arrays):
            return True
    return False


def _called(wrong, function, i):
    guarded = "np.add.at" in source_of(wrong.exercise.reference)
    return call(function, wrong.given[i], wrong.exercise.answer, False, guarded)


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
    for slip in _first(wrong, among, arrays):
        if _explains(wrong, partial(_try, wrong, slip), arrays, True, lenient, apart):
            found.append(sentence(reference, slip))
            if len(found) > MANY:
                return ()
    return found


def _first(wrong, among, arrays):
    """The slips that fit `arrays` of the answer in the trial that tells most."""
    key, candidates = among, among(wrong.exercise.reference)
    i = wrong.order[0]
    if key not in wrong.tried:
        tried = [_try(wrong, slip, i) for slip in candidates]
        raised = np.array([isinstance(X, Trouble) for X in tried]) & wrong.given[i].derived
        wrong.tried[key] = raised, alike(wrong.outcomes[i], tried)
    raised, fits = wrong.tried[key]
    chosen = raised | fits[:, list(arrays)].all(axis=1)
    return itertools.compress(candidates, chosen)


def _try(wrong, slip, i):
    """What comes out of trial i with a slip."""
    key = id(slip), i
    if key not in wrong.tried:
        function = slipped(wrong.exercise.reference, slip)
        wrong.tried[key] = _called(wrong, function, i)
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
