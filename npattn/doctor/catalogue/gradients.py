"""Mistakes of `backward`, for the hand-written gradients of a right forward."""

from npattn.doctor.catalogue.entry import mistake

DS = "P * (dP - (dP * P).sum(-1, keepdims=True))"

BACKWARD = {
    "no row sum": mistake("backward", DS, "P * dP",
                          "The row sum is missing in the softmax's backward: dS = P ⊙ (dP − Σ dP ⊙ P).",
                          r"^(dS|dscores?|ds)\b|dP|dA|dW|sum"),
    "row sum added": mistake("backward", "(dP - (dP", "(dP + (dP",
                             "The row sum is added in the softmax's backward; it must be subtracted.",
                             r"sum"),
    "row sum over queries": mistake("backward", "(dP * P).sum(-1, keepdims=True)",
                                    "(dP * P).sum(-2, keepdims=True)",
                                    "The row sum of the softmax's backward runs over the queries; it must "
                                    "run over the keys.", r"sum"),
    "row sum of dP": mistake("backward", "(dP * P).sum(-1", "dP.sum(-1",
                             "The row sum of the softmax's backward lacks the factor P: it is Σ dP ⊙ P.",
                             r"sum"),
    "mean for sum": mistake("backward", "(dP * P).sum(-1", "(dP * P).mean(-1",
                            "The softmax's backward takes the mean; it must take the sum of dP ⊙ P.",
                            r"mean"),
    "row sum of everything": mistake("backward", "(dP * P).sum(-1, keepdims=True)", "(dP * P).sum()",
                                     "The softmax's backward sums over everything; each row has its own "
                                     "sum.", r"sum"),
    "diagonal only": mistake("backward", DS, "P * (1 - P) * dP",
                             "The softmax's backward is that of a sigmoid, P (1 − P) dP: only the diagonal "
                             "of its Jacobian.", r"1 ?- ?"),
    "no softmax backward": mistake("backward", DS, "dP", "The softmax is left out of the backward.",
                                   r"dP|dA|dS"),
    "without P": mistake("backward", DS, "dP - (dP * P).sum(-1, keepdims=True)",
                         "The factor P is missing in the softmax's backward.", r"sum"),
    "row sum of the output's mean": mistake(
        "backward", "(dP * P).sum(-1, keepdims=True)",
        "(dO * (P @ V)).mean(-1, keepdims=True)",
        "The row sum of the softmax's backward is a mean over the features; Σ dP ⊙ P is Σ dO ⊙ O.",
        r"mean"),
    "row sum without the output": mistake(
        "backward", "(dP * P).sum(-1, keepdims=True)", "dO.sum(-1, keepdims=True)",
        "The row sum of the softmax's backward lacks the output: Σ dP ⊙ P is Σ dO ⊙ O.", r"sum"),
    "scale multiplies in dQ and dK": mistake(
        "backward", ("dQ = dS @ K * s", "@ Q * s"), ("dQ = dS @ K / s", "@ Q / s"),
        "dQ and dK are multiplied by √d; they must be divided by it.", r"sqrt|\*\*|scale"),
    "cap without derivative": mistake(
        "backward", "dS * (1 - np.tanh(Q @ K.swapaxes(-1, -2) * s / c.cap) ** 2)", "dS",
        "The backward lacks the derivative of the soft cap, 1 − tanh², in dQ and dK.", "tanh|d[sSzZ]"),
    "cap's derivative without square": mistake(
        "backward", "s / c.cap) ** 2)", "s / c.cap))",
        "The derivative of the soft cap is 1 − tanh²; the square is missing.", "tanh"),
    "cap's derivative of the capped scores": mistake(
        "backward", "(1 - np.tanh(Q @ K.swapaxes(-1, -2) * s / c.cap) ** 2)",
        "(1 - (c.cap * np.tanh(Q @ K.swapaxes(-1, -2) * s / c.cap)) ** 2)",
        "The derivative of the soft cap takes the capped scores in place of tanh: it is 1 − "
        "(capped / cap)².", "tanh"),
    "cap's derivative of the scores": mistake(
        "backward", "(1 - np.tanh(Q @ K.swapaxes(-1, -2) * s / c.cap) ** 2)",
        "(1 - np.tanh(Q @ K.swapaxes(-1, -2) * s) ** 2)",
        "The derivative of the soft cap takes tanh of the scores without dividing them by the cap.",
        "tanh"),
    "cap twice in the derivative": mistake(
        "backward", "(1 - np.tanh(Q @ K.swapaxes(-1, -2) * s / c.cap) ** 2)",
        "(1 - np.tanh(Q @ K.swapaxes(-1, -2) * s / c.cap) ** 2) / c.cap",
        "The derivative of the soft cap is divided by the cap: the factor and the division cancel.",
        "tanh"),
    "P squared": mistake("backward", DS, "P * P * (dP - (dP * P).sum(-1, keepdims=True))",
                         "The factor P stands twice in the softmax's backward.", r"P"),
    "row sum of P squared": mistake("backward", "(dP * P).sum(-1", "(dP * P**2).sum(-1",
                                    "The row sum of the softmax's backward has P squared: it is "
                                    "Σ dP ⊙ P.", r"sum"),
    "P twice in the sum": mistake("backward", DS, "P * (dP - P * dP.sum(-1, keepdims=True))",
                                  "The row sum of the softmax's backward has P outside of the sum: it is "
                                  "Σ dP ⊙ P.", r"sum"),
    "no scale in dQ and dK": mistake("backward", ("dQ = dS @ K * s", "@ Q * s"), ("dQ = dS @ K", "@ Q"),
                                     "The scale 1/√d is missing in dQ and dK.", r"d[QKS]"),
    "no scale in dQ": mistake("backward", "dQ = dS @ K * s", "dQ = dS @ K",
                              "The scale 1/√d is missing in dQ.", r"dQ|d_q|grad_q"),
    "no scale in dK": mistake("backward", "@ Q * s", "@ Q", "The scale 1/√d is missing in dK.",
                              r"dK|d_k|grad_k"),
    "scale twice in dQ": mistake("backward", "dQ = dS @ K * s", "dQ = dS @ K * s * s",
                                 "dQ is scaled twice.", r"dQ|d_q|grad_q"),
    "scale twice in dK": mistake("backward", "@ Q * s", "@ Q * s * s", "dK is scaled twice.",
                                 r"dK|d_k|grad_k"),
    "scale twice in both": mistake("backward", ("dQ = dS @ K * s", "@ Q * s"),
                                   ("dQ = dS @ K * s * s", "@ Q * s * s"),
                                   "dQ and dK are scaled twice.", r"d[QKS]|scale|sqrt"),
    "scale in dV": mistake("backward", "P.swapaxes(-1, -2) @ dO", "P.swapaxes(-1, -2) @ dO * s",
                           "dV is scaled; the scale belongs to the scores alone.", r"dV|d_v|grad_v"),
    "dK without transpose": mistake("backward", "dS.swapaxes(-1, -2) @ Q", "dS @ Q",
                                    "dK takes dS without a transpose; it is dSᵀ Q.", r"dK|d_k|grad_k"),
    "dQ with transpose": mistake("backward", "dS @ K", "dS.swapaxes(-1, -2) @ K",
                                 "dQ takes dS transposed; it is dS K.", r"dQ|d_q|grad_q"),
    "dV without transpose": mistake("backward", "P.swapaxes(-1, -2) @ dO", "P @ dO",
                                    "dV takes the weights without a transpose; it is Pᵀ dO.",
                                    r"dV|d_v|grad_v"),
    "dQ of Q": mistake("backward", "dS @ K", "dS @ Q", "dQ is multiplied with Q; it is dS K.", r"dQ|d_q"),
    "dK of K": mistake("backward", "swapaxes(-1, -2) @ Q", "swapaxes(-1, -2) @ K",
                       "dK is multiplied with K; it is dSᵀ Q.", r"dK|d_k"),
    "dQ and dK exchanged": mistake("backward", "return dQ, shared(dK, Hk)", "return shared(dK, Hk), dQ",
                                   "dQ and dK are returned in the wrong order.", r"return"),
    "dK and dV exchanged": mistake("backward", "shared(dK, Hk), shared(dV, Hk)",
                                   "shared(dV, Hk), shared(dK, Hk)",
                                   "dK and dV are returned in the wrong order.", r"return"),
    "dQ negated": mistake("backward", "dQ = dS", "dQ = -dS", "dQ has the wrong sign.", r"dQ"),
    "dV of scores": mistake("backward", "P.swapaxes(-1, -2) @ dO",
                            "scores(Q, K, V, c).swapaxes(-1, -2) @ dO",
                            "dV takes the scores; it must take the weights, Pᵀ dO.", r"dV|d_v|grad_v"),
    "dV of dP": mistake("backward", "P.swapaxes(-1, -2) @ dO", "dO.swapaxes(-1, -2) @ P",
                        "dV is transposed; it is Pᵀ dO.", r"dV"),
    "mask forgotten": mistake("backward", "softmax(scores(Q, K, V, c), M, c)",
                              "softmax(scores(Q, K, V, c), np.ones_like(M), c)",
                              "The backward computes the weights again without the mask.", r"softmax|mask"),
    "mask forgotten, its sum kept": mistake(
        "backward", "np.nan_to_num(softmax(scores(Q, K, V, c), M, c))",
        "np.exp(scores(Q, K, V, c)) / np.where(M, np.exp(scores(Q, K, V, c)), 0.0).sum(-1, keepdims=True)",
        "The backward computes the weights again from the logarithm of the sum, but without the mask: "
        "masked keys get weights, too.", r"exp|mask"),
    "groups not summed": mistake("shared", "sum(2)", "mean(2)",
                                 "The gradient of a shared key head is the mean over its query heads; it "
                                 "must be the sum.", r"mean"),
    **{f"groups, {kind} in d{x}": mistake(
        "backward", f"shared(d{x}, Hk)",
        f"d{x}.reshape(len(d{x}), {order}, *d{x}.shape[2:]){how}",
        f"d{x} of a shared head {words}; it must be the sum over all query heads that share it.",
        rf"d{x.lower()}\w* ?=|reshape|\[|mean") for x in "KV" for kind, order, how, words in (
            ("first only", "Hk, H // Hk", "[:, :, 0]", "counts its first query head only"),
            ("last only", "Hk, H // Hk", "[:, :, -1]", "counts its last query head only"),
            ("mean", "Hk, H // Hk", ".mean(2)", "is a mean over its query heads"),
            ("tiled", "H // Hk, Hk", ".sum(1)", "sums the wrong query heads (tiled, not repeated)"))},
    "groups: first only": mistake("shared", ".sum(2)", "[:, :, 0]",
                                  "The gradient of a shared key head counts its first query head only; it "
                                  "must be the sum over all of them.", r"\["),
}
