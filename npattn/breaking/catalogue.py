"""Edits of npattn/gpt.py that people make, each with what it does wrong.

CATALOGUE has the edits of each function with its backward, {function: {name: Edit}}; names are
unique. `REFERENCE` is the path of the file, and `broken(*names)` its text with some of the edits.
"""

from pathlib import Path

from npattn.edits import Edit, apply

REFERENCE = Path(__file__).parents[1] / "gpt.py"

CATALOGUE = {
    "layer_norm": {
        "norm-no-mean": Edit(
            "M = X - X.mean(-1, keepdims=True)", "M = X",
            "The mean is not subtracted, so the rows are not centred."),
        "norm-mean-of-columns": Edit(
            "X - X.mean(-1, keepdims=True)", "X - X.mean(0, keepdims=True)",
            "The mean is taken over the rows (axis 0); each row is normed by itself, axis −1."),
        "norm-no-root": Edit(
            "std = np.sqrt((M * M).mean(-1, keepdims=True) + 1e-5)",
            "std = (M * M).mean(-1, keepdims=True) + 1e-5",
            "The root is missing: the rows are divided by the variance, not by the standard "
            "deviation."),
        "norm-no-epsilon": Edit(
            " + 1e-5)", ")",
            "The small 1e-5 is missing; a constant row is then divided by 0."),
        "norm-no-gain": Edit(
            "return g * N + h,", "return N + h,", "The gain g is not applied in the forward."),
        "norm-no-bias": Edit(
            "return g * N + h,", "return g * N,", "The bias h is not added in the forward."),
        "norm-back-no-gain": Edit(
            "dN, dg, dh = g * dY,", "dN, dg, dh = dY,",
            "dN lacks the gain: N is multiplied by g, so dN = g · dY."),
        "norm-gain-without-N": Edit(
            "(dY * N).sum(0), dY.sum(0)", "dY.sum(0), dY.sum(0)",
            "dg lacks the factor N: g multiplies N, so dg sums dY · N."),
        "norm-gain-mean": Edit(
            "(dY * N).sum(0)", "(dY * N).mean(0)",
            "dg is a mean over the rows; every row used g, so their gradients are summed."),
        "norm-bias-mean": Edit(
            "(dY * N).sum(0), dY.sum(0)", "(dY * N).sum(0), dY.mean(0)",
            "dh is a mean over the rows; every row used h, so their gradients are summed."),
        "norm-std-fixed": Edit(
            "(dN - N * (dN * N).mean(-1, keepdims=True)) / std", "dN / std",
            "The standard deviation was held fixed. It depends on every number of the row: the "
            "term − N · mean(dN · N) is missing."),
        "norm-std-plus": Edit(
            "(dN - N *", "(dN + N *",
            "The term of the standard deviation is added; 1/std falls when std grows, so it is "
            "subtracted."),
        "norm-std-plain-mean": Edit(
            "(dN * N).mean", "dN.mean",
            "The mean in the term of the standard deviation is over dN alone; it must be over "
            "dN · N."),
        "norm-std-sum": Edit(
            "(dN * N).mean", "(dN * N).sum",
            "A sum stands where the mean over the row belongs: the variance is a mean of squares."),
        "norm-std-axis": Edit(
            "(dN * N).mean(-1,", "(dN * N).mean(0,",
            "The mean in the term of the standard deviation runs over the rows (axis 0) instead of "
            "along each row."),
        "norm-back-no-division": Edit(
            "(dN * N).mean(-1, keepdims=True)) / std", "(dN * N).mean(-1, keepdims=True))",
            "The division by std is missing in dM: N = M / std."),
        "norm-back-times-std": Edit(
            "(dN * N).mean(-1, keepdims=True)) / std", "(dN * N).mean(-1, keepdims=True)) * std",
            "dM is multiplied by std; N = M / std, so it is divided."),
        "norm-mean-fixed": Edit(
            "dX = dM - dM.mean(-1, keepdims=True)", "dX = dM",
            "The mean was held fixed. It depends on every number of the row: − mean(dM) is "
            "missing."),
        "norm-mean-plus": Edit(
            "dX = dM - dM.mean", "dX = dM + dM.mean",
            "The mean of dM is added; the forward subtracts the mean, so it is subtracted."),
        "norm-mean-sum": Edit(
            "dX = dM - dM.mean", "dX = dM - dM.sum",
            "The sum of dM is subtracted where its mean belongs."),
        "norm-mean-axis": Edit(
            "dX = dM - dM.mean(-1,", "dX = dM - dM.mean(0,",
            "The mean of dM runs over the rows (axis 0) instead of along each row."),
    },
    "softmax": {
        "softmax-no-maximum": Edit(
            "np.exp(S - S.max(-1, keepdims=True))", "np.exp(S)",
            "The largest score is not subtracted: large scores overflow to NaN."),
        "softmax-axis": Edit(
            "E.sum(-1, keepdims=True)", "E.sum(-2, keepdims=True)",
            "The sum runs over the queries (axis −2): the weights of one query do not add up "
            "to 1."),
        "softmax-not-divided": Edit(
            "return E / E.sum(-1, keepdims=True)", "return E",
            "The exponentials are not divided by their sum: the weights do not add up to 1."),
    },
    "heads": {
        "heads-not-swapped": Edit(
            "X.reshape(-1, T, H, D // H).swapaxes(1, 2)", "X.reshape(-1, H, T, D // H)",
            "The numbers are dealt to the heads without swapping the axes of places and heads, so "
            "that places are mixed up."),
        "heads-interleaved": Edit(
            "X.reshape(-1, T, H, D // H).swapaxes(1, 2)",
            "X.reshape(-1, T, D // H, H).swapaxes(1, 3).swapaxes(2, 3)",
            "A head takes every H-th number of a row instead of D/H neighbours."),
    },
    "merge": {
        "merge-not-swapped": Edit(
            "X.swapaxes(1, 2).reshape(-1, D)", "X.reshape(-1, D)",
            "The heads are merged without swapping the axes of heads and places back."),
    },
    "attention": {
        "scale-missing": Edit(
            "S = Q @ t(K) * scale + future", "S = Q @ t(K) + future",
            "The scale 1/√(D/H) is missing in the forward, and the backward still has it.",
            after="def attention("),
        "scale-of-all-heads": Edit(
            "scale = (D // H) ** -0.5", "scale = D ** -0.5",
            "The scale is 1/√D; each head is only D/H wide, so it should be 1/√(D/H)."),
        "scale-not-root": Edit(
            "scale = (D // H) ** -0.5", "scale = (D // H) ** -1.0",
            "The scale is 1/(D/H); the root is missing."),
        "mask-missing": Edit(
            "S = Q @ t(K) * scale + future", "S = Q @ t(K) * scale",
            "The mask is missing: each place can read the character that it has to predict.",
            after="def attention("),
        "mask-hides-itself": Edit(
            "-np.inf), 1)", "-1e9), 0)",
            "The mask also hides each place from itself (diagonal 0 instead of 1)."),
        "mask-of-the-past": Edit(
            "np.triu(np.full((T, T), -np.inf), 1)", "np.tril(np.full((T, T), -np.inf), -1)",
            "The mask hides the past and shows the future."),
        "values-not-weighted-by-row": Edit(
            "O = P @ V", "O = t(P) @ V",
            "The weights are transposed in the forward: O = P V.", after="def attention("),
        "dO-no-transpose": Edit(
            "heads(dY @ Wo.T)", "heads(dY @ Wo)",
            "dO lacks the transpose of Wo: Y = O Wo gives dO = dY Woᵀ."),
        "dWo-scaled": Edit(
            "merge(O).T @ dY", "merge(O).T @ dY / len(dY)",
            "dWo is a mean over the rows; their gradients are summed."),
        "dWo-of-X": Edit(
            "merge(O).T @ dY", "X.T @ dY",
            "dWo uses X; what Wo multiplies is merge(O)."),
        "dV-no-transpose": Edit(
            "t(P) @ dO", "P @ dO",
            "dV lacks the transpose of P: O = P V gives dV = Pᵀ dO."),
        "dP-of-keys": Edit(
            "dP, dV = dO @ t(V)", "dP, dV = dO @ t(K)",
            "dP uses the keys; O = P V gives dP = dO Vᵀ."),
        "row-sum-missing": Edit(
            " - (dP * P).sum(-1, keepdims=True)", "",
            "The row sum is missing. All weights of a row share one denominator, so each score "
            "also moves the other weights; the row sum Σ dP · P takes that part off."),
        "row-sum-plus": Edit(
            "(dP - (dP * P).sum", "(dP + (dP * P).sum",
            "The row sum is added; the derivative of 1/sum brings a minus sign."),
        "row-sum-plain": Edit(
            "(dP * P).sum", "dP.sum",
            "The row sum is over dP alone; each term must be weighted by its P."),
        "row-sum-mean": Edit(
            "(dP * P).sum", "(dP * P).mean",
            "A mean stands where the row sum Σ dP · P belongs."),
        "row-sum-axis": Edit(
            "(dP * P).sum(-1,", "(dP * P).sum(-2,",
            "The sum runs over the queries (axis −2); a row of the softmax is the last axis."),
        "row-sum-of-all": Edit(
            "(dP * P).sum(-1,", "(dP * P).sum((0, 1, 2, 3),",
            "One sum is taken over everything; each row has its own."),
        "row-sum-outside": Edit(
            "P * (dP - (dP * P).sum(-1, keepdims=True))",
            "P * dP - (dP * P).sum(-1, keepdims=True)",
            "The row sum stands outside the factor P, which belongs to both terms."),
        "row-sum-no-P-in-front": Edit(
            "dS = P * (dP", "dS = (dP",
            "The factor P in front of the softmax's gradient is missing."),
        "softmax-diagonal": Edit(
            "P * (dP - (dP * P).sum(-1, keepdims=True))", "P * (1 - P) * dP",
            "Only the diagonal of the softmax's Jacobian is used, P (1 − P), as for a sigmoid."),
        "dQ-no-scale": Edit(
            "dS @ K * scale", "dS @ K",
            "dQ lacks the scale: S = Q Kᵀ · scale gives dQ = dS K · scale."),
        "dK-no-scale": Edit(
            "t(dS) @ Q * scale", "t(dS) @ Q",
            "dK lacks the scale: S = Q Kᵀ · scale gives dK = dSᵀ Q · scale."),
        "dQ-divided-by-scale": Edit(
            "dS @ K * scale", "dS @ K / scale", "dQ is divided by the scale, not multiplied."),
        "dK-divided-by-scale": Edit(
            "t(dS) @ Q * scale", "t(dS) @ Q / scale",
            "dK is divided by the scale, not multiplied."),
        "dQ-transposed": Edit(
            "dQ, dK = dS @ K", "dQ, dK = t(dS) @ K",
            "dQ has a transpose too many: dQ = dS K · scale."),
        "dK-no-transpose": Edit(
            "t(dS) @ Q * scale", "dS @ Q * scale",
            "dK lacks the transpose of dS: dK = dSᵀ Q · scale."),
        "dQ-of-queries": Edit(
            "dS @ K * scale,", "dS @ Q * scale,",
            "dQ uses the queries; the other factor of Q Kᵀ is K."),
        "dK-of-keys": Edit(
            "t(dS) @ Q * scale", "t(dS) @ K * scale",
            "dK uses the keys; the other factor of Q Kᵀ is Q."),
        "dQ-minus": Edit("dQ, dK = dS @ K", "dQ, dK = -dS @ K", "dQ has the wrong sign."),
        "dK-minus": Edit(", t(dS) @ Q", ", -t(dS) @ Q", "dK has the wrong sign."),
        "dV-minus": Edit("t(P) @ dO", "-t(P) @ dO", "dV has the wrong sign."),
        "dWq-and-dWk-swapped": Edit(
            "X.T @ dQ, X.T @ dK", "X.T @ dK, X.T @ dQ", "dWq and dWk are swapped."),
        "dX-no-queries": Edit(
            "dX = dQ @ Wq.T + dK @ Wk.T", "dX = dK @ Wk.T",
            "dX lacks the way through the queries: X is used three times, and all three add up."),
        "dX-no-keys": Edit(
            " + dK @ Wk.T", "",
            "dX lacks the way through the keys: X is used three times, and all three add up."),
        "dX-no-values": Edit(
            " + dV @ Wv.T", "",
            "dX lacks the way through the values: X is used three times, and all three add up."),
        "dX-queries-no-transpose": Edit(
            "dQ @ Wq.T", "dQ @ Wq", "The way of dX through the queries lacks the transpose of Wq."),
        "dX-keys-no-transpose": Edit(
            "dK @ Wk.T", "dK @ Wk", "The way of dX through the keys lacks the transpose of Wk."),
        "dX-values-no-transpose": Edit(
            "dV @ Wv.T", "dV @ Wv", "The way of dX through the values lacks the transpose of Wv."),
    },
    "feed_forward": {
        "feed-no-b1": Edit(
            "A = X @ W1 + b1", "A = X @ W1", "The bias b1 is not added in the forward.",
            after="def feed_forward("),
        "feed-no-b2": Edit(
            "return R @ W2 + b2,", "return R @ W2,", "The bias b2 is not added in the forward."),
        "feed-no-relu": Edit(
            "R = np.maximum(A, 0)", "R = A",
            "The ReLU is missing in the forward, and the backward still has it.",
            after="def feed_forward("),
        "feed-leaky": Edit(
            "R = np.maximum(A, 0)", "R = np.maximum(A, 0.01 * A)",
            "The forward has a leaky ReLU, and the backward the plain one.",
            after="def feed_forward("),
        "feed-back-no-gate": Edit(
            "dA = dR * (A > 0)", "dA = dR",
            "The ReLU's gate is missing: where A ≤ 0 no gradient passes."),
        "feed-back-wrong-gate": Edit(
            "dA = dR * (A > 0)", "dA = dR * (A < 0)",
            "The ReLU's gate is the wrong way round: the gradient passes where A > 0."),
        "feed-back-gate-of-dR": Edit(
            "dA = dR * (A > 0)", "dA = dR * (dR > 0)",
            "The ReLU's gate looks at the gradient; it must look at A."),
        "feed-back-times-R": Edit(
            "dA = dR * (A > 0)", "dA = dR * R",
            "dR is multiplied by R; the derivative of the ReLU is 1 where A > 0, and 0 elsewhere."),
        "feed-dW2-of-A": Edit(
            "R.T @ dY", "A.T @ dY", "dW2 uses A; what W2 multiplies is R, after the ReLU."),
        "feed-dW2-mean": Edit(
            "R.T @ dY", "R.T @ dY / len(dY)",
            "dW2 is a mean over the rows; their gradients are summed."),
        "feed-db2-mean": Edit(
            "R.T @ dY, dY.sum(0)", "R.T @ dY, dY.mean(0)",
            "db2 is a mean over the rows; every row used b2, so their gradients are summed."),
        "feed-db1-mean": Edit(
            "dA.sum(0)", "dA.mean(0)",
            "db1 is a mean over the rows; every row used b1, so their gradients are summed."),
        "feed-db1-no-gate": Edit(
            "dA.sum(0)", "dR.sum(0)", "db1 sums dR; b1 stands before the ReLU, so it sums dA."),
        "feed-dW1-no-gate": Edit(
            "X.T @ dA", "X.T @ dR", "dW1 uses dR; W1 stands before the ReLU, so it uses dA."),
        "feed-dX-no-gate": Edit(
            "dA @ W1.T", "dR @ W1.T", "dX uses dR; X stands before the ReLU, so it uses dA."),
        "feed-dX-minus": Edit("dA @ W1.T", "-dA @ W1.T", "dX has the wrong sign."),
        "feed-dW1-minus": Edit("X.T @ dA", "-X.T @ dA", "dW1 has the wrong sign."),
    },
    "block": {
        "block-no-residual-1": Edit(
            "M = X + A", "M = A",
            "The first residual path is missing in the forward: M = X + A.",
            after="def block("),
        "block-no-residual-2": Edit(
            "return M + F,", "return F,",
            "The second residual path is missing in the forward: Y = M + F."),
        "block-feeds-X": Edit(
            "layer_norm(M, W.g2", "layer_norm(X, W.g2",
            "The second norm reads X; it should read M, which holds what attention added."),
        "block-back-no-residual-2": Edit(
            "    dM = dM + dY  ", "    dM = dM       ",
            "The second residual path is missing: M goes on in Y = M + F as well, so dY is added."),
        "block-back-no-residual-1": Edit(
            "return dX + dM  ", "return dX       ",
            "The first residual path is missing: X goes on in M = X + A as well, so dM is added."),
        "block-back-residual-minus": Edit(
            "return dX + dM", "return dX - dM", "The first residual path is subtracted."),
        "block-back-residual-of-dY": Edit(
            "return dX + dM", "return dX + dY",
            "The first residual path returns dY; dM also holds what came through the "
            "feed-forward."),
        "block-back-attention-of-dY": Edit(
            "attention_backward(dM, look)", "attention_backward(dY, look)",
            "Attention's backward gets dY; M = X + A passes dM on, with what came through the "
            "feed-forward."),
        "block-back-norms-swapped": Edit(
            ("layer_norm_backward(dN2, norm2)", "layer_norm_backward(dN1, norm1)"),
            ("layer_norm_backward(dN2, norm1)", "layer_norm_backward(dN1, norm2)"),
            "The caches of the two norms are swapped."),
        "block-back-gains-swapped": Edit(
            ("dM, G.g2[n], G.h2[n]", "dX, G.g1[n], G.h1[n]"),
            ("dM, G.g1[n], G.h1[n]", "dX, G.g2[n], G.h2[n]"),
            "The gradients of the two norms' gains and biases are swapped."),
    },
    "gpt": {
        "gpt-no-places": Edit(
            "token @ W.E + place @ W.C, []", "token @ W.E, []",
            "The positions are not added: the model cannot tell the order of the characters."),
        "gpt-no-last-norm": Edit(
            "return N @ W.E.T,", "return X @ W.E.T,",
            "The scores are made from X before the last norm; it should be N."),
        "gpt-E-only-out": Edit(
            "G.E[:] = dE + token.T @ dX", "G.E[:] = dE",
            "E is used twice, and its gradient as the table of characters is missing."),
        "gpt-E-only-in": Edit(
            "G.E[:] = dE + token.T @ dX", "G.E[:] = token.T @ dX",
            "E is used twice, and its gradient from the scores is missing."),
        "gpt-E-minus": Edit(
            "dE + token.T @ dX", "dE - token.T @ dX",
            "E is used twice: the two gradients are added, not subtracted."),
        "gpt-C-mean": Edit(
            "G.C[:] = place.T @ dX", "G.C[:] = place.T @ dX / (len(dX) // T)",
            "dC is a mean over the texts; their gradients are summed."),
        "gpt-C-missing": Edit(
            "G.C[:] = place.T @ dX", "G.C[:] = 0 * place.T @ dX",
            "dC is 0: the positions do not learn."),
        "gpt-dE-of-X": Edit(
            "dZ.T @ N", "dZ.T @ (token @ E)",
            "dE uses the embedded characters; what E.T multiplies is N."),
        "gpt-blocks-forward": Edit(
            "for n in reversed(range(L)):", "for n in range(L):",
            "The blocks are undone from the first to the last; it must be the other way round."),
        "gpt-one-block": Edit(
            "for n in reversed(range(L)):", "for n in [L - 1]:",
            "Only the last block is undone; the others get no gradient."),
    },
    "loss": {
        "loss-sum": Edit(
            ".sum(-1)).mean(), (P", ".sum(-1)).sum(), (P",
            "The loss is a sum over the places, and its backward that of a mean."),
        "loss-no-log": Edit(
            "-np.log((P * true).sum(-1)).mean()", "-(P * true).sum(-1).mean()",
            "The logarithm is missing: the loss is −log of the probability."),
        "loss-not-shifted": Edit(
            "one_hot(text[:, 1:])", "one_hot(text[:, :-1])",
            "The targets are the characters that are read; they should be the next ones."),
        "loss-back-not-divided": Edit(
            "(P - true) / len(P)", "(P - true)",
            "The division by the number of places is missing: the loss is a mean."),
        "loss-back-minus": Edit(
            "dZ = (P - true)", "dZ = (true - P)", "dZ has the wrong sign: dZ = (P − true) / n."),
        "loss-back-no-target": Edit(
            "dZ = (P - true)", "dZ = P",
            "The true characters are not subtracted: dZ = (P − true) / n."),
        "loss-back-target-only": Edit(
            "dZ = (P - true)", "dZ = -true",
            "P is missing: the denominator of the softmax depends on every score."),
        "loss-back-softmax-twice": Edit(
            "dZ = (P - true)", "dZ = P * (P - true)",
            "The factor P is one too many: the logarithm has already cancelled it."),
    },
    "adam": {
        "adam-plus": Edit(
            "return theta - rate", "return theta + rate",
            "The step goes up the gradient; the loss falls the other way."),
        "adam-no-correction-m": Edit(
            "m / (1 - 0.9**step)", "m",
            "m is not corrected for its start at 0: the first steps are too short."),
        "adam-no-correction-v": Edit(
            "v / (1 - 0.99**step)", "v",
            "v is not corrected for its start at 0: the first steps are too long."),
        "adam-no-root": Edit(
            "np.sqrt(vhat)", "vhat", "The root of v is missing, so the step depends on the units."),
        "adam-no-square": Edit(
            "0.01 * grad**2", "0.01 * grad", "v averages the gradient instead of its square."),
        "adam-no-epsilon": Edit(
            "(np.sqrt(vhat) + 1e-8)", "np.sqrt(vhat)",
            "The small 1e-8 is missing: a gradient that has always been 0 divides 0 by 0."),
        "adam-weights-swapped": Edit(
            "0.9 * m + 0.1 * grad", "0.1 * m + 0.9 * grad",
            "The weights of the old m and of the new gradient are swapped."),
        "adam-no-memory": Edit(
            "0.99 * v + 0.01 * grad**2", "v + 0.01 * grad**2",
            "The old v does not fade: it is summed, as in Adagrad."),
    },
}

EDITS = {name: edit for edits in CATALOGUE.values() for name, edit in edits.items()}
PLACES = {name: function for function, edits in CATALOGUE.items() for name in edits}


def broken(*names):
    """The text of gpt.py with these edits. Raises KeyError, or npattn.edits.Overlap."""
    return apply(REFERENCE.read_text(encoding="utf-8"), *(EDITS[name] for name in names))
