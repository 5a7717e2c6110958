r"""beyond d2l, level 4: The backward of attention with normalized queries and keys

Large scores saturate a softmax and stop its gradients. Many models of today normalize each query
and each key before their product, so that no score can grow without bound; one number $t$, which is
learned, takes the place of $1/\sqrt D$:

$$ \hat q_i = \frac{q_i}{|q_i|}, \qquad \hat k_j = \frac{k_j}{|k_j|}, \qquad
   s_{ij} = t\, \hat q_i \cdot \hat k_j, \qquad O = \operatorname{softmax}(S)\, V . $$

Find the gradients of queries, keys, values and $t$. (Henry et al. 2020.)

    Q    (..., Tq, D)    queries
    K    (..., Tk, D)    keys
    V    (..., Tk, Dv)   values
    t    ()              one number
    nq   (..., Tq, 1)    |q|, in the cache
    nk   (..., Tk, 1)    |k|
    P    (..., Tq, Tk)   weights
    dO   (..., Tq, Dv)   the gradient with respect to the output

No query and no key is 0. A query that may attend to nothing has weights 0.
"""

from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw, draw_mask
from npattn.exercises.given import masked_softmax
from npattn.exercises.steps import SOFTMAX_BACKWARD, at

ANSWER = {"dQ": "query dim", "dK": "key dim", "dV": "key dim", "dt": ""}


class NormedCache(NamedTuple):
    """What the backward may use."""

    Q: np.ndarray   # (..., Tq, D)
    K: np.ndarray   # (..., Tk, D)
    V: np.ndarray   # (..., Tk, Dv)
    t: np.ndarray   # ()
    nq: np.ndarray  # (..., Tq, 1)
    nk: np.ndarray  # (..., Tk, 1)
    P: np.ndarray   # (..., Tq, Tk)


def normed_attention(Q, K, V, t, mask=None):
    """O (..., Tq, Dv) and the cache; mask (Tq, Tk) is True where a query may attend."""
    nq, nk = (np.sqrt((X * X).sum(axis=-1, keepdims=True)) for X in (Q, K))
    P = masked_softmax(t * (Q / nq) @ (K / nk).swapaxes(-1, -2), mask)
    return P @ V, NormedCache(Q, K, V, t, nq, nk, P)


FORWARD = normed_attention
GIVEN = (masked_softmax, NormedCache, normed_attention)


def qk_norm_attention_backward(dO, cache):
    """The gradients of queries, keys, values and t.

    dO     (..., Tq, Dv)  gradient of the loss with respect to O
    cache  NormedCache    as above

    Returns dQ, dK and dV, shaped like Q, K and V, and dt, one number.
    """
    Q, K, V, t, nq, nk, P = cache
    q, k = Q / nq, K / nk
    # O = P V
    dV = P.swapaxes(-1, -2) @ dO
    dP = dO @ V.swapaxes(-1, -2)
    # P = softmax(S)
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    # S = t q̂ k̂ᵀ
    dt = (dS * (q @ k.swapaxes(-1, -2))).sum()
    dq, dk = t * (dS @ k), t * (dS.swapaxes(-1, -2) @ q)
    # q̂ = q / |q|
    dQ = (dq - q * (dq * q).sum(axis=-1, keepdims=True)) / nq
    dK = (dk - k * (dk * k).sum(axis=-1, keepdims=True)) / nk
    return dQ, dK, dV, dt


def cases(rng):
    def inputs(Tq, Tk, D, Dv, t, *leading):
        Q, K = draw(rng, *leading, Tq, D), draw(rng, *leading, Tk, D)
        Q[..., 0], K[..., 0] = 0.75 + np.abs(Q[..., 0]), 0.5 + np.abs(K[..., 0])  # none is 0
        return Q, K, draw(rng, *leading, Tk, Dv), np.array(t)

    shared = inputs(3, 3, 3, 3, 2.25)[0]
    return {
        "one query, two keys": inputs(1, 2, 2, 1, 1.5),
        "every length different": inputs(2, 3, 4, 1, 2.5),
        "as many queries as keys": inputs(3, 3, 2, 4, -1.25),
        "one array as queries, keys and values": (shared, shared, shared, np.array(2.25)),
        "a mask, and a query that may attend to nothing": (
            *inputs(3, 4, 2, 2, 3.0), draw_mask(rng, 3, 4),
        ),
        "a batch": inputs(2, 3, 4, 2, 0.75, 2),
    }


HINTS = (
    "Up to dS it is attention's backward. Then three steps: the product with t, and the two "
    "normalizations.",
    "With q̂ and k̂ as queries and keys, dq̂ = t dS k̂ and dt = Σ dS ⊙ (q̂ k̂ᵀ). What part of dq̂ "
    "can change a vector of length 1?",
    "dQ = (dq̂ − q̂ (q̂ · dq̂)) / |q|, row by row, and the same for K with dk̂ = t dSᵀ q̂.",
)

DERIVATION = r"""
**1.** $O = PV$: $dV = P^\top dO$ and $dP = dO\,V^\top$.

**2.** Through the softmax, $dS = P \odot (dP - \operatorname{rowsum}(dP \odot P))$.

**3.** $S = t\,\hat Q \hat K^\top$ is a product of three: $d\hat Q = t\,dS\,\hat K$,
$d\hat K = t\,dS^\top \hat Q$, and the number $t$ is shared by all scores of all sequences, so

$$ dt = \sum_{ij} ds_{ij}\, \hat q_i \cdot \hat k_j . $$

**4.** $\hat q = q / |q|$. With $\partial |q| / \partial q = \hat q$ the quotient rule gives

$$ dq = \frac{1}{|q|} \bigl( d\hat q - \hat q\, (\hat q \cdot d\hat q) \bigr) . $$

The part of $d\hat q$ along $\hat q$ is taken out: to make $q$ longer changes nothing. For the keys
it is the same.
"""

ROW = "(dq * q).sum(axis=-1, keepdims=True)"

MISTAKES = {
    **at(2, SOFTMAX_BACKWARD),
    "not projected": (4, [(f"(dq - q * {ROW})", "dq"),
                          ("(dk - k * (dk * k).sum(axis=-1, keepdims=True))", "dk")],
        "The lengths were taken for constants: dq̂ was divided by |q| and no more. The part along "
        "q̂ must be taken out."),
    "not divided": (4, [(" / nq\n    dK", "\n    dK"), (" / nk\n    return", "\n    return")],
        "The division by the lengths is missing in dQ and dK: 1/|q| is a factor of q̂, and so of "
        "the gradient."),
    "norm skipped": (4, [(f"(dq - q * {ROW}) / nq", "dq"),
                         ("(dk - k * (dk * k).sum(axis=-1, keepdims=True)) / nk", "dk")],
        "dq̂ and dk̂ were returned; the normalization was not differentiated."),
    "projected on q": (4, [("dq - q *", "dq - Q *"), ("dk - k *", "dk - K *")],
        "The part that is taken out has the direction q̂, of length 1, not q."),
    "projection added": (4, [("dq - q *", "dq + q *"), ("dk - k *", "dk + k *")],
        "The part along q̂ was added; the quotient rule subtracts it."),
    "raw vectors": (3, "q, k = Q / nq, K / nk", "q, k = Q, K",
        "Queries and keys were used as they come; the scores are made of the normalized ones."),
    "raw in the product": (3, "dq, dk = t * (dS @ k), t * (dS.swapaxes(-1, -2) @ q)",
        "dq, dk = t * (dS @ K), t * (dS.swapaxes(-1, -2) @ Q)",
        "dq̂ and dk̂ were made with the raw keys and queries; what meets in the score is "
        "normalized."),
    "t left out": (3, "dq, dk = t * (dS @ k), t * (dS", "dq, dk = (dS @ k), (dS",
        "The factor t of the scores is missing in dQ and dK."),
    "scale of the width": (3, "dq, dk = t * (dS @ k), t * (dS.swapaxes(-1, -2) @ q)",
        "t = Q.shape[-1] ** -0.5\n    dq, dk = t * (dS @ k), t * (dS.swapaxes(-1, -2) @ q)",
        "The scale is 1/√D; here t takes its place."),
    "dt with the scores": (3, "(q @ k.swapaxes(-1, -2))).sum()",
        "(t * q @ k.swapaxes(-1, -2))).sum()",
        "dt has a factor t: the scores were used. The derivative of t x by t is x."),
    "dt as a sum of dS": (3, "(dS * (q @ k.swapaxes(-1, -2))).sum()", "dS.sum()",
        "dt is the sum of dS alone; each score is t times q̂ · k̂, which is a factor."),
    "dt as a mean": (3, "(dS * (q @ k.swapaxes(-1, -2))).sum()",
        "(dS * (q @ k.swapaxes(-1, -2))).mean()",
        "dt is a mean over all scores; what is shared collects a sum."),
    "dK without transpose": (3, "dS.swapaxes(-1, -2) @ q", "dS @ q",
        "dK uses dS, not its transpose; it runs only where there are as many queries as keys."),
    "lengths exchanged": (4, [("keepdims=True)) / nq", "keepdims=True)) / nk"),
                              ("keepdims=True)) / nk", "keepdims=True)) / nq")],
        "dQ was divided by the lengths of the keys, and dK by those of the queries."),
}
