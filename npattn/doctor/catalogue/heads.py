"""Mistakes of values, heads and batches, and of loops over tiles of keys."""

import numpy as np

from npattn.doctor.catalogue.entry import HEADS, MERGED, SCORES, mistake

TURN = "return X.reshape(B, T, H, D // H).swapaxes(1, 2)"
MERGE = "return O.swapaxes(1, 2).reshape(B, T, H * d)"
GROUPS = "np.repeat(K, H // K.shape[1], axis=1)"

TAIL = ("The last keys, which fill no whole tile, are left out: the number of tiles must be rounded "
        "up.")
PADDED = ("Keys are padded with zeros up to a whole tile, and the padded ones count in the softmax; "
          "they must be masked (−inf).")

TILES = {  # what a loop over tiles of keys (flash attention) does wrong
    "output not rescaled": "The running output is not rescaled when the maximum of the scores "
                           "changes; it must be multiplied by exp(old − new maximum).",
    "sum not rescaled": "The running sum is not rescaled when the maximum of the scores changes; it "
                        "must be multiplied by exp(old − new maximum).",
    "neither rescaled": "Running sum and output are not rescaled when the maximum of the scores "
                        "changes; they must be multiplied by exp(old − new maximum).",
    "own maxima": "Each tile subtracts its own maximum and the sums are added as they are; they must "
                  "be brought to one maximum, that of all tiles so far.",
    "tail dropped": TAIL,
    "tail dropped behind the first": TAIL,
    "last queries dropped": "The last queries, which fill no whole tile, are left out.",
    "first tile only": "Only the first tile of keys counts.",
    "tiles overlap": "Tiles of keys overlap by one key, which counts twice.",
    "a key between tiles lost": "The last key of each tile is left out.",
    "last tile only": "Only the last tile of keys counts.",
    "tiles averaged": "Each tile of keys is normalised alone and the tiles are averaged; they must be "
                      "weighted by their sums.",
    "padded keys count": PADDED,
    "padded keys count behind the first": PADDED,
    "tiles added": "Each tile of keys is normalised alone and the tiles are added.",
}

HEAD_MISTAKES = {
    # values, heads, batch
    "K and V exchanged": mistake("core", ("S = scores(Q, K, V, c)", "O = P @ V"),
                                 ("S = scores(Q, V, K, c)", "O = P @ K"),
                                 "Keys and values are exchanged.", SCORES),
    "keys averaged": mistake("core", "O = P @ V", "O = P @ K",
                             "The weights average the keys; they must average the values.", SCORES),
    "queries averaged": mistake("core", "O = P @ V", "O = P @ Q",
                                "The weights average the queries; they must average the values.", SCORES),
    "values of the query": mistake("core", "O = P @ V", "O = P.sum(-1, keepdims=True) * V",
                                   "The weights meet the value of the query's own place: they only sum to "
                                   "1, and the output is V; the sum must run over the keys of weights and "
                                   "values.", SCORES),
    "keys in place of queries": mistake(
        "core", "O = P @ V", "O = P.sum(-2)[..., None] * V",
        "The weights are summed over the queries and each value is multiplied by its sum; the sum must "
        "run over the keys of weights and values.", SCORES),
    "weights transposed": mistake("core", "O = P @ V", "O = P.swapaxes(-1, -2) @ V",
                                  "The weights are transposed before they meet the values.", SCORES),
    **{f"scores {kind} over the heads": mistake(
        "core", "P = softmax(S, M, c)", f"S = np.broadcast_to(S.{f}(1, keepdims=True), S.shape)\n    "
        "P = softmax(S, M, c)",
        f"The scores are {kind} over the heads, so that heads influence each other: each head must "
        "use its own.", SCORES + "|mean|sum", "heads")
       for kind, f in (("added", "sum"), ("averaged", "mean"))},
    "heads averaged": mistake("core", "O = P @ V", "O = P.mean(1, keepdims=True) @ V",
                              "The weights are averaged over the heads before they meet the values: each "
                              "head must use its own.", r"mean|sum", "heads"),
    "first head for all": mistake("core", "O = P @ V", "O = P[:, :1] @ V",
                                  "All heads use the weights of the first head.", SCORES, "heads"),
    "first keys for all heads": mistake("core", "S = scores(Q, K, V, c)", "S = scores(Q, K[:, :1], V, c)",
                                        "All heads use the keys of the first head.", SCORES, "heads"),
    "over the heads": mistake(
        "multihead", "O, P = core(Q, K, V, M, c)",
        "O, P = core(*(X.swapaxes(1, 2) for X in (Q, K, V)), np.ones((1, 1, 1, 1), bool), c)\n    "
        "O = O.swapaxes(1, 2)",
        "Attention runs over the heads of each token; it must run over the tokens.", HEADS, "heads"),
    "over the heads of a core": mistake(
        "core", "S = scores(Q, K, V, c)\n    P = softmax(S, M, c)\n    O = P @ V",
        "Q, K, V = (X.swapaxes(1, 2) for X in (Q, K, V))\n    P = softmax(scores(Q, K, V, c), "
        "np.ones((1, 1, 1, 1), bool), c)\n    O = (P @ V).swapaxes(1, 2)",
        "Attention runs over the heads of each token; it must run over the tokens.", HEADS, "heads"),
    "over the batch": mistake(
        "core", "S = scores(Q, K, V, c)\n    P = softmax(S, M, c)\n    O = P @ V",
        "Q, K, V = (X.transpose(2, 1, 0, 3) for X in (Q, K, V))\n    P = softmax(scores(Q, K, V, c), "
        "np.ones((1, 1, 1, 1), bool), c)\n    O = (P @ V).transpose(2, 1, 0, 3)",
        "Attention runs over the batch: items of the batch read each other; it must run over the "
        "tokens of one item.", HEADS + r"|batch"),
    "values of the first item": mistake("core", "O = P @ V", "O = P @ V[:1]",
                                        "All items of the batch use the values of the first.", SCORES),
    "residual of the query": mistake("core", "O = P @ V", "O = P @ V + Q",
                                     "The queries are added to the output.", r"\+"),
    "groups tiled": mistake("repeated", GROUPS, "np.tile(K, (1, H // K.shape[1], 1, 1))",
                            "Key heads are tiled over the query heads (0 1 0 1); neighbours must share "
                            "one (0 0 1 1).", r"tile|repeat|expand|%|//|reshape", "groups"),
    **{f"groups: {words} tiled": mistake(
        "core", f"repeated({x}, Q.shape[1])", f"np.tile({x}, (1, Q.shape[1] // {x}.shape[1], 1, 1))",
        f"The {words} of a group are tiled over the query heads (0 1 0 1), but not the {others}: "
        "neighbouring query heads must share one key head and its values (0 0 1 1).",
        rf"^{x.lower()}\w*\b.*(tile|repeat|expand)|tile|repeat|expand", "groups")
       for x, words, others in (("K", "keys", "values"), ("V", "values", "keys"))},
    "groups: first only": mistake("repeated", GROUPS, "np.repeat(K[:, :1], H, axis=1)",
                                  "All query heads use the first key head.", r"repeat|expand|\[", "groups"),
    "split without transpose": mistake("split", TURN, "return X.reshape(B, H, T, D // H)",
                                       "The heads are split by a plain reshape, without a transpose: "
                                       "features of different tokens are mixed.", HEADS, "heads"),
    "merge without transpose": mistake("merge", MERGE, "return O.reshape(B, T, H * d)",
                                       "The heads are merged by a plain reshape, without a transpose: "
                                       "features of different tokens are mixed.", MERGED, "heads"),
    "merge transposed twice": mistake(
        "merge", MERGE, "return O.transpose(0, 2, 3, 1).reshape(B, T, H * d)",
        "The heads are merged with features before heads, but were split with heads before "
        "features.", MERGED, "heads"),
    "outputs of the heads averaged": mistake(
        "merge", MERGE, "return O.mean(1)",
        "The outputs of the heads are averaged; they must stand side by side (concatenated).",
        r"mean|sum"),
    "outputs of the heads added": mistake(
        "merge", MERGE, "return O.sum(1)",
        "The outputs of the heads are added; they must stand side by side (concatenated).",
        r"mean|sum"),
    **{f"weights below {t} cut": mistake(
        "core", "O = P @ V", f"O = np.where(P < {t}, 0.0, P) @ V",
        f"Weights below {t} are set to 0, so that keys are cut off and the weights of a row no "
        "longer sum to 1: the output is no average of values.", r"where|<|>|clip|thresh")
       for t in ("1e-1", "5e-2", "1e-2", "5e-3", "1e-3", "1e-4")},
    **{f"{kind}, tiles of {n}": mistake(
        "core", "O = P @ V", f'O = _t(np.where(M, S, -np.inf), V, "{kind}", {n})', words,
        r"max|\*=|\+=|range") for n in (2, 3, 4, 5, 8, 16, 32, 64, 128) for kind, words in TILES.items()},
    "merge reversed": mistake(
        "merge", MERGE, "return O[:, ::-1].swapaxes(1, 2).reshape(B, T, H * d)",
        "The heads are merged in the wrong order.", MERGED, "heads"),
    "split features first": mistake(
        "split", TURN, "return X.reshape(B, T, D // H, H).transpose(0, 3, 1, 2)",
        "The heads are split with features before heads, but merged with heads before features.",
        HEADS, "heads"),
}


def tiled(S, V, kind, n):
    """Attention over tiles of n keys with one thing wrong."""
    Tk, m, total, O = S.shape[-1], -np.inf, 0.0, 0.0
    whole = Tk - Tk % n
    stop = {"tail dropped": whole, "tail dropped behind the first": max(n, whole),
            "first tile only": n}.get(kind, Tk)
    padded = {"padded keys count": True, "padded keys count behind the first": Tk > n}
    if padded.get(kind) and Tk % n:
        more = n - Tk % n
        S = np.concatenate([S, np.zeros((*S.shape[:-1], more))], -1)
        V = np.concatenate([V, np.zeros((*V.shape[:-2], more, V.shape[-1]))], -2)
        stop = Tk + more
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
