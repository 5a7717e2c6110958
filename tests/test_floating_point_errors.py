"""np.seterr(all="raise") finds a NaN of one's own; harmless underflow in here must not raise."""

import numpy as np
import pytest

from npattn.verification.cases import CASES
from npattn.verification.pairs import find_pairs

PAIRS = find_pairs()
KERNELS = [name for name in CASES if "kernels" in PAIRS[name.split()[0]].module]


def scaled(argument, scale):
    """The argument, with its floats further apart: then some exponentials underflow."""
    is_float = isinstance(argument, np.ndarray) and argument.dtype.kind == "f"
    return argument * scale if is_float else argument


@pytest.mark.parametrize("name", KERNELS)
def test_no_kernel_raises_where_every_floating_point_error_does(name):
    pair = PAIRS[name.split()[0]]
    case = CASES[name](np.random.default_rng(0))
    forward, backward = case.forward or pair.forward, case.backward or pair.backward
    for scale in (1.0, 30.0, 1000.0):
        args = [scaled(argument, scale) for argument in case.args]
        with np.errstate(all="raise"):
            result = forward(*args, **case.options)
            if isinstance(result, tuple) and isinstance(result[0], np.ndarray):
                Y, cache = result
                backward(np.ones_like(Y), cache)
