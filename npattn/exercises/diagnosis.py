"""What is known about a wrong answer.

An exercise can make its own mistakes, one or two at a time, and slips in its solution. What each
would return, in every case, is compared with what the learner's function returned: the same shapes,
the same numbers to rounding, and in the same cases no numbers but the same exception. Then one
place of the answer itself is changed. Where the whole answer has no explanation, its arrays are
tried one by one, and what is left is described (symptoms/), not guessed at.
"""

import itertools
from functools import partial

from npattn.exercises.answers import Trouble
from npattn.exercises.comparing import (
    Wrong, comparable, equal, predictions, right_where_it_ran, same_outcomes,
)
from npattn.exercises.explaining import (
    Diagnosis, Explanation, and_a_slip, and_a_symptom, exchanged, explain, written_slips,
)
from npattn.exercises.mending import repaired, shrinking, widened
from npattn.exercises.probing import one_part, right_again, right_elsewhere, unused
from npattn.exercises.slips import rarer_slips
from npattn.exercises.symptoms import exact, nearly, symptoms
from npattn.exercises.symptoms.splits import split_by
from npattn.exercises.trials import trials


def diagnose(exercise, seed, function, outcomes, judged):
    """The `Diagnosis` of wrong `outcomes`, one for each of `trials(exercise, seed)`.

    judged  for each outcome a tuple of `Answer`, or a Trouble
    """
    compared = comparable(outcomes, outcomes)
    given, truths = trials(exercise, seed), predictions(exercise, seed, ())
    everything = range(len(exercise.answer))
    order = sorted(range(len(given)), key=lambda i: (
        isinstance(outcomes[i], Trouble), given[i].derived,
        same_outcomes(given[i:i + 1], outcomes[i:i + 1], truths[i:i + 1], everything), given[i].size
    ))
    wrong = Wrong(exercise, seed, function, outcomes, given, truths, order, {})
    if not compared:
        return Diagnosis((), (), 0, (), repaired(wrong, everything))
    if same_outcomes(given, outcomes, truths, everything):
        fact = "The formula is right, but digits get lost on the way."
        return Diagnosis((), (fact,), compared, (), widened(wrong))
    bad = [k for k in everything if not right_where_it_ran(outcomes, truths, k)]
    whole = {k: symptoms(exercise, given, function, outcomes, judged, k, True) for k in bad}
    (sets, written, beside), mended = _explained(wrong, whole)
    if sets and beside:
        return Diagnosis((Explanation("", sets, beside),), (), compared)
    if sets:
        compared = comparable(outcomes, predictions(exercise, seed, sets[0]), truths)
        return Diagnosis((Explanation("", sets),), _raises(wrong, sets[0]), compared)
    if written:
        facts = [*whole.values(), _raises(wrong, ())]
        return Diagnosis((), tuple(itertools.chain(*facts)), compared, tuple(written))
    parts = {k: one_part(exercise, given, outcomes, k) for k in bad}
    found = Diagnosis((), (), compared, (), mended)
    found, open_ = (found, bad) if mended else _each_array(wrong, whole, parts, compared)
    facts = [fact for k in open_ for fact in (
        *_told(wrong, judged, k, mended), *parts[k])]
    facts += _where(wrong, open_, bool(mended))
    if not (found.explanations or found.slips or found.repairs
            or any(map(exact, whole.values()))):
        turned = exchanged(wrong)
        if turned:
            return turned
    if not (bad or facts):
        verb = "are" if len(exercise.answer) > 1 else "is"
        facts += [f"{', '.join(exercise.answer)} {verb} right in every case that ran."]
    return found._replace(facts=tuple(dict.fromkeys(facts)))


def _told(wrong, judged, k, mended):
    """Symptoms of array k; where it is nearly right, what keeps it from that if it is known."""
    found = symptoms(wrong.exercise, wrong.given, wrong.function, wrong.outcomes, judged, k)
    near = [fact for fact in found if nearly(fact)]
    cause = shrinking(wrong, k) if near and not mended else []
    return [*cause, *(fact for fact in found if not (fact in near and (cause or mended)))]


def _explained(wrong, whole):
    """What `explain` returns for the whole answer, and sentences about changes that mend it.

    whole  {number of an array: what says it all about it}
    """
    everything = range(len(wrong.exercise.answer))
    told, nothing = any(map(exact, whole.values())), ((), (), "")
    found = explain(wrong, everything)
    raised = any(isinstance(outcome, Trouble) for outcome in wrong.outcomes)
    if found[0] or found[1] or told and not raised:
        return found, ()
    written = () if told else written_slips(wrong, everything, among=rarer_slips)
    mended = () if written else repaired(wrong, everything)
    if written or mended:
        return ((), written, "") if written else nothing, mended
    return and_a_slip(wrong, everything) if len(everything) == 1 and not told else nothing, ()


def _each_array(wrong, whole, parts, compared):
    """(the `Diagnosis` of those arrays that have an explanation, the numbers of the others)."""
    explanations, told, fixed, open_ = [], [], [], []
    for k in whole:
        name = list(wrong.exercise.answer)[k]
        several, alone = len(wrong.exercise.answer) > 1, ""
        more = not (parts[k] or exact(whole[k]))
        sets, written, beside = explain(wrong, [k]) if several else ((), (), "")
        if several and more and not (sets or written):
            written = written_slips(wrong, [k], among=rarer_slips)
            mended = () if written else repaired(wrong, [k])
            if mended:
                fixed += [f"In {name}: {text}" for text in mended]
                open_.append(k)
                continue
            sets, written, beside = ((), written, "") if written else and_a_slip(wrong, [k])
        if several and more and not (sets or written):
            written = written_slips(wrong, [k], apart=True)
            alone = " alone" * bool(written)
        if more and not (sets or written):
            sets, beside = and_a_symptom(wrong, k)
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
    right = [same_outcomes(*([each] for each in triple), everything) for triple in triples]
    again = partial(right_again, exercise, seed, function)
    others = partial(right_elsewhere, exercise, seed + 1, function)
    split = split_by(exercise, wrong.given, right, "All", partial(again, everything),
                     partial(others, everything))
    each = []
    for k in open_ if len(everything) > 1 and not (split and "axes" not in split[0]) else ():
        fits = [isinstance(X, Trouble) or equal(X[k], Y[k]) for _, X, Y in triples]
        each += split_by(exercise, wrong.given, fits, list(exercise.answer)[k],
                         partial(again, [k]), partial(others, [k]))
    still = unused(exercise, seed, function, open_) if open_ and not mended else []
    return still or each or split


def _raises(wrong, made):
    """(a sentence,) where the answer raises in cases in which the mistakes `made` do not."""
    pairs = zip(wrong.outcomes, predictions(wrong.exercise, wrong.seed, made), strict=True)
    errors = [found.error or "nothing of use" for found, other in pairs
              if isinstance(found, Trouble) and not isinstance(other, Trouble)]
    total = len(wrong.outcomes)
    return tuple(f"Besides, it raises {error} in {len(errors)} of {total} cases."
                 for error in errors[:1])
