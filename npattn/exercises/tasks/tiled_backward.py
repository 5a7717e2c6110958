r"""beyond d2l, level 4: The backward of a tile

When the matrix of weights is too large to keep, the forward keeps two numbers per query in place of
it: the output $O$ and the log-sum-exp $L$ of the scores. The backward then goes through the keys
tile by tile, and sees in each step *one tile of keys and values and no others*:

$$ p_{ij} = e^{s_{ij} - L_i}, \qquad s_{ij} = q_i \cdot k_j / \sqrt D, \qquad
   L_i = \log \sum_{\text{all } k} e^{s_{ik}}, \qquad o_i = \sum_{\text{all } k} p_{ik}\, v_k . $$

Find the gradients of the keys and values of the tile.

    Q       (..., Tq, D)    queries
    K       (..., Tk, D)    keys of the tile
    V       (..., Tk, Dv)   values of the tile
    mask    (..., Tq, Tk)   bool, True where the query may attend to a key of the tile; or None
    O       (..., Tq, Dv)   output, over all keys
    L       (..., Tq)       log-sum-exp, over all keys; −∞ for a query that may attend to none
    dO      (..., Tq, Dv)   the gradient with respect to the output

The keys and values outside the tile, `K_rest` and `V_rest`, are not in the cache.
"""

import math
from typing import NamedTuple

import numpy as np

from npattn.exercises.drawing import draw, draw_mask

ANSWER = {"dK": "key dim", "dV": "key dim"}


class TileCache(NamedTuple):
    """What the backward may use."""

    Q: np.ndarray            # (..., Tq, D)
    K: np.ndarray            # (..., Tk, D)
    V: np.ndarray            # (..., Tk, Dv)
    mask: np.ndarray | None  # (..., Tq, Tk)
    O: np.ndarray            # (..., Tq, Dv)
    L: np.ndarray            # (..., Tq)


def attention_by_tiles(Q, K, V, K_rest, V_rest, mask=None):
    """O (..., Tq, Dv) over all keys, and the cache for one tile of them.

    The mask is for all keys, those of the tile first.
    """
    Tk = K.shape[-2]
    S = Q @ np.concatenate([K, K_rest], axis=-2).swapaxes(-1, -2) / math.sqrt(Q.shape[-1])
    if mask is not None:
        S = np.where(mask, S, -np.inf)
        mask = mask[..., :Tk]
    E = np.exp(S)
    Z = E.sum(axis=-1, keepdims=True)
    O = E / np.where(Z == 0.0, 1.0, Z) @ np.concatenate([V, V_rest], axis=-2)
    return O, TileCache(Q, K, V, mask, O, np.log(Z[..., 0]))


FORWARD = attention_by_tiles
SHAPES = {"K_rest": "... rest D", "V_rest": "... rest Dv", "mask": "... Tq Tk+rest"}
GIVEN = (TileCache, attention_by_tiles)


def tiled_backward(dO, cache):
    """The gradients of keys and values of one tile.

    dO     (..., Tq, Dv)  gradient of the loss with respect to O
    cache  TileCache      Q, K, V, mask, O and L as above

    Returns dK (..., Tk, D), dV (..., Tk, Dv).
    """
    Q, K, V, mask, O, L = cache
    scale = 1.0 / math.sqrt(Q.shape[-1])
    P = np.exp(Q @ K.swapaxes(-1, -2) * scale - L[..., None])
    if mask is not None:
        P = np.where(mask, P, 0)
    delta = (dO * O).sum(axis=-1, keepdims=True)
    dS = P * (dO @ V.swapaxes(-1, -2) - delta)
    return dS.swapaxes(-1, -2) @ Q * scale, P.swapaxes(-1, -2) @ dO


def cases(rng):
    def inputs(Tq, Tk, rest, D, Dv, *leading):
        shapes = ((Tq, D), (Tk, D), (Tk, Dv), (rest, D), (rest, Dv))
        return tuple(draw(rng, *leading, *shape) for shape in shapes)

    return {
        "one query, a tile of two keys, one key elsewhere": inputs(1, 2, 1, 2, 1),
        "every length different": inputs(2, 3, 4, 5, 1),
        "as many queries as keys": inputs(3, 3, 2, 3, 3),
        "a mask, and a query that may attend to nothing": (
            *inputs(3, 4, 2, 2, 3), draw_mask(rng, 3, 6),
        ),
        "a batch": inputs(2, 3, 1, 4, 2, 2),
    }


HINTS = (
    "The weights of the tile can be made again from Q, K and L. Do they sum to 1 over the tile?",
    "The softmax's gradient needs Σ_k dp_ik p_ik over all keys, also those you do not have. With "
    "dp_ik = do_i · v_k that sum is do_i · Σ_k p_ik v_k, and you do have the last factor.",
    "P = exp(S − L), 0 where masked; δ = rowsum(dO ⊙ O); dS = P ⊙ (dO Vᵀ − δ); dK = dSᵀ Q/√D and "
    "dV = Pᵀ dO.",
)

DERIVATION = r"""
**1.** $L$ holds the whole denominator, so one exponential per entry gives back the true weights:

$$ p_{ij} = \frac{e^{s_{ij}}}{\sum_k e^{s_{ik}}} = e^{s_{ij} - L_i} . $$

Over the tile they sum to less than 1. A masked entry is 0. A query that may attend to nothing has
$L = -\infty$; there $e^{s + \infty} = \infty$, and the mask must write 0 over it, not multiply it.

**2.** $o_i = \sum_j p_{ij} v_j$, so $dV = P^\top dO$ and $dp_{ij} = do_i \cdot v_j$, where only the
tile's own values occur.

**3.** The softmax: $ds_{ij} = p_{ij}\,(dp_{ij} - \delta_i)$ with $\delta_i = \sum_k p_{ik}\,
dp_{ik}$ over *all* keys. It need not be summed up again:

$$ \delta_i = \sum_k p_{ik}\,(do_i \cdot v_k) = do_i \cdot \sum_k p_{ik} v_k = do_i \cdot o_i . $$

So $\delta = \operatorname{rowsum}(dO \odot O)$, one number per query, known before the first tile.

**4.** $s_{ij} = q_i \cdot k_j / \sqrt D$ gives $dK = dS^\top Q / \sqrt D$. Tiles need nothing of
each other, which is why they may be gone through in any order, or all at once.
"""


MISTAKES = {
    "softmax of the tile": (
        1,
        "    P = np.exp(Q @ K.swapaxes(-1, -2) * scale - L[..., None])",
        "    S = Q @ K.swapaxes(-1, -2) * scale\n"
        "    E = np.exp(S if mask is None else np.where(mask, S, -np.inf))\n"
        "    Z = E.sum(axis=-1, keepdims=True)\n    P = E / np.where(Z == 0.0, 1.0, Z)",
        "The weights were made by a softmax over the tile alone, so they sum to 1 there. The "
        "denominator runs over all keys, and is in L: P = exp(S − L).",
    ),
    "softmax of the tile, then mask": (
        1,
        "    P = np.exp(Q @ K.swapaxes(-1, -2) * scale - L[..., None])",
        "    S = Q @ K.swapaxes(-1, -2) * scale\n"
        "    E = np.exp(S)\n"
        "    P = E / E.sum(axis=-1, keepdims=True) * np.isfinite(L)[..., None]",
        "The weights were made by a softmax over all keys of the tile, and masked afterwards. The "
        "denominator runs over the allowed keys of all tiles, and is in L: P = exp(S − L).",
    ),
    "L left out": (1, " - L[..., None]", "",
        "The weights are exp(S): the denominator, which is in L, is missing."),
    "divided by L": (1, "scale - L[..., None])", "scale) / L[..., None]",
        "exp(S) was divided by L. L is the log of the denominator: exp(S − L)."),
    "no scale in S": (1, "* scale - L", "- L",
        "The scores were made again without 1/√D, so they are not those of L."),
    "mask ignored": (1, "    if mask is not None:\n        P = np.where(mask, P, 0)\n", "",
        "The mask was not applied: masked entries have the weight 0."),
    "mask ignored where a key is left": (
        1, "    if mask is not None:\n        P = np.where(mask, P, 0)\n",
        "    P = np.where(np.isneginf(L)[..., None], 0, P)\n",
        "Only queries without any key were looked after: the mask was not applied to the others, "
        "and their masked entries have weights."),
    "mask multiplied": (1, "np.where(mask, P, 0)", "P * mask",
        "A query that may attend to nothing has L = −∞, and exp(S − L) is inf or NaN there; no "
        "product with the mask makes that 0: write 0 over it with np.where."),
    "delta of the tile": (3, "(dO * O)", "(dO @ V.swapaxes(-1, -2) * P)",
        "δ was summed over the tile's keys only. It runs over all keys, and is rowsum(dO ⊙ O)."),
    "no delta": (3, " - delta)", ")",
        "δ is missing: ds = p (dp − δ), since the weights of a row share a denominator."),
    "delta without dO": (3, "(dO * O)", "O",
        "δ is the row sum of O alone; it should be that of dO ⊙ O."),
    "delta not weighed": (3, "-2) - delta)", "-2)) - delta",
        "δ must be multiplied by P as well: P is a factor of both terms."),
    "no scale in dK": (4, "@ Q * scale", "@ Q",
        "dK lacks 1/√D: the factor of the scores is one of their gradient, too."),
}
