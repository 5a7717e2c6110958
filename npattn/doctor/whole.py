"""Code whose outputs are not those of a layer, examined as a whole."""

import re

import numpy as np

from npattn.doctor import cases
from npattn.doctor.examine import Property


def bare(exam):
    """Where outputs are not those of a layer: whether items of a batch influence each other.

    Returns whether that could be asked.
    """
    first = exam.target.parameter("x", "q")
    if not first or exam.form() == "core" and not exam.target.object:
        return False
    if any(need and name != first for name, _, need, _ in exam.target.parameters):
        return False
    rng, shape = np.random.default_rng(0), (length(exam), exam.target.sizes.width)
    X = cases.drawn(rng, 3, *shape)
    others = X.copy()
    others[1:] = cases.drawn(rng, 2, *shape)
    outs = outputs(exam, first, (X, X, others))
    if outs is None:
        return False
    one, again, changed = outs
    exam.conventions.append(f"examined as a whole: ({', '.join(map(str, X.shape))}) to "
                            f"({', '.join(map(str, one.shape))})")
    same = np.array_equal(one, again, equal_nan=True)
    exam.properties.append(Property("evaluation is deterministic", same))
    apart = np.abs(one[0] - changed[0]).max() <= 1e-5 * max(1.0, np.abs(one[0]).max())
    exam.properties.append(Property(
        "items of a batch do not influence each other", bool(apart), {} if apart else {
            "case": "items 1 and 2 of the batch are others", "inputs": {first: list(X.shape)},
            "got": changed[0].tolist(), "expected": one[0].tolist()}))
    if not apart:
        exam.said("Items of the batch influence each other: attention runs over the batch (the "
                  "first axis is taken for time, as where batch_first is not set), or a norm "
                  "does.", *exam.patient.line(r"MultiheadAttention|TransformerEncoder|permute|"
                                              r"transpose|softmax"))
    return True


def length(exam):
    """How many tokens: as the user says, else as an error tells that a layer is made for."""
    found = exam.hints.get("length", 12)
    for reply, _ in exam.troubles:
        shapes = re.search(r"\((\d+)x(\d+) and (\d+)x\d+\)", reply.error)
        if shapes and "length" not in exam.hints and int(shapes[3]) % exam.target.sizes.width == 0:
            found = int(shapes[3]) // exam.target.sizes.width
    return found


def outputs(exam, name, inputs):
    """The output for each of these inputs of 3 items, in the first dtype that works; None."""
    base = {"object": exam.target.object, "name": exam.target.name, "torch": exam.target.torch}
    for dtype in ("float64", "float32"):
        replies = exam.patient.call([
            {**base, "dtype": dtype, "kwargs": {name: ("array", X)}, "seed": i}
            for i, X in enumerate(inputs)])
        first = replies[0]
        if not first.error and first.out:
            outs = [dict(r.out).get(first.out[0][0]) for r in replies]
            return None if any(Y is None or Y.shape[:1] != (3,) for Y in outs) else outs
    return None
