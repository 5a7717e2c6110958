"""Mistakes of `step`, for a cache."""

from npattn.doctor.catalogue.entry import MASK, mistake

ENDS = ("New keys and new values are put at different ends of the cache: keys and values no longer "
        "belong together.")

STEPS = {
    "positions restart": mistake("step", "at = start =", "at = 0\n    start =",
                                 "With a cache the rotary positions start at 0 again in each call; they "
                                 "must go on behind the cached tokens.", r"rot|arange|pos"),
    "query positions restart": mistake("step", "rotary(Q, at, c), rotary(K", "rotary(Q, 0, c), rotary(K",
                                       "With a cache the positions of the queries start at 0 again; they "
                                       "must go on behind the cached tokens.", r"rot|arange|pos"),
    "key positions restart": mistake("step", "rotary(K, at, c)", "rotary(K, 0, c)",
                                     "With a cache the positions of the new keys start at 0 again; they "
                                     "must go on behind the cached tokens.", r"rot|arange|pos"),
    "positions one too far": mistake("step", "if c.rotary:", "if c.rotary:\n        at += start > 0",
                                     "With a cache the rotary positions are one too far.", r"rot|arange|pos"),
    "query one too far": mistake("step", "rotary(Q, at, c)", "rotary(Q, start + (start > 0), c)",
                                 "With a cache the rotary positions of the queries are one too far.",
                                 r"rot|arange|pos"),
    "keys turned again": mistake(
        "step", ("Q, K = rotary(Q, at, c), rotary(K, at, c)", "    T, Tk = Q.shape[-2]"),
        ("Q = rotary(Q, at, c)", "    past_ = K, V\n    if c.rotary:\n        K = rotary(K, 0, c)\n"
         "    T, Tk = Q.shape[-2]"),
        "Cached keys are turned by their positions again in each call.", r"rot"),
    "chunk sees its future": mistake(
        "step", "M = np.arange(Tk) <= start + np.arange(T)[:, None]",
        "M = np.arange(Tk) <= (start + np.arange(T)[:, None] if past is None else Tk)",
        "With a cache there is no causal mask inside of a chunk: a token sees the later ones of its "
        "chunk.", MASK + "|past|cache"),
    "chunk at the wrong corner": mistake(
        "step", "M = np.arange(Tk) <= start + np.arange(T)[:, None]",
        "M = np.arange(Tk) <= np.arange(T)[:, None]",
        "With a cache the causal mask starts at the upper left corner: new tokens do not see the "
        "cached ones; the mask must be shifted by the length of the cache.", MASK + "|past|cache"),
    "chunk at the wrong corner, single tokens right": mistake(
        "step", "M = np.arange(Tk) <= start + np.arange(T)[:, None]",
        "M = np.arange(Tk) <= (start if T == 1 else 0) + np.arange(T)[:, None]",
        "With a cache the causal mask of a chunk starts at the upper left corner: its tokens see the "
        "oldest keys only, and not themselves; it must be shifted by the length of the cache.",
        MASK + "|causal|past|cache"),
    "cache moves on by one": mistake(
        "step", "(dense(O, W[\"Wo\"], W[\"bo\"]) if \"Wo\" in W else O), (K, V)",
        "(dense(O, W[\"Wo\"], W[\"bo\"]) if \"Wo\" in W else O), (K[..., : start + 1, :], "
        "V[..., : start + 1, :])",
        "The cache's position moves on by 1 for each call and not by the length of the chunk: the next "
        "call writes over tokens of the last one.", r"\+= ?1|pos|len"),
    "cache keeps the first call": mistake(
        "step", "(dense(O, W[\"Wo\"], W[\"bo\"]) if \"Wo\" in W else O), (K, V)",
        "(dense(O, W[\"Wo\"], W[\"bo\"]) if \"Wo\" in W else O), (K, V) if past is None else past",
        "The cache keeps the tokens of the first call only.", r"cache|past|return"),
    "chunk mask one too far": mistake(
        "step", "<= start + np.arange(T)[:, None]", "<= start + (start > 0) + np.arange(T)[:, None]",
        "With a cache the causal mask is off by one: a token sees the next one of its chunk.",
        MASK + "|past|cache"),
    "chunk mask one too short": mistake(
        "step", "<= start + np.arange(T)[:, None]", "<= start - (start > 0) + np.arange(T)[:, None]",
        "With a cache the causal mask is off by one: a token does not see itself.",
        MASK + "|past|cache"),
    "cache without effect": mistake("step", "if past is not None:", "if False:",
                                    "The cache has no effect: cached keys and values are not attended to.",
                                    r"cache|past|cat"),
    "new tokens before the cache": mistake(
        "step", "np.concatenate([past[0], K], -2), np.concatenate([past[1], V], -2)",
        "np.concatenate([K, past[0]], -2), np.concatenate([V, past[1]], -2)",
        "New keys and values are put before the cached ones; they belong behind them.", r"cat|stack"),
    "new keys before the cache": mistake(
        "step", "np.concatenate([past[0], K], -2)", "np.concatenate([K, past[0]], -2)",
        ENDS, r"cat|stack"),
    "new values before the cache": mistake(
        "step", "np.concatenate([past[1], V], -2)", "np.concatenate([V, past[1]], -2)",
        ENDS, r"cat|stack"),
    "cache of the first item": mistake(
        "step", "np.concatenate([past[0], K], -2), np.concatenate([past[1], V], -2)",
        "(np.concatenate([past[i][:1].repeat(len(N), 0), N], -2) for i, N in enumerate((K, V)))",
        "All items of the batch get the cache of the first item.", r"cache|past|cat"),
    "window of the chunk": mistake(
        "step", "(np.arange(Tk) > start + np.arange(T)[:, None] - c.window)",
        "(np.arange(Tk) > np.arange(T)[:, None] - c.window)",
        "With a cache the window is counted from the start of the chunk, and not from the position of "
        "the query in the whole: the length of the cache must be added.", r"window|band|span"),
    "window lost with a cache": mistake(
        "step", "if c.window:", "if c.window and past is None:",
        "With a cache the window has no effect: tokens see all cached ones.", r"window|band|span"),
    "window of the first query": mistake(
        "step", "(np.arange(Tk) > start + np.arange(T)[:, None] - c.window)",
        "(np.arange(Tk) > start - c.window)",
        "With a cache the window of all tokens of a chunk begins where that of its first one does.",
        r"window|band|span"),
    "window of the last query": mistake(
        "step", "(np.arange(Tk) > start + np.arange(T)[:, None] - c.window)",
        "(np.arange(Tk) >= (0 if past is None else max(0, Tk - c.window))) & (np.arange(Tk) > start "
        "+ np.arange(T)[:, None] - c.window)",
        "The cache is cut to the window before the chunk is attended to: the first tokens of a chunk "
        "lack keys that they must see.", r"window|band|span|-self|\["),
    **{f"window {words} with a cache": mistake(
        "step", "- c.window)", f"- c.window {sign} (past is not None))",
        f"With a cache the window is one token too {words}.", r"window|band|span|\[")
       for words, sign in (("short", "+"), ("long", "-"))},
    "distances from the chunk": mistake(
        "step", 'varied(c, corner="lower")', 'varied(c, corner="upper")',
        "With a cache the distances that are added to the scores are counted from the start of the "
        "chunk: the length of the cache is missing.", r"alibi|slope|rel|bias|arange"),
    "cached keys normalised again": mistake(
        "step", ("unit(Q, W[\"gq\"], W[\"hq\"], c), unit(K, W[\"gk\"], W[\"hk\"], c)",
                 "    T, Tk = Q.shape[-2], K.shape[-2]"),
        ("unit(Q, W[\"gq\"], W[\"hq\"], c), K", "    K = unit(K, W[\"gk\"], W[\"hk\"], c) "
         "if c.unit else K\n    T, Tk = Q.shape[-2], K.shape[-2]"),
        "Cached keys are normalised again in each call.", r"norm"),
    "values of the cache alone": mistake(
        "step", "np.concatenate([past[1], V], -2)", "np.concatenate([past[1], past[1][..., -1:, :]"
        ".repeat(V.shape[-2], -2)], -2)", "The cache does not take the new values.", r"cat|cache"),
    "keys for values in the cache": mistake(
        "step", "(K, V)\n", "(K, K)\n", "The cache keeps the keys in place of the values.",
        r"cache|past|return"),
    "keys and values exchanged in the cache": mistake(
        "step", "(K, V)\n", "(V, K)\n",
        "Keys and values are exchanged in the cache: the next call takes values for keys and keys for "
        "values.", r"return|cache|past"),
    **{f"cache of {n}": mistake(
        "step", "(dense(O, W[\"Wo\"], W[\"bo\"]) if \"Wo\" in W else O), (K, V)",
        f"(dense(O, W[\"Wo\"], W[\"bo\"]) if \"Wo\" in W else O), (K[..., -{n}:, :], V[..., -{n}:, :])",
        f"The cache keeps the last {n} tokens only: what is older is lost.", r"-\w+:|cache|past")
       for n in (1, 2, 3, 4, 5)},
    "cache of the last call": mistake(
        "step", "(dense(O, W[\"Wo\"], W[\"bo\"]) if \"Wo\" in W else O), (K, V)",
        "(dense(O, W[\"Wo\"], W[\"bo\"]) if \"Wo\" in W else O), (K[..., -T:, :], V[..., -T:, :])",
        "The cache keeps the tokens of the last call only.", r"cache|past|return"),
}
