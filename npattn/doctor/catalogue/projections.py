"""Mistakes of projections and of rotary positions."""

from npattn.doctor.catalogue.entry import mistake

NAMES = {"q": "queries", "k": "keys", "v": "values", "o": "output"}
PAIR = "[E * cos - F * sin, E * sin + F * cos], -1).reshape"
HALF = "return np.concatenate([E * cos - F * sin, E * sin + F * cos], -1)"

PROJECTION_MISTAKES = {
    # projections
    "queries not projected": mistake("multihead", 'dense(Xq, W["Wq"], W["bq"])', "Xq",
                                     "The queries are not projected.", r"[Qq]"),
    "keys not projected": mistake("multihead", 'dense(Xk, W["Wk"], W["bk"])', "Xk",
                                  "The keys are not projected.", r"[Kk]"),
    "values not projected": mistake("multihead", 'dense(Xv, W["Wv"], W["bv"])', "Xv",
                                    "The values are not projected.", r"[Vv]"),
    "queries through the key's weights": mistake(
        "multihead", 'dense(Xq, W["Wq"], W["bq"])', 'dense(Xq, W["Wk"], W["bk"])',
        "The queries are projected with the weights of the keys.", r"[Qq]"),
    "keys through the query's weights": mistake(
        "multihead", 'dense(Xk, W["Wk"], W["bk"])', 'dense(Xk, W["Wq"], W["bq"])',
        "The keys are projected with the weights of the queries.", r"[Kk]"),
    "keys through the value's weights": mistake(
        "multihead", 'dense(Xk, W["Wk"], W["bk"])', 'dense(Xk, W["Wv"], W["bv"])',
        "The keys are projected with the weights of the values.", r"[Kk]"),
    "values through the key's weights": mistake(
        "multihead", 'dense(Xv, W["Wv"], W["bv"])', 'dense(Xv, W["Wk"], W["bk"])',
        "The values are projected with the weights of the keys.", r"[Vv]"),
    "keys and values exchanged in the projection": mistake(
        "multihead", ('dense(Xk, W["Wk"], W["bk"])', 'dense(Xv, W["Wv"], W["bv"])'),
        ('dense(Xk, W["Wv"], W["bv"])', 'dense(Xv, W["Wk"], W["bk"])'),
        "The weights of keys and values are exchanged.", r"[KkVv]"),
    "queries and keys exchanged in the projection": mistake(
        "multihead", ('dense(Xq, W["Wq"], W["bq"])', 'dense(Xk, W["Wk"], W["bk"])'),
        ('dense(Xq, W["Wk"], W["bk"])', 'dense(Xk, W["Wq"], W["bq"])'),
        "The weights of queries and keys are exchanged.", r"[QqKk]"),
    "values from the queries": mistake("multihead", "dense(Xv,", "dense(Xq,",
                                       "The values are computed from the input of the queries; they must "
                                       "come from that of the keys.", r"[Vv]", "cross"),
    "keys from the queries": mistake("multihead", "dense(Xk,", "dense(Xq,",
                                     "The keys are computed from the input of the queries; they must come "
                                     "from the other input.", r"[Kk]", "cross"),
    "keys from the values": mistake("multihead", "dense(Xk,", "dense(Xv,",
                                    "The keys are computed from the input of the values.", r"[Kk]",
                                    "cross"),
    "values from the keys": mistake("multihead", "dense(Xv,", "dense(Xk,",
                                    "The values are computed from the input of the keys.", r"[Vv]",
                                    "cross"),
    **{f"W{x} transposed": mistake(
        "multihead", f'W["W{x}"]', f'W["W{x}"].T',
        f"The weights of the {words} are transposed.", rf"[{x}{x.upper()}]")
       for x, words in (("q", "queries"), ("k", "keys"), ("v", "values"))},
    "Wo transposed": mistake("multihead", 'dense(O, W["Wo"]', 'dense(O, W["Wo"].T',
                             "The weights of the output projection are transposed.",
                             r"[Ww]_?[Oo]|out|proj"),
    "no output projection": mistake(
        "multihead", '(dense(O, W["Wo"], W["bo"]) if "Wo" in W else O)', "O",
        "The output projection is missing.", r"return|out|proj"),
    **{f"bias of {y} in {x}": mistake(
        "multihead", f'W["b{x}"]', f'W["b{y}"]',
        f"The bias of the {NAMES[y]} is added to the {NAMES[x]}, in place of their own.",
        rf"b_?{y}|bias") for x in "qkv" for y in "qkv" if x != y},
    "sides exchanged": mistake(
        "multihead", ("Q = split(dense(Xq,", "K = split(dense(Xk,", "V = split(dense(Xv,"),
        ("Q = split(dense(Xk,", "K = split(dense(Xq,", "V = split(dense(Xq,"),
        "The two inputs are exchanged, each meets the weights of the other side: queries come from "
        "the context, keys and values from the input that should ask.", r"[qQ]\w* ?=|[qQ]\w*\(",
        "cross"),
    "queries from the context": mistake(
        "multihead", "Q = split(dense(Xq,", "Q = split(dense(Xk,",
        "The queries are computed from the context; they must come from the other input.",
        r"[qQ]\w* ?=|[qQ]\w*\(", "cross"),
    "no bias": mistake("dense", "Y + b", "Y", "The biases have no effect.", r"@|bias|\bb"),
    **{f"no bias of {x}": mistake("multihead", f'W["b{x}"]', "0.0",
                                  f"The bias of the {words} has no effect.", rf"b_?{x}|bias|[{x.upper()}]")
       for x, words in (("q", "queries"), ("k", "keys"), ("v", "values"), ("o", "output"))},
    "no bias of q, k and v": mistake("multihead", ('W["bq"]', 'W["bk"]', 'W["bv"]'), ("0.0",) * 3,
                                     "The biases of queries, keys and values have no effect.", r"bias|weight"),
    "bias not scaled": mistake(
        "multihead", 'W["bq"]', 'W["bq"] * np.sqrt(W["Wq"].shape[1] // c.heads) / c.scale',
        "The scale is applied to the queries before their bias is added: the bias is not scaled.",
        r"scale|sqrt|\*\* ?-|bias"),
    "output bias of the values": mistake("multihead", 'W["bo"]', 'W["bo"] + W["bv"]',
                                         "The bias of the values is added to the output, too.", r"bias"),
    "output bias for each head": mistake("multihead", 'W["bo"]', 'W["bo"] * c.heads',
                                         "The output's bias is added once for each head.", r"bias"),
    # rotary
    "rotary pairs mixed": mistake(
        "rotary", (PAIR, HALF),
        ("[E * cos - F * sin, F * cos + E * sin], -2).swapaxes(-1, -2).swapaxes(-1, -2).reshape",
         "return np.stack([E * cos - F * sin, E * sin + F * cos], -1).reshape(X.shape)"),
        "The rotary features are split one way and put together another way.",
        r"sin|cos|rot|stack|concat|cat"),
    "rotary sign": mistake("rotary", (PAIR, HALF),
                           (PAIR.replace("- F", "+ F"), HALF.replace("- F", "+ F")),
                           "Rotary: a sign is wrong, so that the pairs are not turned but reflected.",
                           r"sin|cos|rot"),
    "rotary sin": mistake("rotary", (PAIR, HALF),
                          (PAIR.replace("E * sin +", "-E * sin +"), HALF.replace("E * sin +",
                                                                                   "-E * sin +")),
                          "Rotary: a sign is wrong, so that the pairs are not turned.", r"sin|cos|rot"),
    "rotary tables mixed": mistake(
        "rotary", ("[E * cos - F * sin, E * sin + F * cos], -1).reshape", HALF),
        ("[E * cos[:, _n(d)[0]] - F * sin[:, _n(d)[0]], F * cos[:, _n(d)[1]] + E * sin[:, _n(d)[1]]], "
         "-1).reshape",
         "return np.concatenate([E * cos[:, _r(d)[0]] - F * sin[:, _r(d)[0]], F * cos[:, _r(d)[1]] "
         "+ E * sin[:, _r(d)[1]]], -1)"),
        "Rotary: the two features of a pair have different angles: table and pairing belong to "
        "different kinds (halves and neighbours).", r"sin|cos|rot|repeat|cat|stack"),
    "rotary against the queries": mistake(
        "multihead", "rotary(Q, 0, c), rotary(K, 0, c)", "rotary(Q, 0, c), rotary(K, 0, c, -1)",
        "Rotary turns queries and keys in opposite directions: the scores depend on the sum of "
        "positions and not on their distance.", r"rot|turn|sin"),
    "rotary backwards": mistake("rotary", "a = sign *", "a = -sign *",
                                "Rotary turns in the other direction.", r"sin"),
    "rotary pairings mixed": mistake(
        "multihead", "rotary(Q, 0, c), rotary(K, 0, c)", "rotary(Q, 0, c), rotary(K, 0, _o(c))",
        "Rotary pairs the features of queries and keys in different ways (halves and neighbours).",
        r"rot|halves|pairs|sin|cos"),
    "rotary positions of keys off by one": mistake(
        "multihead", "rotary(K, 0, c)", "rotary(K, 1, c)",
        "Rotary: the positions of the keys are off by one against those of the queries.", r"rot|arange"),
    "rotary positions of queries off by one": mistake(
        "multihead", "rotary(Q, 0, c)", "rotary(Q, 1, c)",
        "Rotary: the positions of the queries are off by one against those of the keys.",
        r"rot|arange"),
    "rotary of the queries only": mistake("multihead", "rotary(Q, 0, c), rotary(K, 0, c)",
                                          "rotary(Q, 0, c), K", "Rotary turns the queries only; keys must "
                                          "be turned, too.", r"rot|[Kk]"),
    "rotary of the keys only": mistake("multihead", "rotary(Q, 0, c), rotary(K, 0, c)",
                                       "Q, rotary(K, 0, c)", "Rotary turns the keys only; queries must be "
                                       "turned, too.", r"rot|[Qq]"),
    "rotary of the values": mistake("multihead", "Q, K = rotary(Q, 0, c), rotary(K, 0, c)",
                                    "Q, K, V = rotary(Q, 0, c), rotary(K, 0, c), rotary(V, 0, c)",
                                    "Rotary turns the values, too; it must turn queries and keys alone.",
                                    r"^[vV]\w*\b.*(rot|rope|cos)|rot|[vV]"),
    "rotary against each other": mistake(
        "rotary", "a = sign * angles(start + np.arange(X.shape[-2]), d, c)",
        "a = 2 * sign * angles(start + np.arange(X.shape[-2]), d, c)",
        "Rotary: the angles are twice as large as they should be.", r"rot|arange"),
    "rotary exponent": mistake("angles", "(-np.arange(0, d, 2) / d)", "(-np.arange(0, d // 2) / d)",
                               "Rotary: the exponents of the frequencies are half of what they should "
                               "be.", r"10000|base|theta|freq"),
    "rotary over heads": mistake(
        "rotary", "a = sign * angles(start + np.arange(X.shape[-2]), d, c)",
        "a = angles(start + np.arange(X.shape[1]), d, c)[:, None]",
        "Rotary: the positions count the heads and not the tokens.", r"rot|arange|shape"),
}
