"""Is a backward right, in every entry, and how sure can one be?

With a random upstream gradient dY, the backward claims to know every derivative of one number,

    L(X) = Σ dY · f(X)        dX = ∂L/∂X

so each entry of dX is compared with the derivative of L along that entry alone, taken from the
forward only: by the complex step, exact to rounding, or where f does not take complex numbers by
central differences with an estimated error. An entry that no output depends on (a masked key, a
padded position) must be exactly 0.

The complex step is believed only where differences agree with it, in every output. The tolerance
comes from measured rounding (see entries.py), in the arithmetic that f really uses (arithmetic.py),
and so does `Report.smallest_fault`, the promise that any single entry off by more would have been
reported. Where that promise says nothing, the verdict is "undecided".
"""

import re

import numpy as np

from npattn.checking.arithmetic import inner_epsilons
from npattn.checking.central import CentralDifference
from npattn.checking.complex_step import ComplexStep
from npattn.checking.entries import POWER
from npattn.checking.ladder import DOUBLE
from npattn.checking.naming import axis_words, entry_name
from npattn.checking.one_array import check_leaf
from npattn.checking.pairs import Pair, flat, keeps_keywords, random_upstream
from npattn.checking.quick import along_all
from npattn.checking.report import Report, Row
from npattn.trees import tree_map

NUDGES = 4
READ_ONLY = re.compile("read-?only", re.I)


@keeps_keywords
def gradcheck(f, f_backward, *args, axes=None, seed=0, rtol=1e-12, method="auto",
              max_entries=None, name=None, names=None, quick=False,
              **kwargs):
    """Check every gradient that f_backward returns, at the given arguments.

    f, f_backward  Y, cache = f(*args, **kwargs) and gradients = f_backward(dY, cache); or only Y,
                   and f_backward(dY, Y); or methods of one object, and f_backward(dY); or None
                   for f_backward, and f returns (loss, gradients)
    args           float arrays and trees, dicts, lists, dataclasses of float arrays are
                   differentiated, the rest held fixed; a Generator (also in kwargs) draws the same
                   numbers in each call
    axes           words for the report: {"K": "batch head key dim", "params.W": "in out"}
    seed           of dY and of what is sampled
    rtol           tolerance relative to the sum of absolute contributions to an entry
    method         "complex", "central", or "auto": complex where f allows it
    max_entries    take only so many random entries of each array one by one, and all at once along
                   random weights of both signs
    quick          look at all entries at once first, along one random direction by one complex
                   forward; the report states which single fault that would have shown. What
                   it does not pass is checked again as max_entries=1 does
    name, names    what the report calls f and the arguments; None takes them from f

    Returns a `Report`. What the pair does wrong is a failure in it, and where f has no derivative
    it tells of a kink; what the caller does wrong raises TypeError or ValueError, and exceptions
    inside f and f_backward pass through. A keyword above that f also has, under the same name,
    raises ValueError: give f its own with functools.partial.
    """
    require_options(method, rtol, max_entries, seed, quick)
    pair = Pair(f, f_backward, args, kwargs, names)
    words, rng = axis_words(axes, pair.paths, pair.leaves), np.random.default_rng(seed)
    title = name or title_of(f)
    try:
        dY, cache, gradients, failures = run_backward(pair, rng, once=quick)
    except Misbehaviour as fault:
        return Report(title, "calling it", failures=(str(fault),))
    if quick:
        rows = _quick_rows(pair, dY, gradients, rng) if not failures else ()
        if rows:
            note = "all entries at once along one random direction (quick)"
            return Report(title, "complex step", rows, notes=(note,))
        max_entries = max_entries or 1
    truth, notes = choose_method(method, pair, flat(dY), rng)
    inner = truth.eps
    rows, kinks, reasons = [], [], []
    scatter = backward_scatter(pair, dY, gradients, inner, rng)
    for k, (path, got) in enumerate(zip(pair.paths, gradients, strict=True)):
        if got is None:
            rows.append(Row(f"d{path}", 0, pair.leaves[k].size, None, np.inf, False, None, None))
            continue

        def called(index, path=path):
            return entry_name(path, index, words.get(path))

        outcome = check_leaf(
            truth, k, got, called, scatter=scatter[k], rtol=rtol, rng=rng,
            eps=max(inner[k], _coarsest(pair.leaves[k], got)), max_entries=max_entries,
        )
        rows.append(outcome.row)
        failures += outcome.wrong
        kinks += outcome.kinks
        if outcome.row.verdict == "undecided" and not outcome.kinks:
            reasons.append(f"{outcome.row.doubt}; {_advice(pair.leaves[k].dtype, inner[k])}")
    return Report(
        title, truth.name, tuple(rows), tuple(failures), tuple(notes), tuple(kinks), tuple(reasons)
    )


def _quick_rows(pair, dY, gradients, rng):
    """A `Row` for each gradient, all of them right, or () where a longer look is needed."""
    leaves = [leaf.astype(np.float64) for leaf in pair.leaves]
    found = along_all(pair.outputs, leaves, flat(dY), gradients, rng)
    if found is None:
        return ()
    eps = _coarsest(*pair.leaves, *gradients)
    gap, tolerance = found.gap, found.tolerance + 100 * eps * found.size
    fault = 2 * (gap + tolerance)
    scales = [np.abs(g).max(initial=0.0) for g in gradients]
    if not gap <= tolerance or fault > POWER * min(scales):
        return ()
    return tuple(
        Row(f"d{path}", 0, g.size, None, fault, True, g, None)
        for path, g in zip(pair.paths, gradients, strict=True)
    )


def _coarsest(*arrays):
    """The largest machine epsilon of them."""
    return max(np.finfo(array.dtype).eps for array in arrays)


def require_options(method="auto", rtol=0.0, max_entries=None, seed=0, quick=False):
    """Raises ValueError unless the options have a meaning."""
    if not isinstance(quick, (bool, np.bool_)):
        raise ValueError(f"quick must be True or False, got {quick!r}")
    try:
        np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise ValueError(f"seed must be a whole number from 0 on, got {seed!r}") from None
    if method not in ("auto", "complex", "central"):
        raise ValueError(f"method must be 'auto', 'complex' or 'central', got {method!r}")
    if not (isinstance(rtol, (int, float, np.number)) and 0 <= rtol <= 0.01):
        raise ValueError(f"rtol must be a number from 0 to 0.01, got {rtol!r}")
    whole = isinstance(max_entries, (int, np.integer)) and not isinstance(max_entries, bool)
    if max_entries is not None and not (whole and max_entries >= 1):
        raise ValueError(f"max_entries must be None or at least 1, and whole, got {max_entries!r}")


def _advice(dtype, inner):
    """What would decide it."""
    if dtype == np.float32:
        return "float64 arguments would decide it"
    if inner > DOUBLE:
        return (
            "let f compute in float64 inside, too (no astype; in JAX "
            "jax.config.update('jax_enable_x64', True))"
        )
    return "arguments of another scale, or an f that takes complex numbers, would decide it"


def assert_gradients(f, f_backward, *args, **options):
    """`gradcheck` for a test: raises AssertionError with the whole report unless all is right."""
    report = gradcheck(f, f_backward, *args, **options)
    if not report.ok:
        raise AssertionError(str(report))
    return report


class Misbehaviour(Exception):
    """The pair does something that makes its gradients meaningless."""


def run_backward(pair, rng, once=False):
    """dY, cache, gradients, complaints. Each half is called twice and must agree with itself,
    unless `once`.
    """
    try:
        return _run_backward(pair, rng, once)
    except Exception as error:
        if not READ_ONLY.search(str(error)):
            raise
    pair.allow_writing()  # the two halves may write, or may only refuse read-only arrays: numba
    return _run_backward(pair, rng, once)


def _run_backward(pair, rng, once):
    Y, cache = pair.forward()
    again = Y if once else pair.forward()[0]
    if pair.written_to():
        raise Misbehaviour("f writes to one of its arguments")
    if Y is None:
        raise Misbehaviour("f returned None; is the return missing?")
    dY = random_upstream(Y, rng)
    if not np.isfinite(flat(Y)).all():
        for path, leaf in zip(pair.paths, pair.leaves, strict=True):
            if not np.isfinite(leaf).all():
                raise ValueError(f"{path} holds NaN or inf, and so does the result; give numbers")
        raise Misbehaviour("f returns NaN or inf, so there are no gradients to compare")
    if not _same(flat(Y), flat(again)):
        raise Misbehaviour("f gives another result when called again; pass its rng as an argument")
    dY = tree_map(lambda d: d.copy(), dY) if pair.writable else dY
    upstream = flat(dY).copy()
    gradients, complaints = pair.gradients(dY, cache)
    again = gradients if once or pair.owner is not None else pair.gradients(dY, cache)[0]
    if pair.written_to() or not _same(flat(dY), upstream):
        raise Misbehaviour("the backward writes to dY or to an argument of f")
    pairs = [(a, b) for a, b in zip(gradients, again, strict=True) if a is not None]
    if not all(b is not None and _same(a, b) for a, b in pairs):
        complaints.append("the backward writes to the cache: called twice, it gives two results")
    return dY, cache, gradients, complaints


def backward_scatter(pair, dY, gradients, inner, rng):
    """How far each entry of each gradient moves when dY and the arguments do by their last bit.

    inner  for each leaf, the epsilon of the arithmetic that f uses inside

    That draws the backward's roundings anew, which the truth, being computed another way, does not
    show. An error that is no rounding hardly changes, so none can hide behind this. The forward
    runs again before each backward.
    """

    def nudge(leaf, eps):
        eps = max(eps, np.finfo(leaf.dtype).eps)
        return leaf * (1 + eps * rng.choice([-1.0, 1.0], leaf.shape)).astype(leaf.dtype)

    largest = [None if a is None else np.zeros(a.shape) for a in gradients]
    for _ in range(NUDGES):
        leaves = [nudge(leaf, eps) for leaf, eps in zip(pair.leaves, inner, strict=True)]
        moved = tree_map(lambda leaf: nudge(leaf, max(inner)), dY)
        with np.errstate(all="ignore"):
            try:
                nudged, _ = pair.gradients(moved, pair.forward(leaves, widen=False)[1])
            except Exception:  # one bit out of f's domain
                continue
        for k, (a, b) in enumerate(zip(gradients, nudged, strict=True)):
            if a is not None and b is not None:
                largest[k] = np.fmax(largest[k], np.abs(a - b))
    return largest


def choose_method(method, pair, dY, rng):
    """The source of truth for Σ dY·F(leaves), and notes: why it is not the complex step, if it is
    not, and in which precision f computes, if it is not double.
    """
    F, leaves = pair.outputs, pair.leaves
    doubles = [leaf.astype(np.float64) for leaf in leaves]
    Y = F(doubles)
    eps = inner_epsilons(F, Y, doubles, rng)
    central, coarse = CentralDifference(F, leaves, dY, eps), max(eps)
    notes = [f"f computes in about {_precision(coarse)} inside"] if coarse > DOUBLE else []
    if method == "central":
        return central, notes
    step = ComplexStep(F, leaves, dY, Y, eps)
    why = step.refusal(*central.each(rng))
    if why is None:
        return step, notes
    if method == "complex":
        raise TypeError(f"method 'complex' cannot be used: {why}")
    return central, [f"central differences, because {why}", *notes]


def _precision(eps):
    return "float32" if eps < 1e-6 else "float16"


def title_of(f):
    """A name for f, also for a functools.partial or a callable object."""
    return getattr(getattr(f, "func", f), "__name__", type(f).__name__)


def _same(a, b):
    """Equal up to what thread scheduling may do to a sum."""
    slack = 1e3 * np.finfo(a.dtype).eps * np.abs(a[np.isfinite(a)]).max(initial=0.0)
    return a.shape == b.shape and np.allclose(a, b, rtol=0.0, atol=slack, equal_nan=True)
