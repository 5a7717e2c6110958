"""Second derivatives: the complex step sent through a forward and then through its backward.

With g(X) = dX the gradient of L(X) = Σ dY·f(X) for a fixed dY, and H = ∂g/∂X its Hessian,

    H v  =  Im g(X + i h v) / h

exact to rounding, without a line of second-order calculus. Two facts tell whether it is right: H is
symmetric, u·(H v) = v·(H u), which only the derivative of a true gradient is; and H v is the slope
of g along v, for which a central difference is an independent witness.
Source: Pearlmutter 1994, "Fast exact multiplication by the Hessian"; complex_step.py for the step.
"""

import numpy as np

from npattn.checking.central import CentralDifference
from npattn.checking.complex_step import OTHER_STEPS, STEP, ComplexStep
from npattn.checking.derivatives import Derivatives, random_weights
from npattn.checking.entries import compare, tolerances
from npattn.checking.gradcheck import Misbehaviour, require_options, run_backward, title_of
from npattn.checking.ladder import DOUBLE, bend, ladder
from npattn.checking.pairs import Pair, flat, keeps_keywords
from npattn.checking.report import Report
from npattn.trees import tree_leaves, tree_unflatten


@keeps_keywords
def hessian_vector_product(f, f_backward, *args, dY, direction, **kwargs):
    """H v: how the gradients of Σ dY·f change as the arguments move along `direction`.

    dY         in the form of f's output, held fixed
    direction  v, in the form of what f_backward returns: a tree for each differentiable argument

    Returns H v in that same form. Both halves must take complex numbers.
    Raises ValueError where direction does not fit the arguments.
    """
    pair, moves = Pair(f, f_backward, args, kwargs), tree_leaves(direction)
    needed, given = [leaf.shape for leaf in pair.leaves], [np.shape(v) for v in moves]
    if given != needed:
        raise ValueError(f"direction must have leaves of shapes {needed}, got {given}")
    slopes = [np.imag(g) / STEP for g in _backward(pair, dY, moves, STEP)]
    return tree_unflatten(direction, slopes)


@keeps_keywords
def gradcheck_second_order(f, f_backward, *args, seed=0, rtol=1e-12, name=None, names=None,
                           **kwargs):
    """Check the Hessian that complex steps through f and f_backward give.

    Arguments as in `gradcheck`; float32 is widened first. The rows of the report: for each array,
    its block of H with every array, u·(H v) against v·(H u) with random u and v; and last, as
    "slope", u·(H v) for the whole of H against a central difference of the gradients.

    Returns a `Report`. Where f does not take complex numbers, central differences take their place.
    """
    require_options(rtol=rtol, seed=seed)
    pair = Pair(f, f_backward, args, kwargs, names)
    rng, title = np.random.default_rng(seed), f"{name or title_of(f)}, second order"
    try:
        dY, _, _, failures = run_backward(pair, rng)
    except Misbehaviour as fault:
        failures = [str(fault)]
    if failures:
        return Report(title, "calling it", failures=tuple(failures))
    u, v = ([random_weights(leaf.shape, rng) for leaf in pair.leaves] for _ in range(2))
    central = CentralDifference(pair.outputs, pair.leaves, flat(dY))
    why = ComplexStep(pair.outputs, pair.leaves, flat(dY), central.Y).refusal(*central.each(rng))
    blocks = _blocks if why is None else _blocks_by_differences
    (got, size, drift), (want, *_) = blocks(pair, dY, v, u), blocks(pair, dY, u, v)
    outcomes = []
    for j, path in enumerate(pair.paths):
        rounding = max(drift[:, j].max(), DOUBLE * size[:, j].max())
        names = [f"d²L/d{path} d{other}" for other in pair.paths]
        outcomes.append(_judge(
            got[:, j], want[j], size[:, j], 0.0, rounding, f"d²L/d{path}", names, rtol))
    slope, error = _witness(pair, dY, u, v)
    size, rounding = np.array([size.sum()]), drift.sum() + DOUBLE * size.sum()
    outcomes.append(_judge(
        np.array([got.sum()]), slope, size, error, rounding, "slope", ["slope"], rtol))
    failures = [sentence for _, wrong in outcomes for sentence in wrong]
    rows = tuple(row for row, _ in outcomes)
    notes = () if why is None else (f"central differences alone, because {why}",)
    reasons = tuple(row.doubt for row in rows if row.verdict == "undecided")
    return Report(
        title, "symmetry and central differences", rows, tuple(failures), notes, reasons=reasons
    )


def _blocks(pair, dY, ways, weights):
    """Three (K, K) tables over the K leaves: at [k, j] is weights_j · (H ways_k)_j, where leaf k
    moves alone; the sum of its absolute contributions; and how much other steps change it.
    """

    def table(h):
        rows = []
        for k in range(len(ways)):
            moves = [w if i == k else 0.0 * w for i, w in enumerate(ways)]
            slopes = [np.imag(g) / h for g in _backward(pair, dY, moves, h)]
            terms = [w * s for w, s in zip(weights, slopes, strict=True)]
            rows.append([(t.sum(), np.abs(t).sum()) for t in terms])
        return np.moveaxis(np.array(rows), -1, 0)

    value, size = table(STEP)
    return value, size, np.max([np.abs(table(h)[0] - value) for h in OTHER_STEPS], axis=0)


def _blocks_by_differences(pair, dY, ways, weights):
    """The same three tables where f is no analytic code; the last is the error of the differences.
    """
    start, sizes = _gradients(pair, dY, pair.leaves), np.cumsum([leaf.size for leaf in pair.leaves])
    rows = []
    for k, way in enumerate(ways):

        def change(t, k=k, way=way):
            moved = [leaf + t * way if i == k else leaf for i, leaf in enumerate(pair.leaves)]
            return _gradients(pair, dY, moved) - start

        slopes = ladder(change, bend(pair.leaves[k]), DOUBLE * np.abs(start))
        terms = flat(tuple(weights)) * slopes.value
        parts = (terms, np.abs(terms), slopes.error)
        rows.append([[part.sum() for part in np.split(X, sizes[:-1])] for X in parts])
    return np.moveaxis(np.array(rows), 0, 1)


def _gradients(pair, dY, leaves):
    return flat(tuple(pair.gradient_leaves(dY, pair.forward(leaves)[1])))


def _witness(pair, dY, u, v):
    """u·(H v) and its error by a central difference of the gradients, all leaves moving along v."""

    return CentralDifference(
        lambda leaves: _gradients(pair, dY, leaves), pair.leaves, flat(tuple(u))
    ).along(v)


def _judge(got, want, size, error, rounding, whole, names, rtol):
    """The `Row` for some numbers with one name each, and a sentence if any of them is wrong."""
    want = np.broadcast_to(want, got.shape)
    found = Derivatives(want, size, np.full(got.shape, error), np.full(got.shape, True), rounding)
    return compare(
        found, got, np.arange(got.size), lambda index: names[index[0]] if index else whole,
        tolerances(found, rtol, DOUBLE),
    )


def _backward(pair, dY, moves, h):
    """The leaves of what the backward returns at X + i h v."""
    moved = [leaf + 1j * h * v for leaf, v in zip(pair.leaves, moves, strict=True)]
    return pair.gradient_leaves(dY, pair.forward(moved)[1])
