"""Code whose outputs are not those of a layer, examined as a whole."""

import re

import numpy as np

from npattn.doctor import cases
from npattn.doctor.examine import Property


def bare(exam):
    """Where outputs are not those of a layer: whether items of a batch influence each other."""
    first = exam.target.parameter("x", "q")
    if not first or exam.form() == "core" and not exam.target.object:
        return False
    needed = [n for n, _, need, _ in exam.target.parameters if need and n != first]
    width, length = exam.target.sizes.width, exam.hints.get("length", 12)
    for reply, _ in exam.troubles:
        shapes = re.search(r"\((\d+)x(\d+) and (\d+)x\d+\)", reply.error)
        if shapes and "length" not in exam.hints and int(shapes[3]) % width == 0:
            length = int(shapes[3]) // width  # a length that is written into a layer
    rng = np.random.default_rng(0)
    X = cases.drawn(rng, 3, length, width)
    Y = X.copy()
    Y[1:] = cases.drawn(rng, 2, length, width)
    if needed:
        return False
    base = {"object": exam.target.object, "name": exam.target.name,
            "torch": exam.target.torch, "dtype": "float64"}
    for dtype in ("float64", "float32"):
        base["dtype"] = dtype
        one, again, two = exam.patient.call([
            {**base, "kwargs": {first: ("array", Z)}, "seed": i}
            for i, Z in enumerate((X, X, Y))])
        if not one.error and one.out:
            break
    else:
        return False
    outs = [dict(r.out).get(one.out[0][0]) for r in (one, again, two)]
    if any(o is None or o.shape[:1] != (3,) for o in outs):
        return False
    a, b, c = outs
    exam.conventions.append(f"examined as a whole: ({', '.join(map(str, X.shape))}) to "
                            f"({', '.join(map(str, a.shape))})")
    same = np.array_equal(a, b, equal_nan=True)
    exam.properties.append(Property("evaluation is deterministic", same))
    apart = np.abs(a[0] - c[0]).max() <= 1e-5 * max(1.0, np.abs(a[0]).max())
    exam.properties.append(Property(
        "items of a batch do not influence each other", bool(apart), {} if apart else {
            "case": "items 1 and 2 of the batch are others", "inputs": {first: list(X.shape)},
            "got": c[0].tolist(), "expected": a[0].tolist()}))
    if not apart:
        exam.said("Items of the batch influence each other: attention runs over the batch (the "
                  "first axis is taken for time, as where batch_first is not set), or a norm "
                  "does.", *exam.patient.line(r"MultiheadAttention|TransformerEncoder|permute|"
                                              r"transpose|softmax"))
    return True
