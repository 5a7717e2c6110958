"""Steps that many backwards share, with the mistakes that people make in them, as edits.

    MISTAKES = {**at(2, SOFTMAX_BACKWARD), …}

takes them over where the solution has the line

    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
"""

ROW_SUM = "(dP * P).sum(axis=-1, keepdims=True)"

SOFTMAX_BACKWARD = {
    "no row sum": (f" - {ROW_SUM}", "",
        "The gradient of the softmax lacks its second term: the weights of a row share their "
        "denominator, so the row sum of dP ⊙ P must be subtracted."),
    "no keepdims": (ROW_SUM, "(dP * P).sum(axis=-1)",
        "The row sum was taken without `keepdims=True`. Where there are as many queries as keys, "
        "it is then subtracted from the columns; elsewhere it does not fit."),
    "softmax skipped": (f"P * (dP - {ROW_SUM})", "dP",
        "dP was used where dS belongs: the softmax was not differentiated."),
    "softmax axis": (ROW_SUM, "(dP * P).sum(axis=-2, keepdims=True)",
        "The sum in the softmax's gradient runs over the queries; a row of weights is one query."),
    "P left out": ("P * (dP - ", "(dP - ",
        "In the softmax's gradient the factor P in front is missing."),
}

SCALE = {
    "scale left out": (" / math.sqrt(Q.shape[-1])", "",
        "The factor 1/√Dk is missing. It scales the scores, so it scales their gradients too."),
    "scale twice": ("math.sqrt(Q.shape[-1])", "Q.shape[-1]", "The factor 1/√Dk is there twice."),
    "width of V": ("sqrt(Q.shape[-1])", "sqrt(V.shape[-1])",
        "The scale is 1/√Dv; it should be 1/√Dk, from the width of queries and keys."),
    "number of keys": ("sqrt(Q.shape[-1])", "sqrt(V.shape[-2])",
        "The scale is 1/√Tk, from the number of keys; it should be 1/√Dk, from their width."),
}


def at(step, mistakes, suffixes=("",)):
    """The `mistakes` at that step of a derivation: {id: (step, [(old, new), ...], words)}.

    suffixes  of P and dP, where the line is there for several: ("a", "b") for Pa, dPa and Pb, dPb
    """
    return {
        key: (step, [_named(old, new, suffix) for suffix in suffixes], words)
        for key, (old, new, words) in mistakes.items()
    }


def _named(old, new, suffix):
    return old.replace("P", f"P{suffix}"), new.replace("P", f"P{suffix}")
