"""The grader on functions written here: what it finds, what it says, and what it leaves unsaid."""

import dataclasses
import inspect
import pickle
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from npattn.exercises import check, hint, solution, statement
from npattn.exercises.grading import grade
from npattn.exercises.registry import UnknownExercise, headings, load, section_title
from npattn.exercises.repairs import source_here
from npattn.exercises.sandbox import grade_file
from npattn.exercises.symptoms import telling
from npattn.exercises.trials import PLAIN, SINGLE, STRIDED, quiet, trials


def right(dP, P):
    return P * (dP - (dP * P).sum(axis=-1, keepdims=True))


def said(function, name="softmax-backward", seed=0):
    """The verdict on a wrong function as one line of text."""
    verdict = check(name, function, seed)
    assert not verdict.ok
    return re.sub(r"\s+", " ", str(verdict))


# ---- right in any style ----


def test_loops_einsum_and_single_precision_are_right():
    def loops(dP, P):
        dS = np.zeros_like(P)
        for row in np.ndindex(P.shape[:-1]):
            for k in range(P.shape[-1]):
                for j in range(P.shape[-1]):
                    dS[row][k] += dP[row][j] * P[row][j] * ((j == k) - P[row][k])
        return dS

    def sums(dP, P):
        return P * dP - np.einsum("...j,...j,...k->...k", dP, P, P)

    for function in (loops, sums):
        verdict = check("softmax-backward", function)
        assert verdict.ok and not verdict.notes
    single = check("softmax-backward", lambda dP, P: right(*map(np.float32, (dP, P))))
    assert not single.ok
    assert "dS is float32 where float64 goes in: half of the digits are lost" in str(single)
    [note] = check("softmax-backward", lambda dP, P: right(dP, P).astype(float)).notes
    assert note == (
        "dS comes out as float64 where float32 goes in. A NumPy number (np.sqrt(n), mask.sum()) or "
        "a table in float64 can do that."
    )


@pytest.mark.parametrize("seed", range(6))
def test_what_cancels_in_single_precision_is_no_mistake(seed):
    def scale_on_the_scores(dO, cache):
        Q, K, V, P = cache
        dS = right(dO @ V.swapaxes(-1, -2), P) / np.sqrt(Q.shape[-1]).astype(Q.dtype)
        return dS @ K, dS.swapaxes(-1, -2) @ Q, P.swapaxes(-1, -2) @ dO

    assert check("attention-backward", scale_on_the_scores, seed).ok


def test_a_right_answer_says_how_surely():
    text = check("softmax-backward", right).headline()
    assert re.match(r"softmax-backward: right\. \d+ numbers in 17 cases agree with complex", text)
    fault = float(re.search(r"an error of (\S+) in", text)[1])

    def off(dP, P):
        dS = right(dP, P)
        dS[..., -1] += 2 * fault * (P[..., -1] > 0)
        return dS

    assert not check("softmax-backward", off).ok


def test_a_list_of_gradients_is_as_good_as_a_tuple():
    reference = load("attention-backward").reference
    assert check("attention-backward", lambda dO, cache: list(reference(dO, cache))).ok


def test_the_same_seed_gives_the_same_verdict_and_another_seed_other_numbers():
    texts = [str(check("softmax-backward", lambda dP, P: dP, seed)) for seed in (3, 3, 4)]
    assert texts[0] == texts[1] != texts[2]


# ---- trouble in the learner's code ----


def writes(dP, P):
    P *= dP
    return P


def fails(dP, P):
    return dP @ np.ones(77)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (writes, r"it writes to one of its arguments, line \d+: `P \*= dP`"),
        (fails, r"ValueError, line \d+: `return dP @ np.ones\(77\)`: dP \(3,\) times .* 3 and 77"),
        (lambda dP, P: None, "it returned None: is the `return` missing?"),
        (lambda dP, P: (dP, P), "dS is a tuple, should be an array"),
        (lambda dP, P: dP.tolist(), "dS is a list, should be an array"),
        (lambda dP, P: right(dP, P) + 0j, "dS is complex128, should be float32 or float64"),
        (lambda dP, P: np.float16(right(dP, P)), "dS is float16, should be float32 or float64"),
        (lambda dP, P: right(dP, P)[..., None], r"dS has shape \(3, 1\), should have \(3,\)"),
        (lambda dP: dP, r"TypeError: .* takes 1 positional argument but 2 were given"),
    ],
)
def test_trouble_is_told_as_such(function, words):
    assert re.search(words, said(function))


def test_the_number_of_gradients_is_told():
    text = said(lambda dO, cache: dO, "attention-backward")
    assert "it returned float64 of shape (1, 1), should be 3: dQ, dK, dV" in text


def test_an_unwritten_function_is_no_wrong_one():
    def todo(dP, P):
        raise NotImplementedError

    assert re.fullmatch(
        r"softmax-backward: nothing is written yet, line \d+: `raise NotImplementedError`\.",
        str(check("softmax-backward", todo)),
    )


def test_what_goes_wrong_in_one_dress_only_is_said():
    def no_single(dP, P):
        return right(dP, P) * (2 if P.dtype == np.float32 else 1)

    def no_strides(dP, P):
        return right(dP, P) if P.flags.c_contiguous else 0 * P

    for function, dress in ((no_single, "float32"), (no_strides, "not contiguous")):
        text = said(function)
        assert f"three scores; {dress}:" in text
        assert "With contiguous float64 arrays every case is right." in text
        assert "Most likely" not in text


def test_a_function_is_required():
    with pytest.raises(TypeError, match="function must be a function, got ndarray"):
        check("softmax", np.ones(3))


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownExercise, match="no exercise 'softmx'; did you mean softmax"):
        check("softmx", right)


# ---- diagnoses ----


def test_a_mistake_is_named_with_its_step_and_how_surely():
    text = said(lambda dP, P: P * dP)
    assert "Most likely: Only the numerator was differentiated." in text
    assert "(Step 1 of the derivation.) You probably wrote something like `P * (dP)`." in text
    assert "in all 7 cases; no other single known mistake gives them." in text


def test_two_mistakes_at_once_are_named():
    verdict = check("softmax-backward", lambda dP, P: P * (dP + dP.sum(-1, keepdims=True)))
    assert verdict.likely == ("plus", "plain sum")
    text = re.sub(r"\s+", " ", str(verdict))
    assert "those that these two mistakes together give, in all 7 cases" in text
    assert "no single known mistake gives them, and no other two." in text


def test_a_mistake_that_runs_on_squares_only_is_named():
    def untransposed(dO, cache):
        Q, K, V, P = cache
        dP = dO @ V.swapaxes(-1, -2)
        return P * (dP - (dP * P).sum(-1, keepdims=True)) @ Q / np.sqrt(Q.shape[-1])

    text = said(untransposed, "attention-dk")
    assert "Most likely: dS was not transposed" in text
    assert "in the 2 of 10 cases that can be compared" in text


def test_a_mistake_that_raises_another_exception_is_not_that_mistake():
    def untransposed(dO, cache):
        Q, K, V, P = cache
        if Q.shape != K.shape:
            raise LookupError("not made for this")
        dP = dO @ V.swapaxes(-1, -2)
        return P * (dP - (dP * P).sum(-1, keepdims=True)) @ Q / np.sqrt(Q.shape[-1])

    verdict = check("attention-dk", untransposed)
    assert not verdict.ok and verdict.explanations == {}


def test_each_array_gets_its_own_diagnosis_where_the_whole_has_none():
    def two_wrong(dO, cache):
        dQ, dK, dV = load("attention-backward").reference(dO, cache)
        return dQ * np.sqrt(cache.Q.shape[-1]), dK, dV + 1.0

    verdict = check("attention-backward", two_wrong)
    assert verdict.likely == ()
    assert list(verdict.explanations) == ["dQ"]
    text = re.sub(r"\s+", " ", str(verdict))
    assert "In dQ, most likely: The factor 1/√Dk reached dK but not dQ." in text
    assert "A constant is added to dV, and nothing else is wrong." in text
    assert "In dK" not in text


def test_what_would_spoil_an_array_that_is_right_is_not_named():
    def untransposed(dO, cache):
        dQ, dK, dV = load("attention-backward").reference(dO, cache)
        return dQ * np.sqrt(cache.Q.shape[-1]), dK, 2 * dV

    explanations = check("attention-backward", untransposed).explanations
    assert explanations == {"dQ": (("dQ not scaled",),)}  # "scale left out" would spoil dK as well


def test_lost_digits_are_no_mistake():
    text = said(lambda dP, P: right(dP, P) * (1 + 1e-10))
    assert "The formula is right, but digits get lost on the way." in text


def test_a_function_that_is_right_where_it_runs_is_not_explained():
    def no_dead_rows(dP, P):
        if not P.any(axis=-1).all():
            raise ZeroDivisionError
        return right(dP, P)

    verdict = check("softmax-backward", no_dead_rows)
    assert not verdict.ok and verdict.explanations == {}
    assert verdict.diagnosis.facts == (
        "All is right where every query may attend to something, and nowhere else.",
    )


# ---- one change of the answer itself ----


def rows_by_number(dO, cache):
    Q, K, V, P = cache
    dP = np.einsum("...id,...jd->...ij", dO, V)
    dS = P * (dP - np.einsum("...ij,...ij->...i", dP, P)[..., None])
    return np.einsum("...ij,...jd->...id", dS, K) / np.sqrt(Q.shape[2])


def sign_by_query(dO, cache):
    Q, K, V, P = cache
    dS = np.empty_like(P)
    for at in np.ndindex(P.shape[:-1]):
        d = V[at[:-1]] @ dO[at]
        dS[at] = P[at] * (d - P[at] @ d) * np.sign(d)
    return np.einsum("...ij,...jd->...id", dS, K) / np.sqrt(Q.shape[-1])


def _row_sum(X):
    return X.sum(axis=-1, keepdims=True) / len(X)


def helped(dP, P):
    return P * (dP - _row_sum(dP * P))


@pytest.mark.parametrize(("name", "function", "words"), [
    ("attention-dq", rows_by_number, r"np.sqrt\(Q.shape\[2\]\)`; it should be `return .*\[-1\]"),
    ("attention-dq", sign_by_query, r"\* np.sign\(d\)`; it should be `.*\(d - P\[at\] @ d\)\)`"),
    ("softmax-backward", helped, r"line \d+ is `return .* / len\(X\)`; it should be `.*True\)`"),
])
def test_the_line_that_is_wrong_is_named_with_what_mends_it(name, function, words):
    assert re.search(words, said(function, name)), said(function, name)


def deviation_of_everything(X, gain, bias, eps):
    mean, deviation = X.mean(), np.sqrt(((X - X.mean()) ** 2).mean() + eps)
    return (X - mean) / deviation * gain + bias


def wide_root(X, gain, bias, eps):
    away = X - X.mean(-1, keepdims=True)
    return away / (np.sqrt((away * away).mean(-1, keepdims=True)) + eps) * gain - bias


def hidden_summed_first(dO, cache):
    dWq, dWk, dw = load("additive-attention-backward").reference(dO, cache)
    Q, K, V, Wq, Wk, w, F, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    dG = (dS[..., None] * w * (1.0 - F * F)).sum(axis=(1, 2))
    return Q.sum(axis=1).T @ dG, dWk, dw


def queries_by_the_sum_of_their_row(dO, cache):
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * dP / Q.shape[-1] ** 0.5
    return dS.sum(axis=-1)[..., None] * Q


def factors_summed_first(dY, cache):
    dX, dW, db = load("linear-backward").reference(dY, cache)
    X = cache.X.reshape(-1, cache.X.shape[-1])
    return dX, np.outer(X.sum(axis=0), db), db


@pytest.mark.parametrize(("name", "function", "words"), [
    ("layer-norm", deviation_of_everything, "all that must run over axis -1 runs over the whole"),
    ("layer-norm", wide_root, "ε was added to the standard deviation.* besides: `bias` is sub"),
    ("additive-attention-backward", hidden_summed_first, "the subscripts are `bzi,bqkh->ih`"),
    ("attention-dq", queries_by_the_sum_of_their_row,
     "lacks its second term.* besides: `dS` is summed up by itself, and multiplied by `Q`"),
    ("linear-backward", factors_summed_first, "are summed up before they are multiplied"),
])
def test_what_is_summed_too_early_or_over_another_axis_throughout_is_named(name, function, words):
    assert re.search(words, said(function, name)), said(function, name)


def test_what_is_wrong_for_some_numbers_of_axes_is_said_without_reservation():
    verdict = check("split-heads", heads_of_a_matrix)
    assert "No known mistake" not in str(verdict) and "has 2 axes, and never" in str(verdict)


def test_a_changed_answer_is_neither_called_without_end_nor_beside_itself():
    def endless(dP, P):
        while P.size:
            return P

    def noted(dP, P):
        seen.append(1)
        return P * dP - P * (dP * P).sum(-1)[..., None] / len(P)

    seen = []
    assert source_here(endless) is None
    assert source_here(noted) is None  # it is a closure, and its list belongs to somebody else
    assert source_here(np.exp) is None
    assert source_here(lambda dP, P: P) is None


def test_a_file_is_mended_in_its_own_process(tmp_path):
    path = tmp_path / "attention_dq.py"
    path.write_text(
        "import numpy as np\nprint('once')\n\n" + inspect.getsource(rows_by_number).replace(
            "rows_by_number", "attention_dq"))
    printed = []
    verdict = grade_file(path, "attention-dq", echo=printed.append)
    assert "line 8 is `return" in verdict.diagnosis.repairs[0]
    assert printed == ["once\n"]


def heads_of_a_matrix(X, num_heads):
    T, width = X.shape
    return X.reshape(T, num_heads, width // num_heads).swapaxes(0, 1)


def heads_of_a_batch(X, num_heads):
    return X.reshape(*X.shape[:-1], num_heads, -1).swapaxes(1, 2)


def one_length_for_each_query(valid_lens, Tq, Tk):
    return np.arange(Tk) < valid_lens[:, :, None]


def dropout_with_T(dO, cache):
    P, V, keep, rate = cache
    M = (keep / (1.0 - rate)).astype(P.dtype)
    return dO @ V.T * M, (P * M).T @ dO


def attention_with_T(dO, cache):
    Q, K, V, P = cache
    dP = dO @ V.T
    dS = P * (dP - (dP * P).sum(-1, keepdims=True)) / Q.shape[-1] ** 0.5
    return dS @ K, dS.T @ Q, P.T @ dO


def one_row_sum_for_matrices(dP, P):
    return P * (dP - np.einsum("ij,ij->i", dP, P)[:, None])


@pytest.mark.parametrize(("name", "function", "words"), [
    ("softmax-backward", one_row_sum_for_matrices,
     "dP has 2 axes, and never where it has 1 or 3 or 4"),
    ("attention-backward", attention_with_T,
     "dO has 2 axes, and never where it has 3 or 4 or 5"),
    ("dropout-backward", dropout_with_T, "dO has 2 axes, and never where it has 3 or 4 or 5"),
    ("split-heads", heads_of_a_matrix,
     "X has 2 axes, and never where it has 3 or 4 or 5"),
    ("split-heads", heads_of_a_batch,
     "X has 3 axes, and never where it has 2 or 4 or 5"),
    ("valid-lens-mask", one_length_for_each_query,
     "valid_lens has 2 axes, and never where it has 1"),
])
def test_what_is_right_for_some_numbers_of_axes_only_is_said(name, function, words):
    fact = check(name, function).diagnosis.facts[-1]  # for all arrays at once
    assert fact.startswith(f"All is right where {words}. Write for the last axes, with any number ")


def test_a_missing_broadcast_is_said():
    def narrow(valid_lens, Tq, Tk):
        return np.arange(Tk) < valid_lens.reshape(len(valid_lens), -1)[..., None]

    assert check("valid-lens-mask", narrow).diagnosis.facts == (
        "mask holds the right numbers, but np.broadcast_to its full shape is missing.",
        "mask is right in 3 of 8 cases.",
    )


def test_gains_summed_over_the_first_axis_are_named():
    def first_axis(dY, cache):
        dX, *_ = load("layer-norm-backward").reference(dY, cache)
        return dX, (dY * cache.Xhat).sum(axis=0), dY.sum(axis=0)

    assert check("layer-norm-backward", first_axis).likely == ("first axis only",)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_attending_to_the_old_cache_only_is_named_whatever_an_empty_one_does(shift):
    def old_only(x, K, V, Wq, Wk, Wv):
        S = x @ Wq @ K.swapaxes(-1, -2) / np.sqrt(K.shape[-1])
        E = np.exp(S - (shift and shift * S.max(axis=-1, keepdims=True)))
        o = E / E.sum(axis=-1, keepdims=True) @ V  # 0 or an error where the cache is empty
        return o, np.concatenate([K, x @ Wk], axis=-2), np.concatenate([V, x @ Wv], axis=-2)

    verdict = check("kv-cache", old_only)
    assert verdict.likely == ("not itself", "no shift")[: 1 + (shift == 0.0)]
    assert "in the 8 of 9 cases that can be compared" in re.sub(r"\s+", " ", str(verdict))


@pytest.mark.parametrize("number", [-1e4, -1e6, -1e9, -1e30])
def test_a_large_number_for_minus_infinity_is_never_right(number):
    def softmax(S):
        E = np.exp(S - S.max(axis=-1, keepdims=True))
        return E / E.sum(axis=-1, keepdims=True)

    def weights(S, mask):
        return softmax(np.where(mask, S, S.dtype.type(number)))

    assert check("masked-softmax", weights).likely == ("large number",)
    verdict = check("masked-softmax", lambda S, mask: weights(S, mask) * mask)
    assert verdict.likely == ("large number, then mask",)


def test_the_lowest_number_needs_the_mask_once_more():
    def weights(S, mask):
        S = np.where(mask, S, np.finfo(S.dtype).min)
        E = np.exp(S - S.max(axis=-1, keepdims=True))
        return E / E.sum(axis=-1, keepdims=True)

    assert check("masked-softmax", weights).likely == ("lowest number",)
    assert check("masked-softmax", lambda S, mask: weights(S, mask) * mask).ok


# ---- facts, where there is no diagnosis ----

S = "softmax-backward"


def masked_only(dP, P):
    return right(dP, P) + (P == 0)


@pytest.mark.parametrize(
    ("name", "function", "words"),
    [
        (S, lambda dP, P: -right(dP, P), "dS has the wrong sign, and nothing else"),
        (S, lambda dP, P: 0 * P, "dS is all zeros"),
        (S, lambda dP, P: 1.5 * right(dP, P), "Every entry of dS is 1.5 times what it should be"),
        (S, lambda dP, P: right(dP, P) / P.shape[-1] ** 0.5,
         "Every entry of dS is 1/√T times what it should be"),
        (S, lambda dP, P: right(dP, P) * (1 + dP.size**3),
         "In each case all entries of dS are wrong by one factor: 28, "),
        (S, lambda dP, P: right(dP, P)[..., ::-1],
         "Along the axis key dS is what it should be, in the opposite order"),
        (S, lambda dP, P: np.sort(right(dP, P)), "dS holds the right numbers in the wrong place"),
        (S, lambda dP, P: right(dP, P) + dP.sum(-1, keepdims=True),
         "A constant is added to each row of dS"),
        (S, masked_only, r"dS is wrong only where the mask forbids\..* right in 6 of 7 cases"),
        (S, lambda dP, P: right(dP, P) + ~P.any(-1, keepdims=True) * dP,
         "dS is wrong only for queries that may attend to nothing"),
        (S, lambda dP, P: right(dP, P) / (P > 0),
         "NaN or inf where it should not; everything else is right"),
        (S, lambda dP, P: right(dP, P) * (np.arange(P.shape[-1]) != 1),
         "In the largest case that fails, only key 1 of dS is wrong"),
        (S, lambda dP, P: right(dP, P) ** 3, r"\d+ of 30 entries of dS are wrong, by many"),
        ("attention-dk", lambda dO, c: load("attention-dk").reference(dO, c).swapaxes(-1, -2),
         "dK is the transpose of what it should be"),
        ("attention-backward", lambda dO, c: load("attention-backward").reference(dO, c)[::-1],
         "dQ is what dV should be. dV is what dQ should be"),
        ("split-heads", lambda X, H: load("split-heads").reference(X, H)[..., ::-1, :, :],
         "Along the axis head Y is what it should be, in the opposite order"),
        ("layer-norm", lambda X, gain, bias, eps: X, "Y is X itself"),
        ("attention-dv", lambda dO, c: load("attention-dv").reference(dO, c) ** 2,
         "dV is the square of what it should be"),
        ("softmax", lambda S: np.log(load("softmax").reference(S)),
         "P is the logarithm of what it should be"),
        ("causal-jacobian", lambda X: load("causal-jacobian").reference(X).transpose(2, 3, 0, 1),
         r"another order: np.transpose\(J, \(2, 3, 0, 1\)\) is right"),
        ("per-head-weights", lambda *a: np.roll(load("per-head-weights").reference(*a), 1, -3),
         "Along the axis head P is what it should be, moved on by one place"),
        ("attention-dk", lambda dO, c: load("attention-dk").reference(dO, c) * c.K,
         "dK is what it should be times cache.K"),
    ],
)
def test_facts_are_stated_and_no_cause_is_guessed(name, function, words):
    text = said(function, name)
    assert "Most likely" not in text and "most likely" not in text
    named = "Exactly these numbers come out where" in text or "One change in your" in text
    clear = telling(check(name, function).diagnosis.facts)
    assert named or clear != ("No known mistake gives these numbers" in text)
    assert re.search(words, text), text


def test_no_explanation_gives_other_numbers_than_those_found():
    """Whatever is called likely reproduces the answer; random answers are never explained."""
    rng = np.random.default_rng(7)
    for seed in range(20):
        weights = rng.standard_normal(3)

        def random(dP, P, weights=weights):
            a, b, c = weights
            return a * P * dP + b * P + c * P * P

        verdict = check("softmax-backward", random, seed)
        assert not verdict.ok and verdict.explanations == {}


def test_a_boolean_answer_is_judged_described_and_drawn_too():
    def later(S):
        return np.arange(S.shape[-1]) > np.arange(S.shape[-2])[:, None]

    def mistaken(made, S):
        return later(S)

    exercise = dataclasses.replace(
        load("masked-softmax"), answer={"M": "query key"}, reference=later, specification=later,
        cases=lambda rng: {"wide": (rng.random((2, 3)),), "square": (rng.random((3, 3)),)},
        mistaken=mistaken, mistakes={},
    )
    assert grade(exercise, later).ok
    verdict = grade(exercise, lambda S: ~later(S))
    assert verdict.diagnosis.facts == (
        "M is True where it should be False, and False where it should be True.",
    )
    assert Tags(verdict._repr_html_()).open == []
    assert "M is float64, should be bool" in str(grade(exercise, lambda S: later(S) * 1.0))


# ---- what a function is called with ----


def test_one_array_stays_one_array_read_only_in_every_dress():
    exercise = load("attention-backward")
    for dress in (PLAIN, SINGLE, STRIDED):
        with quiet():
            given = trials(exercise, 0, dress)
        [shared] = [trial for trial in given if "one array as" in trial.words]
        dO, cache = shared.args
        assert cache.Q is cache.K is cache.V
        arrays = [X for trial in given for _, X in trial.inputs(exercise.reference)]
        assert not any(X.flags.writeable for X in arrays)
        dtype = np.float32 if dress == SINGLE else np.float64
        assert {X.dtype for X in arrays} == {np.dtype(dtype)}
        assert any(not X.flags.c_contiguous for X in arrays) == (dress == STRIDED)


def test_masks_have_dead_rows_and_shapes_differ():
    exercise = load("softmax-backward")
    with quiet():
        given = trials(exercise, 0)
    assert any((trial.args[1].sum(-1) == 0).any() for trial in given)
    assert len({trial.args[1].shape for trial in given}) == len(given)


def test_right_answers_in_other_styles_are_right():
    """By loops from the definition, as a list of arrays, and in another order in memory."""
    for name in headings():
        exercise = load(name)

        def turned(*args, exercise=exercise):
            found = exercise.reference(*args)
            many = isinstance(found, tuple)
            arrays = [np.asfortranarray(X) if np.ndim(X) else X
                      for X in (found if many else [found])]
            return arrays if many else arrays[0]

        for style in filter(None, (turned, exercise.specification)):
            verdict = grade(exercise, style)
            assert verdict.ok, f"{name}, {style.__name__}:\n{verdict}"


# ---- how it looks ----


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_well_formed_and_maps_the_error():
    def one_off(dP, P):
        dS = right(dP, P)
        dS[..., 0] += 1.0
        return dS

    tags = Tags(check("softmax-backward", one_off)._repr_html_())
    assert tags.open == []
    cells = [attrs["style"] for tag, attrs in tags.seen if tag == "td"]
    assert ["background" in style for style in cells] == [True, False, False]
    for function in (right, fails, lambda dP, P: "<b>", lambda dP, P: dP * np.nan):
        assert Tags(check("softmax-backward", function)._repr_html_()).open == []


def test_lines_are_of_bearable_length_and_a_verdict_can_be_pickled():
    for function in (lambda dP, P: P * dP, writes, right):
        verdict = check("softmax-backward", function)
        assert max(map(len, str(verdict).splitlines())) <= 100
        assert str(pickle.loads(pickle.dumps(verdict))) == str(verdict) == repr(verdict)


def test_statement_hints_and_solution_are_markdown():
    text = statement("attention-dk")._repr_markdown_()
    assert "### The gradient of the keys" in text and "P    (..., Tq, Tk)   weights" in text
    assert "def attention(Q, K, V, mask=None):" in text and "raise NotImplementedError" in text
    assert [hint("softmax", number)[:4] for number in (1, 2, 3)] == ["Addi", "Subt", "E = "]
    with pytest.raises(ValueError, match="number must be in 1 … 3, got 4"):
        hint("softmax", 4)
    text = repr(solution("softmax"))
    assert "**1.**" in text and "return E / E.sum" in text and "in loops" in text


def test_importing_the_package_imports_no_solution():
    code = (
        "import sys, npattn.exercises; from npattn.exercises.registry import headings; headings();"
        "print([name for name in sys.modules if '.tasks.' in name])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_the_list_goes_by_section_and_from_easy_to_hard():
    levels = {}
    for heading in headings().values():
        levels.setdefault(".".join(heading.section.split(".")[:2]), []).append(heading.level)
    assert all(found == sorted(found) for found in levels.values())
    main = [section for section in levels if section.startswith(("d2l 11", "d2l 12"))]
    assert sorted(main) == list(levels)[: len(main)]


def test_every_section_has_a_title():
    sections = {section_title(heading) for heading in headings().values()}
    assert all(re.fullmatch(r"d2l \d+\.\d+ \S.+|beyond d2l", section) for section in sections)


def test_np_add_at_cannot_change_the_cases_although_it_ignores_read_only():
    exercise = load("softmax-backward")

    def writes(dP, P):
        np.add.at(dP, (0,) * dP.ndim, 1.0)
        return exercise.reference(dP, P)

    for _ in range(2):
        verdict = grade(exercise, writes)
        assert not verdict.ok and "writes to one of its arguments" in str(verdict)
    assert grade(exercise, exercise.reference).ok


ZEROS = ("masked-softmax", "changed-keys", "additive-to-dot", "per-head-weights", "attention-dq",
         "attention-dk", "softmax-backward", "embedding-backward", "merge-partials")


@pytest.mark.parametrize("name", ZEROS)
def test_where_exactly_0_is_promised_no_digit_is_forgiven(name):
    exercise = load(name)

    def leaky(*args):
        result = exercise.reference(*args)
        arrays = result if isinstance(result, tuple) else (result,)
        found = tuple(np.where(X == 0, X.dtype.type(1e-17), X) for X in arrays)
        return found if isinstance(result, tuple) else found[0]

    assert not grade(exercise, leaky).ok
    assert grade(exercise, exercise.reference).ok


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name in headings() if load(name).forward])
def test_an_unexplained_answer_is_described_in_every_exercise(name):
    reference = load(name).reference

    def bent(*args):
        found = reference(*args)
        arrays = found if isinstance(found, tuple) else (found,)
        bent = tuple(np.where(np.asarray(X) > 0, X, 1.3 * X + 0.01) for X in arrays)
        return bent if isinstance(found, tuple) else bent[0]

    verdict = check(name, bent)
    assert not verdict.ok and verdict.diagnosis.facts and not verdict.explanations
