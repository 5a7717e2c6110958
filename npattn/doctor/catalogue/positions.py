"""Mistakes beyond plain attention: soft caps, windows, ALiBi, tables, sinks, normed queries."""

from npattn.doctor.catalogue.entry import MASK, SOFTMAX, mistake

BEYOND = {
    # soft cap, window, ALiBi, sinks, normalised queries and keys
    "cap without division": mistake("capped", "np.tanh(S / c.cap)", "np.tanh(S)",
                                    "The soft cap does not divide the scores by the cap before tanh: it is "
                                    "cap · tanh(S / cap).", "tanh"),
    "cap without factor": mistake("capped", "c.cap * np.tanh", "np.tanh",
                                  "The soft cap does not multiply by the cap again behind tanh: it is "
                                  "cap · tanh(S / cap).", "tanh"),
    "cap upside down": mistake("capped", "c.cap * np.tanh(S / c.cap)", "np.tanh(S * c.cap) / c.cap",
                               "The soft cap multiplies where it must divide: it is cap · tanh(S / cap).",
                               "tanh"),
    "cap ignored": mistake("capped", "c.cap * np.tanh(S / c.cap) if c.cap else S", "S",
                           "The soft cap has no effect.", "tanh|cap"),
    "cap by clipping": mistake("capped", "c.cap * np.tanh(S / c.cap)", "np.clip(S, -c.cap, c.cap)",
                               "The scores are clipped; a soft cap is cap · tanh(S / cap).", "clip|clamp"),
    "cap before the scale": mistake(
        "scores", ("Q @ K.swapaxes(-1, -2) * scale(Q, K, V, c) + c.bias", "capped(S, c)"),
        ("capped(Q @ K.swapaxes(-1, -2), c) * scale(Q, K, V, c) + c.bias", "S"),
        "The soft cap comes before the scale; it must see the scaled scores.", "tanh"),
    "cap of the weights": mistake("core", ("S = scores(Q, K, V, c)", "P = softmax(S, M, c)"),
                                  ("S = scores(Q, K, V, varied(c, cap=0))",
                                   "P = capped(softmax(S, M, c), c)"),
                                  "The soft cap acts on the weights; it must act on the scores.", "tanh"),
    "cap after the mask": mistake(
        "core", ("S = scores(Q, K, V, c)", "P = softmax(S, M, c)"),
        ("S = scores(Q, K, V, varied(c, cap=0))\n    "
         "S = capped(np.where(M, S, -np.inf), c)", "P = softmax(S, np.ones_like(M), c)"),
        "The soft cap comes after the mask: tanh makes −cap of −inf, and masked keys take weight; the "
        "mask must come behind the cap.", "tanh|" + MASK, "mask"),
    "window one too wide": mistake("near", "gap < c.window", "gap <= c.window",
                                   "The window is one too wide: a query sees one key more than the window "
                                   "holds.", "window|<|>|" + MASK),
    "window one too narrow": mistake("near", "gap < c.window", "gap < c.window - 1",
                                     "The window is one too narrow: a query sees one key fewer than the "
                                     "window holds.", "window|<|>|" + MASK),
    "window of blocks": mistake(
        "near", "(gap < c.window) & (gap >= -c.ahead)",
        "(np.arange(Tk) // c.window == (Tk - Tq if c.corner == 'lower' else 0) // c.window "
        "+ np.arange(Tq)[:, None] // c.window)",
        "The window stands still: tokens attend within blocks; it must move with the query.",
        "window|//|" + MASK),
    "window ignored": mistake("near", "(gap < c.window) & (gap >= -c.ahead)", "np.ones_like(gap, bool)",
                              "The window has no effect.", "window|" + MASK),
    "window ahead ignored": mistake("near", "(gap < c.window) & (gap >= -c.ahead)", "gap < c.window",
                                    "The window is bounded on one side only.", "window|" + MASK),
    "window inverted": mistake("near", "gap < c.window", "gap >= c.window",
                               "The window is inverted: what lies outside of it is kept.",
                               "window|<|>|" + MASK),
    "window without the causal mask": mistake(
        "allowed", "M = M & near(Tq, Tk, c)", "M = near(Tq, Tk, c) | (gaps(Tq, Tk, c) < 0)",
        "With a window the causal mask is lost: a query sees the future.", "window|" + MASK),
    "window or causal mask": mistake(
        "allowed", "M = M & near(Tq, Tk, c)", "M = M | near(Tq, Tk, c)",
        "The window and the causal mask are joined by or; a key must be allowed by both.",
        "window|" + MASK),
    "window from the first query": mistake(
        "near", "gap = gaps(Tq, Tk, c)", "gap = np.arange(Tq)[:, None] - np.arange(Tk)",
        "The window is not shifted where there are more keys than queries.", "window|arange"),
    "ALiBi's sign": mistake("distances", "return -c.slopes", "return c.slopes",
                            "The ALiBi bias has the wrong sign: distant keys are rewarded; they must lose.",
                            r"slope|alibi|bias|dist"),
    "ALiBi ignored": mistake("scores", "+ distances(S.shape[-2], S.shape[-1], c)", "",
                             "The ALiBi bias has no effect.", r"slope|alibi|bias|dist"),
    "ALiBi's slopes reversed": mistake("distances", "-c.slopes[:, None", "-c.slopes[::-1, None",
                                       "The slopes of ALiBi are in the wrong order of heads.",
                                       r"slope|alibi"),
    "ALiBi with one slope": mistake("distances", "-c.slopes[:, None", "-c.slopes[:1, None",
                                    "ALiBi uses the slope of the first head for all heads.",
                                    r"slope|alibi"),
    "ALiBi's slopes from 0": mistake("distances", "-c.slopes[:", "-(c.slopes / c.slopes[0])[:",
                                     "The slopes of ALiBi begin at 1; they must begin at 2^(−8/H).",
                                     r"slope|alibi"),
    "ALiBi's last slope 1": mistake("distances", "-c.slopes[:", "-(c.slopes[::-1] / c.slopes[0])[:",
                                    "The slopes of ALiBi are shifted by one head: the exponents must run "
                                    "from 8/H to 8.", r"slope|alibi"),
    "ALiBi's slopes inverse": mistake("distances", "-c.slopes[:", "-(1 / c.slopes)[:",
                                      "The exponents of ALiBi's slopes have the wrong sign: they must be "
                                      "2^(−8h/H).", r"slope|alibi"),
    "ALiBi without the 8": mistake(
        "distances", "-c.slopes[:", "-(c.slopes ** (1 / 8))[:",
        "The slopes of ALiBi lack the factor 8 in the exponent: they must be 2^(−8h/H).",
        r"slope|alibi"),
    "ALiBi before the scale": mistake(
        "scores", ("* scale(Q, K, V, c) + c.bias", "+ distances(S.shape[-2], S.shape[-1], c)"),
        ("* scale(Q, K, V, c) + c.bias + distances(Q.shape[-2], K.shape[-2], c) * scale(Q, K, V, c)",
         ""), "The bias of the positions (ALiBi's, say) is scaled with the scores; it must be added "
        "behind the scale.",
        r"slope|alibi|bias"),
    "ALiBi squared": mistake("distances", "np.abs(gap)", "gap**2",
                             "The ALiBi bias grows with the square of the distance; it must be linear.",
                             r"slope|alibi|\*\*"),
    "ALiBi of the key from the start": mistake(
        "distances", "(gap if c.signed else np.abs(gap))", "np.arange(Tk)",
        "The ALiBi bias grows with the position of the key and not with its distance from the query.",
        r"slope|alibi|arange"),
    "ALiBi of the tokens' heads": mistake(
        "distances", "gap = gaps(Tq, Tk, c)", "gap = np.arange(Tq)[:, None] - np.arange(Tk)",
        "The distances of ALiBi are not shifted where there are more keys than queries.",
        r"slope|alibi|arange"),
    "table ignored": mistake("scores", "capped(S, c) + distances(S.shape[-2], S.shape[-1], c)",
                             "capped(S, c)", "The bias of relative positions has no effect.",
                             r"rel|bias|table"),
    "table of the first head": mistake(
        "distances", "R = c.table.shape[1]", "R = c.table.shape[1]\n        c = varied(c, "
        "table=c.table[:1])",
        "All heads use the relative bias of the first head.", r"rel|bias|table"),
    "buckets' sign": mistake("distances", "bucket(gap, R, c)", "bucket(-gap, R, c)",
                             "The relative distance has the wrong sign (key minus query for query minus "
                             "key), so that the past is taken for the future: all its keys get one bucket.",
                             r"-|bucket|dist"),
    "buckets without logarithm": mistake(
        "bucket", "return side + np.where(far < exact, far, large)",
        "return side + np.minimum(far, half - 1)",
        "The buckets of relative positions are clipped; large distances must share buckets by their "
        "logarithm.", "bucket|clamp|clip|min"),
    "buckets of one side": mistake("bucket", "return side +", "return",
                                   "Keys before and behind the query share their buckets.", "bucket|abs"),
    "table turned": mistake("distances", "(gap if c.signed else -gap)", "(-gap if c.signed else gap)",
                            "The relative bias is mirrored: key minus query for query minus key.",
                            r"-|rel|bias"),
    "table off by one": mistake("distances", "+ R // 2, 0", "+ R // 2 + 1, 0",
                                "The table of relative positions is read one place too far.",
                                r"rel|bias|table"),
    "sink ignored": mistake("core", "return O * kept(S, M, c), P * kept(S, M, c)", "return O, P",
                            "The sink has no effect: the weights sum to 1.", "sink|" + SOFTMAX),
    "sink negated": mistake("kept", "np.exp(c.sink - top)", "np.exp(-c.sink - top)",
                            "The sink's score has the wrong sign.", "sink"),
    "sink's exponential": mistake("kept", "np.exp(c.sink - top)", "c.sink * np.exp(-top)",
                                  "The sink is added to the sum as it is; it is a score, and its "
                                  "exponential must be added.", "sink|sum"),
    "sink not shifted": mistake("kept", "np.exp(c.sink - top)", "np.exp(c.sink)",
                                "The maximum is not subtracted from the sink's score.", "sink|max"),
    "sink of the first head": mistake("core", "return O * kept(S, M, c)", "c = varied(c, sink="
                                      "c.sink[:1])\n    return O * kept(S, M, c)",
                                      "All heads use the sink of the first head.", "sink"),
    "keys of a core not normalised": mistake(
        "scores", "unit(Q, 1.0, 0.0, c), unit(K, 1.0, 0.0, c)", "unit(Q, 1.0, 0.0, c), K",
        "The queries are normalised, and the keys are not.", "norm"),
    "queries of a core not normalised": mistake(
        "scores", "unit(Q, 1.0, 0.0, c), unit(K, 1.0, 0.0, c)", "Q, unit(K, 1.0, 0.0, c)",
        "The keys are normalised, and the queries are not.", "norm"),
    **{f"{words} of a core normalised over the tokens": mistake(
        "scores", f"unit({x}, 1.0, 0.0, c)", f"{x} / np.sqrt(({x}**2).sum(-2, keepdims=True))",
        f"The {words} are normalised over the tokens; it must be over the features.", "norm")
       for x, words in (("Q", "queries"), ("K", "keys"))},
    "keys not normalised": mistake("multihead", 'unit(K, W["gk"], W["hk"], c)', "K",
                                   "Only the queries are normalised; keys must be, too.", "norm"),
    "queries not normalised": mistake("multihead", 'unit(Q, W["gq"], W["hq"], c)', "Q",
                                      "Only the keys are normalised; queries must be, too.", "norm"),
    "values normalised": mistake("multihead", "Q, K = unit(Q", "V = unit(V, W['gk'], W['hk'], c)\n        "
                                 "Q, K = unit(Q", "The values are normalised, too; queries and keys alone "
                                 "must be.", "norm"),
    "queries and keys normalised over the tokens": mistake(
        "unit", ("(X**2).sum(-1, keepdims=True)", 'return norm(X, g, h, varied(c, rms=c.unit == "rms"))'),
        ("(X**2).sum(-2, keepdims=True)", "return norm(X.swapaxes(-1, -2), 1.0, 0.0, "
         'varied(c, rms=c.unit == "rms")).swapaxes(-1, -2) * g + h'),
        "Queries and keys are normalised over the tokens; it must be over the features of a head.",
        "norm"),
    "query's gain for the keys": mistake(
        "multihead", 'unit(K, W["gk"], W["hk"], c)', 'unit(K, W["gq"], W["hq"], c)',
        "The keys are normalised with the gain of the queries.", "norm"),
    "normalised after the rotary positions": mistake(
        "multihead", ('Q, K = unit(Q, W["gq"], W["hq"], c), unit(K, W["gk"], W["hk"], c)',
                      "Q, K = rotary(Q, 0, c), rotary(K, 0, c)"),
        ("pass", 'Q, K = unit(rotary(Q, 0, c), W["gq"], W["hq"], c), unit(rotary(K, 0, c), W["gk"], '
         'W["hk"], c)'),
        "Queries and keys are normalised after the rotary positions; the norm must come before them.",
        "norm|rot"),
}
