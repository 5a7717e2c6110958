"""What pages ask of their options, and the words they use."""

import numpy as np
import pytest

from npattn.kernels.options import (
    require_choice,
    require_counts,
    require_float_dtype,
    require_generator,
    require_rate,
)


@pytest.mark.parametrize("rate", [0, 0.0, 0.5, 0.999, np.float32(0.1)])
def test_rates_in_the_range_pass(rate):
    require_rate(rate)


@pytest.mark.parametrize("rate", [-1e-9, 1, 1.0, 2, float("inf"), float("nan")])
def test_rates_outside_the_range(rate):
    with pytest.raises(ValueError, match=rf"dropout rate must lie in \[0, 1\), got {rate}"):
        require_rate(rate)


def test_counts_in_the_range_pass():
    require_counts(1, width=1, T=np.int32(7))
    require_counts(0, Tq=0)


@pytest.mark.parametrize("n, error, message", [
    (2.0, TypeError, "T must be an integer, got 2.0"),
    ("3", TypeError, "T must be an integer, got '3'"),
    (None, TypeError, "T must be an integer, got None"),
    (1, ValueError, "T must be at least 2, got 1"),
    (np.int64(-3), ValueError, "T must be at least 2, got -3"),
])
def test_counts_outside_the_range(n, error, message):
    with pytest.raises(error) as caught:
        require_counts(2, D=5, T=n)
    assert str(caught.value) == message


@pytest.mark.parametrize("choices, words", [
    (("post", "pre"), '"post" or "pre"'), ({"a": 1, "b": 2, "c": 3}, '"a", "b" or "c"'),
])
def test_choices(choices, words):
    for choice in choices:
        require_choice("norm", choice, choices)
    with pytest.raises(ValueError) as caught:
        require_choice("norm", "Pre", choices)
    assert str(caught.value) == f"norm must be {words}, got 'Pre'"


@pytest.mark.parametrize("rng, came", [
    (0, "int"), (None, "NoneType"), (np.random.RandomState(0), "RandomState"), (np.random, "module")
])
def test_other_sources_of_randomness(rng, came):
    require_generator(np.random.default_rng(0))
    with pytest.raises(TypeError) as caught:
        require_generator(rng)
    assert str(caught.value) == (
        f"rng must be a numpy.random.Generator, got {came}; "
        "make one with np.random.default_rng(seed)"
    )


@pytest.mark.parametrize("dtype", [np.float32, "float64", float, np.dtype("f4")])
def test_float_dtypes_pass(dtype):
    require_float_dtype(dtype)


@pytest.mark.parametrize("dtype", ["int64", "float16", "complex128", "bool"])
def test_other_dtypes(dtype):
    with pytest.raises(TypeError, match=f"^dtype must be float32 or float64, got {dtype}$"):
        require_float_dtype(dtype)
