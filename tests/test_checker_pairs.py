"""How a checker calls a pair, and in which form arguments and gradients travel."""

import operator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

from npattn.checking import gradcheck, gradcheck_layer
from npattn.checking.containers import as_tree, from_tree, is_container
from npattn.checking.layers import _steps, read, write
from npattn.checking.pairs import Pair, argument_names, keeps_keywords, random_upstream
from npattn.trees import tree_items

X = np.array([0.5, -1.5])


class Two(NamedTuple):
    a: object
    b: object


@dataclass
class Held:
    W: np.ndarray


def same(X, *rest, **options):
    return X, X


def handed_back(dY, cache):
    return dY


# ---- containers ----


def test_a_tuple_is_a_container_if_any_of_its_parts_is_and_a_class_is_none():
    assert is_container((X, {})) and is_container(Held(X)) and is_container([])
    assert not any(map(is_container, [(X, X), (), X, 3, None, Held, dict]))


@pytest.mark.parametrize("value, paths", [
    ({"W": X, "lambda": X, "_b": X}, ["p.W", "p._1", "p._2"]),
    ({"W": X, "b 1": X}, ["p[0]", "p[1]"]),
    ({"W": X, 1: X}, ["p[0]", "p[1]"]),
    ({}, []),
    (Two({"W": X}, X), ["p.a.W", "p.b"]),
    (({"W": X}, X), ["p[0].W", "p[1]"]),
])
def test_containers_become_trees_and_come_back(value, paths):
    tree = as_tree(value)
    assert [path for path, _ in tree_items(tree, "p")] == paths
    assert (type(tree) is tuple) == (not paths or "[" in paths[0])
    back = from_tree(tree, value)
    assert type(back) is type(value) and repr(back) == repr(value)


def test_a_sequence_of_another_length_stays_as_it_is():
    value = [X]
    assert as_tree(value, [X, X]) is value and as_tree(X, [X, X]) is X
    assert as_tree((X, X), [X, X]) == (X, X)


# ---- what f is given ----


def given(f_args, *forwards, writable=False):
    """What f sees: of each array, in turn, its dtype and whether it may be written to."""
    seen = []

    def f(X, params, w=None):
        for array in (X, *params, w):
            seen.append((array.dtype.str[1:], array.flags.writeable))
        return X

    args, kwargs = f_args
    pair = Pair(f, handed_back, args, kwargs)
    if writable:
        pair.allow_writing()
    for options in forwards:
        pair.forward(**options)
    return seen


def test_arguments_are_read_only_copies_and_writable_ones_for_code_that_asks():
    args = [X, (X, X)], {"w": X}
    assert given(args, {}) == [("f8", False)] * 4
    assert given(args, {}, writable=True) == [("f8", True)] * 3 + [("f8", False)]
    ones = [np.ones(2), np.ones(2), np.ones(2)]
    seen = []
    pair = Pair(lambda X, p: seen.append(X) or X, handed_back, [X, (X, X)], {})
    for _ in range(2):
        pair.forward(ones)
        pair.allow_writing()
    assert all(given is ones[0] for given in seen) and X.flags.writeable


def test_other_leaves_are_met_in_double_precision_unless_told():
    single = X.astype(np.float32)
    args, leaves = ([single, (single, single)], {"w": single}), [X, X, X]
    assert [kind for kind, _ in given(args, {})] == ["f4"] * 4
    assert [kind for kind, _ in given(args, {"leaves": leaves})] == ["f8"] * 4
    assert [kind for kind, _ in given(args, {"leaves": leaves, "widen": False})] == [
        "f8", "f8", "f8", "f4"]


def test_what_refuses_doubles_gets_float32_and_any_other_refusal_is_told_at_once():
    calls = []

    def f(A, B):
        calls.append((A.dtype.str[1:], B.dtype.str[1:]))
        if A.dtype == np.float64:
            raise TypeError("float32 only")
        return A * 2.0, B

    single = X.astype(np.float32)
    pair = Pair(f, handed_back, [single, X], {})
    for _ in range(2):
        np.testing.assert_array_equal(pair.outputs([X, X]), 2 * X)
    assert calls == [("f8", "f8"), ("f4", "f8"), ("f4", "f8")]
    np.testing.assert_array_equal(pair.outputs([X + 1j, X]), 2 * X + 2j)
    calls.clear()
    with pytest.raises(TypeError, match="float32 only"):
        Pair(f, handed_back, [X, X], {}).outputs([X, X])
    assert len(calls) == 1

    def picky(A):
        calls.append(A)
        if np.isnan(A).any():
            raise ValueError("NaN")
        return A

    pair = Pair(picky, handed_back, [single], {})
    assert pair.outputs([X]).dtype == np.float64     # it takes doubles
    calls.clear()
    with pytest.raises(ValueError, match="NaN"):
        pair.outputs([X * np.nan])
    assert len(calls) == 1


def test_outputs_come_without_floating_point_warnings():
    with np.errstate(all="raise"):
        assert Pair(lambda X: 1 / X, handed_back, [X], {}).outputs([0 * X]).tolist() == [
            np.inf, -np.inf]


def test_float32_and_float64_may_stand_in_one_tree_and_bytes_in_any_order():
    def f(X, p):
        assert X.dtype.isnative and p.a.dtype.isnative
        return X * p.a * p.b, (X, p)

    def backward(dY, cache):
        X, p = cache
        da, db = dY * X * p.b, dY * X * p.a
        return dY * p.a * p.b, Two(da.astype(p.a.dtype), db)

    swapped = Two(X.astype(">f4"), X)
    assert gradcheck(f, backward, X.astype(">f8"), swapped).ok


# ---- what f gives ----


def test_methods_of_one_object_may_keep_a_cache_or_none():
    class Layer:
        def forward(self, X):
            return X * X

        def pair(self, X):
            return X * X, X

        def three(self, X):
            return X * X, X, X

        def backward(self, dY, cache):
            return dY, cache

    layer, X = Layer(), np.array([2.0, 3.0])

    def result(f):
        Y, owned = Pair(f, layer.backward, [X], {}).forward()
        assert isinstance(owned.owner, Layer) and owned.owner is not layer
        return Y, owned.cache

    Y, cache = result(layer.forward)
    assert Y is cache and Y.tolist() == [4.0, 9.0]
    Y, cache = result(layer.pair)
    assert Y.tolist() == [4.0, 9.0] and cache.tolist() == [2.0, 3.0]
    Y, cache = result(layer.three)
    assert Y is cache and len(Y) == 3


def test_a_compiled_function_is_no_method_of_its_module():
    assert Pair(operator.neg, handed_back, [X], {}).owner is None


def test_a_container_of_outputs_is_compared_as_a_tree_and_is_the_cache_as_it_came():
    given = {"Y": X}
    Y, cache = Pair(lambda X: given, handed_back, [X], {}).forward()
    assert cache is given and type(Y).__name__ == "dict" and Y.Y is X


def test_an_upstream_gradient_has_the_form_of_the_output(rng):
    dY = random_upstream((np.float32(1.0), np.array(2.0), X), rng)
    assert [type(d) for d in dY] == [np.float32, np.float64, np.ndarray]
    assert dY[2].dtype == np.float64 and not dY[2].flags.writeable


# ---- names ----


def test_arguments_beyond_the_signature_are_numbered_from_0():
    assert argument_names(lambda X, Y, *rest: X, 4) == ["X", "Y", "rest[0]", "rest[1]"]
    assert argument_names(lambda X, Y: X, 1) == ["X"]


def test_a_checker_keeps_its_own_keywords_and_passes_the_others_on():
    @keeps_keywords
    def check(f, f_backward, *args, seed=0, **kwargs):
        return seed, kwargs

    assert check(same, None, X, seed=3, other=4) == (3, {"other": 4})
    assert check(lambda X: X, None, X, seed=3) == (3, {})
    assert check(lambda seed: X, None, X, seed=3) == (3, {})     # given by position
    with pytest.raises(ValueError, match="^check and f both have a parameter seed, and 3 would"):
        check(lambda X, seed=0: X, None, X, seed=3)
    with pytest.raises(TypeError, match="^sead is no parameter of f and no option of check, which"):
        check(lambda X: X, None, X, sead=3)


# ---- layers ----


class Table:
    """Rows of a table, and what is added to them; the gradients add up, in a dict."""

    def __init__(self):
        self.parts = [{"E": np.arange(6.0).reshape(3, 2)}]
        self.grads = {"E": np.ones((3, 2)), "calls": 0}

    def forward(self, rows, more=0.0):
        self.rows, self.more = rows, more
        return self.parts[0]["E"][rows] + more * more, "anything"

    def backward(self, dY):
        np.add.at(self.grads["E"], self.rows, dY)
        self.grads["calls"] += 1
        return None if np.ndim(self.more) == 0 else 2.0 * self.more * dY

    def forth(self, A, B):
        self.A, self.B = A, B
        return A * B

    def back(self, dY):
        return dY * self.B, dY * self.A


def test_layers_have_gradients_of_their_float_inputs_and_of_what_they_keep():
    layer, rows, more = Table(), np.array([2, 0]), np.ones((2, 2))
    table = {"parts[0]['E']": "grads['E']"}

    def check(*inputs, **options):
        report = gradcheck_layer(layer, *inputs, **options)
        assert report.ok, str(report)
        assert layer.grads["E"].tolist() == [[1.0, 1.0]] * 3 and layer.grads["calls"] == 0
        assert report.name == options.get("name", "Table")
        return [row.path for row in report.rows]

    assert check(rows, params=table) == ["dparts[0][E]"]            # no float among the inputs
    assert check(rows, more) == ["dX1"]
    assert check(rows, more, params=table) == ["dX1", "dparts[0][E]"]
    options = {"forward": "forth", "backward": "back"}
    assert check(more, 2 * more, **options) == ["dX0", "dX1"]
    assert check(more, 2 * more, names=["A", "B"], name="times", **options) == ["dA", "dB"]


def test_paths_of_layers_go_through_attributes_keys_and_places():
    assert _steps("norm['W']") == ["norm", ("W",)] and _steps('a.b["c"].d') == [
        "a", "b", ("c",), "d"]
    assert _steps("layers[0][-1].W") == ["layers", (0,), (-1,), "W"] and _steps("[x-1]") == [
        ("x-1",)]
    layer = Table()
    assert read(layer, "parts[0]['E']") is layer.parts[0]["E"]
    for path in ("parts[-1]['E']", "grads['E']", "rows"):
        write(layer, path, X)
        assert read(layer, path) is X
    assert layer.parts[0]["E"] is layer.grads["E"] is layer.rows is X
    with pytest.raises(AttributeError, match="weights"):
        gradcheck_layer(layer, X, params={"weights": "grads"})
