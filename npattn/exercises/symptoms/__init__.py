"""What can be said about wrong numbers without knowing how they came about.

A symptom looks at all the cases that went wrong at once, and is a sentence that holds in every one
of them, or None. Nothing here guesses at a cause. What is said of ratios is computed of ratios, and
what is said of truth values of truth values. Symptoms that say it all come first; where there
is one, it stands alone.

    values, order, precision, places    the symptoms: functions (name, cases) -> a sentence or None
    splits                              what tells the right cases from the wrong ones
"""

from functools import partial

import numpy as np

from npattn.exercises.answers import Trouble, call
from npattn.exercises.statements import locals_of
from npattn.exercises.symptoms import order, places, precision, values
from npattn.exercises.symptoms.case import Case, lengths_of
from npattn.trees import tree_map

SHAPELESS = (  # where shapes are wrong
    values.another, order.transposed, order.permuted, order.not_broadcast, order.not_summed,
)
BESIDES = (  # beside what another function returned
    order.transposed, order.permuted, values.all_zero, values.negated, values.scaled, order.pooled,
    order.turned_round,
)
WHOLE = (  # say it all
    values.another, order.transposed, order.permuted, values.all_zero, values.negated,
    places.sign_of_diagonal, values.of_an_input, values.function_of, values.product,
    precision.coarse, precision.not_finite, precision.lost, precision.clipped, precision.nearly,
    values.complemented, values.scaled, order.turned_round, order.sums_elsewhere, order.pooled,
    order.rearranged, values.shifted, values.rows_scaled,
)
ANY = (  # hold of truth values, too
    values.another, order.transposed, order.permuted, order.not_broadcast, values.complemented,
)
PARTS = (  # narrow it down
    places.forbidden, values.not_linear, places.on_padding, places.on_diagonal, places.by_sign,
    places.rows_sum, places.one_line,
)


def symptoms(exercise, trials, function, outcomes, judged, k, brief=False):
    """Sentences about array k of the answer; where `brief`, only one that says it all."""
    name, words = list(exercise.answer.items())[k]
    cases = []
    for trial, outcome, answers in zip(trials, outcomes, judged, strict=True):
        if not isinstance(outcome, Trouble):
            wants = {key: t.value for key, t in zip(exercise.answer, trial.truths, strict=True)}
            want, inputs = wants.pop(name), dict(trial.inputs(exercise.reference))
            lengths = lengths_of(exercise, inputs)
            doubled = _doubled(exercise, function, trial, k)
            cases.append(Case(
                name, trial.words, words.split(), outcome[k], want, answers[k].wrong, wants, inputs,
                lengths, doubled, partial(locals_of, exercise.reference, trial.args),
            ))
    bad = [case for case in cases if not case.shaped or case.wrong.any()]
    known, told = (WHOLE, PARTS) if all(case.shaped for case in bad) else (SHAPELESS, ())
    if not all(case.real for case in bad):
        known = [symptom for symptom in known if symptom in ANY]
    whole = next(filter(None, (symptom(name, bad) for symptom in known
                               if not (brief and symptom is values.product))), None)
    if brief:
        return [whole] * bool(whole)
    if whole and whole.endswith(values.NOTHING_ELSE) and len(bad) < len(cases):
        whole = f"Where {name} is wrong, it{whole.removeprefix(name)}"
    sentences = [whole] if whole else [symptom(name, bad) for symptom in told]
    if len(bad) < len(cases):
        sentences.append(f"{name} is right in {len(cases) - len(bad)} of {len(cases)} cases.")
    return [sentence for sentence in sentences if sentence]


def exact(sentences):
    """Whether a sentence says what each number is, so that nothing else need be looked for."""
    words = ("is what", "transpose", "another order", "all zeros", "wrong sign", "True where",
             "Every entry", " that there should be", "itself.", "of what it", "1 minus", "1 over",
             "Along the axis", "whole numbers only", "are such as", "nothing may be attended to",
             "may attend to nothing, and nowhere", "before exp")
    return any(part in sentence for sentence in sentences for part in words)


def nearly(sentence):
    """Whether a sentence says that a formula is right, or nearly."""
    return "digits everywhere" in sentence


def telling(sentences):
    """Whether a sentence says what is wrong, be it of the numbers or of the cases."""
    words = ("and never where it has", "and it must.", "grows with the number", values.NOTHING_ELSE)
    return exact(sentences) or any(part in sentence for sentence in sentences for part in words)


def changed(exercise, trials, outcomes, others, k):
    """What tells array k of an answer from what a function returned in its place; "" if nothing.

    others  what that function returned in each trial
    """
    name, words = list(exercise.answer.items())[k]
    cases = []
    for trial, outcome, other in zip(trials, outcomes, others, strict=True):
        if isinstance(outcome, Trouble) or isinstance(other, Trouble):
            continue
        inputs = dict(trial.inputs(exercise.reference))
        cases.append(Case(name, trial.words, words.split(), outcome[k], other[k], None, {}, inputs,
                          lengths_of(exercise, inputs), None))
    bad = [case for case in cases if not case.shaped or case.wrong.any()]
    known = BESIDES if all(case.shaped for case in bad) else SHAPELESS[:-1]
    if len(bad) < 2 or not all(case.real and np.isfinite(case.want).all() for case in bad):
        return ""
    found = next(filter(None, (symptom(name, bad) for symptom in known)), "")
    return "" if found.startswith("In each case") else found.replace(
        "what it should be", "what comes of that").replace("there should be", "come of that")


def _doubled(exercise, function, trial, k):
    """Array k where the gradient that arrives is twice as large; None where there is none."""
    if exercise.forward is None:
        return None
    args = (tree_map(lambda d: 2.0 * d, trial.args[0]), *trial.args[1:])
    outcome = call(function, trial._replace(args=args), exercise.answer)
    return None if isinstance(outcome, Trouble) else outcome[k]
