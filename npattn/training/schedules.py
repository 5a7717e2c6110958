"""Learning-rate schedules: the rate as a function of the step, which is counted from 1.

    constant                      η_s = lr
    linear_warmup_linear_decay    η_s = peak · s / warmup                        s ≤ warmup
                                  η_s = peak · (total − s) / (total − warmup)    then down to 0
    noam                          η_s = width^−½ · min(s^−½, s · warmup^−3/2)

A schedule is a pure function; `functools.partial` fixes its sizes:
`partial(noam, width=256, warmup=4000)` is what `fit` takes.
Sources: Vaswani et al. 2017, section 5.3 (noam, named for its author Noam Shazeer);
Devlin et al. 2018, appendix A.2 (warm-up, then linear decay).
"""

import numpy as np

from npattn.kernels.options import require_real


def constant(step, *, lr):
    """The same rate at every step. Raises ValueError for a negative one, or a step below 1."""
    _require_step(step)
    _require_rate(lr=lr)
    return float(lr)


def linear_warmup_linear_decay(step, *, peak, warmup, total):
    """Up in a straight line to `peak` at step `warmup`, down to 0 at step `total` and after.

    warmup = 0 starts at once with the decay.
    Raises ValueError unless 0 ≤ warmup < total, for a negative peak, and for a step below 1.
    """
    _require_step(step)
    _require_rate(peak=peak)
    require_real(warmup=warmup, total=total)
    if not 0 <= warmup < total:
        raise ValueError(f"need 0 <= warmup < total, got warmup {warmup} and total {total}")
    if step <= warmup:
        return float(peak * step / warmup)
    return float(peak * max(total - step, 0) / (total - warmup))


def noam(step, *, width, warmup):
    """Up in a straight line for `warmup` steps, then down with 1/√step.

    width  the model's width D; the peak, at step `warmup`, is 1 / √(width · warmup)

    Raises ValueError for a step, a width or a warm-up below 1.
    """
    _require_step(step)
    require_real(width=width, warmup=warmup)
    if width < 1 or warmup < 1:
        raise ValueError(f"width and warmup must be at least 1, got {width} and {warmup}")
    return float(width**-0.5 * min(step**-0.5, step * warmup**-1.5))


def _require_rate(**rate):
    (name, value), = rate.items()
    if require_real(**rate) < 0.0:
        raise ValueError(f"{name} must be at least 0, got {value!r}")


def _require_step(step):
    require_real(step=step[()] if isinstance(step, np.ndarray) else step)  # as AdamState has it
    if step < 1:
        raise ValueError(f"step must be at least 1, got {step}: steps are counted from 1")
