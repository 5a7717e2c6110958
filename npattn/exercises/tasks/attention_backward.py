r"""d2l 11.3.3, level 4: The backward of attention

All three gradients of scaled dot-product attention at once. The forward is

$$ S = QK^\top / \sqrt d, \qquad P = \operatorname{softmax}(S), \qquad O = PV . $$

    Q    (..., Tq, Dk)   queries           dQ   (..., Tq, Dk)
    K    (..., Tk, Dk)   keys              dK   (..., Tk, Dk)
    V    (..., Tk, Dv)   values            dV   (..., Tk, Dv)
    P    (..., Tq, Tk)   weights           dO   (..., Tq, Dv)

Return $dQ$, $dK$ and $dV$ in this order. Where one array serves as queries, keys and values, each
gradient is still that of its own role; the caller adds them.
"""

import math

from npattn.exercises.drawing import draw_attention
from npattn.exercises.given import AttentionCache, attention, masked_softmax
from npattn.exercises.steps import SCALE, SOFTMAX_BACKWARD, at

ANSWER = {"dQ": "query dim", "dK": "key dim", "dV": "key dim"}
FORWARD = attention
GIVEN = (masked_softmax, AttentionCache, attention)
cases = draw_attention


def attention_backward(dO, cache):
    """The gradients of queries, keys and values.

    dO     (..., Tq, Dv)   gradient of the loss with respect to O
    cache  AttentionCache  Q, K, V and P as above

    Returns dQ (..., Tq, Dk), dK (..., Tk, Dk), dV (..., Tk, Dv).
    """
    Q, K, V, P = cache
    # O = P V
    dP = dO @ V.swapaxes(-1, -2)
    dV = P.swapaxes(-1, -2) @ dO
    # P = softmax(S)
    dS = P * (dP - (dP * P).sum(axis=-1, keepdims=True))
    # S = Q Kᵀ · scale
    scale = 1.0 / math.sqrt(Q.shape[-1])
    return dS @ K * scale, dS.swapaxes(-1, -2) @ Q * scale, dV


HINTS = (
    "Three lines forward, three lines backward, in reverse order. O = P V gives dV and dP.",
    "P = softmax(S) gives dS = P ⊙ (dP − rowsum(dP ⊙ P)). The scale 1/√Dk belongs to S, so it "
    "reaches both dQ and dK, but not dV.",
    "dP = dO Vᵀ and dV = Pᵀ dO; then dS as above, over √Dk; then dQ = dS K and dK = dSᵀ Q.",
)

DERIVATION = r"""
For any product $C = AB$ the gradients are $dA = dC\,B^\top$ and $dB = A^\top dC$: each factor gets
the upstream gradient times the other factor, and the shapes leave no other choice where all lengths
differ.

**1.** $O = PV$ is such a product: $dP = dO\,V^\top$ and $dV = P^\top dO$.

**2.** $P = \operatorname{softmax}(S)$, row by row:
$dS = P \odot (dP - \operatorname{rowsum}(dP \odot P))$.

**3.** $S = QK^\top / \sqrt d$ is a product again, with $B = K^\top$ and a factor:

$$ dQ = dS\,K / \sqrt d, \qquad dK = dS^\top Q / \sqrt d . $$
"""


MISTAKES = {
    **at(2, SOFTMAX_BACKWARD),
    **at(3, SCALE),
    "dQ not scaled": (3, "K * scale", "K",
        "The factor 1/√Dk reached dK but not dQ."),
    "dK not scaled": (3, "Q * scale", "Q",
        "The factor 1/√Dk reached dQ but not dK."),
    "dV scaled": (1, "scale, dV", "scale, dV * scale",
        "dV is divided by √Dk. The scale belongs to the scores; V meets only the weights."),
    "dK without transpose": (3, "dS.swapaxes(-1, -2) @ Q", "dS @ Q",
        "dK uses dS, not its transpose. Key j collects from all queries: dSᵀ Q. Without the "
        "transpose it runs only where there are as many queries as keys."),
    "dV without transpose": (1, "P.swapaxes(-1, -2) @ dO", "P @ dO",
        "dV uses P, not its transpose. Value j collects from all queries: Pᵀ dO. Without the "
        "transpose it runs only where there are as many queries as keys."),
    "own factor": (3, [("dS @ K", "dS @ Q"), ("-2) @ Q", "-2) @ K")],
        "dQ was made with Q and dK with K. In a product, each factor gets the gradient times the "
        "other one: dQ = dS K, dK = dSᵀ Q. This runs only where there are as many queries as "
        "keys."),
    "added up": (
        3, [("return dS @ K * scale,", "return (dS @ K * scale +"), ("e, dV", "e + dV,) * 3")],
        "The three gradients were added, as if there were only self-attention. Return each by "
        "itself; who passes one array three times adds them.",
    ),
}
