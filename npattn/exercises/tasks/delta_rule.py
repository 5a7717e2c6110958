r"""beyond d2l, level 3: One step of the delta rule

A linear state that only adds cannot forget. The delta rule first asks what the state would return
for the new key, and writes the difference to the new value only, with a strength $\beta$:

$$ u = S^\top k, \qquad S' = S + \beta\, k\, (v - u)^\top, \qquad o = S'^\top q . $$

With $\beta = 1$ and a key of length 1, $S'$ returns exactly $v$ for $k$. (Schlag et al. 2021.)

    S      (..., Dk, Dv)   the state before
    q      (..., Dk)       query of the new token
    k      (..., Dk)       its key
    v      (..., Dv)       its value
    beta   (..., 1)        strength of the writing
    o      (..., Dv)       what the query reads from the new state
    N      (..., Dk, Dv)   the new state S′
"""

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"o": "dim", "N": "key-dim dim"}


def delta_rule(S, q, k, v, beta):
    """What the query reads, and the new state.

    S     (..., Dk, Dv)  state
    q, k  (..., Dk)      query and key
    v     (..., Dv)      value
    beta  (..., 1)       strength

    Returns o (..., Dv) and N (..., Dk, Dv).
    """
    u = (S * k[..., None]).sum(axis=-2)
    N = S + k[..., None] * (beta * (v - u))[..., None, :]
    o = (N * q[..., None]).sum(axis=-2)
    return o, N


def specification(S, q, k, v, beta):
    """Entry by entry."""
    o, N = np.zeros_like(v), np.zeros_like(S)
    for lead in np.ndindex(v.shape[:-1]):
        for c in range(v.shape[-1]):
            u = sum(S[lead][a, c] * k[lead][a] for a in range(k.shape[-1]))
            for a in range(k.shape[-1]):
                N[lead][a, c] = S[lead][a, c] + beta[lead][0] * k[lead][a] * (v[lead][c] - u)
            o[lead][c] = sum(N[lead][a, c] * q[lead][a] for a in range(k.shape[-1]))
    return o, N


def cases(rng):
    def inputs(Dk, Dv, *lead):
        return (draw(rng, *lead, Dk, Dv), draw(rng, *lead, Dk), draw(rng, *lead, Dk),
                draw(rng, *lead, Dv), rng.uniform(0.25, 0.875, (*lead, 1)))

    return {
        "a state of two by two": inputs(2, 2),
        "every length different": inputs(3, 2),
        "a batch": inputs(2, 3, 4),
        "batch and heads": inputs(4, 3, 2, 3),
    }


HINTS = (
    "Three lines: read with the key, write the difference, read with the query.",
    "u_c = Σ_a k_a S_ac sums over the rows of S, the axis of the key. k (v − u)ᵀ has an entry for "
    "each pair.",
    "u = einsum('...ac,...a->...c', S, k); N = S + beta k (v − u)ᵀ; o = einsum with N and q.",
)

DERIVATION = r"""
**1.** What the state returns for the key is $u = S^\top k$, a sum over the rows.

**2.** What is to be written is the difference, $v - u$, with the strength $\beta$:
$S' = S + \beta\, k\,(v - u)^\top$. For a key of length 1 the state then returns
$S'^\top k = u + \beta\,(v - u)$.

**3.** The query reads from the new state, $o = S'^\top q$.
"""


MISTAKES = {
    "no difference": (2, "(v - u)", "v",
        "The value itself was written, as in linear attention; the delta rule writes v − u."),
    "sign": (2, "(v - u)", "(u - v)", "The difference has the wrong sign: v − u is added."),
    "added": (2, "(v - u)", "(v + u)", "u was added to the value; it must be subtracted."),
    "beta left out": (2, "beta * (v", "(v", "The strength β is missing."),
    "beta on the value": (2, "beta * (v - u)", "(beta * v - u)",
        "β multiplies the value alone; it multiplies the whole difference v − u."),
    "beta on the old": (2, "beta * (v - u)", "(v - beta * u)",
        "β multiplies u alone; it multiplies the whole difference v − u."),
    "state forgotten": (2, "N = S + k", "N = k",
        "The old state is missing: the difference is added to it."),
    "decayed": (2, "N = S + k", "N = (1.0 - beta)[..., None] * S + k",
        "The old state was multiplied by 1 − β as well; the difference does the forgetting."),
    "read with the query": (1, "(S * k[..., None])", "(S * q[..., None])",
        "u was read with the query; it is what the state returns for the key."),
    "old state read": (3, "(N * q", "(S * q",
        "The query read from the old state; it reads from the new one."),
    "query written": (2, "k[..., None] * (beta", "q[..., None] * (beta",
        "The difference was written at the query; it is written at the key."),
    "key made a unit": (
        1, "    u = (S", "    k = k / np.sqrt((k * k).sum(axis=-1, keepdims=True))\n    u = (S",
        "The key was divided by its length. Here it is taken as it comes, of whatever length."),
    "key reads": (3, "(N * q", "(N * k", "The output was read with the key; it is the query."),
}
