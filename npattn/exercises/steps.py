"""Steps that many backwards share, with the mistakes that people make in them.

A task's `mistaken` calls the function, and its MISTAKES take over the words:

    dS = softmax_backward(made, dP, P)
    MISTAKES = {**at(2, SOFTMAX_BACKWARD), …}
"""

SOFTMAX_BACKWARD = {
    "no row sum": (
        "The gradient of the softmax lacks its second term: the weights of a row share their "
        "denominator, so the row sum of dP ⊙ P must be subtracted."
    ),
    "no keepdims": (
        "The row sum was taken without `keepdims=True`. Where there are as many queries as keys, "
        "it is then subtracted from the columns; elsewhere it does not fit."
    ),
    "softmax skipped": "dP was used where dS belongs: the softmax was not differentiated.",
    "softmax axis": (
        "The sum in the softmax's gradient runs over the queries; a row of weights is one query."
    ),
    "P left out": "In the softmax's gradient the factor P in front is missing.",
}

SCALE = {
    "scale left out": (
        "The factor 1/√Dk is missing. It scales the scores, so it scales their gradients too."
    ),
    "scale twice": "The factor 1/√Dk is there twice.",
    "width of V": "The scale is 1/√Dv; it should be 1/√Dk, from the width of queries and keys.",
    "number of keys": (
        "The scale is 1/√Tk, from the number of keys; it should be 1/√Dk, from their width."
    ),
}


class Unsettled(Exception):
    """Raised by `mistaken` in a case where a mistake may return anything, or raise anything."""


def at(step, words):
    """The mistakes in `words`, at that step of a derivation: {id: (step, words)}."""
    return {key: (step, text) for key, text in words.items()}


def softmax_backward(made, dP, P):
    """dS from dP, with the mistakes of SOFTMAX_BACKWARD."""
    if "softmax skipped" in made:
        return dP
    axis = -2 if "softmax axis" in made else -1
    row = (dP * P).sum(axis=axis, keepdims="no keepdims" not in made)
    gap = dP - (0.0 if "no row sum" in made else row)
    return gap if "P left out" in made else P * gap


def scale(made, Q, V):
    """1/√Dk, with the mistakes of SCALE."""
    power = 0.0 if "scale left out" in made else 1.0 if "scale twice" in made else 0.5
    width = V.shape[-2] if "number of keys" in made else Q.shape[-1]
    return (V.shape[-1] if "width of V" in made else width) ** -power
