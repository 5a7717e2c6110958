"""Mistakes of encoder layers: norms, residuals, the feed-forward net."""

from npattn.doctor.catalogue.entry import NORM, mistake

VAR = "(Z**2).mean(-1, keepdims=True) + c.eps"

BLOCK_MISTAKES = {
    # block
    "norm over the tokens": mistake(
        "norm", ("X.mean(-1, keepdims=True)", "(Z**2).mean(-1, keepdims=True) + c.eps",
                 "(X**2).mean(-1, keepdims=True)"),
        ("X.mean(-2, keepdims=True)", "(Z**2).mean(-2, keepdims=True) + c.eps",
         "(X**2).mean(-2, keepdims=True)"),
        "The norm runs over the tokens; it must run over the features of one token.", NORM),
    "norm over tokens and features": mistake(
        "norm", ("X.mean(-1, keepdims=True)", "(Z**2).mean(-1, keepdims=True) + c.eps",
                 "(X**2).mean(-1, keepdims=True)"),
        ("X.mean((-1, -2), keepdims=True)", "(Z**2).mean((-1, -2), keepdims=True) + c.eps",
         "(X**2).mean((-1, -2), keepdims=True)"),
        "The norm runs over tokens and features together; it must run over the features of one "
        "token.", NORM),
    "norm over the batch": mistake(
        "norm", ("X.mean(-1, keepdims=True)", "(Z**2).mean(-1, keepdims=True) + c.eps",
                 "(X**2).mean(-1, keepdims=True)"),
        ("X.mean(0, keepdims=True)", "(Z**2).mean(0, keepdims=True) + c.eps",
         "(X**2).mean(0, keepdims=True)"),
        "The norm runs over the batch; it must run over the features of one token.", NORM),
    "unbiased variance": mistake("norm", VAR, "(Z**2).sum(-1, keepdims=True) / (X.shape[-1] - 1) + c.eps",
                                 "The norm divides by the unbiased variance (D − 1); layer norm takes the "
                                 "plain mean of squares (D).", NORM),
    "eps outside": mistake("norm", f"np.sqrt({VAR})", "(np.sqrt((Z**2).mean(-1, keepdims=True)) + c.eps)",
                           "The norm adds eps outside of the root; it belongs inside.", NORM + "|eps"),
    "unbiased, eps outside": mistake(
        "norm", f"np.sqrt({VAR})",
        "(np.sqrt((Z**2).sum(-1, keepdims=True) / (X.shape[-1] - 1)) + c.eps)",
        "The norm takes the unbiased deviation and adds eps outside of the root; layer norm takes "
        "the plain mean of squares and adds eps inside.", NORM + "|eps"),
    "no root": mistake("norm", f"np.sqrt({VAR})", f"({VAR})",
                       "The norm divides by the variance; it must divide by its root.", NORM),
    "norm's gain left out": mistake("norm", "keepdims=True) + c.eps) * g + b", "keepdims=True) + c.eps) + b",
                                    "The norm's gain has no effect.", NORM),
    "norm's shift left out": mistake("norm", "* g + b", "* g", "The norm's shift has no effect.", NORM),
    "shift before the gain": mistake(
        "norm", f"return Z / np.sqrt({VAR}) * g + b", f"return (Z / np.sqrt({VAR}) + b) * g",
        "The norm adds its shift before the gain: the shift is multiplied by the gain, too.", NORM),
    "mean not subtracted": mistake(
        "norm", f"return Z / np.sqrt({VAR}) * g + b", f"return X / np.sqrt({VAR}) * g + b",
        "The norm divides by the deviation, but does not subtract the mean.", NORM),
    "deviation around 0": mistake(
        "norm", f"np.sqrt({VAR})", "np.sqrt((X**2).mean(-1, keepdims=True) + c.eps)",
        "The norm subtracts the mean, but divides by the root mean square of what was there before.",
        NORM),
    "no residual around attention": mistake(
        "block", ("X = X + A\n", "norm(X + A,"), ("X = A\n", "norm(A,"),
        "There is no residual around attention.", r"\+|norm"),
    "no residual around the feed forward": mistake(
        "block", ("return X + feed_forward(N, W, c), P", "norm(X + F,"),
        ("return feed_forward(N, W, c), P", "norm(F,"),
        "There is no residual around the feed-forward net.", r"\+|norm"),
    "residual of the norm": mistake("block", "X = X + A\n", "X = N + A\n",
                                    "The residual adds the normalised input; it must add the input "
                                    "itself.", r"\+"),
    "second residual of the norm": mistake(
        "block", "return X + feed_forward(N, W, c), P", "return N + feed_forward(N, W, c), P",
        "The residual around the feed-forward net adds the normalised input; it must add the input "
        "itself.", r"\+"),
    "both residuals of the norm": mistake(
        "block", ("X = X + A\n", "return X + feed_forward(N, W, c), P"),
        ("X = N + A\n", "return N + feed_forward(N, W, c), P"),
        "The residuals add the normalised input; they must add the input itself.", r"\+"),
    "one norm for both": mistake("block", ('W["g2"], W["h2"], c), P', 'N = norm(X, W["g2"], W["h2"], c)'),
                                 ('W["g1"], W["h1"], c), P', 'N = norm(X, W["g1"], W["h1"], c)'),
                                 "The first norm is used twice; the second one has no effect.", NORM),
    "norms exchanged": mistake(
        "block", ('N = norm(X, W["g1"], W["h1"], c)', 'N = norm(X, W["g2"], W["h2"], c)',
                  'norm(X + A, W["g1"], W["h1"], c)', 'norm(X + F, W["g2"], W["h2"], c)'),
        ('N = norm(X, W["g2"], W["h2"], c)', 'N = norm(X, W["g1"], W["h1"], c)',
         'norm(X + A, W["g2"], W["h2"], c)', 'norm(X + F, W["g1"], W["h1"], c)'),
        "The two norms are exchanged.", NORM),
    "residual of the input twice": mistake(
        "block", ("N = norm(X, W[\"g1\"], W[\"h1\"], c)", "return X + feed_forward",
                  "A, P = multihead(X, X, X, keep, causal, W, c)", "norm(X + F,"),
        ("R = X\n        N = norm(X, W[\"g1\"], W[\"h1\"], c)", "return R + feed_forward",
         "R = X\n    A, P = multihead(X, X, X, keep, causal, W, c)", "norm(R + F,"),
        "The second residual adds the input of the layer; it must add what comes out of the first "
        "residual.", r"\+"),
    "second norm left out": mistake(
        "block", ('return norm(X + F, W["g2"], W["h2"], c), P', 'N = norm(X, W["g2"], W["h2"], c)'),
        ("return X + F, P", "N = X"), "The second norm is missing.", NORM + r"|\+"),
    "first norm left out": mistake(
        "block", ('X = norm(X + A, W["g1"], W["h1"], c)', 'N = norm(X, W["g1"], W["h1"], c)'),
        ("X = X + A", "N = X"), "The first norm is missing.", NORM + r"|\+"),
    "norm for the queries only": mistake(
        "block", "multihead(N, N, N,", "multihead(N, X, X,",
        "Only the queries are normalised; keys and values must come from the normalised input, too.",
        NORM),
    "no activation": mistake("feed_forward", 'c.activation(dense(X, W["W1"], W["b1"]))',
                             'dense(X, W["W1"], W["b1"])',
                             "The feed-forward net has no activation.", r"relu|gelu|maximum|@"),
    "gate without activation": mistake("feed_forward", 'G = c.activation(dense(X, W[f"W{gate}"], '
                                       'W[f"b{gate}"]))', 'G = dense(X, W[f"W{gate}"], W[f"b{gate}"])',
                                       "The gate of the feed-forward net has no activation.",
                                       "silu|gelu|gate|w1|w3"),
    "gate added": mistake("feed_forward", "dense(G * dense(", "dense(G + dense(",
                          "The gate of the feed-forward net is added; it must be multiplied.", r"\+|gate"),
    "activation at the end": mistake(
        "feed_forward", 'dense(c.activation(dense(X, W["W1"], W["b1"])), W["W2"], W["b2"])',
        'c.activation(dense(c.activation(dense(X, W["W1"], W["b1"])), W["W2"], W["b2"]))',
        "The feed-forward net has an activation behind its second layer, too.", r"relu|gelu|maximum"),
}
