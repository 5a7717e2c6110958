"""Mistakes of masks: float ones that are added, boolean ones, the causal one."""

from npattn.doctor.catalogue.entry import BEHIND, FUTURE, MASK, mistake

PLAIN = "S = np.where(M, S, -np.inf)"
RATIO = "A / A.sum(-1, keepdims=True)"
AFTER = ("The mask is applied after the softmax and the weights are not normalised again: they no "
         "longer sum to 1.")
CAUSAL = "np.arange(Tk) <= start + np.arange(Tq)[:, None]"

MASK_MISTAKES = {
    # a float mask that is added to the scores
    "bias scaled": mistake("scores", "Q @ K.swapaxes(-1, -2) * scale(Q, K, V, c) + c.bias",
                           "(Q @ K.swapaxes(-1, -2) + c.bias) * scale(Q, K, V, c)",
                           "The additive mask is scaled with the scores; it must be added behind the "
                           "scale.", r"\+|mask|bias", "bias"),
    "bias subtracted": mistake("scores", "+ c.bias", "- c.bias",
                               "The additive mask is subtracted; it must be added to the scores.",
                               r"-|mask|bias", "bias"),
    "bias ignored": mistake("scores", "+ c.bias", "", "The additive mask has no effect.",
                            MASK + "|bias", "bias"),
    "bias multiplied": mistake("scores", "+ c.bias", "* c.bias",
                               "The additive mask is multiplied with the scores; it must be added.",
                               r"\*|mask|bias", "bias"),
    "bias twice": mistake("scores", "+ c.bias", "+ 2 * c.bias", "The additive mask is added twice.",
                          MASK + "|bias", "bias"),
    # masks
    "mask inverted": mistake("allowed", "M = M & keep", "M = M & ~keep",
                             "The mask is inverted: what should be masked is kept.", MASK, "mask"),
    "mask ignored": mistake("allowed", "M = M & keep", "M = M",
                            "The mask has no effect.", MASK, "mask"),
    "either mask": mistake("allowed", "M = M & keep", "M = keep if not causal else M | keep",
                           "The causal mask and the other mask are joined by or; a key must be allowed by "
                           "both.", MASK, "mask+causal"),
    "causal lost with a mask": mistake("allowed", "M = M & keep", "M = keep",
                                       "With a mask the causal mask is dropped; both must hold.", MASK,
                                       "mask+causal"),
    "mask lost with causal": mistake("allowed", "M = M & keep", "M = M if causal else keep",
                                     "With the causal mask the other mask is dropped; both must hold.",
                                     MASK, "mask+causal"),
    "mask of the first item": mistake("allowed", "M = M & keep", "M = M & keep[:1]",
                                      "The mask of the first item is used for the whole batch.", MASK,
                                      "mask"),
    "mask of the first query": mistake("allowed", "M = M & keep", "M = M & keep[..., :1, :]",
                                       "The mask of the first query is used for all queries.", MASK,
                                       "mask"),
    "mask of the first head": mistake("allowed", "M = M & keep", "M = M & keep[:, :1]",
                                      "The mask of the first head is used for all heads.", MASK,
                                      "mask"),
    "mask transposed": mistake(
        "allowed", "M = M & keep", "M = M & keep.swapaxes(-1, -2)",
        "The mask is transposed: it masks queries where it must mask keys.", MASK, "mask"),
    "lengths of queries": mistake(
        "allowed", "M = M & keep",
        "M = M & (np.arange(Tq)[:, None] < keep.sum(-1, keepdims=True)) if keep.shape[2] == 1 else "
        "1 / 0", "The valid lengths mask queries; they must mask keys.", MASK + "|len", "mask"),
    "keys before the length": mistake(
        "allowed", "M = M & keep", "M = M & keep[..., ::-1]",
        "The mask stands at the wrong end of the keys: the first keys are masked in place of the "
        "last ones.", MASK + "|len", "mask"),
    "one key too many": mistake(
        "allowed", "M = M & keep",
        "M = M & (keep | np.roll(keep, 1, -1) & (np.arange(Tk) > 0))",
        "The mask lets one key too many through: the first key behind the valid ones.",
        MASK + "|len|<", "mask"),
    "one key too few": mistake(
        "allowed", "M = M & keep",
        "M = M & (keep & (np.roll(keep, -1, -1) & (np.arange(Tk) < Tk - 1)))",
        "The mask drops one key too many: the last valid key is masked.",
        MASK + "|len|<", "mask"),
    "last key never masked": mistake("allowed", "M = M & keep", "M = M & (keep | (np.arange(Tk) == Tk - 1))",
                                     "The last key is never masked.", MASK, "mask"),
    "first key never masked": mistake("allowed", "M = M & keep", "M = M & (keep | (np.arange(Tk) == 0))",
                                      "The first key is never masked.", MASK, "mask"),
    "mask for the first head alone": mistake(
        "core", "S = scores(Q, K, V, c)",
        "S = scores(Q, K, V, c)\n    M = M | (np.arange(Q.shape[1]) > 0)[:, None, None]",
        "The mask reaches the first head alone; it must reach all heads.", MASK, "mask"),
    "mask for the first item alone": mistake(
        "core", "S = scores(Q, K, V, c)",
        "S = scores(Q, K, V, c)\n    M = M | (np.arange(len(Q)) > 0)[:, None, None, None]",
        "The mask reaches the first item of the batch alone; it must reach all.", MASK, "mask"),
    "masks tiled": mistake(
        "core", "S = scores(Q, K, V, c)",
        "S = scores(Q, K, V, c)\n    B, H = Q.shape[:2]\n    M = np.broadcast_to(M, (B, H) + "
        "M.shape[2:]) if M.shape[1] == H else np.tile(np.broadcast_to(M, (B, 1) + M.shape[2:])[:, "
        "0], (H, 1, 1)).reshape(B, H, *M.shape[2:])",
        "The masks of the items are tiled over the heads; each must be repeated for all heads of its "
        "own item (repeat, not tile).", r"tile|repeat|" + MASK, "mask"),
    "batch mask on heads": mistake(
        "core", "S = scores(Q, K, V, c)",
        "S = scores(Q, K, V, c)\n    M = M.swapaxes(0, 1)",
        "The mask of the batch is broadcast over the heads: head h gets the mask of item h.", MASK,
        "mask"),
    "masked scores 0": mistake("softmax", PLAIN, "S = np.where(M, S, 0.0)",
                               "Masked scores are set to 0, which is an ordinary score; they must be set "
                               "to −inf.", MASK, "mask"),
    "scores multiplied by the mask": mistake("softmax", PLAIN, "S = S * M",
                                             "The scores are multiplied by the mask, so that masked ones "
                                             "are 0, an ordinary score; they must be −inf.", MASK, "mask"),
    "mask added as 0 and 1": mistake("softmax", PLAIN, "S = S + M",
                                     "The mask of 0 and 1 is added to the scores; masked scores must be "
                                     "−inf.", MASK, "mask"),
    "masked weights 0": mistake("softmax", (PLAIN, f"return {RATIO}"),
                                ("S = S", "return A / A.sum(-1, keepdims=True) * M"),
                                AFTER, BEHIND, "mask"),
    "masked values 0": mistake("core", ("P = softmax(S, M, c)", "O = P @ V"),
                               ("P = softmax(S, np.ones_like(M), c)", "O = (P * M) @ V"),
                               AFTER, BEHIND, "mask"),
    "smallest positive": mistake("softmax", PLAIN, "S = np.where(M, S, np.finfo(float).tiny)",
                                 "Masked scores are set to the smallest positive number, which is 0; "
                                 "they must be −inf.", MASK, "mask"),
    **{f"masked scores −{n}": mistake(
        "softmax", PLAIN, f"S = np.where(M, S, -{float(n)})",
        f"Masked scores are set to −{n}, which is an ordinary score where scores are large; they "
        "must be −inf.", MASK, "mask")
       for n in ("1", "5", "10", "20", "50", "100", "1e3", "1e4", "1e-9", "1e-6")},
    **{f"penalty {n}": mistake(
        "softmax", PLAIN, f"S = np.where(M, S, S - {float(n)})",
        f"{n} is subtracted from masked scores, which is too little where scores differ by more; "
        "they must be −inf.", MASK, "mask") for n in ("1", "2", "5", "10", "20", "50", "100", "1e3")},
    "mask after the scale": mistake(
        "softmax", PLAIN, "S = np.where(M, S, 1e9)",
        "Masked scores are set to +1e9: the masked keys get all the weight.", MASK, "mask"),
    # causal
    "causal ignored": mistake("allowed", f"M = {CAUSAL}", "M = np.ones((Tq, Tk), bool)",
                              "The causal mask has no effect: a query sees the future.",
                              FUTURE, "causal"),
    "causal sees one more": mistake("allowed", CAUSAL, CAUSAL.replace("<=", "<= 1 +"),
                                    "The causal mask is off by one: a query sees the next token, too.",
                                    FUTURE, "causal"),
    "causal without itself": mistake("allowed", CAUSAL, CAUSAL.replace("<=", "<"),
                                     "The causal mask is off by one: a query does not see its own token.",
                                     FUTURE, "causal"),
    "causal inverted": mistake("allowed", CAUSAL, CAUSAL.replace("<=", ">"),
                               "The causal mask is inverted: a query sees the future only.",
                               FUTURE, "causal"),
    "causal upwards": mistake("allowed", CAUSAL, CAUSAL.replace("<=", ">="),
                              "The causal mask is the upper triangle: a query sees itself and the "
                              "future.", FUTURE, "causal"),
    **{f"causal tiles, {n} queries and {m} keys": mistake(
        "allowed", f"M = {CAUSAL}",
        f"M = ({CAUSAL}) & (np.arange(Tk) // {m} <= np.arange(Tq)[:, None] // {n})",
        "Causal tiles are skipped by their number: tile j of keys lies behind tile i of queries only "
        "if j > i and both have one size; tiles of different sizes must be compared by their places.",
        r"break|continue|range|>|<", "causal")
       for m in (2, 4, 8, 16, 32, 64) for n in (2 * m, 4 * m)},
    **{f"causal anew in tiles of {n}": mistake(
        "allowed", CAUSAL, f"np.arange(Tk) <= start + np.arange(Tq)[:, None] % {n}",
        "The causal mask starts at the first key again for each tile of queries; it must be shifted by "
        "the place of the tile.", r"tril|triu|arange|<=|>", "causal") for n in (2, 3, 4, 8, 16, 32)},
    "causal corner": mistake(
        "allowed", 'Tk - Tq if c.corner == "lower" else 0', '0 if c.corner == "lower" else Tk - Tq',
        "The causal mask starts at the wrong corner where there are more keys than queries: the last "
        "query must see all keys if the queries are the last ones (with a cache).",
        FUTURE, "causal"),
}
