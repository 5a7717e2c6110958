r"""d2l 12.10, level 2: One step of Adam

Adam keeps two running means for each parameter, of the gradient and of its square, and divides one
by the root of the other:

$$ m_t = \beta_1 m_{t-1} + (1 - \beta_1)\, g, \qquad
   v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, g^2 , $$
$$ \hat m = \frac{m_t}{1 - \beta_1^t}, \qquad \hat v = \frac{v_t}{1 - \beta_2^t}, \qquad
   p_t = p_{t-1} - \eta\, \frac{\hat m}{\sqrt{\hat v} + \varepsilon} . $$

Both means start at 0; the divisions by $1 - \beta^t$ make up for that. The first step has $t = 1$.

    p       (...)   parameters before the step
    g       (...)   gradient there
    m, v    (...)   the means before the step, as they were returned by the step before
    steps           how many steps were taken before this one: 0 for the first
    lr              η, the learning rate
    beta1, beta2    decay of m and of v
    eps             ε

Return the parameters and both means after the step.
"""

import math

import numpy as np

from npattn.exercises.drawing import draw

ANSWER = {"p": "parameter", "m": "parameter", "v": "parameter"}


def adam_step(p, g, m, v, steps, lr, beta1, beta2, eps):
    """Parameters and means after one more step.

    p, g, m, v  (...)    parameters, gradient, means of g and of g² so far
    steps       integer  taken before this one
    lr, beta1, beta2, eps  floats

    Returns p, m and v, all (...).
    """
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g * g
    t = steps + 1
    unbiased_m, unbiased_v = m / (1.0 - beta1**t), v / (1.0 - beta2**t)
    return p - lr * unbiased_m / (np.sqrt(unbiased_v) + eps), m, v


def specification(p, g, m, v, steps, lr, beta1, beta2, eps):
    """Number by number."""
    new = [np.zeros_like(p) for _ in range(3)]
    for i in np.ndindex(p.shape):
        mean = beta1 * m[i] + (1.0 - beta1) * g[i]
        square = beta2 * v[i] + (1.0 - beta2) * g[i] ** 2
        mean_hat = mean / (1.0 - beta1 ** (steps + 1))
        square_hat = square / (1.0 - beta2 ** (steps + 1))
        new[0][i] = p[i] - lr * mean_hat / (math.sqrt(square_hat) + eps)
        new[1][i], new[2][i] = mean, square
    return tuple(new)


def cases(rng):
    def state(*shape):
        p, g, m = draw(rng, *shape), draw(rng, *shape), draw(rng, *shape)
        return p, g, m, draw(rng, *shape) ** 2

    p, g, _, _ = state(2)
    still = np.array([g[0], 0.0])
    zero = np.zeros(2)
    return {
        "the first step": (p, g, zero, zero, 0, 0.5, 0.5, 0.75, 0.125),
        "a gradient of 0 at the first step": (p, still, zero, zero, 0, 0.5, 0.9, 0.999, 1e-3),
        "the third step": (*state(3), 2, 0.5, 0.9, 0.99, 1e-3),
        "a matrix, later on": (*state(2, 3), 9, 0.25, 0.8, 0.95, 0.01),
    }


HINTS = (
    "Write the five formulas in their order. Which of m and m̂ does the next step need?",
    "This is step t = steps + 1. Return m and v as they are before the division by 1 − βᵗ; m̂ and "
    "v̂ serve only in this one update.",
    "m = β₁ m + (1 − β₁) g and v = β₂ v + (1 − β₂) g²; m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ); p − η "
    "m̂/(√v̂ + ε), with ε outside the root.",
)

DERIVATION = r"""
**1.** Both means are weighted: $\beta$ for the past, $1 - \beta$ for what is new. $v$ is a mean of
squares, so it cannot be negative.

**2.** Written out, $m_t = (1 - \beta_1) \sum_{s=1}^{t} \beta_1^{t-s} g_s$. If all $g_s$ were the
same $g$, this would be $(1 - \beta_1^t)\, g$: too small by $1 - \beta_1^t$, since $m_0 = 0$ had a
part in it. Dividing by that factor puts it right, and likewise for $v$ with $\beta_2$.

**3.** The step now being made counts: $t = \text{steps} + 1$. With $t = 0$ the first step would be
0/0.

**4.** The recurrences go on with $m$ and $v$. Kept as $\hat m$ and $\hat v$, they would be
corrected again and again.

**5.** The step is $-\eta\, \hat m / (\sqrt{\hat v} + \varepsilon)$. At the first one $\hat m = g$
and $\sqrt{\hat v} = |g|$: every parameter moves by nearly $\eta$, however small its gradient.
$\varepsilon$ stands outside the root and bounds the step where gradients vanish; under the root it
would act like $\sqrt\varepsilon$.
"""


MISTAKES = {
    "no correction": (2, [(" / (1.0 - beta1**t)", ""), (" / (1.0 - beta2**t)", "")],
        "The means were not corrected for their start at 0: both must be divided by 1 − βᵗ."),
    "m not corrected": (2, " / (1.0 - beta1**t)", "",
        "The mean of the gradients was not divided by 1 − β₁ᵗ."),
    "v not corrected": (2, " / (1.0 - beta2**t)", "",
        "The mean of the squares was not divided by 1 − β₂ᵗ."),
    "steps for t": (3, "steps + 1", "steps",
        "The correction counts only the steps before this one. The present one counts as well: t = "
        "steps + 1."),
    "at least 1": (3, "steps + 1", "max(steps, 1)",
        "The first two steps count as step 1, as by max(steps, 1), and every later one is behind "
        "by one. The present step counts as well: t = steps + 1."),
    "corrected means kept": (4, "eps), m, v", "eps), unbiased_m, unbiased_v",
        "m̂ and v̂ were returned as the means. The next step would correct them a second time; "
        "return m and v."),
    "eps not corrected": (5, "+ eps)", "+ eps / np.sqrt(1.0 - beta2**t))",
        "ε was added to √v, and the correction applied to their sum, as where it is drawn into the "
        "learning rate. It should be added to the corrected root √v̂."),
    "eps inside": (5, "unbiased_v) + eps", "unbiased_v + eps)",
        "ε stands under the root; it should be added to √v̂."),
    "eps left out": (5, " + eps)", ")",
        "ε is missing: where a gradient is 0 from the start, the step is 0/0."),
    "not squared": (1, "* g * g", "* g", "v is a mean of g; it should be one of g²."),
    "no root": (5, "np.sqrt(unbiased_v)", "(unbiased_v)",
        "The step is divided by v̂ and not by its root."),
    "betas exchanged": (1, "    m = beta1", "    beta1, beta2 = beta2, beta1\n    m = beta1",
        "β₁ and β₂ are exchanged: β₁ belongs to the mean of g."),
    "shares exchanged": (
        1, "    m = beta1", "    beta1, beta2 = 1.0 - beta1, 1.0 - beta2\n    m = beta1",
        "The past has the weight 1 − β and the new the weight β; it should be the other way round.",
    ),
    "not weighted": (1, [("(1.0 - beta1) * g", "g"), ("(1.0 - beta2) * g", "g")],
        "The new gradient has the weight 1; it should be 1 − β."),
    "uphill": (5, "p - lr", "p + lr",
        "The step was added. The loss falls against its gradient: subtract."),
    "old means": (
        5, [
            ("    m = beta1", "    old = m, v\n    m = beta1"),
            ("= m / (", "= old[0] / ("),
            (", v / (", ", old[1] / ("),
        ],
        "The parameters were moved by the means before the step, not by the new ones.",
    ),
}
