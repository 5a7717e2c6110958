"""An argument of another kind than a function takes is named."""

import linecache

import numpy as np
import pytest

from npattn.kernels.attention import attention_backward
from npattn.kernels.floats import quiet
from npattn.kernels.foreign import foreign_argument
from npattn.kernels.linear import linear
from npattn.models.block import encoder_block
from npattn.models.encoder import encoder
from npattn.models.language_model import LanguageModelConfig, init_language_model, language_model
from npattn.models.stack import StackParams, stack

X = np.ones((2, 4))
CONFIG = LanguageModelConfig(vocabulary=9, width=4, num_blocks=1, num_heads=2, hidden=3, context=5)


@pytest.mark.parametrize("call, words", [
    (lambda: linear(X, None), "params must hold its arrays, as the docstring of linear says"),
    (lambda: linear(X, (1, 2, 3)), r"params must hold its arrays.*got \(1, 2, 3\)"),
    (lambda: linear(X, params=7), "params must hold its arrays.*got 7"),
    (lambda: encoder_block(X, None), "params must have .attention_norm, as the docstring of enc"),
    (lambda: encoder(X, [1, 2]), r"params must have .blocks.*got \[1, 2\]"),
    (lambda: language_model(np.array([1]), None, config=CONFIG), "params must have .blocks"),
    (lambda: language_model(np.array([1]), init_language_model(CONFIG, np.random.default_rng(0)),
                            config=3), "config must have .*got 3"),
])
def test_an_argument_of_another_kind_is_named(call, words):
    with pytest.raises(TypeError, match=words) as caught:
        call()
    assert caught.value.__cause__ is not None


@quiet
def strange(X, params):
    """What goes wrong within is not about its arguments."""
    if params == "attribute":
        return np.pi.nothing
    if params == "own":
        raise AttributeError("no name")
    return deep(X)


def deep(X):
    a, b, c = None
    return a, b, c


@pytest.mark.parametrize("params, kind, words", [
    ("attribute", AttributeError, "nothing"), ("own", AttributeError, "no name"),
    ("deep", TypeError, "cannot unpack"),
])
def test_other_errors_stay_as_they_are(params, kind, words):
    with pytest.raises(kind, match=words) as caught:
        strange(None, params)
    assert "params" not in str(caught.value)


def test_a_call_that_python_refuses_stays_as_it_is():
    with pytest.raises(TypeError, match="positional argument"):
        linear(X, None, 3)
    with pytest.raises(TypeError, match="missing 1 required"):
        linear(X)
    assert foreign_argument(linear, (1, 2, 3), {}, AttributeError("x")) == ""
    with pytest.raises(TypeError, match="takes the cache, AttentionCache, that attention returned"):
        attention_backward(X, None)


def test_what_is_inside_of_arguments_is_not_called_an_argument():
    params = init_language_model(CONFIG, np.random.default_rng(0)).blocks[0]
    with pytest.raises(AttributeError, match="query"):
        encoder_block(X, params._replace(attention=None), options=CONFIG.blocks[0])


class Odd:
    def __getattr__(self, name):
        raise AttributeError(name, name=name, obj=self)


@pytest.mark.parametrize("error", [ValueError, TypeError, KeyError, ZeroDivisionError, "missing"])
def test_errors_of_functions_that_are_handed_over_stay_as_they_are(error):
    X = Odd() if error == "missing" else np.ones((2, 3))

    def block(X, params):
        if error == "missing":
            return X.missing
        raise error("of the block")

    with pytest.raises(AttributeError if error == "missing" else error) as caught:
        stack(X, StackParams((None,)), block)
    assert "docstring" not in str(caught.value)


def test_what_such_a_function_hands_on_is_not_called_an_argument():
    def block(X, params):
        return linear(X, block)

    with pytest.raises(TypeError, match="^cannot unpack non-iterable function"):
        stack(X, StackParams((None,)), block)


def page(line, name, *args):
    """Calls a quiet function that stands on a page of npattn with one line."""
    room = {"__name__": "npattn.page"}
    linecache.cache["page.py"] = len(line), None, [line], "page.py"
    exec(compile(line, "page.py", "exec"), room)
    return quiet(room[name])(*args)


def test_a_default_is_not_called_an_argument_of_another_kind():
    with pytest.raises(TypeError, match="^n must be of another kind, as .* add says; got 'three'$"):
        page("def add(n, mask=None): return 2**n + (mask is None)", "add", "three", None)


def test_arrays_of_floats_are_not_called_arguments_of_another_kind():
    line = "def take(X, ids): return X[ids]"
    with pytest.raises(TypeError, match=r"^ids must be .* take says; got array\(\[7\]\)$"):
        page(line, "take", np.ones(3), np.array([7]))
    with pytest.raises(IndexError):
        page(line, "take", np.ones(3), np.ones(3))
