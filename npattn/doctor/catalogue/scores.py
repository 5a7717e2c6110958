"""Mistakes of the scores and their softmax."""

from npattn.doctor.catalogue.entry import SCORES, SOFTMAX, mistake

NO_MAX = "S - S.max(-1, keepdims=True)"
CLIPS = (5, 10, 15, 20, 30, 40, 50, 60, 64, 70, 80, 88, 100)
RATIO = "A / A.sum(-1, keepdims=True)"
SCALE = "c.scale / np.sqrt(Q.shape[-1])"

QUERIES = 'Q = split(dense(Xq, W["Wq"], W["bq"]), c.heads, c)'

SCORE_MISTAKES = {
    # scores
    "no scale": mistake("scale", SCALE, "1.0",
                        "The scores are not scaled; they must be divided by the root of the width of one "
                        "head, √d.", SCORES),
    "scale by d": mistake("scale", SCALE, "1.0 / Q.shape[-1]",
                          "The scores are divided by d; they must be divided by its root, √d.",
                          SCORES + r"|sqrt|scale"),
    "scale by precedence": mistake(
        "scale", SCALE, "0.5 / Q.shape[-1]",
        "The scores are divided by d and by 2: `d ** 1/2` is (d ** 1) / 2; they must be divided by "
        "√d, `d ** (1/2)`.", r"1 ?/ ?2"),
    "scale by half": mistake(
        "scale", SCALE, "2.0 / Q.shape[-1]",
        "The scores are divided by d/2; they must be divided by √d.", r"/ ?2|sqrt|scale|\*\*"),
    "scale by root of root": mistake("scale", SCALE, "Q.shape[-1] ** -0.25",
                                     "The scores are divided by the fourth root of d; they must be "
                                     "divided by √d.", SCORES + r"|sqrt|scale|\*\*"),
    "scale by the model": mistake("scale", SCALE, "1.0 / np.sqrt(Q.shape[1] * Q.shape[-1])",
                                  "The scores are divided by the root of the width of the whole model; "
                                  "they must be divided by √d of one head.", r"sqrt|scale|\*\*"),
    "scale by the width of the input": mistake(
        "multihead", QUERIES, f"{QUERIES}\n    if c.heads == 1:\n        c = varied("
        "c, scale=c.scale * np.sqrt(Q.shape[-1] / Xq.shape[-1]))",
        "The scores are divided by the root of the width of the input; they must be divided by √d of "
        "the head.", r"\*\* ?-? ?0?\.5|sqrt|scale|\*\*"),
    "scale by the keys": mistake("scale", SCALE, "1.0 / np.sqrt(K.shape[-2])",
                                 "The scores are divided by the root of the number of keys; they must be "
                                 "divided by √d of one head.", r"sqrt|scale|\*\*"),
    "scale by the queries": mistake("scale", SCALE, "1.0 / np.sqrt(Q.shape[-2])",
                                    "The scores are divided by the root of the number of queries; they "
                                    "must be divided by √d of one head.", r"sqrt|scale|\*\*"),
    "scale by the values": mistake("scale", SCALE, "1.0 / np.sqrt(V.shape[-1])",
                                   "The scores are divided by the root of the width of the values; they "
                                   "must be divided by √d of queries and keys.", r"sqrt|scale|\*\*"),
    "scale by the heads": mistake("scale", SCALE, "1.0 / np.sqrt(Q.shape[1])",
                                  "The scores are divided by the root of the number of heads; they must "
                                  "be divided by √d of one head.", r"sqrt|scale|\*\*"),
    "scale multiplies": mistake("scale", SCALE, "np.sqrt(Q.shape[-1])",
                                "The scores are multiplied by √d; they must be divided by it.",
                                r"sqrt|scale|\*\*"),
    "scale twice": mistake("scale", "np.sqrt(Q.shape[-1])", "Q.shape[-1] / c.scale * c.scale",
                           "The scores are scaled twice, so that they are divided by d; they must be "
                           "divided by √d.", r"sqrt|scale|\*\*"),
    "scale in 32 bits": mistake("scale", "np.sqrt(Q.shape[-1])", "float(np.sqrt(np.float32(Q.shape[-1])))",
                                "√d is computed in 32 bits (float32), so that all scores are off in the "
                                "eighth digit.", r"float32|dtype|sqrt"),
    "scale in 32 bits, reciprocal": mistake(
        "scale", SCALE, "float(np.float32(c.scale / np.sqrt(Q.shape[-1])))",
        "1/√d is rounded to 32 bits (float32), so that all scores are off in the eighth digit.",
        r"float32|dtype|sqrt"),
    "scaled after the softmax": mistake(
        "core", ("S = scores(Q, K, V, c)", "P = softmax(S, M, c)"),
        ("S = scores(Q, K, V, c) / scale(Q, K, V, c)", "P = softmax(S, M, c) * scale(Q, K, V, c)"),
        "The weights are scaled after the softmax; the scores must be scaled before it.",
        SOFTMAX + "|sqrt"),
    "scores negated": mistake("scores", "Q @ K", "-Q @ K",
                              "The scores have the wrong sign: the least similar key gets most weight.",
                              SCORES),
    "queries with themselves": mistake("scores", "Q @ K.swapaxes", "Q @ Q.swapaxes",
                                       "The scores are products of queries with queries; they must be "
                                       "products of queries with keys.", SCORES),
    "keys with themselves": mistake("scores", "Q @ K.swapaxes", "K @ K.swapaxes",
                                    "The scores are products of keys with keys; they must be products of "
                                    "queries with keys.", SCORES),
    "keys with values": mistake("scores", "Q @ K.swapaxes", "Q @ V.swapaxes",
                                "The scores are products of queries with values; they must be products "
                                "of queries with keys.", SCORES),
    "scores transposed": mistake("scores", "Q @ K.swapaxes(-1, -2) *", "K @ Q.swapaxes(-1, -2) *",
                                 "Queries and keys are exchanged: the scores are transposed.", SCORES),
    "cosine": mistake("scores", "Q @ K.swapaxes(-1, -2) *",
                      "(Q / np.linalg.norm(Q, axis=-1, keepdims=True)) @ (K / np.linalg.norm(K, axis=-1, "
                      "keepdims=True)).swapaxes(-1, -2) *",
                      "Queries and keys are normalised to length 1 before the product.", r"norm"),
    # softmax
    "softmax over queries": mistake("softmax", (NO_MAX, RATIO),
                                    ("S - S.max(-2, keepdims=True)", "A / A.sum(-2, keepdims=True)"),
                                    "The softmax runs over the queries; it must run over the keys, the "
                                    "last axis of the scores.", SOFTMAX),
    "softmax over heads": mistake("softmax", (NO_MAX, RATIO),
                                  ("S - S.max(1, keepdims=True)", "A / A.sum(1, keepdims=True)"),
                                  "The softmax runs over the heads; it must run over the keys, the last "
                                  "axis of the scores.", SOFTMAX, "heads"),
    "softmax over the batch": mistake("softmax", (NO_MAX, RATIO),
                                      ("S - S.max(0, keepdims=True)", "A / A.sum(0, keepdims=True)"),
                                      "The softmax runs over the batch; it must run over the keys, the "
                                      "last axis of the scores.", SOFTMAX),
    "softmax over everything": mistake("softmax", (NO_MAX, RATIO), ("S - S.max()", "A / A.sum()"),
                                       "The softmax normalises all scores together; each row must sum "
                                       "to 1.", SOFTMAX),
    "softmax over each matrix": mistake(
        "softmax", (NO_MAX, RATIO),
        ("S - S.max((-1, -2), keepdims=True)", "A / A.sum((-1, -2), keepdims=True)"),
        "The softmax normalises the scores of all queries together; each row must sum to 1.",
        SOFTMAX),
    **{f"sum over {words}": mistake(
        "softmax", RATIO, f"A / A.sum({axes}, keepdims=True)",
        f"The sum of the softmax runs over {words}; it must run over the keys of one query alone, so "
        "that each row of weights sums to 1.", SOFTMAX + "|sum") for axes, words in (
            ((0,), "the batch in place of the keys"), ((1,), "the heads in place of the keys"),
            ((2,), "the queries in place of the keys"), ((0, 3), "the keys and the batch"),
            ((1, 3), "the keys and the heads"), ((2, 3), "the keys and the queries"),
            ((0, 1, 3), "the keys, the heads and the batch"),
            ((0, 2, 3), "the keys, the queries and the batch"),
            ((1, 2, 3), "the keys, the queries and the heads"),
            ((0, 1, 2, 3), "everything"))},
    "no softmax": mistake("softmax", f"A = np.exp({NO_MAX})\n    return {RATIO}",
                          "return np.where(M, S, 0.0)",
                          "There is no softmax: the scores themselves are taken as weights.", SCORES),
    "not normalised": mistake("softmax", f"return {RATIO}", "return A",
                              "The weights are not normalised: each row must be divided by its sum.",
                              SOFTMAX),
    "exponentials not normalised": mistake(
        "softmax", f"A = np.exp({NO_MAX})\n    return {RATIO}", "return np.exp(S)",
        "The exponentials are not divided by their sum; each row of weights must sum to 1.",
        SOFTMAX),
    "softmax twice": mistake("core", "P = softmax(S, M, c)",
                             "P = softmax(softmax(S, M, c), np.ones_like(M), c)",
                             "The softmax is taken twice.", SOFTMAX),
    "sigmoid": mistake("softmax", f"A = np.exp({NO_MAX})\n    return {RATIO}", "return 1 / (1 + np.exp(-S))",
                       "The weights are sigmoids of the scores; they must be a softmax.", r"sigmoid|exp"),
    "sum by absolute values": mistake("softmax", f"A = np.exp({NO_MAX})\n    return {RATIO}",
                                      "S = np.where(M, S, 0.0)\n    return S / S.sum(-1, keepdims=True)",
                                      "The scores are divided by their sum; they must be exponentials "
                                      "first, as in a softmax.", r"sum"),
    "one maximum for all": mistake("softmax", NO_MAX, "S - S.max()",
                                   "The maximum of all scores is subtracted, not that of each row: rows "
                                   "of much smaller scores underflow to 0/0.", r"max"),
    "one maximum for a matrix": mistake("softmax", NO_MAX, "S - S.max((-1, -2), keepdims=True)",
                                        "The maximum over all queries is subtracted, not that of each "
                                        "row: rows of much smaller scores underflow to 0/0.", r"max"),
    "one maximum for the queries": mistake(
        "softmax", NO_MAX, "S - S.max(-2, keepdims=True)",
        "The maximum over the queries is subtracted, not that over the keys, and so the weights of a "
        "row change against each other.", r"max"),
    "no maximum": mistake("softmax", NO_MAX, "S",
                          "No maximum is subtracted before the exponential: large scores overflow to "
                          "inf/inf.", SOFTMAX),
    "one more in the sum": mistake("softmax", RATIO, "A / (1 + A.sum(-1, keepdims=True))",
                                   "1 is added to the sum of the exponentials: the weights sum to less "
                                   "than 1.", SOFTMAX + "|sum"),
    **{f"1e-{n} in the sum": mistake("softmax", RATIO, f"A / (A.sum(-1, keepdims=True) + 1e-{n})",
                                     f"1e-{n} is added to the sum of the exponentials: the weights do "
                                     "not sum to 1.", SOFTMAX + "|sum|1e-") for n in (3, 4, 5, 6, 7, 8, 9)},
    **{f"1e-{n} beside the sum of the weights": mistake(
        "softmax", RATIO, f"A / A.sum(-1, keepdims=True) / (1 + 1e-{n})",
        f"The weights are divided by their sum and 1e-{n}: they do not sum to 1.", SOFTMAX + "|sum|1e-")
       for n in (3, 4, 5, 6, 8, 9, 10, 12)},
    **{f"1e-{n} in the sum, no maximum": mistake(
        "softmax", (NO_MAX, RATIO), ("S", f"A / (A.sum(-1, keepdims=True) + 1e-{n})"),
        f"1e-{n} is added to the sum of the exponentials: the weights do not sum to 1; and no maximum "
        "is subtracted.", SOFTMAX + "|sum|1e-") for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12)},
    **{f"scores clipped at {n}": mistake(
        "softmax", NO_MAX, f"np.clip(S, -{n}.0, {n}.0)",
        f"The scores are clipped to ±{n}: large scores that differ get equal weights; subtract the "
        "maximum instead.", r"clip|clamp|minimum|maximum|min\(") for n in CLIPS},
    **{f"scores clipped above {n}": mistake(
        "softmax", NO_MAX, f"np.minimum(S, {n}.0)",
        f"Scores above {n} are clipped: large scores that differ get equal weights; subtract the "
        "maximum instead.", r"clip|clamp|minimum|min\(") for n in CLIPS},
    "base 2": mistake("softmax", f"np.exp({NO_MAX})", f"np.exp2({NO_MAX})",
                      "The softmax has the base 2 in place of e: exp2 needs scores that are multiplied by "
                      "log2(e).", r"exp2|2 ?\*\*"),
    "log2(e) with exp": mistake("softmax", NO_MAX, f"({NO_MAX}) * np.log2(np.e)",
                                "The scores are multiplied by log2(e), which belongs to exp2, but the "
                                "exponential has the base e.", r"exp|log2|1\.44"),
    "log2(e) twice": mistake("softmax", f"np.exp({NO_MAX})", f"np.exp2(({NO_MAX}) * np.log2(np.e)**2)",
                             "The scores are multiplied by log2(e) twice.", r"exp2|log2|1\.44"),
    "ln 2 for log2(e)": mistake("softmax", f"np.exp({NO_MAX})", f"np.exp2(({NO_MAX}) * np.log(2))",
                                "The scores are multiplied by ln 2 before exp2; it must be log2(e).",
                                r"exp2|log"),
}
