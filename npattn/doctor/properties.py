"""Properties of attention that need no reference."""

import numpy as np

from npattn.doctor.comparing import counterexample
from npattn.doctor.examine import Property


AVERAGE = "the output is an average of values"


def property_stage(exam):
    """Properties of attention that need no reference."""
    case = exam.case("property", "a plain call", seed=80)
    letters = [letter for _, letter in exam.way.inputs]
    asked, kinds = [case], []
    causal = exam.model is not None and exam.model.causal or exam.hints.get("causal") == "yes"
    turned = np.random.default_rng(1).permutation(case.k.shape[-2])
    if exam.form() == "core" and "v" in letters:
        asked.append(case._replace(v=np.ones_like(case.v)))
        kinds.append((AVERAGE, lambda one, new: np.ones_like(one)))
    if len(letters) > 1 and not causal:
        asked.append(case._replace(k=case.k[..., turned, :], v=case.v[..., turned, :]))
        kinds.append(("the order of keys and values does not matter", lambda one, new: one))
    if "b" in exam.way.layout:
        def other(X):
            Y = X.copy()
            Y[1:] = -Y[1:] + 0.5
            return Y

        q, k, v = other(case.q), other(case.k), other(case.v)
        asked.append(case._replace(q=q, k=k, v=v))
        kinds.append(("items of a batch do not influence each other",
                      lambda one, new: np.concatenate([one[:1], new[1:]])))
    if "h" in exam.way.layout and exam.form() == "core":
        r = case.q.shape[1] // case.k.shape[1]
        q, k, v = case.q.copy(), case.k.copy(), case.v.copy()
        q[:, r:], k[:, 1:], v[:, 1:] = 0.5 - q[:, r:], 0.5 - k[:, 1:], 0.5 - v[:, 1:]
        asked.append(case._replace(q=q, k=k, v=v))
        kinds.append(("heads do not influence each other",
                      lambda one, new: np.concatenate([one[:, :r], new[:, r:]], 1)))
    if exam.hints.get("causal") == "yes" and not exam.target.parameter("causal"):
        q, k, v = case.q.copy(), case.k.copy(), case.v.copy()
        for X in (k, v) + ((q,) if len(letters) == 1 else ()):
            X[..., -1, :] = 0.5 - X[..., -1, :]
        asked.append(case._replace(q=q, k=k, v=v))
        kinds.append(("the future does not matter", lambda one, new: np.concatenate(
            [one[..., :-1, :], new[..., -1:, :]], -2)))
    observed = exam.ask(asked)
    one = observed[0][1]
    if one is None:
        return
    size = max(np.abs(one).max(initial=0.0), 1.0)
    for (probe, expected), (given, got) in zip(kinds, observed[1:], strict=True):
        if got is None:
            exam.properties.append(Property(probe, None))
            continue
        want = expected(one, got)
        holds = got.shape == want.shape and np.abs(got - want).max(initial=0.0) <= size * (
            1e-9 if exam.way.dtype == "float64" else 1e-4)
        exam.properties.append(Property(probe, bool(holds), {} if holds else counterexample(
            exam, given, got, want)))
        if not holds and probe == AVERAGE and np.isfinite(got).all() and not exam.mistakes:
            exam.said(f"The weights of a row do not sum to 1 (but to {got.min():.4g} … "
                      f"{got.max():.4g}): the output is no average of the values.",
                      *exam.patient.line(r"sum|softmax|exp"))
