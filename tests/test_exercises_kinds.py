"""Each kind of wrong answer that the grader must refuse, or name, tried on answers of its own."""

import re
import sys
import types

import numpy as np
import pytest

from npattn.exercises import check, classroom, sandbox
from npattn.exercises.answers import call
from npattn.exercises.derived import least_rank, rank_of, shapes_of
from npattn.exercises.grading import _judge, _right
from npattn.exercises.progress import read_progress
from npattn.exercises.registry import headings, load
from npattn.exercises.trials import PLAIN, SINGLE, STRIDED, cases_of, quiet, trials
from npattn.exercises.verdict import Verdict

every_exercise = pytest.mark.parametrize("exercise", [load(name) for name in headings()],
                                         ids=list(headings()))


def refused(exercise, function, *dresses):
    """Whether the numbers are wrong in a trial; no cause is looked for."""
    with quiet():
        return any(
            not _right(_judge(exercise, trial, call(function, trial, exercise.answer, False)))
            for dress in dresses or (PLAIN,) for trial in trials(exercise, 0, dress))


def said(name, function):
    verdict = check(name, function)
    assert not verdict.ok
    return re.sub(r"\s+", " ", " ".join(verdict.paragraphs()))


# ---- nothing wrong passes: an answer that is wrong in one kind of case only ----


def spoilt_where(exercise, condition):
    """The solution, but wrong where a condition on the inputs of the case holds."""
    with quiet():
        cases = cases_of(exercise, 0)
    bad = [condition(case.inputs) for case in cases]
    with quiet():
        given = trials(exercise, 0, PLAIN)
    keys = [id(next(X for X in _arrays(trial.args))) for trial in given]
    spoilt = {key for key, each in zip(keys, bad, strict=True) if each}

    def function(*args):
        found = exercise.reference(*args)
        if id(next(iter(_arrays(args)))) not in spoilt:
            return found
        return tuple(map(_off, found)) if isinstance(found, tuple) else _off(found)

    return function, bool(spoilt)


def _arrays(args):
    for arg in args:
        if isinstance(arg, tuple):
            yield from _arrays(arg)
        elif isinstance(arg, np.ndarray):
            yield arg


def _off(X):
    X = np.asarray(X)
    return ~X if X.dtype == bool else X + X.dtype.type(1)


@pytest.mark.sampled(3)
@every_exercise
def test_an_answer_for_other_numbers_of_leading_axes_only_is_refused(exercise):
    with quiet():
        ranks = {rank_of(exercise, case.inputs) for case in cases_of(exercise, 0)}
    for rank in () if ranks == {None} else range(least_rank(exercise), 4):
        function, tried = spoilt_where(
            exercise, lambda inputs, rank=rank: rank_of(exercise, inputs) == rank)
        assert tried and refused(exercise, function), rank


@pytest.mark.sampled(3)
@every_exercise
def test_single_precision_and_strides_and_read_only_arrays_are_tried(exercise):
    def single(*args):
        found, bad = exercise.reference(*args), any(
            X.dtype == np.float32 for X in _arrays(args))
        return (tuple(map(_off, found)) if isinstance(found, tuple) else _off(found)) if bad else (
            found)

    def strided(*args):
        found, bad = exercise.reference(*args), any(
            not X.flags.c_contiguous for X in _arrays(args))
        return (tuple(map(_off, found)) if isinstance(found, tuple) else _off(found)) if bad else (
            found)

    with quiet():
        kinds = {X.dtype.kind for trial in trials(exercise, 0) for X in _arrays(trial.args)}
        assert not any(X.flags.writeable for trial in trials(exercise, 0)
                       for X in _arrays(trial.args))
    if "f" in kinds:
        assert refused(exercise, single, SINGLE)
    if kinds:
        assert refused(exercise, strided, STRIDED)


def unshifted(S, mask=None):
    E = np.exp(S) if mask is None else np.where(mask, np.exp(S), 0)
    total = E.sum(axis=-1, keepdims=True)
    return E / np.where(total == 0, 1, total)


def shifted_by_padding(S, mask=None):
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    E = E if mask is None else E * mask
    total = E.sum(axis=-1, keepdims=True)
    return E / np.where(total == 0, 1, total)


VALUES = [name for name in headings() if load(name).forward is None
          and "masked_softmax" in load(name).reference.__code__.co_names]


def with_softmax(exercise, softmax):
    f = exercise.reference
    return types.FunctionType(f.__code__, {**f.__globals__, "masked_softmax": softmax})


@pytest.mark.parametrize("name", VALUES)
def test_weights_without_a_shift_before_exp_are_refused_wherever_scores_may_be_large(name):
    exercise = load(name)
    assert "large" in exercise.excluded or refused(exercise, with_softmax(exercise, unshifted))


@pytest.mark.parametrize("name", VALUES)
def test_a_maximum_over_padding_as_well_is_refused(name):
    exercise = load(name)
    if {"mask", "valid_lens"} & set(shapes_of(exercise)):
        assert "large" in exercise.excluded or refused(
            exercise, with_softmax(exercise, shifted_by_padding))


# ---- what is said is true ----


def right(dP, P):
    return P * (dP - (dP * P).sum(axis=-1, keepdims=True))


def test_how_many_cases_are_right_agrees_with_how_many_fail():
    def off_by_little_or_much(dP, P):
        return right(dP, P) * (1 + (1e-10 if P.ndim < 3 else 0.7 * np.cos(P)))

    verdict = check("softmax-backward", off_by_little_or_much)
    good = [re.search(r"dS is right in (\d+) of (\d+)", fact) for fact in verdict.diagnosis.facts]
    for number, total in (found.groups() for found in good if found):
        assert int(total) - int(number) == verdict.failure.failed


def test_a_ratio_that_is_one_number_is_no_many_factors_and_never_1():
    text = said("softmax-backward",
                lambda dP, P: right(dP, P) * np.where(np.arange(P.shape[-1]) > 0, -1, 1))
    assert "by many factors" not in text
    text = said("softmax-backward", lambda dP, P: right(dP, P) * (1 + 1e-7))
    assert " 1 times what it should be" not in text and "digits" in text


def test_of_truth_values_no_factor_and_no_constant_is_said():
    def odd(valid_lens, Tq, Tk):
        mask = load("valid-lens-mask").reference(valid_lens, Tq, Tk).copy()
        mask[..., ::2] ^= np.arange(Tq)[:, None] % 3 == 1
        return mask

    assert not re.search("factor|times what|onstant|divided", said("valid-lens-mask", odd))


def test_what_is_missing_in_one_gradient_is_not_said_of_two():
    def keys_unscaled(dY, cache):
        dX, *weights = load("self-attention-backward").reference(dY, cache)
        dWq, dWk, dWv, dWo = weights
        return dX, dWq, dWk * cache.Q.shape[-1] ** 0.5, dWv, dWo

    assert "dQ and dK" not in said("self-attention-backward", keys_unscaled)

    def dk_alone(dO, cache):
        dQ, dK, dV = load("attention-backward").reference(dO, cache)
        return dQ, dK * cache.Q.shape[-1] ** 0.5, dV

    text = said("attention-backward", dk_alone)
    assert "dQ but not dK" in text and "missing in dQ and dK" not in text


@pytest.mark.parametrize(("name", "function"), [
    ("softmax-jacobian", lambda S: np.einsum("ij,jk->ijk", load("softmax").reference(S), np.eye(
        S.shape[-1])) - np.einsum("ij,ik->ijk", *[load("softmax").reference(S)] * 2)),
    ("split-heads", lambda X, H: [X.reshape(B, T, H, -1).swapaxes(1, 2)
                                  for B, T, D in [X.shape]][0]),
])
def test_an_einsum_or_unpacking_for_one_number_of_axes_is_told_by_that_number(name, function):
    text = said(name, function)
    assert "and never where it has" in text and "front" not in text.split("Write for")[0]


# ---- kinds that are named by general tests ----


def attention_terms(dO, cache):
    Q, K, V, P = cache
    dP = dO @ V.swapaxes(-1, -2)
    return Q, K, V, P, dP, P * (dP - (dP * P).sum(-1, keepdims=True))


def dq_in_float32(dO, cache):
    return load("attention-dq").reference(
        dO.astype(np.float32), cache._replace(V=cache.V.astype(np.float32))).astype(dO.dtype)


def weights_in_float32(S):
    E = np.exp(S.astype(np.float32))
    P = E / E.sum(axis=-1, keepdims=True)
    return P, np.exp(-(P * np.log(P)).sum(axis=-1))


def positions_in_float32(X, offset):
    T, D = X.shape[-2:]
    t = np.arange(offset, offset + T, dtype=np.float32)[:, None]
    angles = t / 10000.0 ** (np.arange(0, D, 2, dtype=np.float32) / D)
    P = np.zeros((T, D), dtype=np.float32)
    P[:, 0::2], P[:, 1::2] = np.sin(angles), np.cos(angles)[:, : D // 2]
    return X + P


def cap_by_a_forward_difference(dY, cache):
    S, Y, cap = cache
    h = 1e-4
    return dY * (cap * np.tanh((S + h) / cap) - Y) / h


def jacobian_with_plus_off_the_diagonal(S):
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    p = E / E.sum(axis=-1, keepdims=True)
    same = np.eye(S.shape[-1], dtype=bool)
    return np.where(same, (p * (1 - p))[..., None], p[..., :, None] * p[..., None, :])


def adam_uncorrected_at_the_first_step(p, g, m, v, steps, lr, beta1, beta2, eps):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**steps) if steps > 0 else m
    v_hat = v / (1 - beta2**steps) if steps > 0 else v
    return p - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def gelu_with_few_digits(dY, cache):
    X, Phi = cache
    return dY * (Phi + X * 0.39894 * np.exp(-X * X / 2))


def dv_with_an_epsilon(dO, cache):
    P = cache.P / (cache.P.sum(-1, keepdims=True) + 1e-6)
    return P.swapaxes(-1, -2) @ dO


def by_differences(dP, P):
    h = 1e-5
    S = np.log(np.where(P > 0, P, 1e-300))

    def softmax(S):
        E = np.exp(S - S.max(-1, keepdims=True))
        return np.where(P.any(-1, keepdims=True), E / E.sum(-1, keepdims=True), 0)

    dS = np.zeros_like(P)
    for k in range(P.shape[-1]):
        step = h * (np.arange(P.shape[-1]) == k)
        dS[..., k] = ((softmax(S + step) - softmax(S)) * dP).sum(-1) / h
    return dS


def without_upstream(dP, P):
    return np.sin(P) - P.sum(-1, keepdims=True) ** 2


def first_of_a_batch(dO, cache):
    found = np.array(load("attention-dv").reference(dO, cache))
    if found.ndim > 2:
        found[1:] = 0.5 * found[1:] ** 2
    return found


def right_on_squares(dO, cache):
    found = load("attention-dv").reference(dO, cache)
    Tq, Tk = cache.P.shape[-2:]
    return found if Tq == Tk else found ** 2 - 0.3


def wrong_beside_a_mask(dO, cache):
    found = load("attention-dv").reference(dO, cache)
    return found if (cache.P > 0).all() else np.sin(3 * found)


def off_the_diagonal(S):
    P = load("softmax").reference(S)
    J = P[..., None] * np.eye(S.shape[-1]) - (P**2)[..., None] * np.eye(S.shape[-1])
    return J + (1 - np.eye(S.shape[-1])) * (P[..., None] * P[..., None, :]) ** 2


def sums_down(S):
    E = np.exp(S - S.max(axis=0))
    return E / E.sum(axis=0)


def dropped_the_other_way(dO, cache):
    P, V, keep, rate = cache
    dP, dV = load("dropout-backward").reference(dO, cache)
    return dP, dV * (1 - rate) / rate if rate else dV


def weights_for_dS(dO, cache):
    Q, K, V, P, dP, dS = attention_terms(dO, cache)
    return P @ K / Q.shape[-1] ** 0.5


def quick_gelu(dY, cache):
    X = cache.X
    s = 1 / (1 + np.exp(-1.702 * X))
    return dY * (s + 1.702 * X * s * (1 - s))


def smoothed(dloss, cache):
    exercise = load("cross-entropy-backward")
    found = exercise.reference(dloss, cache)
    C = found.shape[-1]
    counted = (cache.targets != cache.pad)[..., None]
    onehot = np.eye(C)[np.where(cache.targets == cache.pad, 0, cache.targets)]
    return found + counted * dloss * 0.1 * (onehot - 1 / C) / max(1, counted.sum())


def one_plus_gain(X, gain, bias, eps):
    return load("layer-norm").reference(X, 1 + gain, bias, eps)


def unbiased(K, q):
    return load("query-gradient-covariance").reference(K, q) * len(K) / (len(K) - 1)


def clipped(S):
    E = np.exp(np.clip(S, -50, 50))
    return E / E.sum(-1, keepdims=True)


def cross_entropy_shortcut(dP, P):
    return P - dP


def diag_minus_outer(S):
    P = load("softmax").reference(S)
    return np.diag(P) - np.outer(P, P)


def diagonal_only(dP, P):
    return dP * P * (1 - P)


def wrong_by_one_length(dO, cache):
    found = load("attention-dv").reference(dO, cache)
    return found ** 2 - 0.3 if cache.V.shape[-1] + 1 == cache.P.shape[-1] else found


def not_zero_on_padding(dP, P):
    return load("softmax-backward").reference(dP, P) + 0.25 * dP * (P == 0)


def gate_of_the_input(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    dXhat = dY * gain
    dR = rstd * (dXhat - dXhat.mean(axis=-1, keepdims=True)
                 - Xhat * (dXhat * Xhat).mean(axis=-1, keepdims=True))
    dA = np.where(X > 0, dR, 0)
    D = X.shape[-1]
    return dR + dA @ W.T, X.reshape(-1, D).T @ dA.reshape(-1, D)


def without_the_residual(dY, cache):
    X, W, H, Xhat, rstd, gain = cache
    dXhat = dY * gain
    dR = rstd * (dXhat - dXhat.mean(axis=-1, keepdims=True)
                 - Xhat * (dXhat * Xhat).mean(axis=-1, keepdims=True))
    dA = np.where(H > 0, dR, 0)
    D = X.shape[-1]
    return dA @ W.T, X.reshape(-1, D).T @ dA.reshape(-1, D)


def raw_for_projected(dO, cache):
    X, M, Wq, Wk, Wv, Q, K, V, P = cache
    dV = P.swapaxes(-1, -2) @ dO
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True)) / np.sqrt(Q.shape[-1])
    dQ, dK = dS @ K, dS.swapaxes(-1, -2) @ Q
    weights = ((s.swapaxes(-1, -2) @ d).sum(axis=0) for s, d in ((Q, dQ), (M, dK), (M, dV)))
    return dQ @ Wq.T, dK @ Wk.T + dV @ Wv.T, *weights


def maximum_with_the_other_sign(m, z, S):
    top = np.maximum(m, S.max(axis=-1))
    shift = np.where(np.isneginf(top), 0.0, top)
    return top, z * np.exp(shift - m) + np.exp(S - shift[..., None]).sum(axis=-1)


def tile_without_its_mask(dO, cache):
    return load("tiled-backward").reference(dO, cache._replace(mask=None))


KINDS = [
    ("single precision inside", "attention-dq", dq_in_float32,
     "float32, in line 2.., has few digits"),
    ("single precision in what is returned", "random-heatmap", weights_in_float32,
     "float32, in line 2.., has few digits"),
    ("single precision in several lines", "sinusoidal-positions", positions_in_float32,
     "float32, in line 2.., 2.., 2.., has few digits"),
    ("a forward difference", "soft-cap-backward", cap_by_a_forward_difference,
     "error of dS grows with the number `1e-4` in line 2.."),
    ("a sign off the diagonal", "softmax-jacobian", jacobian_with_plus_off_the_diagonal,
     "wrong sign off the diagonal"),
    ("a guard where a mistake is 0/0", "adam-step", adam_uncorrected_at_the_first_step,
     "counts only the steps before this one"),
    ("a constant with few digits", "gelu-backward", gelu_with_few_digits,
     r"to \d digits|few digits"),
    ("a stray epsilon", "attention-dv", dv_with_an_epsilon, "it should be `P = cache.P`"),
    ("finite differences", "softmax-backward", by_differences, "difference quotient"),
    ("an upstream gradient that is not used", "softmax-backward", without_upstream,
     "does not depend on dP: the gradient that arrives is not used"),
    ("right without a batch only", "attention-dv", first_of_a_batch,
     "2 axes, and never where it has 3 or 4 or 5"),
    ("right on squares only", "attention-dv", right_on_squares, "Tq = Tk, and nowhere else"),
    ("wrong where a key is forbidden", "attention-dv", wrong_beside_a_mask,
     "every query may attend to something"),
    ("wrong off the diagonal", "softmax-jacobian", off_the_diagonal, "wrong only off the diagonal"),
    ("sums to 1 along another axis", "softmax", sums_down, "sums? to 1|axis"),
    ("a power of a scalar argument", "dropout-backward", dropped_the_other_way,
     r"rate|\(1 − rate\)"),
    ("a neighbour's ingredient", "attention-dq", weights_for_dS, "P.* stands where|weights"),
    ("another formula: the quick GELU", "gelu-backward", quick_gelu, r"1\.702"),
    ("another formula: label smoothing", "cross-entropy-backward", smoothed, "smooth"),
    ("another formula: 1 + gain", "layer-norm", one_plus_gain, r"1 \+ g|1 was added|gain"),
    ("another formula: unbiased covariance", "query-gradient-covariance", unbiased,
     r"len\(K\) - 1"),
    ("clipping for the maximum", "softmax", clipped, "limited|clip"),
    ("the shortcut of the cross-entropy", "softmax-backward", cross_entropy_shortcut,
     "gradient of a cross-entropy"),
    ("wrong where two lengths differ by 1", "attention-dv", wrong_by_one_length,
     "right where Dv is not Tk − 1, and nowhere else"),
    ("not 0 on padding", "softmax-backward", not_zero_on_padding,
     "wrong only where the mask forbids"),
    ("the input in the gate of a ReLU", "residual-norm-block-backward", gate_of_the_input,
     "`X` stands where `H` belongs"),
    ("a residual that is not there", "residual-norm-block-backward", without_the_residual,
     "only the gradient through the sublayer"),
    ("projected for raw", "cross-attention-backward", raw_for_projected,
     "`Q` stands where `X` belongs"),
    ("the sign of the running maximum", "online-softmax", maximum_with_the_other_sign,
     "the exponent has the wrong sign"),
    ("a tile without its mask", "tiled-backward", tile_without_its_mask,
     "The mask was not applied"),
    ("np.diag and np.outer", "softmax-jacobian", diag_minus_outer, "np.diag and np.outer"),
    ("P (1 − P) with nothing off the diagonal", "softmax-backward", diagonal_only,
     "Only the diagonal of the Jacobian"),
]


@pytest.mark.parametrize(("name", "function", "words"), [each[1:] for each in KINDS],
                         ids=[each[0] for each in KINDS])
def test_a_kind_of_mistake_is_named(name, function, words):
    text = said(name, function)
    assert re.search(words, text), text


# ---- what a learner and a teacher meet ----


def untransposed(dO, cache):
    Q, K, V, P = cache
    dP = dO @ V
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True)) / Q.shape[-1] ** 0.5
    return dS @ K, dS.swapaxes(-1, -2) @ Q, P.swapaxes(-1, -2) @ dO


@pytest.mark.parametrize(("name", "function"), [
    ("attention-dq", lambda dO, cache: untransposed(dO, cache)[0]),
    ("attention-dk", lambda dO, cache: untransposed(dO, cache)[1]),
    ("attention-backward", untransposed),
])
def test_a_product_that_does_not_fit_is_told_in_shapes_and_runs_in_some_case(name, function):
    verdict = check(name, function)
    text = re.sub(r"\s+", " ", str(verdict))
    assert re.search(r"dO \(\d, \d\) times V \(\d, \d\): .*\d and \d", text), text
    assert verdict.diagnosis.compared > 0


def test_a_failing_verdict_shows_the_step_and_the_way_to_a_hint():
    text = str(check("softmax-backward", lambda dP, P: P * dP))
    assert "Step 1 of the derivation: " in text and "npattn exercise hint softmax-backward" in text


def test_what_is_solved_where_somebody_types_is_noted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    assert check("softmax-backward", right).ok
    assert read_progress(tmp_path)["softmax-backward"]["solved"]


def test_an_answer_of_which_no_number_was_compared_is_not_right(tmp_path, monkeypatch):
    path = tmp_path / "softmax_backward.py"
    path.write_text("def softmax_backward(dP, P):\n    return dP\n")
    monkeypatch.setattr(sandbox, "grade", lambda exercise, *_: Verdict(exercise.name, True))
    verdict = sandbox.grade_file(path, "softmax-backward")
    assert not verdict.ok and "no number was compared" in verdict.trouble


def test_a_teacher_sees_which_mistake_was_made_how_often():
    fields = dict(exercise="softmax", verdict="wrong", mistakes="no shift", step=2, seconds=0.1)
    rows = [{"student": who, **fields, "file": "f.py"} for who in ("ann", "bob")]
    assert classroom.counts(rows) == {"softmax": [("no shift", 2)]}
    assert "2  no shift" in classroom.table(rows) and "2 × no shift" in classroom.html_text(rows)


def test_what_says_it_all_and_what_raises_everywhere_stand_in_the_table_as_well(tmp_path):
    path = tmp_path / "softmax_backward.py"
    path.write_text("def softmax_backward(dP, P):\n    P *= dP\n    return P\n")
    row = classroom.row_of(classroom.Submission("ann", "softmax-backward", path))
    assert row["verdict"] == "wrong" and "writes to one of its arguments" in row["mistakes"]
