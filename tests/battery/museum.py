"""Ten bugs that gradients of well-known projects really had, each in a minimal form of our own.

Seven are wrong backwards, two are wrong where a check of the project missed it, and the last has
a right backward of a wrong forward: no gradient check can see it.
`EXHIBITS` lists them; `who_notices(checker)` asks a checker.
"""

from typing import NamedTuple

import numpy as np

from battery.entry import Shelf, factor, normal, positive
from battery.peers import CHECKERS, ask, missing

shelf = Shelf("museum")


class Exhibit(NamedTuple):
    """What was wrong, where it was told, and the two entries: mended, and as it was."""

    number: int
    what: str
    where: str
    right: object
    wrong: object


def softmax(S):
    E = np.exp(S - S.max(-1, keepdims=True).real)
    return E / E.sum(-1, keepdims=True)


def softmax_backward(dP, P):
    return P * (dP - (dP * P).sum(-1, keepdims=True))


# 1
def rms_norm(X, gain):
    r = np.sqrt((X * X).mean(-1, keepdims=True) + 1e-6)
    return X / r * gain, (X, gain, r)


def rms_norm_backward(dY, cache):
    X, gain, r = cache
    dN = dY * gain
    return dN / r - X * (dN * X).mean(-1, keepdims=True) / r**3, (dY * X / r).sum(0)


def no_gradient_for_the_gain(dY, cache):
    dX, dgain = rms_norm_backward(dY, cache)
    return dX, np.zeros_like(dgain)


# 2
def grouped_scores(Q, K):
    return np.einsum("grid,gjd->grij", Q, K), (Q, K)


def grouped_scores_backward(dS, cache):
    Q, K = cache
    return np.einsum("grij,gjd->grid", dS, K), np.einsum("grij,grid->gjd", dS, Q)


def last_head_of_each_group(dS, cache):
    Q, K = cache
    dK = np.zeros_like(K)
    for r in range(Q.shape[1]):
        dK[:] = np.einsum("gij,gid->gjd", dS[:, r], Q[:, r])
    return grouped_scores_backward(dS, cache)[0], dK


# 3
def with_a_sink(S, sink):
    """S (batch, heads, keys), sink (heads,): a score that takes weight and gives no value."""
    column = np.broadcast_to(sink[None, :, None], (*S.shape[:2], 1))
    P = softmax(np.concatenate([S, column], axis=-1))
    return P[..., :-1], P


def with_a_sink_backward(dP, P):
    dS = softmax_backward(np.concatenate([dP, np.zeros((*dP.shape[:2], 1))], axis=-1), P)
    return dS[..., :-1], dS[..., -1].sum(0)


def sink_by_batch_and_head(dP, P):
    dS = softmax_backward(np.concatenate([dP, np.zeros((*dP.shape[:2], 1))], axis=-1), P)
    return dS[..., :-1], dS[..., -1]


# 4 and 5
def masked_attention(mask):
    def f(Q, K, V):
        P = np.where(mask, np.exp(Q @ K.T), 0)
        P = P / P.sum(-1, keepdims=True)
        return P @ V, (Q, K, V, P)

    return f


def attention_backward(dO, cache):
    Q, K, V, P = cache
    dS = softmax_backward(dO @ V.T, P)
    return dS @ K, dS.T @ Q, P.T @ dO


WINDOW = np.abs(np.subtract.outer(range(6), range(6))) <= 2
CAUSAL = np.tri(4, dtype=bool)


def a_block_dropped(dO, cache):
    """The loop over blocks of two queries begins at the second block that a key sees."""
    Q, K, V, P = cache
    P = P.copy()
    P[4:, 2:4] = 0
    dS = softmax_backward(dO @ V.T, P)
    return dS @ K, dS.T @ Q, P.T @ dO


def causal_ignored(dO, cache):
    Q, K, V, _ = cache
    return attention_backward(dO, (Q, K, V, softmax(Q @ K.T)))


# 6
def cut_off_from_the_graph(dO, cache):
    Q, K, V, P = cache
    return np.zeros_like(Q), np.zeros_like(K), np.zeros_like(V)


# 7
def batch_norm(X):
    N = (X - X.mean(0)) / np.sqrt(((X - X.mean(0)) ** 2).mean(0) + 1e-5)
    return N, (N, np.sqrt(((X - X.mean(0)) ** 2).mean(0) + 1e-5))


def batch_norm_backward(dY, cache):
    N, std = cache
    return (dY - dY.mean(0) - N * (dY * N).mean(0)) / std


def deviation_held_fixed(dY, cache):
    return (dY - dY.mean(0)) / cache[1]


# 8
def mean_of_many(X):
    return np.tanh(X).mean() * 1e-8, X


def mean_of_many_backward(dY, X):
    return dY * 1e-8 / np.cosh(X) ** 2 / X.size


# 9
def gelu_by_sigmoid(X):
    S = 1 / (1 + np.exp(-1.702 * X))
    return X * S, (X, S)


def gelu_by_sigmoid_backward(dY, cache):
    X, S = cache
    return dY * (S + 1.702 * X * S * (1 - S))


def zero_for_negative_inputs(dY, cache):
    return gelu_by_sigmoid_backward(dY, cache) * (cache[0] > 0)


# 10
def rotary_halves(X):
    """As the weights were trained: column i is turned with column i + W / 2."""
    angle = np.arange(len(X))[:, None] * 0.5 ** np.arange(X.shape[1] // 2)
    A, B = np.split(X, 2, axis=1)
    return np.concatenate([A * np.cos(angle) - B * np.sin(angle),
                           A * np.sin(angle) + B * np.cos(angle)], axis=1), angle


def rotary_neighbours(X):
    """As the weights were read: column 2 i is turned with column 2 i + 1."""
    Y, angle = rotary_halves(np.concatenate([X[:, ::2], X[:, 1::2]], axis=1))
    A, B = np.split(Y, 2, axis=1)
    return np.stack([A, B], axis=-1).reshape(X.shape), angle


def rotary_halves_backward(dY, angle):
    A, B = np.split(dY, 2, axis=1)
    return np.concatenate([A * np.cos(angle) + B * np.sin(angle),
                           B * np.cos(angle) - A * np.sin(angle)], axis=1)


def rotary_neighbours_backward(dY, angle):
    dY = np.concatenate([dY[:, ::2], dY[:, 1::2]], axis=1)
    A, B = np.split(rotary_halves_backward(dY, angle), 2, axis=1)
    return np.stack([A, B], axis=-1).reshape(dY.shape)


def _exhibits():
    attends = normal(3, 4, 3), normal(4, 4, 3), normal(5, 4, 2)
    slides = normal(6, 6, 3), normal(7, 6, 3), normal(8, 6, 2)
    pieces = [
        ("RMS norm returns no gradient for its gain", "unsloth #45 to #4533",
         rms_norm, rms_norm_backward, no_gradient_for_the_gain, normal(0, 4, 5), positive(1, 5)),
        ("grouped queries: no sum over the group", "levanter #449",
         grouped_scores, grouped_scores_backward, last_head_of_each_group,
         normal(2, 2, 3, 4, 2), normal(3, 2, 5, 2)),
        ("the sink's gradient has shape (batch, heads)", "rocm-libraries #10519",
         with_a_sink, with_a_sink_backward, sink_by_batch_and_head, normal(4, 2, 3, 4),
         normal(5, 3)),
        ("windowed attention drops a block in its backward", "TileOps #355, #291, #1616",
         masked_attention(WINDOW), attention_backward, a_block_dropped, *slides),
        ("the backward ignores the causal mask", "triton #4174",
         masked_attention(CAUSAL), attention_backward, causal_ignored, *attends),
        ("attention is cut off from the graph", "aprender #2203",
         masked_attention(True), attention_backward, cut_off_from_the_graph, *attends),
        ("batch norm with its deviation held fixed, tested with dY = 1", "Mnemosyne #310, #336",
         batch_norm, batch_norm_backward, deviation_held_fixed, normal(9, 6, 2)),
        ("gradients smaller than the tolerance of the test", "openfold-3 #258",
         mean_of_many, mean_of_many_backward, factor(2.0), normal(10, 5, 4)),
        ("only the largest analytic entries are probed", "lattice #191",
         gelu_by_sigmoid, gelu_by_sigmoid_backward, zero_for_negative_inputs, normal(11, 3, 4)),
        ("rotary pairs neighbours, the weights pair halves", "shainet #111",
         rotary_neighbours, rotary_neighbours_backward, rotary_neighbours_backward,
         normal(12, 4, 6)),
    ]
    for number, (what, where, f, backward, wrong, *inputs) in enumerate(pieces, 1):
        shelf.add(what, f, backward, *inputs, wrong={where: wrong})
        yield Exhibit(number, what, where, *shelf[-2:])


EXHIBITS = tuple(_exhibits())


def who_notices(checker):
    """[(verdict on the right backward, verdict on the wrong one, message about that), …]."""
    return [(ask(checker, e.right)[0], *ask(checker, e.wrong)) for e in EXHIBITS]


def table():
    """Markdown: who notices what, and a line about each checker that is not installed."""
    checkers = [name for name in CHECKERS if not missing(name)]
    answers = {checker: who_notices(checker) for checker in checkers}
    lines = ["| | bug | told in | " + " | ".join(checkers) + " |",
             "|---" * (3 + len(checkers)) + "|"]
    for row, exhibit in enumerate(EXHIBITS):
        cells = [_cell(*answers[checker][row]) for checker in checkers]
        lines.append(f"| {exhibit.number} | {exhibit.what} | {exhibit.where} | "
                     + " | ".join(cells) + " |")
    absent = filter(None, map(missing, CHECKERS))
    return "\n".join(lines + [f"\n{line}" for line in absent])


def _cell(on_right, on_wrong, message):
    seen = {"wrong": "yes", "right": "—", "refused": "stops"}.get(on_wrong, on_wrong)
    if "should be" in message:
        seen += ", the shape" if "of shape" in message else ", the entry"
    return seen if on_right == "right" else f"{seen}; the right one is {on_right}"
