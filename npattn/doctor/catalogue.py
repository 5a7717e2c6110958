"""Mistakes that attention code is published with, as edits of reference.py.

    MISTAKES["no scale"].words     what was done, as a sentence
    mistaken("no scale", "K and V exchanged")      {name: function} of the reference with both

An entry is an Edit whose `old` stands once in the function that `where` names. `at` is a pattern
for lines of the user's file in which such a thing is likely written.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from npattn.doctor.reference import varied
from npattn.edits import Edit, EditError, apply

SOURCE = Path(__file__).with_name("reference.py")
SOFTMAX, SCORES = r"softmax|\.exp\(|exp\(", r"@|matmul|einsum|bmm|\.dot\("
MASK = r"mask|where|masked_fill|tril|triu|keep|inf|-1e|-1\.?0?e"
HEADS = r"reshape|view|transpose|permute|swapaxes|rearrange|einsum|split"
NORM = r"mean|var|std|norm"


class Mistake(NamedTuple):
    """An edit of one function of the reference."""

    where: str   # the function
    edit: Edit
    at: str      # pattern of likely lines
    needs: str   # what a case must have for the edit to show: "", mask, causal, heads, …

    @property
    def words(self):
        return self.edit.words


def _m(where, old, new, words, at, needs=""):
    return Mistake(where, Edit(old, new, words), at, needs)


NAMES = {"q": "queries", "k": "keys", "v": "values", "o": "output"}
NO_MAX = "S - S.max(-1, keepdims=True)"
PLAIN = "S = np.where(M, S, -np.inf)"
CLIPS = (5, 10, 15, 20, 30, 40, 50, 60, 64, 70, 80, 88, 100)
RATIO = "A / A.sum(-1, keepdims=True)"
CAUSAL = "np.arange(Tk) <= start + np.arange(Tq)[:, None]"
SCALE = "c.scale / np.sqrt(Q.shape[-1])"
TURN = "return X.reshape(B, T, H, D // H).swapaxes(1, 2)"
MERGE = "return O.swapaxes(1, 2).reshape(B, T, H * d)"
PAIR = "[E * cos - F * sin, E * sin + F * cos], -1).reshape"
HALF = "return np.concatenate([E * cos - F * sin, E * sin + F * cos], -1)"
VAR = "(Z**2).mean(-1, keepdims=True) + c.eps"
DS = "P * (dP - (dP * P).sum(-1, keepdims=True))"
GROUPS = "np.repeat(K, H // K.shape[1], axis=1)"

TILES = {  # what a loop over tiles of keys (flash attention) does wrong
    "output not rescaled": "The running output is not rescaled when the maximum of the scores "
                           "changes; it must be multiplied by exp(old − new maximum).",
    "sum not rescaled": "The running sum is not rescaled when the maximum of the scores changes; it "
                        "must be multiplied by exp(old − new maximum).",
    "neither rescaled": "Running sum and output are not rescaled when the maximum of the scores "
                        "changes; they must be multiplied by exp(old − new maximum).",
    "own maxima": "Each tile subtracts its own maximum and the sums are added as they are; they must "
                  "be brought to one maximum, that of all tiles so far.",
    "tail dropped": "The last keys, which fill no whole tile, are left out: the number of tiles must "
                    "be rounded up.",
    "tail dropped behind the first": "The last keys, which fill no whole tile, are left out: the "
                                     "number of tiles must be rounded up.",
    "last queries dropped": "The last queries, which fill no whole tile, are left out.",
    "first tile only": "Only the first tile of keys counts.",
    "tiles overlap": "Tiles of keys overlap by one key, which counts twice.",
    "a key between tiles lost": "The last key of each tile is left out.",
    "last tile only": "Only the last tile of keys counts.",
    "tiles averaged": "Each tile of keys is normalised alone and the tiles are averaged; they must be "
                      "weighted by their sums.",
    "tiles added": "Each tile of keys is normalised alone and the tiles are added.",
}

MISTAKES = {
    # scores
    "no scale": _m("scale", SCALE, "1.0",
                   "The scores are not scaled; they must be divided by the root of the width of one "
                   "head, √d.", SCORES),
    "scale by d": _m("scale", SCALE, "1.0 / Q.shape[-1]",
                     "The scores are divided by d; they must be divided by its root, √d.",
                     SCORES + r"|sqrt|scale"),
    "scale by root of root": _m("scale", SCALE, "Q.shape[-1] ** -0.25",
                                "The scores are divided by the fourth root of d; they must be "
                                "divided by √d.", SCORES + r"|sqrt|scale|\*\*"),
    "scale by the model": _m("scale", SCALE, "1.0 / np.sqrt(Q.shape[1] * Q.shape[-1])",
                             "The scores are divided by the root of the width of the whole model; "
                             "they must be divided by √d of one head.", r"sqrt|scale|\*\*"),
    "scale by the keys": _m("scale", SCALE, "1.0 / np.sqrt(K.shape[-2])",
                            "The scores are divided by the root of the number of keys; they must be "
                            "divided by √d of one head.", r"sqrt|scale|\*\*"),
    "scale by the queries": _m("scale", SCALE, "1.0 / np.sqrt(Q.shape[-2])",
                               "The scores are divided by the root of the number of queries; they "
                               "must be divided by √d of one head.", r"sqrt|scale|\*\*"),
    "scale by the values": _m("scale", SCALE, "1.0 / np.sqrt(V.shape[-1])",
                              "The scores are divided by the root of the width of the values; they "
                              "must be divided by √d of queries and keys.", r"sqrt|scale|\*\*"),
    "scale by the heads": _m("scale", SCALE, "1.0 / np.sqrt(Q.shape[1])",
                             "The scores are divided by the root of the number of heads; they must "
                             "be divided by √d of one head.", r"sqrt|scale|\*\*"),
    "scale multiplies": _m("scale", SCALE, "np.sqrt(Q.shape[-1])",
                           "The scores are multiplied by √d; they must be divided by it.",
                           r"sqrt|scale|\*\*"),
    "scale twice": _m("scale", "np.sqrt(Q.shape[-1])", "Q.shape[-1] / c.scale * c.scale",
                      "The scores are scaled twice, so that they are divided by d; they must be "
                      "divided by √d.", r"sqrt|scale|\*\*"),
    "scale in 32 bits": _m("scale", "np.sqrt(Q.shape[-1])", "float(np.sqrt(np.float32(Q.shape[-1])))",
                           "√d is computed in 32 bits (float32), so that all scores are off in the "
                           "eighth digit.", r"float32|dtype|sqrt"),
    "scale in 32 bits, reciprocal": _m(
        "scale", SCALE, "float(np.float32(c.scale / np.sqrt(Q.shape[-1])))",
        "1/√d is rounded to 32 bits (float32), so that all scores are off in the eighth digit.",
        r"float32|dtype|sqrt"),
    "scaled after the softmax": _m(
        "core", ("S = scores(Q, K, V, c)", "P = softmax(S, M, c)"),
        ("S = scores(Q, K, V, c) / scale(Q, K, V, c)", "P = softmax(S, M, c) * scale(Q, K, V, c)"),
        "The weights are scaled after the softmax; the scores must be scaled before it.",
        SOFTMAX + "|sqrt"),
    "scores negated": _m("scores", "Q @ K", "-Q @ K",
                         "The scores have the wrong sign: the least similar key gets most weight.",
                         SCORES),
    "queries with themselves": _m("scores", "Q @ K.swapaxes", "Q @ Q.swapaxes",
                                  "The scores are products of queries with queries; they must be "
                                  "products of queries with keys.", SCORES),
    "keys with themselves": _m("scores", "Q @ K.swapaxes", "K @ K.swapaxes",
                               "The scores are products of keys with keys; they must be products of "
                               "queries with keys.", SCORES),
    "keys with values": _m("scores", "Q @ K.swapaxes", "Q @ V.swapaxes",
                           "The scores are products of queries with values; they must be products "
                           "of queries with keys.", SCORES),
    "scores transposed": _m("scores", "Q @ K.swapaxes(-1, -2) *", "K @ Q.swapaxes(-1, -2) *",
                            "Queries and keys are exchanged: the scores are transposed.", SCORES),
    "cosine": _m("scores", "Q @ K.swapaxes(-1, -2) *",
                 "(Q / np.linalg.norm(Q, axis=-1, keepdims=True)) @ (K / np.linalg.norm(K, axis=-1, "
                 "keepdims=True)).swapaxes(-1, -2) *",
                 "Queries and keys are normalised to length 1 before the product.", r"norm"),
    # softmax
    "softmax over queries": _m("softmax", (NO_MAX, RATIO),
                               ("S - S.max(-2, keepdims=True)", "A / A.sum(-2, keepdims=True)"),
                               "The softmax runs over the queries; it must run over the keys, the "
                               "last axis of the scores.", SOFTMAX),
    "softmax over heads": _m("softmax", (NO_MAX, RATIO),
                             ("S - S.max(1, keepdims=True)", "A / A.sum(1, keepdims=True)"),
                             "The softmax runs over the heads; it must run over the keys, the last "
                             "axis of the scores.", SOFTMAX, "heads"),
    "softmax over the batch": _m("softmax", (NO_MAX, RATIO),
                                 ("S - S.max(0, keepdims=True)", "A / A.sum(0, keepdims=True)"),
                                 "The softmax runs over the batch; it must run over the keys, the "
                                 "last axis of the scores.", SOFTMAX),
    "softmax over everything": _m("softmax", (NO_MAX, RATIO), ("S - S.max()", "A / A.sum()"),
                                  "The softmax normalises all scores together; each row must sum "
                                  "to 1.", SOFTMAX),
    "softmax over each matrix": _m(
        "softmax", (NO_MAX, RATIO),
        ("S - S.max((-1, -2), keepdims=True)", "A / A.sum((-1, -2), keepdims=True)"),
        "The softmax normalises the scores of all queries together; each row must sum to 1.",
        SOFTMAX),
    "no softmax": _m("softmax", f"A = np.exp({NO_MAX})\n    return {RATIO}",
                     "return np.where(M, S, 0.0)",
                     "There is no softmax: the scores themselves are taken as weights.", SCORES),
    "not normalised": _m("softmax", f"return {RATIO}", "return A",
                         "The weights are not normalised: each row must be divided by its sum.",
                         SOFTMAX),
    "exponentials not normalised": _m(
        "softmax", f"A = np.exp({NO_MAX})\n    return {RATIO}", "return np.exp(S)",
        "The exponentials are not divided by their sum; each row of weights must sum to 1.",
        SOFTMAX),
    "softmax twice": _m("core", "P = softmax(S, M, c)",
                        "P = softmax(softmax(S, M, c), np.ones_like(M), c)",
                        "The softmax is taken twice.", SOFTMAX),
    "sigmoid": _m("softmax", f"A = np.exp({NO_MAX})\n    return {RATIO}", "return 1 / (1 + np.exp(-S))",
                  "The weights are sigmoids of the scores; they must be a softmax.", r"sigmoid|exp"),
    "sum by absolute values": _m("softmax", f"A = np.exp({NO_MAX})\n    return {RATIO}",
                                 "S = np.where(M, S, 0.0)\n    return S / S.sum(-1, keepdims=True)",
                                 "The scores are divided by their sum; they must be exponentials "
                                 "first, as in a softmax.", r"sum"),
    "one maximum for all": _m("softmax", NO_MAX, "S - S.max()",
                              "The maximum of all scores is subtracted, not that of each row: rows "
                              "of much smaller scores underflow to 0/0.", r"max"),
    "one maximum for a matrix": _m("softmax", NO_MAX, "S - S.max((-1, -2), keepdims=True)",
                                   "The maximum over all queries is subtracted, not that of each "
                                   "row: rows of much smaller scores underflow to 0/0.", r"max"),
    "one maximum for the queries": _m(
        "softmax", NO_MAX, "S - S.max(-2, keepdims=True)",
        "The maximum over the queries is subtracted, not that over the keys, and so the weights of a "
        "row change against each other.", r"max"),
    "no maximum": _m("softmax", NO_MAX, "S",
                     "No maximum is subtracted before the exponential: large scores overflow to "
                     "inf/inf.", SOFTMAX),
    "one more in the sum": _m("softmax", RATIO, "A / (1 + A.sum(-1, keepdims=True))",
                              "1 is added to the sum of the exponentials: the weights sum to less "
                              "than 1.", SOFTMAX + "|sum"),
    **{f"1e-{n} in the sum": _m("softmax", RATIO, f"A / (A.sum(-1, keepdims=True) + 1e-{n})",
                                f"1e-{n} is added to the sum of the exponentials: the weights do "
                                "not sum to 1.", SOFTMAX + "|sum|1e-") for n in (3, 4, 5, 6, 7, 8, 9)},
    **{f"1e-{n} in the sum, no maximum": _m(
        "softmax", (NO_MAX, RATIO), ("S", f"A / (A.sum(-1, keepdims=True) + 1e-{n})"),
        f"1e-{n} is added to the sum of the exponentials: the weights do not sum to 1; and no maximum "
        "is subtracted.", SOFTMAX + "|sum|1e-") for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12)},
    **{f"scores clipped at {n}": _m(
        "softmax", NO_MAX, f"np.clip(S, -{n}.0, {n}.0)",
        f"The scores are clipped to ±{n}: large scores that differ get equal weights; subtract the "
        "maximum instead.", r"clip|clamp|minimum|maximum|min\(") for n in CLIPS},
    **{f"scores clipped above {n}": _m(
        "softmax", NO_MAX, f"np.minimum(S, {n}.0)",
        f"Scores above {n} are clipped: large scores that differ get equal weights; subtract the "
        "maximum instead.", r"clip|clamp|minimum|min\(") for n in CLIPS},
    "base 2": _m("softmax", f"np.exp({NO_MAX})", f"np.exp2({NO_MAX})",
                 "The softmax has the base 2 in place of e: exp2 needs scores that are multiplied by "
                 "log2(e).", r"exp2|2 ?\*\*"),
    "log2(e) with exp": _m("softmax", NO_MAX, f"({NO_MAX}) * np.log2(np.e)",
                           "The scores are multiplied by log2(e), which belongs to exp2, but the "
                           "exponential has the base e.", r"exp|log2|1\.44"),
    "log2(e) twice": _m("softmax", f"np.exp({NO_MAX})", f"np.exp2(({NO_MAX}) * np.log2(np.e)**2)",
                        "The scores are multiplied by log2(e) twice.", r"exp2|log2|1\.44"),
    "ln 2 for log2(e)": _m("softmax", f"np.exp({NO_MAX})", f"np.exp2(({NO_MAX}) * np.log(2))",
                           "The scores are multiplied by ln 2 before exp2; it must be log2(e).",
                           r"exp2|log"),
    # soft cap, window, ALiBi, sinks, normalised queries and keys
    "cap without division": _m("capped", "np.tanh(S / c.cap)", "np.tanh(S)",
                               "The soft cap does not divide the scores by the cap before tanh: it is "
                               "cap · tanh(S / cap).", "tanh"),
    "cap without factor": _m("capped", "c.cap * np.tanh", "np.tanh",
                             "The soft cap does not multiply by the cap again behind tanh: it is "
                             "cap · tanh(S / cap).", "tanh"),
    "cap upside down": _m("capped", "c.cap * np.tanh(S / c.cap)", "np.tanh(S * c.cap) / c.cap",
                          "The soft cap multiplies where it must divide: it is cap · tanh(S / cap).",
                          "tanh"),
    "cap ignored": _m("capped", "c.cap * np.tanh(S / c.cap) if c.cap else S", "S",
                      "The soft cap has no effect.", "tanh|cap"),
    "cap by clipping": _m("capped", "c.cap * np.tanh(S / c.cap)", "np.clip(S, -c.cap, c.cap)",
                          "The scores are clipped; a soft cap is cap · tanh(S / cap).", "clip|clamp"),
    "cap before the scale": _m(
        "scores", ("Q @ K.swapaxes(-1, -2) * scale(Q, K, V, c) + c.bias", "capped(S, c)"),
        ("capped(Q @ K.swapaxes(-1, -2), c) * scale(Q, K, V, c) + c.bias", "S"),
        "The soft cap comes before the scale; it must see the scaled scores.", "tanh"),
    "cap of the weights": _m("core", ("S = scores(Q, K, V, c)", "P = softmax(S, M, c)"),
                             ("S = scores(Q, K, V, varied(c, cap=0))",
                              "P = capped(softmax(S, M, c), c)"),
                             "The soft cap acts on the weights; it must act on the scores.", "tanh"),
    "cap after the mask": _m(
        "core", ("S = scores(Q, K, V, c)", "P = softmax(S, M, c)"),
        ("S = scores(Q, K, V, varied(c, cap=0))\n    "
         "S = capped(np.where(M, S, -np.inf), c)", "P = softmax(S, np.ones_like(M), c)"),
        "The soft cap comes after the mask: tanh makes −cap of −inf, and masked keys take weight; the "
        "mask must come behind the cap.", "tanh|" + MASK),
    "window one too wide": _m("near", "gap < c.window", "gap <= c.window",
                              "The window is one too wide: a query sees one key more than the window "
                              "holds.", "window|<|>|" + MASK),
    "window one too narrow": _m("near", "gap < c.window", "gap < c.window - 1",
                                "The window is one too narrow: a query sees one key fewer than the "
                                "window holds.", "window|<|>|" + MASK),
    "window ignored": _m("near", "(gap < c.window) & (gap >= -c.ahead)", "np.ones_like(gap, bool)",
                         "The window has no effect.", "window|" + MASK),
    "window ahead ignored": _m("near", "(gap < c.window) & (gap >= -c.ahead)", "gap < c.window",
                               "The window is bounded on one side only.", "window|" + MASK),
    "window inverted": _m("near", "gap < c.window", "gap >= c.window",
                          "The window is inverted: what lies outside of it is kept.",
                          "window|<|>|" + MASK),
    "window without the causal mask": _m(
        "allowed", "M = M & near(Tq, Tk, c)", "M = near(Tq, Tk, c) | (gaps(Tq, Tk, c) < 0)",
        "With a window the causal mask is lost: a query sees the future.", "window|" + MASK),
    "window or causal mask": _m(
        "allowed", "M = M & near(Tq, Tk, c)", "M = M | near(Tq, Tk, c)",
        "The window and the causal mask are joined by or; a key must be allowed by both.",
        "window|" + MASK),
    "window from the first query": _m(
        "near", "gap = gaps(Tq, Tk, c)", "gap = np.arange(Tq)[:, None] - np.arange(Tk)",
        "The window is not shifted where there are more keys than queries.", "window|arange"),
    "ALiBi's sign": _m("distances", "return -c.slopes", "return c.slopes",
                       "The ALiBi bias has the wrong sign: distant keys are rewarded; they must lose.",
                       r"slope|alibi|bias|dist"),
    "ALiBi ignored": _m("scores", "+ distances(S.shape[-2], S.shape[-1], c)", "",
                        "The ALiBi bias has no effect.", r"slope|alibi|bias|dist"),
    "ALiBi's slopes reversed": _m("distances", "-c.slopes[:, None", "-c.slopes[::-1, None",
                                  "The slopes of ALiBi are in the wrong order of heads.",
                                  r"slope|alibi"),
    "ALiBi with one slope": _m("distances", "-c.slopes[:, None", "-c.slopes[:1, None",
                               "ALiBi uses the slope of the first head for all heads.",
                               r"slope|alibi"),
    "ALiBi's slopes from 0": _m("distances", "-c.slopes[:", "-(c.slopes / c.slopes[0])[:",
                                "The slopes of ALiBi begin at 1; they must begin at 2^(−8/H).",
                                r"slope|alibi"),
    "ALiBi's last slope 1": _m("distances", "-c.slopes[:", "-(c.slopes[::-1] / c.slopes[0])[:",
                               "The slopes of ALiBi are shifted by one head: the exponents must run "
                               "from 8/H to 8.", r"slope|alibi"),
    "ALiBi's slopes inverse": _m("distances", "-c.slopes[:", "-(1 / c.slopes)[:",
                                 "The exponents of ALiBi's slopes have the wrong sign: they must be "
                                 "2^(−8h/H).", r"slope|alibi"),
    "ALiBi without the 8": _m(
        "distances", "-c.slopes[:", "-(c.slopes ** (1 / 8))[:",
        "The slopes of ALiBi lack the factor 8 in the exponent: they must be 2^(−8h/H).",
        r"slope|alibi"),
    "ALiBi before the scale": _m(
        "scores", ("* scale(Q, K, V, c) + c.bias", "+ distances(S.shape[-2], S.shape[-1], c)"),
        ("* scale(Q, K, V, c) + c.bias + distances(Q.shape[-2], K.shape[-2], c) * scale(Q, K, V, c)",
         ""), "The bias of the positions (ALiBi's, say) is scaled with the scores; it must be added "
        "behind the scale.",
        r"slope|alibi|bias"),
    "ALiBi squared": _m("distances", "np.abs(gap)", "gap**2",
                        "The ALiBi bias grows with the square of the distance; it must be linear.",
                        r"slope|alibi|\*\*"),
    "ALiBi of the key from the start": _m(
        "distances", "(gap if c.signed else np.abs(gap))", "np.arange(Tk)",
        "The ALiBi bias grows with the position of the key and not with its distance from the query.",
        r"slope|alibi|arange"),
    "ALiBi of the tokens' heads": _m(
        "distances", "gap = gaps(Tq, Tk, c)", "gap = np.arange(Tq)[:, None] - np.arange(Tk)",
        "The distances of ALiBi are not shifted where there are more keys than queries.",
        r"slope|alibi|arange"),
    "table ignored": _m("scores", "capped(S, c) + distances(S.shape[-2], S.shape[-1], c)",
                        "capped(S, c)", "The bias of relative positions has no effect.",
                        r"rel|bias|table"),
    "table of the first head": _m(
        "distances", "R = c.table.shape[1]", "R = c.table.shape[1]\n        c = varied(c, "
        "table=c.table[:1])",
        "All heads use the relative bias of the first head.", r"rel|bias|table"),
    "buckets' sign": _m("distances", "bucket(gap, R, c)", "bucket(-gap, R, c)",
                        "The relative distance has the wrong sign (key minus query for query minus "
                        "key), so that the past is taken for the future: all its keys get one bucket.",
                        r"-|bucket|dist"),
    "buckets without logarithm": _m(
        "bucket", "return side + np.where(far < exact, far, large)",
        "return side + np.minimum(far, half - 1)",
        "The buckets of relative positions are clipped; large distances must share buckets by their "
        "logarithm.", "bucket|clamp|clip|min"),
    "buckets of one side": _m("bucket", "return side +", "return",
                              "Keys before and behind the query share their buckets.", "bucket|abs"),
    "table turned": _m("distances", "(gap if c.signed else -gap)", "(-gap if c.signed else gap)",
                       "The relative bias is mirrored: key minus query for query minus key.",
                       r"-|rel|bias"),
    "table off by one": _m("distances", "+ R // 2, 0", "+ R // 2 + 1, 0",
                           "The table of relative positions is read one place too far.",
                           r"rel|bias|table"),
    "sink ignored": _m("core", "return O * kept(S, M, c), P * kept(S, M, c)", "return O, P",
                       "The sink has no effect: the weights sum to 1.", "sink|" + SOFTMAX),
    "sink negated": _m("kept", "np.exp(c.sink - top)", "np.exp(-c.sink - top)",
                       "The sink's score has the wrong sign.", "sink"),
    "sink's exponential": _m("kept", "np.exp(c.sink - top)", "c.sink * np.exp(-top)",
                             "The sink is added to the sum as it is; it is a score, and its "
                             "exponential must be added.", "sink|sum"),
    "sink not shifted": _m("kept", "np.exp(c.sink - top)", "np.exp(c.sink)",
                           "The maximum is not subtracted from the sink's score.", "sink|max"),
    "sink of the first head": _m("core", "return O * kept(S, M, c)", "c = varied(c, sink="
                                 "c.sink[:1])\n    return O * kept(S, M, c)",
                                 "All heads use the sink of the first head.", "sink"),
    "keys not normalised": _m("multihead", 'unit(K, W["gk"], W["hk"], c)', "K",
                              "Only the queries are normalised; keys must be, too.", "norm"),
    "queries not normalised": _m("multihead", 'unit(Q, W["gq"], W["hq"], c)', "Q",
                                 "Only the keys are normalised; queries must be, too.", "norm"),
    "values normalised": _m("multihead", "Q, K = unit(Q", "V = unit(V, W['gk'], W['hk'], c)\n        "
                            "Q, K = unit(Q", "The values are normalised, too; queries and keys alone "
                            "must be.", "norm"),
    "queries and keys normalised over the tokens": _m(
        "unit", ("(X**2).sum(-1, keepdims=True)", 'return norm(X, g, h, varied(c, rms=c.unit == "rms"))'),
        ("(X**2).sum(-2, keepdims=True)", "return norm(X.swapaxes(-1, -2), 1.0, 0.0, "
         'varied(c, rms=c.unit == "rms")).swapaxes(-1, -2) * g + h'),
        "Queries and keys are normalised over the tokens; it must be over the features of a head.",
        "norm"),
    "query's gain for the keys": _m(
        "multihead", 'unit(K, W["gk"], W["hk"], c)', 'unit(K, W["gq"], W["hq"], c)',
        "The keys are normalised with the gain of the queries.", "norm"),
    "normalised after the rotary positions": _m(
        "multihead", ('Q, K = unit(Q, W["gq"], W["hq"], c), unit(K, W["gk"], W["hk"], c)',
                      "Q, K = rotary(Q, 0, c), rotary(K, 0, c)"),
        ("pass", 'Q, K = unit(rotary(Q, 0, c), W["gq"], W["hq"], c), unit(rotary(K, 0, c), W["gk"], '
         'W["hk"], c)'),
        "Queries and keys are normalised after the rotary positions; the norm must come before them.",
        "norm|rot"),
    # a float mask that is added to the scores
    "bias scaled": _m("scores", "Q @ K.swapaxes(-1, -2) * scale(Q, K, V, c) + c.bias",
                      "(Q @ K.swapaxes(-1, -2) + c.bias) * scale(Q, K, V, c)",
                      "The additive mask is scaled with the scores; it must be added behind the "
                      "scale.", r"\+|mask|bias", "bias"),
    "bias subtracted": _m("scores", "+ c.bias", "- c.bias",
                          "The additive mask is subtracted; it must be added to the scores.",
                          r"-|mask|bias", "bias"),
    "bias ignored": _m("scores", "+ c.bias", "", "The additive mask has no effect.",
                       MASK + "|bias", "bias"),
    "bias multiplied": _m("scores", "+ c.bias", "* c.bias",
                          "The additive mask is multiplied with the scores; it must be added.",
                          r"\*|mask|bias", "bias"),
    "bias twice": _m("scores", "+ c.bias", "+ 2 * c.bias", "The additive mask is added twice.",
                     MASK + "|bias", "bias"),
    # masks
    "mask inverted": _m("allowed", "M = M & keep", "M = M & ~keep",
                        "The mask is inverted: what should be masked is kept.", MASK, "mask"),
    "mask ignored": _m("allowed", "M = M & keep", "M = M",
                       "The mask has no effect.", MASK, "mask"),
    "either mask": _m("allowed", "M = M & keep", "M = keep if not causal else M | keep",
                      "The causal mask and the other mask are joined by or; a key must be allowed by "
                      "both.", MASK, "mask+causal"),
    "causal lost with a mask": _m("allowed", "M = M & keep", "M = keep",
                                  "With a mask the causal mask is dropped; both must hold.", MASK,
                                  "mask+causal"),
    "mask lost with causal": _m("allowed", "M = M & keep", "M = M if causal else keep",
                                "With the causal mask the other mask is dropped; both must hold.",
                                MASK, "mask+causal"),
    "mask of the first item": _m("allowed", "M = M & keep", "M = M & keep[:1]",
                                 "The mask of the first item is used for the whole batch.", MASK,
                                 "mask"),
    "mask of the first query": _m("allowed", "M = M & keep", "M = M & keep[..., :1, :]",
                                  "The mask of the first query is used for all queries.", MASK,
                                  "mask"),
    "mask of the first head": _m("allowed", "M = M & keep", "M = M & keep[:, :1]",
                                 "The mask of the first head is used for all heads.", MASK,
                                 "mask"),
    "mask transposed": _m(
        "allowed", "M = M & keep", "M = M & keep.swapaxes(-1, -2)",
        "The mask is transposed: it masks queries where it must mask keys.", MASK, "mask"),
    "keys before the length": _m(
        "allowed", "M = M & keep", "M = M & keep[..., ::-1]",
        "The mask stands at the wrong end of the keys: the first keys are masked in place of the "
        "last ones.", MASK + "|len", "mask"),
    "one key too many": _m(
        "allowed", "M = M & keep",
        "M = M & (keep | np.roll(keep, 1, -1) & (np.arange(Tk) > 0))",
        "The mask lets one key too many through: the first key behind the valid ones.",
        MASK + "|len|<", "mask"),
    "one key too few": _m(
        "allowed", "M = M & keep",
        "M = M & (keep & (np.roll(keep, -1, -1) & (np.arange(Tk) < Tk - 1)))",
        "The mask drops one key too many: the last valid key is masked.",
        MASK + "|len|<", "mask"),
    "last key never masked": _m("allowed", "M = M & keep", "M = M & (keep | (np.arange(Tk) == Tk - 1))",
                                "The last key is never masked.", MASK, "mask"),
    "first key never masked": _m("allowed", "M = M & keep", "M = M & (keep | (np.arange(Tk) == 0))",
                                 "The first key is never masked.", MASK, "mask"),
    "mask for the first head alone": _m(
        "core", "S = scores(Q, K, V, c)",
        "S = scores(Q, K, V, c)\n    M = M | (np.arange(Q.shape[1]) > 0)[:, None, None]",
        "The mask reaches the first head alone; it must reach all heads.", MASK, "mask"),
    "mask for the first item alone": _m(
        "core", "S = scores(Q, K, V, c)",
        "S = scores(Q, K, V, c)\n    M = M | (np.arange(len(Q)) > 0)[:, None, None, None]",
        "The mask reaches the first item of the batch alone; it must reach all.", MASK, "mask"),
    "masks tiled": _m(
        "core", "S = scores(Q, K, V, c)",
        "S = scores(Q, K, V, c)\n    B, H = Q.shape[:2]\n    M = np.broadcast_to(M, (B, H) + "
        "M.shape[2:]) if M.shape[1] == H else np.tile(np.broadcast_to(M, (B, 1) + M.shape[2:])[:, "
        "0], (H, 1, 1)).reshape(B, H, *M.shape[2:])",
        "The masks of the items are tiled over the heads; each must be repeated for all heads of its "
        "own item (repeat, not tile).", r"tile|repeat|" + MASK, "mask"),
    "batch mask on heads": _m(
        "core", "S = scores(Q, K, V, c)",
        "S = scores(Q, K, V, c)\n    M = M.swapaxes(0, 1)",
        "The mask of the batch is broadcast over the heads: head h gets the mask of item h.", MASK,
        "mask"),
    "masked scores 0": _m("softmax", PLAIN, "S = np.where(M, S, 0.0)",
                          "Masked scores are set to 0, which is an ordinary score; they must be set "
                          "to −inf.", MASK, "mask"),
    "scores multiplied by the mask": _m("softmax", PLAIN, "S = S * M",
                                        "The scores are multiplied by the mask, so that masked ones "
                                        "are 0, an ordinary score; they must be −inf.", MASK, "mask"),
    "mask added as 0 and 1": _m("softmax", PLAIN, "S = S + M",
                                "The mask of 0 and 1 is added to the scores; masked scores must be "
                                "−inf.", MASK, "mask"),
    "masked weights 0": _m("softmax", (PLAIN, f"return {RATIO}"),
                           ("S = S", "return A / A.sum(-1, keepdims=True) * M"),
                           "The mask is applied after the softmax and the weights are not normalised "
                           "again: they no longer sum to 1.", MASK + "|softmax", "mask"),
    "masked values 0": _m("core", ("P = softmax(S, M, c)", "O = P @ V"),
                          ("P = softmax(S, np.ones_like(M), c)", "O = (P * M) @ V"),
                          "The mask is applied after the softmax and the weights are not normalised "
                          "again.", MASK + "|softmax", "mask"),
    "smallest positive": _m("softmax", PLAIN, "S = np.where(M, S, np.finfo(float).tiny)",
                            "Masked scores are set to the smallest positive number, which is 0; "
                            "they must be −inf.", MASK, "mask"),
    **{f"masked scores −{n}": _m(
        "softmax", PLAIN, f"S = np.where(M, S, -{float(n)})",
        f"Masked scores are set to −{n}, which is an ordinary score where scores are large; they "
        "must be −inf.", MASK, "mask")
       for n in ("1", "5", "10", "20", "50", "100", "1e3", "1e4", "1e-9", "1e-6")},
    **{f"penalty {n}": _m(
        "softmax", PLAIN, f"S = np.where(M, S, S - {float(n)})",
        f"{n} is subtracted from masked scores, which is too little where scores differ by more; "
        "they must be −inf.", MASK, "mask") for n in ("1", "2", "5", "10", "20", "50", "100", "1e3")},
    "mask after the scale": _m(
        "softmax", PLAIN, "S = np.where(M, S, 1e9)",
        "Masked scores are set to +1e9: the masked keys get all the weight.", MASK, "mask"),
    # causal
    "causal ignored": _m("allowed", f"M = {CAUSAL}", "M = np.ones((Tq, Tk), bool)",
                         "The causal mask has no effect: a query sees the future.",
                         MASK + "|causal", "causal"),
    "causal sees one more": _m("allowed", CAUSAL, CAUSAL.replace("<=", "<= 1 +"),
                               "The causal mask is off by one: a query sees the next token, too.",
                               MASK + "|causal|diagonal", "causal"),
    "causal without itself": _m("allowed", CAUSAL, CAUSAL.replace("<=", "<"),
                                "The causal mask is off by one: a query does not see its own token.",
                                MASK + "|causal|diagonal", "causal"),
    "causal inverted": _m("allowed", CAUSAL, CAUSAL.replace("<=", ">"),
                          "The causal mask is inverted: a query sees the future only.",
                          MASK + "|causal|diagonal", "causal"),
    "causal upwards": _m("allowed", CAUSAL, CAUSAL.replace("<=", ">="),
                         "The causal mask is the upper triangle: a query sees itself and the "
                         "future.", MASK + "|causal|diagonal", "causal"),
    "causal corner": _m(
        "allowed", 'Tk - Tq if c.corner == "lower" else 0', '0 if c.corner == "lower" else Tk - Tq',
        "The causal mask starts at the wrong corner where there are more keys than queries: the last "
        "query must see all keys if the queries are the last ones (with a cache).",
        MASK + "|causal|diagonal", "causal"),
    # values, heads, batch
    "K and V exchanged": _m("core", ("S = scores(Q, K, V, c)", "O = P @ V"),
                            ("S = scores(Q, V, K, c)", "O = P @ K"),
                            "Keys and values are exchanged.", SCORES),
    "keys averaged": _m("core", "O = P @ V", "O = P @ K",
                        "The weights average the keys; they must average the values.", SCORES),
    "queries averaged": _m("core", "O = P @ V", "O = P @ Q",
                           "The weights average the queries; they must average the values.", SCORES),
    "values of the query": _m("core", "O = P @ V", "O = P.sum(-1, keepdims=True) * V",
                              "The weights meet the value of the query's own place: they only sum to "
                              "1, and the output is V; the sum must run over the keys of weights and "
                              "values.", SCORES),
    "keys in place of queries": _m(
        "core", "O = P @ V", "O = P.sum(-2)[..., None] * V",
        "The weights are summed over the queries and each value is multiplied by its sum; the sum must "
        "run over the keys of weights and values.", SCORES),
    "weights transposed": _m("core", "O = P @ V", "O = P.swapaxes(-1, -2) @ V",
                             "The weights are transposed before they meet the values.", SCORES),
    **{f"scores {kind} over the heads": _m(
        "core", "P = softmax(S, M, c)", f"S = np.broadcast_to(S.{f}(1, keepdims=True), S.shape)\n    "
        "P = softmax(S, M, c)",
        f"The scores are {kind} over the heads, so that heads influence each other: each head must "
        "use its own.", SCORES + "|mean|sum", "heads")
       for kind, f in (("added", "sum"), ("averaged", "mean"))},
    "heads averaged": _m("core", "O = P @ V", "O = P.mean(1, keepdims=True) @ V",
                         "The weights are averaged over the heads before they meet the values: each "
                         "head must use its own.", r"mean|sum", "heads"),
    "first head for all": _m("core", "O = P @ V", "O = P[:, :1] @ V",
                             "All heads use the weights of the first head.", SCORES, "heads"),
    "first keys for all heads": _m("core", "S = scores(Q, K, V, c)", "S = scores(Q, K[:, :1], V, c)",
                                   "All heads use the keys of the first head.", SCORES, "heads"),
    "over the heads": _m(
        "multihead", "O, P = core(Q, K, V, M, c)",
        "O, P = core(*(X.swapaxes(1, 2) for X in (Q, K, V)), np.ones((1, 1, 1, 1), bool), c)\n    "
        "O = O.swapaxes(1, 2)",
        "Attention runs over the heads of each token; it must run over the tokens.", HEADS, "heads"),
    "over the heads of a core": _m(
        "core", "S = scores(Q, K, V, c)\n    P = softmax(S, M, c)\n    O = P @ V",
        "Q, K, V = (X.swapaxes(1, 2) for X in (Q, K, V))\n    P = softmax(scores(Q, K, V, c), "
        "np.ones((1, 1, 1, 1), bool), c)\n    O = (P @ V).swapaxes(1, 2)",
        "Attention runs over the heads of each token; it must run over the tokens.", HEADS, "heads"),
    "over the batch": _m(
        "core", "S = scores(Q, K, V, c)\n    P = softmax(S, M, c)\n    O = P @ V",
        "Q, K, V = (X.transpose(2, 1, 0, 3) for X in (Q, K, V))\n    P = softmax(scores(Q, K, V, c), "
        "np.ones((1, 1, 1, 1), bool), c)\n    O = (P @ V).transpose(2, 1, 0, 3)",
        "Attention runs over the batch: items of the batch read each other; it must run over the "
        "tokens of one item.", HEADS + r"|batch"),
    "values of the first item": _m("core", "O = P @ V", "O = P @ V[:1]",
                                   "All items of the batch use the values of the first.", SCORES),
    "residual of the query": _m("core", "O = P @ V", "O = P @ V + Q",
                                "The queries are added to the output.", r"\+"),
    "groups tiled": _m("repeated", GROUPS, "np.tile(K, (1, H // K.shape[1], 1, 1))",
                       "Key heads are tiled over the query heads (0 1 0 1); neighbours must share "
                       "one (0 0 1 1).", r"tile|repeat|expand|%|//|reshape", "groups"),
    **{f"groups: {words} tiled": _m(
        "core", f"repeated({x}, Q.shape[1])", f"np.tile({x}, (1, Q.shape[1] // {x}.shape[1], 1, 1))",
        f"The {words} of a group are tiled over the query heads (0 1 0 1), but not the {others}: "
        "neighbouring query heads must share one key head and its values (0 0 1 1).",
        r"tile|repeat|expand", "groups")
       for x, words, others in (("K", "keys", "values"), ("V", "values", "keys"))},
    "groups: first only": _m("repeated", GROUPS, "np.repeat(K[:, :1], H, axis=1)",
                             "All query heads use the first key head.", r"repeat|expand|\[", "groups"),
    "split without transpose": _m("split", TURN, "return X.reshape(B, H, T, D // H)",
                                  "The heads are split by a plain reshape, without a transpose: "
                                  "features of different tokens are mixed.", HEADS, "heads"),
    "merge without transpose": _m("merge", MERGE, "return O.reshape(B, T, H * d)",
                                  "The heads are merged by a plain reshape, without a transpose: "
                                  "features of different tokens are mixed.", HEADS, "heads"),
    "merge transposed twice": _m(
        "merge", MERGE, "return O.transpose(0, 2, 3, 1).reshape(B, T, H * d)",
        "The heads are merged with features before heads, but were split with heads before "
        "features.", HEADS, "heads"),
    "outputs of the heads averaged": _m(
        "merge", MERGE, "return O.mean(1)",
        "The outputs of the heads are averaged; they must stand side by side (concatenated).",
        r"mean|sum"),
    "outputs of the heads added": _m(
        "merge", MERGE, "return O.sum(1)",
        "The outputs of the heads are added; they must stand side by side (concatenated).",
        r"mean|sum"),
    **{f"weights below {t} cut": _m(
        "core", "O = P @ V", f"O = np.where(P < {t}, 0.0, P) @ V",
        f"Weights below {t} are set to 0, so that keys are cut off and the weights of a row no "
        "longer sum to 1: the output is no average of values.", r"where|<|>|clip|thresh")
       for t in ("1e-1", "5e-2", "1e-2", "5e-3", "1e-3", "1e-4")},
    **{f"{kind}, tiles of {n}": _m(
        "core", "O = P @ V", f'O = _t(np.where(M, S, -np.inf), V, "{kind}", {n})', words,
        r"max|\*=|\+=|range") for n in (2, 3, 4, 5, 8, 16, 32, 64, 128) for kind, words in TILES.items()},
    "merge reversed": _m(
        "merge", MERGE, "return O[:, ::-1].swapaxes(1, 2).reshape(B, T, H * d)",
        "The heads are merged in the wrong order.", HEADS, "heads"),
    "split features first": _m(
        "split", TURN, "return X.reshape(B, T, D // H, H).transpose(0, 3, 1, 2)",
        "The heads are split with features before heads, but merged with heads before features.",
        HEADS, "heads"),
    # projections
    "queries not projected": _m("multihead", 'dense(Xq, W["Wq"], W["bq"])', "Xq",
                                "The queries are not projected.", r"[Qq]"),
    "keys not projected": _m("multihead", 'dense(Xk, W["Wk"], W["bk"])', "Xk",
                             "The keys are not projected.", r"[Kk]"),
    "values not projected": _m("multihead", 'dense(Xv, W["Wv"], W["bv"])', "Xv",
                               "The values are not projected.", r"[Vv]"),
    "queries through the key's weights": _m(
        "multihead", 'dense(Xq, W["Wq"], W["bq"])', 'dense(Xq, W["Wk"], W["bk"])',
        "The queries are projected with the weights of the keys.", r"[Qq]"),
    "keys through the query's weights": _m(
        "multihead", 'dense(Xk, W["Wk"], W["bk"])', 'dense(Xk, W["Wq"], W["bq"])',
        "The keys are projected with the weights of the queries.", r"[Kk]"),
    "keys through the value's weights": _m(
        "multihead", 'dense(Xk, W["Wk"], W["bk"])', 'dense(Xk, W["Wv"], W["bv"])',
        "The keys are projected with the weights of the values.", r"[Kk]"),
    "values through the key's weights": _m(
        "multihead", 'dense(Xv, W["Wv"], W["bv"])', 'dense(Xv, W["Wk"], W["bk"])',
        "The values are projected with the weights of the keys.", r"[Vv]"),
    "keys and values exchanged in the projection": _m(
        "multihead", ('dense(Xk, W["Wk"], W["bk"])', 'dense(Xv, W["Wv"], W["bv"])'),
        ('dense(Xk, W["Wv"], W["bv"])', 'dense(Xv, W["Wk"], W["bk"])'),
        "The weights of keys and values are exchanged.", r"[KkVv]"),
    "queries and keys exchanged in the projection": _m(
        "multihead", ('dense(Xq, W["Wq"], W["bq"])', 'dense(Xk, W["Wk"], W["bk"])'),
        ('dense(Xq, W["Wk"], W["bk"])', 'dense(Xk, W["Wq"], W["bq"])'),
        "The weights of queries and keys are exchanged.", r"[QqKk]"),
    "values from the queries": _m("multihead", "dense(Xv,", "dense(Xq,",
                                  "The values are computed from the input of the queries; they must "
                                  "come from that of the keys.", r"[Vv]", "cross"),
    "keys from the queries": _m("multihead", "dense(Xk,", "dense(Xq,",
                                "The keys are computed from the input of the queries; they must come "
                                "from the other input.", r"[Kk]", "cross"),
    "keys from the values": _m("multihead", "dense(Xk,", "dense(Xv,",
                               "The keys are computed from the input of the values.", r"[Kk]",
                               "cross"),
    "values from the keys": _m("multihead", "dense(Xv,", "dense(Xk,",
                               "The values are computed from the input of the keys.", r"[Vv]",
                               "cross"),
    **{f"W{x} transposed": _m(
        "multihead", f'W["W{x}"]', f'W["W{x}"].T',
        f"The weights of the {words} are transposed.", rf"[{x}{x.upper()}]")
       for x, words in (("q", "queries"), ("k", "keys"), ("v", "values"))},
    "Wo transposed": _m("multihead", 'dense(O, W["Wo"]', 'dense(O, W["Wo"].T',
                        "The weights of the output projection are transposed.",
                        r"[Ww]_?[Oo]|out|proj"),
    "no output projection": _m(
        "multihead", '(dense(O, W["Wo"], W["bo"]) if "Wo" in W else O)', "O",
        "The output projection is missing.", r"return|out|proj"),
    **{f"bias of {y} in {x}": _m(
        "multihead", f'W["b{x}"]', f'W["b{y}"]',
        f"The bias of the {NAMES[y]} is added to the {NAMES[x]}, in place of their own.",
        rf"b_?{y}|bias") for x in "qkv" for y in "qkv" if x != y},
    "sides exchanged": _m(
        "multihead", ("Q = split(dense(Xq,", "K = split(dense(Xk,", "V = split(dense(Xv,"),
        ("Q = split(dense(Xk,", "K = split(dense(Xq,", "V = split(dense(Xq,"),
        "The two inputs are exchanged, each meets the weights of the other side: queries come from "
        "the context, keys and values from the input that should ask.", r"[qQ]\w* ?=|[qQ]\w*\(",
        "cross"),
    "queries from the context": _m(
        "multihead", "Q = split(dense(Xq,", "Q = split(dense(Xk,",
        "The queries are computed from the context; they must come from the other input.",
        r"[qQ]\w* ?=|[qQ]\w*\(", "cross"),
    "no bias": _m("dense", "Y + b", "Y", "The biases have no effect.", r"@|bias|\bb"),
    **{f"no bias of {x}": _m("multihead", f'W["b{x}"]', "0.0",
                             f"The bias of the {words} has no effect.", rf"b_?{x}|bias|[{x.upper()}]")
       for x, words in (("q", "queries"), ("k", "keys"), ("v", "values"), ("o", "output"))},
    "no bias of q, k and v": _m("multihead", ('W["bq"]', 'W["bk"]', 'W["bv"]'), ("0.0",) * 3,
                                "The biases of queries, keys and values have no effect.", r"bias|weight"),
    "output bias of the values": _m("multihead", 'W["bo"]', 'W["bo"] + W["bv"]',
                                    "The bias of the values is added to the output, too.", r"bias"),
    "output bias for each head": _m("multihead", 'W["bo"]', 'W["bo"] * c.heads',
                                    "The output's bias is added once for each head.", r"bias"),
    # rotary
    "rotary pairs mixed": _m(
        "rotary", (PAIR, HALF),
        ("[E * cos - F * sin, F * cos + E * sin], -2).swapaxes(-1, -2).swapaxes(-1, -2).reshape",
         "return np.stack([E * cos - F * sin, E * sin + F * cos], -1).reshape(X.shape)"),
        "The rotary features are split one way and put together another way.",
        r"sin|cos|rot|stack|concat|cat"),
    "rotary sign": _m("rotary", (PAIR, HALF),
                      (PAIR.replace("- F", "+ F"), HALF.replace("- F", "+ F")),
                      "Rotary: a sign is wrong, so that the pairs are not turned but reflected.",
                      r"sin|cos|rot"),
    "rotary sin": _m("rotary", (PAIR, HALF),
                     (PAIR.replace("E * sin +", "-E * sin +"), HALF.replace("E * sin +",
                                                                              "-E * sin +")),
                     "Rotary: a sign is wrong, so that the pairs are not turned.", r"sin|cos|rot"),
    "rotary tables mixed": _m(
        "rotary", ("[E * cos - F * sin, E * sin + F * cos], -1).reshape", HALF),
        ("[E * cos[:, _n(d)[0]] - F * sin[:, _n(d)[0]], F * cos[:, _n(d)[1]] + E * sin[:, _n(d)[1]]], "
         "-1).reshape",
         "return np.concatenate([E * cos[:, _r(d)[0]] - F * sin[:, _r(d)[0]], F * cos[:, _r(d)[1]] "
         "+ E * sin[:, _r(d)[1]]], -1)"),
        "Rotary: the two features of a pair have different angles: table and pairing belong to "
        "different kinds (halves and neighbours).", r"sin|cos|rot|repeat|cat|stack"),
    "rotary against the queries": _m(
        "multihead", "rotary(Q, 0, c), rotary(K, 0, c)", "rotary(Q, 0, c), rotary(K, 0, c, -1)",
        "Rotary turns queries and keys in opposite directions: the scores depend on the sum of "
        "positions and not on their distance.", r"rot|turn|sin"),
    "rotary backwards": _m("rotary", "a = sign *", "a = -sign *",
                           "Rotary turns in the other direction.", r"sin"),
    "rotary pairings mixed": _m(
        "multihead", "rotary(Q, 0, c), rotary(K, 0, c)", "rotary(Q, 0, c), rotary(K, 0, _o(c))",
        "Rotary pairs the features of queries and keys in different ways (halves and neighbours).",
        r"rot|halves|pairs|sin|cos"),
    "rotary positions of keys off by one": _m(
        "multihead", "rotary(K, 0, c)", "rotary(K, 1, c)",
        "Rotary: the positions of the keys are off by one against those of the queries.", r"rot|arange"),
    "rotary positions of queries off by one": _m(
        "multihead", "rotary(Q, 0, c)", "rotary(Q, 1, c)",
        "Rotary: the positions of the queries are off by one against those of the keys.",
        r"rot|arange"),
    "rotary of the queries only": _m("multihead", "rotary(Q, 0, c), rotary(K, 0, c)",
                                     "rotary(Q, 0, c), K", "Rotary turns the queries only; keys must "
                                     "be turned, too.", r"rot|[Kk]"),
    "rotary of the keys only": _m("multihead", "rotary(Q, 0, c), rotary(K, 0, c)",
                                  "Q, rotary(K, 0, c)", "Rotary turns the keys only; queries must be "
                                  "turned, too.", r"rot|[Qq]"),
    "rotary of the values": _m("multihead", "Q, K = rotary(Q, 0, c), rotary(K, 0, c)",
                               "Q, K, V = rotary(Q, 0, c), rotary(K, 0, c), rotary(V, 0, c)",
                               "Rotary turns the values, too; it must turn queries and keys alone.",
                               r"rot|[Vv]"),
    "rotary against each other": _m(
        "rotary", "a = sign * angles(start + np.arange(X.shape[-2]), d, c)",
        "a = 2 * sign * angles(start + np.arange(X.shape[-2]), d, c)",
        "Rotary: the angles are twice as large as they should be.", r"rot|arange"),
    "rotary exponent": _m("angles", "(-np.arange(0, d, 2) / d)", "(-np.arange(0, d // 2) / d)",
                          "Rotary: the exponents of the frequencies are half of what they should "
                          "be.", r"10000|base|theta|freq"),
    "rotary over heads": _m(
        "rotary", "a = sign * angles(start + np.arange(X.shape[-2]), d, c)",
        "a = angles(start + np.arange(X.shape[1]), d, c)[:, None]",
        "Rotary: the positions count the heads and not the tokens.", r"rot|arange|shape"),
    # block
    "norm over the tokens": _m(
        "norm", ("X.mean(-1, keepdims=True)", "(Z**2).mean(-1, keepdims=True) + c.eps",
                 "(X**2).mean(-1, keepdims=True)"),
        ("X.mean(-2, keepdims=True)", "(Z**2).mean(-2, keepdims=True) + c.eps",
         "(X**2).mean(-2, keepdims=True)"),
        "The norm runs over the tokens; it must run over the features of one token.", NORM),
    "norm over tokens and features": _m(
        "norm", ("X.mean(-1, keepdims=True)", "(Z**2).mean(-1, keepdims=True) + c.eps",
                 "(X**2).mean(-1, keepdims=True)"),
        ("X.mean((-1, -2), keepdims=True)", "(Z**2).mean((-1, -2), keepdims=True) + c.eps",
         "(X**2).mean((-1, -2), keepdims=True)"),
        "The norm runs over tokens and features together; it must run over the features of one "
        "token.", NORM),
    "norm over the batch": _m(
        "norm", ("X.mean(-1, keepdims=True)", "(Z**2).mean(-1, keepdims=True) + c.eps",
                 "(X**2).mean(-1, keepdims=True)"),
        ("X.mean(0, keepdims=True)", "(Z**2).mean(0, keepdims=True) + c.eps",
         "(X**2).mean(0, keepdims=True)"),
        "The norm runs over the batch; it must run over the features of one token.", NORM),
    "unbiased variance": _m("norm", VAR, "(Z**2).sum(-1, keepdims=True) / (X.shape[-1] - 1) + c.eps",
                            "The norm divides by the unbiased variance (D − 1); layer norm takes the "
                            "plain mean of squares (D).", NORM),
    "eps outside": _m("norm", f"np.sqrt({VAR})", "(np.sqrt((Z**2).mean(-1, keepdims=True)) + c.eps)",
                      "The norm adds eps outside of the root; it belongs inside.", NORM + "|eps"),
    "unbiased, eps outside": _m(
        "norm", f"np.sqrt({VAR})",
        "(np.sqrt((Z**2).sum(-1, keepdims=True) / (X.shape[-1] - 1)) + c.eps)",
        "The norm takes the unbiased deviation and adds eps outside of the root; layer norm takes "
        "the plain mean of squares and adds eps inside.", NORM + "|eps"),
    "no root": _m("norm", f"np.sqrt({VAR})", f"({VAR})",
                  "The norm divides by the variance; it must divide by its root.", NORM),
    "norm's gain left out": _m("norm", "keepdims=True) + c.eps) * g + b", "keepdims=True) + c.eps) + b",
                               "The norm's gain has no effect.", NORM),
    "norm's shift left out": _m("norm", "* g + b", "* g", "The norm's shift has no effect.", NORM),
    "no residual around attention": _m(
        "block", ("X = X + A\n", "norm(X + A,"), ("X = A\n", "norm(A,"),
        "There is no residual around attention.", r"\+|norm"),
    "no residual around the feed forward": _m(
        "block", ("return X + feed_forward(N, W, c), P", "norm(X + F,"),
        ("return feed_forward(N, W, c), P", "norm(F,"),
        "There is no residual around the feed-forward net.", r"\+|norm"),
    "residual of the norm": _m("block", "X = X + A\n", "X = N + A\n",
                               "The residual adds the normalised input; it must add the input "
                               "itself.", r"\+"),
    "second residual of the norm": _m(
        "block", "return X + feed_forward(N, W, c), P", "return N + feed_forward(N, W, c), P",
        "The residual around the feed-forward net adds the normalised input; it must add the input "
        "itself.", r"\+"),
    "both residuals of the norm": _m(
        "block", ("X = X + A\n", "return X + feed_forward(N, W, c), P"),
        ("X = N + A\n", "return N + feed_forward(N, W, c), P"),
        "The residuals add the normalised input; they must add the input itself.", r"\+"),
    "one norm for both": _m("block", ('W["g2"], W["h2"], c), P', 'N = norm(X, W["g2"], W["h2"], c)'),
                            ('W["g1"], W["h1"], c), P', 'N = norm(X, W["g1"], W["h1"], c)'),
                            "The first norm is used twice; the second one has no effect.", NORM),
    "norms exchanged": _m(
        "block", ('N = norm(X, W["g1"], W["h1"], c)', 'N = norm(X, W["g2"], W["h2"], c)',
                  'norm(X + A, W["g1"], W["h1"], c)', 'norm(X + F, W["g2"], W["h2"], c)'),
        ('N = norm(X, W["g2"], W["h2"], c)', 'N = norm(X, W["g1"], W["h1"], c)',
         'norm(X + A, W["g2"], W["h2"], c)', 'norm(X + F, W["g1"], W["h1"], c)'),
        "The two norms are exchanged.", NORM),
    "residual of the input twice": _m(
        "block", ("N = norm(X, W[\"g1\"], W[\"h1\"], c)", "return X + feed_forward",
                  "A, P = multihead(X, X, X, keep, causal, W, c)", "norm(X + F,"),
        ("R = X\n        N = norm(X, W[\"g1\"], W[\"h1\"], c)", "return R + feed_forward",
         "R = X\n    A, P = multihead(X, X, X, keep, causal, W, c)", "norm(R + F,"),
        "The second residual adds the input of the layer; it must add what comes out of the first "
        "residual.", r"\+"),
    "second norm left out": _m(
        "block", ('return norm(X + F, W["g2"], W["h2"], c), P', 'N = norm(X, W["g2"], W["h2"], c)'),
        ("return X + F, P", "N = X"), "The second norm is missing.", NORM + r"|\+"),
    "first norm left out": _m(
        "block", ('X = norm(X + A, W["g1"], W["h1"], c)', 'N = norm(X, W["g1"], W["h1"], c)'),
        ("X = X + A", "N = X"), "The first norm is missing.", NORM + r"|\+"),
    "norm for the queries only": _m(
        "block", "multihead(N, N, N,", "multihead(N, X, X,",
        "Only the queries are normalised; keys and values must come from the normalised input, too.",
        NORM),
    "no activation": _m("feed_forward", 'c.activation(dense(X, W["W1"], W["b1"]))',
                        'dense(X, W["W1"], W["b1"])',
                        "The feed-forward net has no activation.", r"relu|gelu|maximum|@"),
    "gate without activation": _m("feed_forward", 'G = c.activation(dense(X, W[f"W{gate}"], '
                                  'W[f"b{gate}"]))', 'G = dense(X, W[f"W{gate}"], W[f"b{gate}"])',
                                  "The gate of the feed-forward net has no activation.",
                                  "silu|gelu|gate|w1|w3"),
    "gate added": _m("feed_forward", "dense(G * dense(", "dense(G + dense(",
                     "The gate of the feed-forward net is added; it must be multiplied.", r"\+|gate"),
    "activation at the end": _m(
        "feed_forward", 'dense(c.activation(dense(X, W["W1"], W["b1"])), W["W2"], W["b2"])',
        'c.activation(dense(c.activation(dense(X, W["W1"], W["b1"])), W["W2"], W["b2"]))',
        "The feed-forward net has an activation behind its second layer, too.", r"relu|gelu|maximum"),
}

# of `step`, for a cache
STEPS = {
    "positions restart": _m("step", "at = start =", "at = 0\n    start =",
                            "With a cache the rotary positions start at 0 again in each call; they "
                            "must go on behind the cached tokens.", r"rot|arange|pos"),
    "query positions restart": _m("step", "rotary(Q, at, c), rotary(K", "rotary(Q, 0, c), rotary(K",
                                  "With a cache the positions of the queries start at 0 again; they "
                                  "must go on behind the cached tokens.", r"rot|arange|pos"),
    "key positions restart": _m("step", "rotary(K, at, c)", "rotary(K, 0, c)",
                                "With a cache the positions of the new keys start at 0 again; they "
                                "must go on behind the cached tokens.", r"rot|arange|pos"),
    "positions one too far": _m("step", "if c.rotary:", "if c.rotary:\n        at += start > 0",
                                "With a cache the rotary positions are one too far.", r"rot|arange|pos"),
    "query one too far": _m("step", "rotary(Q, at, c)", "rotary(Q, start + (start > 0), c)",
                            "With a cache the rotary positions of the queries are one too far.",
                            r"rot|arange|pos"),
    "keys turned again": _m(
        "step", ("Q, K = rotary(Q, at, c), rotary(K, at, c)", "    T, Tk = Q.shape[-2]"),
        ("Q = rotary(Q, at, c)", "    past_ = K, V\n    if c.rotary:\n        K = rotary(K, 0, c)\n"
         "    T, Tk = Q.shape[-2]"),
        "Cached keys are turned by their positions again in each call.", r"rot"),
    "chunk sees its future": _m(
        "step", "M = np.arange(Tk) <= start + np.arange(T)[:, None]",
        "M = np.arange(Tk) <= (start + np.arange(T)[:, None] if past is None else Tk)",
        "With a cache there is no causal mask inside of a chunk: a token sees the later ones of its "
        "chunk.", MASK + "|past|cache"),
    "chunk at the wrong corner": _m(
        "step", "M = np.arange(Tk) <= start + np.arange(T)[:, None]",
        "M = np.arange(Tk) <= np.arange(T)[:, None]",
        "With a cache the causal mask starts at the upper left corner: new tokens do not see the "
        "cached ones; the mask must be shifted by the length of the cache.", MASK + "|past|cache"),
    "chunk at the wrong corner, single tokens right": _m(
        "step", "M = np.arange(Tk) <= start + np.arange(T)[:, None]",
        "M = np.arange(Tk) <= (start if T == 1 else 0) + np.arange(T)[:, None]",
        "With a cache the causal mask of a chunk starts at the upper left corner: its tokens see the "
        "oldest keys only, and not themselves; it must be shifted by the length of the cache.",
        MASK + "|causal|past|cache"),
    "cache moves on by one": _m(
        "step", "(dense(O, W[\"Wo\"], W[\"bo\"]) if \"Wo\" in W else O), (K, V)",
        "(dense(O, W[\"Wo\"], W[\"bo\"]) if \"Wo\" in W else O), (K[..., : start + 1, :], "
        "V[..., : start + 1, :])",
        "The cache's position moves on by 1 for each call and not by the length of the chunk: the next "
        "call writes over tokens of the last one.", r"\+= ?1|pos|len"),
    "cache keeps the first call": _m(
        "step", "(dense(O, W[\"Wo\"], W[\"bo\"]) if \"Wo\" in W else O), (K, V)",
        "(dense(O, W[\"Wo\"], W[\"bo\"]) if \"Wo\" in W else O), (K, V) if past is None else past",
        "The cache keeps the tokens of the first call only.", r"cache|past|return"),
    "chunk mask one too far": _m(
        "step", "<= start + np.arange(T)[:, None]", "<= start + (start > 0) + np.arange(T)[:, None]",
        "With a cache the causal mask is off by one: a token sees the next one of its chunk.",
        MASK + "|past|cache"),
    "chunk mask one too short": _m(
        "step", "<= start + np.arange(T)[:, None]", "<= start - (start > 0) + np.arange(T)[:, None]",
        "With a cache the causal mask is off by one: a token does not see itself.",
        MASK + "|past|cache"),
    "cache without effect": _m("step", "if past is not None:", "if False:",
                               "The cache has no effect: cached keys and values are not attended to.",
                               r"cache|past|cat"),
    "new tokens before the cache": _m(
        "step", "np.concatenate([past[0], K], -2), np.concatenate([past[1], V], -2)",
        "np.concatenate([K, past[0]], -2), np.concatenate([V, past[1]], -2)",
        "New keys and values are put before the cached ones; they belong behind them.", r"cat|stack"),
    "values of the cache alone": _m(
        "step", "np.concatenate([past[1], V], -2)", "np.concatenate([past[1], past[1][..., -1:, :]"
        ".repeat(V.shape[-2], -2)], -2)", "The cache does not take the new values.", r"cat|cache"),
    "keys for values in the cache": _m(
        "step", "(K, V)\n", "(K, K)\n", "The cache keeps the keys in place of the values.",
        r"cache|past|return"),
    "cache of the last call": _m(
        "step", "(dense(O, W[\"Wo\"], W[\"bo\"]) if \"Wo\" in W else O), (K, V)",
        "(dense(O, W[\"Wo\"], W[\"bo\"]) if \"Wo\" in W else O), (K[..., -T:, :], V[..., -T:, :])",
        "The cache keeps the tokens of the last call only.", r"cache|past|return"),
}

# of `backward`, for the hand-written gradients of a right forward
BACKWARD = {
    "no row sum": _m("backward", DS, "P * dP",
                     "The row sum is missing in the softmax's backward: dS = P ⊙ (dP − Σ dP ⊙ P).",
                     r"dP|dA|dW|sum"),
    "row sum added": _m("backward", "(dP - (dP", "(dP + (dP",
                        "The row sum is added in the softmax's backward; it must be subtracted.",
                        r"sum"),
    "row sum over queries": _m("backward", "(dP * P).sum(-1, keepdims=True)",
                               "(dP * P).sum(-2, keepdims=True)",
                               "The row sum of the softmax's backward runs over the queries; it must "
                               "run over the keys.", r"sum"),
    "row sum of dP": _m("backward", "(dP * P).sum(-1", "dP.sum(-1",
                        "The row sum of the softmax's backward lacks the factor P: it is Σ dP ⊙ P.",
                        r"sum"),
    "mean for sum": _m("backward", "(dP * P).sum(-1", "(dP * P).mean(-1",
                       "The softmax's backward takes the mean; it must take the sum of dP ⊙ P.",
                       r"mean"),
    "row sum of everything": _m("backward", "(dP * P).sum(-1, keepdims=True)", "(dP * P).sum()",
                                "The softmax's backward sums over everything; each row has its own "
                                "sum.", r"sum"),
    "diagonal only": _m("backward", DS, "P * (1 - P) * dP",
                        "The softmax's backward is that of a sigmoid, P (1 − P) dP: only the diagonal "
                        "of its Jacobian.", r"1 ?- ?"),
    "no softmax backward": _m("backward", DS, "dP", "The softmax is left out of the backward.",
                              r"dP|dA|dS"),
    "without P": _m("backward", DS, "dP - (dP * P).sum(-1, keepdims=True)",
                    "The factor P is missing in the softmax's backward.", r"sum"),
    "row sum of the output's mean": _m(
        "backward", "(dP * P).sum(-1, keepdims=True)",
        "(dO * (P @ V)).mean(-1, keepdims=True)",
        "The row sum of the softmax's backward is a mean over the features; Σ dP ⊙ P is Σ dO ⊙ O.",
        r"mean"),
    "row sum without the output": _m(
        "backward", "(dP * P).sum(-1, keepdims=True)", "dO.sum(-1, keepdims=True)",
        "The row sum of the softmax's backward lacks the output: Σ dP ⊙ P is Σ dO ⊙ O.", r"sum"),
    "scale multiplies in dQ and dK": _m(
        "backward", ("dQ = dS @ K * s", "@ Q * s"), ("dQ = dS @ K / s", "@ Q / s"),
        "dQ and dK are multiplied by √d; they must be divided by it.", r"sqrt|\*\*|scale"),
    "cap without derivative": _m(
        "backward", "dS * (1 - np.tanh(Q @ K.swapaxes(-1, -2) * s / c.cap) ** 2)", "dS",
        "The backward lacks the derivative of the soft cap, 1 − tanh², in dQ and dK.", "tanh|d[sSzZ]"),
    "cap's derivative without square": _m(
        "backward", "s / c.cap) ** 2)", "s / c.cap))",
        "The derivative of the soft cap is 1 − tanh²; the square is missing.", "tanh"),
    "cap's derivative of the capped scores": _m(
        "backward", "(1 - np.tanh(Q @ K.swapaxes(-1, -2) * s / c.cap) ** 2)",
        "(1 - (c.cap * np.tanh(Q @ K.swapaxes(-1, -2) * s / c.cap)) ** 2)",
        "The derivative of the soft cap takes the capped scores in place of tanh: it is 1 − "
        "(capped / cap)².", "tanh"),
    "cap's derivative of the scores": _m(
        "backward", "(1 - np.tanh(Q @ K.swapaxes(-1, -2) * s / c.cap) ** 2)",
        "(1 - np.tanh(Q @ K.swapaxes(-1, -2) * s) ** 2)",
        "The derivative of the soft cap takes tanh of the scores without dividing them by the cap.",
        "tanh"),
    "cap twice in the derivative": _m(
        "backward", "(1 - np.tanh(Q @ K.swapaxes(-1, -2) * s / c.cap) ** 2)",
        "(1 - np.tanh(Q @ K.swapaxes(-1, -2) * s / c.cap) ** 2) / c.cap",
        "The derivative of the soft cap is divided by the cap: the factor and the division cancel.",
        "tanh"),
    "P squared": _m("backward", DS, "P * P * (dP - (dP * P).sum(-1, keepdims=True))",
                    "The factor P stands twice in the softmax's backward.", r"P"),
    "row sum of P squared": _m("backward", "(dP * P).sum(-1", "(dP * P**2).sum(-1",
                               "The row sum of the softmax's backward has P squared: it is "
                               "Σ dP ⊙ P.", r"sum"),
    "P twice in the sum": _m("backward", DS, "P * (dP - P * dP.sum(-1, keepdims=True))",
                             "The row sum of the softmax's backward has P outside of the sum: it is "
                             "Σ dP ⊙ P.", r"sum"),
    "no scale in dQ and dK": _m("backward", ("dQ = dS @ K * s", "@ Q * s"), ("dQ = dS @ K", "@ Q"),
                                "The scale 1/√d is missing in dQ and dK.", r"d[QKS]"),
    "no scale in dQ": _m("backward", "dQ = dS @ K * s", "dQ = dS @ K",
                         "The scale 1/√d is missing in dQ.", r"dQ|d_q|grad_q"),
    "no scale in dK": _m("backward", "@ Q * s", "@ Q", "The scale 1/√d is missing in dK.",
                         r"dK|d_k|grad_k"),
    "scale twice in dQ": _m("backward", "dQ = dS @ K * s", "dQ = dS @ K * s * s",
                            "dQ is scaled twice.", r"dQ|d_q|grad_q"),
    "scale twice in dK": _m("backward", "@ Q * s", "@ Q * s * s", "dK is scaled twice.",
                            r"dK|d_k|grad_k"),
    "scale twice in both": _m("backward", ("dQ = dS @ K * s", "@ Q * s"),
                              ("dQ = dS @ K * s * s", "@ Q * s * s"),
                              "dQ and dK are scaled twice.", r"d[QKS]|scale|sqrt"),
    "scale in dV": _m("backward", "P.swapaxes(-1, -2) @ dO", "P.swapaxes(-1, -2) @ dO * s",
                      "dV is scaled; the scale belongs to the scores alone.", r"dV|d_v|grad_v"),
    "dK without transpose": _m("backward", "dS.swapaxes(-1, -2) @ Q", "dS @ Q",
                               "dK takes dS without a transpose; it is dSᵀ Q.", r"dK|d_k|grad_k"),
    "dQ with transpose": _m("backward", "dS @ K", "dS.swapaxes(-1, -2) @ K",
                            "dQ takes dS transposed; it is dS K.", r"dQ|d_q|grad_q"),
    "dV without transpose": _m("backward", "P.swapaxes(-1, -2) @ dO", "P @ dO",
                               "dV takes the weights without a transpose; it is Pᵀ dO.",
                               r"dV|d_v|grad_v"),
    "dQ of Q": _m("backward", "dS @ K", "dS @ Q", "dQ is multiplied with Q; it is dS K.", r"dQ|d_q"),
    "dK of K": _m("backward", "swapaxes(-1, -2) @ Q", "swapaxes(-1, -2) @ K",
                  "dK is multiplied with K; it is dSᵀ Q.", r"dK|d_k"),
    "dQ and dK exchanged": _m("backward", "return dQ, shared(dK, Hk)", "return shared(dK, Hk), dQ",
                              "dQ and dK are returned in the wrong order.", r"return"),
    "dK and dV exchanged": _m("backward", "shared(dK, Hk), shared(dV, Hk)",
                              "shared(dV, Hk), shared(dK, Hk)",
                              "dK and dV are returned in the wrong order.", r"return"),
    "dQ negated": _m("backward", "dQ = dS", "dQ = -dS", "dQ has the wrong sign.", r"dQ"),
    "dV of scores": _m("backward", "P.swapaxes(-1, -2) @ dO",
                       "scores(Q, K, V, c).swapaxes(-1, -2) @ dO",
                       "dV takes the scores; it must take the weights, Pᵀ dO.", r"dV|d_v|grad_v"),
    "dV of dP": _m("backward", "P.swapaxes(-1, -2) @ dO", "dO.swapaxes(-1, -2) @ P",
                   "dV is transposed; it is Pᵀ dO.", r"dV"),
    "mask forgotten": _m("backward", "softmax(scores(Q, K, V, c), M, c)",
                         "softmax(scores(Q, K, V, c), np.ones_like(M), c)",
                         "The backward computes the weights again without the mask.", r"softmax|mask"),
    "groups not summed": _m("shared", "sum(2)", "mean(2)",
                            "The gradient of a shared key head is the mean over its query heads; it "
                            "must be the sum.", r"mean"),
    **{f"groups, {kind} in d{x}": _m(
        "backward", f"shared(d{x}, Hk)",
        f"d{x}.reshape(len(d{x}), {order}, *d{x}.shape[2:]){how}",
        f"d{x} of a shared head {words}; it must be the sum over all query heads that share it.",
        rf"d{x.lower()}\w* ?=|reshape|\[|mean") for x in "KV" for kind, order, how, words in (
            ("first only", "Hk, H // Hk", "[:, :, 0]", "counts its first query head only"),
            ("last only", "Hk, H // Hk", "[:, :, -1]", "counts its last query head only"),
            ("mean", "Hk, H // Hk", ".mean(2)", "is a mean over its query heads"),
            ("tiled", "H // Hk, Hk", ".sum(1)", "sums the wrong query heads (tiled, not repeated)"))},
    "groups: first only": _m("shared", ".sum(2)", "[:, :, 0]",
                             "The gradient of a shared key head counts its first query head only; it "
                             "must be the sum over all of them.", r"\["),
}
ALL = MISTAKES | {f"cache: {name}": mistake for name, mistake in STEPS.items()} | {f"backward: {name}": mistake for name, mistake in BACKWARD.items()}


def _other(c):
    """The conventions with the other pairing of rotary features."""
    return varied(c, rotary="half" if c.rotary == "pairs" else "pairs")


def _tiled(S, V, kind, n):
    """Attention over tiles of n keys with one thing wrong."""
    Tk, m, total, O = S.shape[-1], -np.inf, 0.0, 0.0
    whole = Tk - Tk % n
    stop = {"tail dropped": whole, "tail dropped behind the first": max(n, whole),
            "first tile only": n}.get(kind, Tk)
    parts, more = [], {"tiles overlap": 1, "a key between tiles lost": -1}.get(kind, 0)
    for j in range(0, stop, n):
        s, v = S[..., j : j + n + more], V[..., j : j + n + more, :]
        top = s.max(-1, keepdims=True)
        new = top if kind == "own maxima" else np.maximum(m, top)
        p, r = np.exp(s - new), np.exp(m - new)
        plain = kind in ("neither rescaled", "own maxima")
        total = total * (1.0 if plain or kind == "sum not rescaled" else r) + p.sum(-1, keepdims=True)
        O = O * (1.0 if plain or kind == "output not rescaled" else r) + p @ v
        m = new
        parts.append(p @ v / p.sum(-1, keepdims=True))
    if kind == "last tile only":
        return parts[-1]
    if kind == "last queries dropped":
        rows = S.shape[-2]
        return np.where(np.arange(rows)[:, None] < rows - rows % n, O / total, 0.0)
    if kind in ("tiles averaged", "tiles added"):
        return sum(parts) / (len(parts) if kind == "tiles averaged" else 1)
    return O / total


def _pairing(d):
    """Columns of the angles as the other pairing would read a table of the wrong kind."""
    half = [*range(d // 2)]
    wide = [i for i in half for _ in range(2)]
    return wide[: d // 2], wide[d // 2 :]


def _halves(d):
    """The same, for neighbours that read a table of halves."""
    return [i % (d // 2) for i in range(0, d, 2)], [i % (d // 2) for i in range(1, d, 2)]


@lru_cache(maxsize=1)
def _functions():
    text = SOURCE.read_text(encoding="utf-8")
    parts = re.split(r"^(?=def )", text, flags=re.MULTILINE)
    return {re.match(r"def (\w+)", part)[1]: part for part in parts[1:]}


def _stepped(text):
    """A piece of `multihead` as it stands in `step`."""
    return re.sub(r"\bX[qkv]\b", "X", text).replace(", 0, c)", ", at, c)")


@lru_cache(maxsize=4096)
def _code(where, names):
    text = _functions()[where]
    if where == "step":  # what a layer does wrong it does with a cache, too
        for name in names:
            if ALL[name].where == "multihead":
                for old, new in ALL[name].edit.pairs:
                    text = text.replace(_stepped(old), _stepped(new))
        names = [name for name in names if ALL[name].where == "step"]
    text = apply(text, *[ALL[name].edit for name in names])
    try:
        return compile(text, str(SOURCE), "exec")
    except SyntaxError as error:
        raise EditError(f"{' and '.join(names)} exclude each other") from error


@lru_cache(maxsize=4096)
def mistaken(*names):
    """{name: function} of the reference with these mistakes; EditError if they exclude each other."""
    from npattn.doctor import reference

    space = dict(vars(reference)) | {
        "_r": _pairing, "_n": _halves, "_o": _other, "_t": _tiled}
    by = {}
    for name in names:
        by.setdefault(ALL[name].where, []).append(name)
        if ALL[name].where == "multihead":
            by.setdefault("step", []).append(name)
    for where in _functions():
        exec(_code(where, tuple(by.get(where, ()))), space)
    return space
