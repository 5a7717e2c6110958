"""BLEU: how close a translation comes to the right one, counted in runs of words.

    BLEU = exp(min(0, 1 − len_label / len_pred)) · ∏_{n=1}^{k} p_n^(1/2ⁿ)

p_n is the share of the prediction's runs of n words that are found in the label, each of the
label's runs being used once. The first factor lowers the score of a prediction that is shorter
than the label. A right translation has 1, one without a single right word 0; longer runs weigh
more, because of the exponent, which shrinks as n grows.
Source: Papineni et al. 2002; d2l 10.7.6 (Chinese edition 9.7.6), whose exponents these are.
"""

import math
from collections import Counter


def precision(prediction, label, n):
    """p_n, the share of the runs of n words that prediction and label have in common.

    prediction, label  sequences of words; a str is a sequence of characters

    Raises ValueError unless the prediction has a run of n words.
    """
    runs, right = _runs(prediction, n), _runs(label, n)
    if not runs:
        raise ValueError(f"a prediction of {len(prediction)} words has no run of {n} words")
    return (runs & right).total() / runs.total()


def bleu(prediction, label, k=4):
    """BLEU of one prediction, in [0, 1].

    prediction  sequence of words
    label       sequence of words, one at least
    k           the length of the longest runs that count

    A prediction of fewer than k words is judged by the runs that it has, an empty one has 0.
    Raises ValueError for an empty label or k below 1.
    """
    if len(label) == 0 or k < 1:
        raise ValueError(
            f"need a label of at least one word and k of at least 1, got {len(label)} and {k}"
        )
    if len(prediction) == 0:
        return 0.0
    brevity = math.exp(min(0.0, 1.0 - len(label) / len(prediction)))
    lengths = range(1, min(k, len(prediction)) + 1)
    return brevity * math.prod(precision(prediction, label, n) ** 0.5**n for n in lengths)


def _runs(words, n):
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
