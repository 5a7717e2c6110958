"""The next token from its logits: the likeliest one, or one drawn.

    temperature   p ∝ exp(logits / temperature); 0 takes the likeliest, without chance
    top-k         only the k likeliest tokens may be drawn
    top-p         only the likeliest tokens that together have at least the probability p

All randomness is a Generator's. Ties go to the smaller token.
Source: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", section 3.1 (top-p);
Fan et al. 2018, "Hierarchical Neural Story Generation", section 5.4, for top-k.
"""

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.options import require_counts, require_generator, require_real
from npattn.kernels.shapes import require_shapes


@quiet
def sample(logits, rng=None, *, temperature=1.0, top_k=None, top_p=1.0):
    """A token drawn from its probabilities, or the likeliest one.

    logits       (V,); a token of −inf is never drawn
    rng          Generator; not needed at temperature 0
    temperature  ≥ 0; below 1 likely tokens become likelier
    top_k        how many tokens may be drawn; None means all
    top_p        in (0, 1]

    Returns the token, an int. Raises ValueError for options out of range, and for logits that are
    NaN or inf, or none but −inf; TypeError for other than float arrays, and complex ones.

    >>> sample(np.array([0.1, 2.0, 1.0]), temperature=0.0)
    1
    """
    require_options(temperature, top_k, top_p)
    require_shapes("logits V", logits)
    if np.iscomplexobj(logits):
        raise TypeError(f"logits must be real numbers, got {logits.dtype}")
    if not np.isfinite(highest := logits.max(initial=-np.inf)):
        raise ValueError(f"the largest of the logits must be a finite number, got {highest}")
    if temperature == 0.0:
        return int(np.argmax(logits))
    require_generator(rng)
    order = np.argsort(-logits, kind="stable")[:top_k]
    p = np.exp((logits[order].astype(np.float64) - logits[order[0]]) / temperature)
    total = np.cumsum(p / p.sum())
    total = total[:np.searchsorted(total, top_p) + 1]  # so many have at least top_p together
    return int(order[np.searchsorted(total, rng.random() * total[-1])])


def require_options(temperature, top_k, top_p):
    """Raises ValueError that names the option which is out of range."""
    require_real(temperature=temperature, top_p=top_p)
    if temperature < 0.0:
        raise ValueError(f"temperature must be finite and at least 0, got {temperature!r}")
    if top_k is not None:
        require_counts(1, top_k=top_k)
    if not 0.0 < top_p <= 1.0:
        raise ValueError(f"top_p must lie in (0, 1], got {top_p!r}")
