"""A catalogue of bad input: each argument of each pair in turn is spoilt, and the error names it.

No warning of NumPy's, no error of NumPy's: a TypeError or a ValueError of our own. The second part
has options, the third what a pair is given for a gradient or a cache.
"""

import inspect
import re
import warnings

import numpy as np
import pytest

import npattn
from npattn.trees import tree_leaves, tree_unflatten
from npattn.verification.cases import CASES
from npattn.verification.pairs import find_pairs

# what no float array may be; each takes the right one
SPOILT = {
    "text": lambda X: "abc",
    "None": lambda X: None,
    "integers": lambda X: X.astype(int),
    "objects": lambda X: X.astype(object),
    "a number": lambda X: 1.0,
    "booleans": lambda X: X > 0,
    "a list": lambda X: X.tolist(),
}
OPTIONAL = {"b", "sink", "bias", "norm", "weights", "params"}  # arguments that may be None
# An argument that is handed on bears the name that it has there: the memory M gives the keys.
HANDED_ON = {"M": "M|Xk|K", "X": "X|Xq|F", "params": "gain"}
FOREIGN = re.compile(
    "unpack|broadcast together|has no attribute|reshape array|matmul|ufunc|dimension|subscript"
    "|unsupported operand|could not convert|index out of range|setting an array"
)


PAIRS = find_pairs()


def float_arguments():
    """(pair, number, name) of every float array that a pair takes."""
    for name, case in CASES.items():
        if name not in PAIRS:
            continue
        case = case(np.random.default_rng(0))
        names = list(inspect.signature(case.forward or PAIRS[name].forward).parameters)
        for i, argument in enumerate(case.args):
            if isinstance(argument, np.ndarray) and argument.dtype.kind == "f" and argument.ndim:
                yield name, i, names[i]


def refusal(call):
    """The error of our own that the call ends with; no warning comes before it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((TypeError, ValueError)) as caught:
            call()
    message = str(caught.value)
    assert not FOREIGN.search(message), message
    return message


@pytest.mark.thorough
@pytest.mark.parametrize("kind", SPOILT)
@pytest.mark.parametrize(("name", "i", "argument"), [*float_arguments()])
def test_a_spoilt_argument_is_named(name, i, argument, kind):
    case = CASES[name](np.random.default_rng(0))
    if kind == "None" and argument in OPTIONAL or kind == "a list" and case.forward:
        return  # optional; or a case that looks into its arguments before it calls the pair
    forward = case.forward or PAIRS[name].forward
    args = list(case.args)
    args[i] = SPOILT[kind](args[i])
    message = refusal(lambda: forward(*args, **case.options))
    assert re.search(rf"\b({HANDED_ON.get(argument, argument)})\b", message), message


Q, K, V = (np.random.default_rng(i).standard_normal((2, 3, T, 4)) for i, T in enumerate((5, 6, 6)))
ATTENTIONS = [npattn.attention, npattn.tiled_attention]
MASK = np.ones((5, 6), bool)


@pytest.mark.parametrize("attention", ATTENTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(("options", "name"), [
    *[({"scale": value}, "scale") for value in ("0.5", [1.0], np.nan, np.inf, 1j,
                                                np.ones(3), True)],
    *[({"dropout": value}, "dropout") for value in ("0.1", None, [0.1], np.nan, -0.1, 1.0, 1.5,
                                                    np.ones(2))],
    *[({"dropout": 0.1, "rng": value}, "rng") for value in (0, "seed", np.random)],
    *[({"mask": value}, "mask") for value in (MASK.astype(float), MASK.astype(int), "causal", 1,
                                              MASK.T, MASK[:, :5], np.ones((4, 5, 6), bool),
                                              MASK.tolist(), MASK.astype(object))],
], ids=str)
def test_an_option_of_attention_that_cannot_be_is_named(attention, options, name):
    message = refusal(lambda: attention(Q, K, V, **options))
    assert re.search(rf"\b{name}\b", message), message


@pytest.mark.parametrize("attention", ATTENTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(("args", "names"), [
    ((Q[..., :3], K, V), "Q.*K"), ((Q, K[..., :3], V), "Q.*K"), ((Q, K[..., :5, :], V), "K.*V"),
    ((Q, K, V[..., :5, :]), "K.*V"), ((Q[:, :2], K, V), "Q.*K"), ((Q, K, V[[0, 1, 1]]), "V"),
    ((Q.swapaxes(-1, -2), K, V), "Q.*K"), ((Q[0, 0, 0], K, V), "Q"), ((Q, K[0, 0, 0], V), "K"),
    ((Q.astype(np.float32), K, V), "Q"), ((Q, K, V.astype(np.float32)), "V"),
    ((Q, K.astype(np.float16), V), "K"),
], ids=str)
def test_shapes_and_precisions_that_disagree_are_named(attention, args, names):
    assert re.search(names, refusal(lambda: attention(*args)))


@pytest.mark.parametrize(("options", "words"), [
    *[({"causal": value}, "causal must be True or False, got ") for value in ("no", 1, None)],
    *[({"window": value}, "window") for value in (True, 0, -1, 2.0, "3", (1, 2, 3), (-1, 0))],
    *[({"offset": value}, "offset") for value in (np.nan, 1.5, "1", True)],
    *[({"valid_lens": value}, "valid_lens") for value in (np.array([1.5, 2.0]), np.array([7, -1]))],
], ids=str)
def test_a_restriction_of_tiles_that_cannot_be_is_named(options, words):
    message = refusal(lambda: npattn.tiled_attention(Q, K, V, **options))
    assert words in message, message


# Their backward is given no shape, or no width: it moves numbers, of whatever shape they are.
MOVES = {"split_heads", "merge_heads", "unpack"}


def wrong_shapes(shape):
    """No axes, one too many or too few, and each axis in turn of length 1 or longer by 1."""
    axes = [(shape[:k], n, shape[k + 1:]) for k, n in enumerate(shape)]
    changed = [(*before, m, *behind) for before, n, behind in axes for m in (1, n + 1)]
    return {(1, *shape), (2, *shape), shape[1:], (), *changed} - {shape}


def run(name):
    """The output of a pair at the arguments of its case, the cache, and its backward."""
    case, pair = CASES[name](np.random.default_rng(0)), PAIRS[name.split()[0]]
    result = (case.forward or pair.forward)(*case.args, **case.options)
    Y, cache = result if type(result) is tuple else (result, result)
    return Y, cache, case.backward or pair.backward


@pytest.mark.parametrize("name", [name for name in CASES if name not in MOVES])
def test_an_upstream_gradient_of_another_shape_is_no_broadcast(name):
    Y, cache, backward = run(name)
    leaves = [np.asarray(leaf) for leaf in tree_leaves(Y)]
    for i, leaf in enumerate(leaves):
        for shape in wrong_shapes(leaf.shape):
            wrong = [*leaves[:i], np.ones(shape, leaf.dtype), *leaves[i + 1:]]
            dY = tree_unflatten(Y, wrong) if isinstance(Y, tuple) else wrong[0]
            message = refusal(lambda: backward(dY, cache))
            assert re.search(rf"\bd\w+(\.\w)? {re.escape(str(shape))}", message), message
            assert "; d" in message or str(leaf.shape) in message, message


CALLS = [
    (npattn.attention, npattn.attention_backward, (Q, K, V)),
    (npattn.tiled_attention, npattn.tiled_attention_backward, (Q, K, V)),
    (npattn.layer_norm, npattn.layer_norm_backward,
     (Q, npattn.kernels.layer_norm.init_layer_norm(4))),
]


@pytest.mark.parametrize("spoil", [
    lambda dY: dY[..., :-1], lambda dY: dY[0], lambda dY: dY.astype(int), lambda dY: None,
    lambda dY: "dY", lambda dY: dY.astype(np.float32), lambda dY: dY.tolist(), lambda dY: 1.0,
    lambda dY: dY[:1], lambda dY: dY.swapaxes(-1, -2), lambda dY: dY.astype(object),
])
@pytest.mark.parametrize(("forward", "backward", "args"), CALLS, ids=["plain", "tiled", "norm"])
def test_a_gradient_that_does_not_fit_the_output_is_named(forward, backward, args, spoil):
    Y, cache = forward(*args)
    assert re.search(r"\bd[OY]\b", refusal(lambda: backward(spoil(Y), cache)))
