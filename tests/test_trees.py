from typing import NamedTuple

import numpy as np
import pytest

from npattn.trees import tree_items, tree_leaves, tree_map, tree_unflatten


class Linear(NamedTuple):
    W: np.ndarray
    b: np.ndarray | None


class Model(NamedTuple):
    stack: tuple
    head: Linear


def model(start=0.0):
    a, b, c = start + np.ones((2, 3)), start + np.zeros(3), start + np.full((3, 1), 2.0)
    return Model(stack=(Linear(a, b), Linear(c, None)), head=Linear(np.array(start), None))


def test_items_read_like_the_python_that_fetches_them():
    tree = model()
    paths = [path for path, _ in tree_items(tree, "params")]
    assert paths == ["params.stack[0].W", "params.stack[0].b", "params.stack[1].W", "params.head.W"]
    for path, leaf in tree_items(tree, "params"):
        assert eval(path, {"params": tree}) is leaf


def test_items_of_an_unnamed_tree_carry_no_leading_dot():
    assert [path for path, _ in tree_items(model().head)] == ["W"]
    assert [path for path, _ in tree_items((np.ones(1), np.ones(2)))] == ["[0]", "[1]"]


def test_a_bare_array_is_a_tree_and_none_has_no_leaf():
    X = np.ones(2)
    [(path, leaf)] = tree_items(X, "X")
    assert path == "X" and leaf is X
    assert tree_leaves(None) == [] == tree_leaves(())
    assert tree_map(np.negative, None) is None
    assert tree_map(np.negative, ()) == ()


def test_map_keeps_types_and_none():
    doubled = tree_map(lambda leaf: 2 * leaf, model())
    assert type(doubled) is Model and type(doubled.stack) is tuple
    assert type(doubled.head) is Linear and doubled.head.b is None
    np.testing.assert_array_equal(doubled.stack[1].W, np.full((3, 1), 4.0))


def test_map_over_several_trees_pairs_the_leaves():
    difference = tree_map(lambda p, d, s: p - d * s, model(1.0), model(0.0), model(0.0))
    expected = [1 + a - a * a for a in tree_leaves(model(0.0))]
    for got, want in zip(tree_leaves(difference), expected, strict=True):
        np.testing.assert_array_equal(got, want)


def test_map_names_the_place_where_trees_disagree():
    short = model()._replace(stack=model().stack[:1])
    with pytest.raises(ValueError, match="at stack: tuple of 2 against tuple of 1"):
        tree_map(np.add, model(), short)
    with_bias = model()._replace(head=Linear(np.ones(()), np.ones(())))
    with pytest.raises(ValueError, match=r"at head\.b: None against an array"):
        tree_map(np.add, model(), with_bias)
    with pytest.raises(ValueError, match="at the root: Linear of 2 against tuple of 2"):
        tree_map(np.add, Linear(np.ones(1), np.ones(1)), (np.ones(1), np.ones(1)))


@pytest.mark.parametrize("bad", [[np.ones(1)], {"W": np.ones(1)}])
def test_lists_and_dicts_are_refused(bad):
    with pytest.raises(TypeError, match=type(bad).__name__):
        tree_map(np.negative, (bad,))
    with pytest.raises(TypeError, match="made of arrays, None and tuples"):
        tree_leaves(bad)


def test_unflatten_undoes_leaves():
    tree = model(3.0)
    again = tree_unflatten(tree, tree_leaves(tree))
    assert type(again) is Model and again.stack[1].b is None
    for a, b in zip(tree_leaves(tree), tree_leaves(again), strict=True):
        assert a is b


def test_unflatten_takes_any_iterable_and_counts_it():
    assert tree_unflatten(Linear(np.ones(1), None), iter([5])) == Linear(5, None)
    with pytest.raises(ValueError, match="the tree has, 1, got 2"):
        tree_unflatten(np.ones(1), [1, 2])
