"""What the checker's pages say of some fifty small functions, number by number.

A verdict compares a derivative, its error and its rounding. Verdicts alone do not show an error
estimate that is three times too small, so the numbers themselves stand in
tests/checker_numbers.txt, which `python tests/test_checker_numbers.py` writes. The true derivative
is known, and lies within the error. The functions are made of + − · / and √, and no sum has more
than two terms: all of it rounds the same way on every processor.
"""

from pathlib import Path

import numpy as np
import pytest

from npattn.checking.arithmetic import inner_epsilons
from npattn.checking.central import CentralDifference
from npattn.checking.ladder import bend, ladder, units

LIST = Path(__file__).parent / "checker_numbers.txt"
HALF, SINGLE = np.float16, np.float32


def cast(X, dtype):
    with np.errstate(over="ignore"):
        return np.asarray(X, dtype).astype(np.float64)


def bfloat16(X):
    """Rounded to eight binary digits."""
    bits = np.asarray(X, SINGLE).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(SINGLE).astype(np.float64)


def near(X, center, distance):
    """X, which must not leave the domain around the center."""
    if not np.all(np.abs(X - center) <= distance):
        raise ValueError("outside the domain")
    return X


# name: (F, x, F'(x)); None where there is no derivative
SMOOTH = {
    "x²": (lambda x: x * x, 1.5, 3.0),
    "x³": (lambda x: x * x * x, -0.7, 1.47),
    "x⁸": (lambda x: ((x * x) * (x * x)) * ((x * x) * (x * x)), 1.25, 8 * 1.25**7),
    "1/x": (lambda x: 1.0 / x, 0.3, -1 / 0.09),
    "1/x beside its pole": (lambda x: 1.0 / x, 1e-3, -1e6),
    "1/x closer still": (lambda x: 1.0 / x, 1e-7, -1e14),
    "√x": (lambda x: np.sqrt(x), 2.0, 0.5**1.5),
    "√x beside 0": (lambda x: np.sqrt(x), 1e-6, 500.0),
    "√x with no room": (lambda x: np.sqrt(x), 1e-20, 5e9),
    "1/(1 + x²)": (lambda x: 1.0 / (1.0 + x * x), 0.5, -0.64),
    "x/(x² + 1e-12)": (lambda x: x / (x * x + 1e-12), 1e-3, -999999e-6 / 1.000001**2 * 1e6),
    "√(x² + 1e-14)": (lambda x: np.sqrt(x * x + 1e-14), 3e-7, 3e-7 / (1e-13) ** 0.5),
    "1e200 x²": (lambda x: 1e200 * (x * x), 1.0, 2e200),
    "1e-200 x": (lambda x: 1e-200 * x, 3.0, 1e-200),
    "a constant": (lambda x: 0.0 * x + 7.0, 1.0, 0.0),
    "x³ at 0": (lambda x: x * x * x, 0.0, 0.0),
    "a domain of 1e-4": (lambda x: near(x, 1.0, 1e-4) ** 2, 1.0, 2.0),
    "a domain of 1e-9": (lambda x: near(x, 1.0, 1e-9) ** 2, 1.0, 2.0),
    "x + 1e6 x²": (lambda x: x + 1e6 * (x * x), 1e-7, 1.2),
    "x in two": (lambda x: (1e8 + x) - 1e8, 1.0, 1.0),
    "(1 + x²) − 1": (lambda x: (1.0 + x * x) - 1.0, 1e-3, 2e-3),
}
ROUGH = {
    "x² in float32": (lambda x: cast(cast(x, SINGLE) * cast(x, SINGLE), SINGLE), 1.3, 2.6),
    "x² in float16": (lambda x: cast(cast(x, HALF) * cast(x, HALF), HALF), 1.3, 2.6),
    "x² in bfloat16": (lambda x: bfloat16(bfloat16(x) * bfloat16(x)), 1.3, 2.6),
    "1/x, a part in float32": (lambda x: 1.0 / x + 1e-3 * cast(x, SINGLE), 0.8, -1 / 0.64 + 1e-3),
    "steps of 1e-6": (lambda x: np.floor(x * 1e6) / 1e6, 0.77, 1.0),
    "steps of 1e-12": (lambda x: np.floor(x * 1e12) / 1e12, 0.77, 1.0),
    "noise of 1e-9": (lambda x: x + 1e-9 * (x * 3.7e13 % 1.0), 0.6, 1.0),
    "(1 + x²) − 1, lost": (lambda x: (1.0 + x * x) - 1.0, 1e-7, 2e-7),
    "(1e9 + x) − 1e9": (lambda x: (1e9 + x) - 1e9, 0.5, 1.0),
}
KINKS = {
    "|x|": (lambda x: np.abs(x), 0.0, None),
    "|x| 1e-3 away": (lambda x: np.abs(x), 1e-3, 1.0),
    "|x| 1e-6 away": (lambda x: np.abs(x), -1e-6, -1.0),
    "|x| 1e-10 away": (lambda x: np.abs(x), 1e-10, 1.0),
    "|x| 1e-14 away": (lambda x: np.abs(x), 1e-14, 1.0),
    "relu": (lambda x: np.maximum(x, 0.0), 0.0, None),
    "x |x|": (lambda x: x * np.abs(x), 0.0, 0.0),
    "x² + |x − 1|/8": (lambda x: x * x + 0.125 * np.abs(x - 1.0), 1.0, None),
    "x² + 1e-8 |x − 1|": (lambda x: x * x + 1e-8 * np.abs(x - 1.0), 1.0, 2.0),  # too weak to see
    "min(x, 1)": (lambda x: np.minimum(x, 1.0), 1.0, None),
    "min(x, 1) below": (lambda x: np.minimum(x, 1.0), 1.0 - 1e-5, 1.0),
    "min(x, 1) above": (lambda x: np.minimum(x, 1.0), 1.0 + 1e-9, 0.0),
    "x > 1": (lambda x: 1.0 * (x > 1.0), 1.0, None),
    "x > 1 and far": (lambda x: x + (x > 1.001), 1.0, 1.0),
    "√|x|": (lambda x: np.sqrt(np.abs(x)), 0.0, None),
    "relu in float32": (lambda x: cast(np.maximum(cast(x, SINGLE), 0.0), SINGLE), 1e-5, 1.0),
}
FUNCTIONS = {**SMOOTH, **ROUGH, **KINKS}


def on_the_ladder(name):
    F, x, _ = FUNCTIONS[name]
    x = np.array([x])

    def change(t):
        return F(x + t) - F(x)

    slopes = ladder(change, bend(x), 2.0**-52 * np.abs(F(x)))
    own = ladder(change, units(x)[0], np.zeros(1))
    return {"ladder": [*slopes], "in its own unit": [*own]}


def by_differences(name):
    F, x, _ = FUNCTIONS[name]
    method = CentralDifference(lambda leaves: np.concatenate([
        F(leaves[0]), F(leaves[0][:1]) * leaves[1], leaves[1] * 0.5]),
        [np.array([x, x]), np.array([2.0])], np.array([2.0, -1.0, 0.5, 0.25]))
    parts = {}
    for k, ways in ((0, np.eye(2)), (1, np.ones((1, 1)))):
        found = method.measure(k, ways)
        parts[f"leaf {k}"] = [found.value, found.size, found.error, found.rounding, found.kink]
    parts["along"] = [*method.along([np.array([1.5, 0.0]), np.array([0.0])])]
    slopes, _ = method.each(np.random.default_rng(4))
    parts["each"] = [slopes.value, slopes.error, slopes.kink]
    return parts


def precision(name):
    F, x, _ = FUNCTIONS[name]
    leaves = [np.array([x, x, -0.4]), np.array([0.7, 3.0])]

    def G(leaves):
        a, b = leaves
        return np.concatenate([F(a[:2]), b * b, b[:1] * a[2]])

    with np.errstate(all="ignore"):
        return {"eps": [inner_epsilons(G, G(leaves), leaves, np.random.default_rng(s))
                        for s in range(3)]}


PARTS = {"ladder": on_the_ladder, "differences": by_differences, "precision": precision}


def lines():
    for part, look in PARTS.items():
        for name in FUNCTIONS:
            for what, numbers in look(name).items():
                words = "  ".join(f"{number:.10g}" for number in np.hstack(numbers))
                yield f"{part} | {name} | {what} | {words}"


def listed():
    rows = {}
    for line in LIST.read_text(encoding="utf-8").splitlines():
        part, name, what, words = line.split(" | ")
        rows.setdefault((part, name), {})[what] = [float(word) for word in words.split()]
    return rows


@pytest.mark.parametrize("part", PARTS)
def test_the_numbers_are_those_listed(part):
    rows = listed()
    for name in FUNCTIONS:
        for what, numbers in PARTS[part](name).items():
            np.testing.assert_allclose(
                np.hstack(numbers), rows[part, name][what], rtol=1e-6, atol=0.0,
                err_msg=f"{part}, {name}, {what}")


def test_true_slopes_lie_within_the_error_that_is_said():
    for name, (_, _, slope) in {**SMOOTH, **KINKS}.items():
        value, error, kink, _ = np.hstack(on_the_ladder(name)["ladder"])
        if slope is None:
            assert kink > 0.0 or not error < 1e-3 * abs(value), name
        elif not kink:
            assert abs(value - slope) <= 10 * error, (name, value, slope, error)


if __name__ == "__main__":
    LIST.write_text("".join(f"{line}\n" for line in lines()), encoding="utf-8")
