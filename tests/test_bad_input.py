"""A catalogue of bad input: each argument of each pair in turn is spoilt, and the error names it.

No warning of NumPy's, no error of NumPy's: a TypeError or a ValueError of our own. The second part
has options, the third what a pair is given for a gradient or a cache, the last all else.
"""

import inspect
import re
import warnings
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

import npattn
from npattn import KeysValues, TransformerConfig, nn, training
from npattn.doctor import doctor
from npattn.kernels.options import CAPS
from npattn.models.bert import text_vectors
from npattn.models.block import decoder_block, encoder_block, init_decoder_block
from npattn.models.continuation import continue_tokens, next_logits
from npattn.models.head_extras import Rotary
from npattn.models.kernel_choice import chosen_attention
from npattn.models.kv_cache import KVCache
from npattn.models.language_model import (
    LanguageModelConfig, init_language_model, language_model,
)
from npattn.models.multihead import self_attention
from npattn.models.patch_attention import inner_patch_attention
from npattn.models.sampling import sample
from npattn.models.search import greedy_answers
from npattn.models.transformer import embed_tokens
from npattn.trees import tree_leaves, tree_map, tree_unflatten
from npattn.verification.cases import CASES
from npattn.verification.pairs import find_pairs
from npattn.weights import find_weights

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


@pytest.mark.parametrize(("name", "i", "argument"), [*float_arguments()])
def test_a_shape_that_does_not_fit_ends_in_no_error_of_numpy(name, i, argument):
    case = CASES[name](np.random.default_rng(0))
    forward, X = case.forward or PAIRS[name].forward, case.args[i]
    for shape in wrong_shapes(X.shape):
        args = [*case.args[:i], np.ones(shape, X.dtype), *case.args[i + 1:]]
        try:
            forward(*args, **case.options)
        except (TypeError, ValueError) as error:  # shapes that fit as well may pass
            assert not FOREIGN.search(str(error)), str(error)


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


@pytest.mark.parametrize("name", [name for name in CASES if name.split()[0] in PAIRS])
def test_numbers_of_the_other_order_of_bytes_are_the_same_numbers(name):
    case, pair = CASES[name](np.random.default_rng(0)), PAIRS[name.split()[0]]
    expected, forward = run(name)[0], case.forward or pair.forward

    def swapped(X):
        return X.astype(X.dtype.newbyteorder()) if isinstance(X, np.ndarray) else X

    Y = forward(*(tree_map(swapped, X) for X in case.args), **case.options)
    Y = Y[0] if type(Y) is tuple else Y
    for found, want in zip(tree_leaves(Y), tree_leaves(expected), strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-10, atol=1e-12)


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


class OtherCache(NamedTuple):
    """A cache that belongs to no page."""

    X: np.ndarray


HAND_ON = {"cat", "decoder", "encoder", "chosen_attention", "normalize"}  # the cache of another


def takes_a_cache(pair):
    """Whether the backward reads a cache, and no output or sizes."""
    return "cache" in inspect.signature(pair.backward).parameters


@pytest.mark.parametrize("name", [name for name, pair in PAIRS.items() if takes_a_cache(pair)])
def test_the_cache_of_another_page_is_named(name):
    backward = PAIRS[name].backward
    for cache, came in ((OtherCache(Q), "OtherCache"), (None, "NoneType"), ((Q, K, V), "tuple")):
        message = refusal(lambda: backward(Q, cache))
        if name in HAND_ON:
            assert re.search(r"\w+_backward takes the cache, .* got \w+$", message), message
        else:
            words = rf"{backward.__name__} takes the cache, \w+Cache.*, .* got {came}$"
            assert re.search(words, message), message


SIZES = 0, -1, 2.5, "3", None, True


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "build"), [
    ("Din", lambda n: nn.Linear(n, 3)), ("Dout", lambda n: nn.Linear(3, n)),
    ("vocabulary", lambda n: nn.Embedding(n, 3)), ("D", lambda n: nn.Embedding(3, n)),
    ("D", nn.LayerNorm), ("D", lambda n: nn.FeedForward(n, 3)),
    ("F", lambda n: nn.FeedForward(3, n)), ("Dq", lambda n: nn.AdditiveAttention(n, 3, 3)),
    ("H", lambda n: nn.AdditiveAttention(3, 3, n)),
    ("Da", lambda n: nn.BidirectionalAttention(n, 3, 3)),
    ("D", lambda n: nn.MultiHeadAttention(n, 1)), ("D", lambda n: nn.EncoderBlock(n, 1, 4)),
    ("F", lambda n: nn.DecoderBlock(4, 1, n)), ("F", lambda n: nn.TransformerEncoder(4, 1, n, 1)),
])
def test_a_width_of_a_layer_that_cannot_be_is_named(name, build, size):
    assert re.match(rf"{name} must be (at least 1|an integer), got ", refusal(lambda: build(size)))


@pytest.mark.parametrize("flag", ["no", 1, None])
@pytest.mark.parametrize(("name", "build"), [
    *[(name, lambda flag, name=name: nn.MultiHeadAttention(4, 2, **{name: flag}))
      for name in ("bias", "output", "sink", "qk_norm")],
    ("bias", lambda flag: nn.Linear(3, 4, bias=flag)),
    ("bias", lambda flag: npattn.init_layer_norm(3, bias=flag)),
    ("bias", lambda flag: nn.EncoderBlock(4, 2, 4, bias=flag)),
    ("zero_key", lambda flag: nn.MultiHeadAttention(4, 2, zero_key=flag)(*[Q] * 3)),
    ("extra_key", lambda flag: npattn.init_multihead(4, np.random.default_rng(0), extra_key=flag)),
])
def test_a_switch_that_is_neither_true_nor_false_is_named(name, build, flag):
    assert f"{name} must be True or False, got {flag!r}" in refusal(lambda: build(flag))


@pytest.mark.parametrize(("call", "words"), [
    (lambda: nn.MultiHeadAttention(4, 2, head_width=0), "head_width must be at least 1, got 0"),
    (lambda: nn.MultiHeadAttention(4, 2, head_width=2.5), "head_width must be an integer, got 2.5"),
    (lambda: npattn.rms_norm(Q, np.ones(4), eps="x"), "eps must be a number, got 'x'"),
    (lambda: nn.TransformerEncoder(4, 2, 4, -1), "num_blocks must be at least 0, got -1"),
    (lambda: nn.Dropout(-0.1), "dropout rate must lie in [0, 1), got -0.1"),
    (lambda: nn.Dropout("0.1"), "dropout rate must be a number in [0, 1), got '0.1'"),
    (lambda: npattn.training.schedules.constant(1, lr=-1), "lr must be at least 0, got -1"),
    (lambda: npattn.training.schedules.constant(1, lr=np.nan), "lr must be finite, got nan"),
    (lambda: npattn.training.schedules.constant(1, lr="0.1"), "lr must be a number, got '0.1'"),
    (lambda: npattn.training.schedules.linear_warmup_linear_decay(1, peak=-1, warmup=1, total=9),
     "peak must be at least 0, got -1"),
    (lambda: npattn.plots.anatomy(None), "cache must be an AttentionCache, which `attention` "),
    (lambda: greedy_answers(None, None, 1, bos=0, eos=1, max_len=-1),
     "max_len must be at least 0, got -1"),
    (lambda: greedy_answers(None, None, 1, bos=0, eos=1, max_len=1.5),
     "max_len must be an integer, got 1.5"),
], ids=range(13))
def test_what_else_cannot_be_is_named(call, words):
    assert words in refusal(call)


CONFIG = LanguageModelConfig(11, 8, 2, 12, 20, num_heads=2)
PARAMS = init_language_model(CONFIG, np.random.default_rng(0))
TOKENS = np.array([1, 2, 3])
LOGITS = np.array([0.0, 1.0, -1.0])
X = np.random.default_rng(0).standard_normal((3, 8))
DECODER = init_decoder_block(8, 12, np.random.default_rng(0), options=CONFIG)


def modelled(tokens=TOKENS, config=CONFIG, **options):
    return lambda: language_model(tokens, PARAMS, config=config, **options)


def continued(tokens=TOKENS, **options):
    return lambda: [*continue_tokens(tokens, PARAMS, config=CONFIG, **{"limit": 2} | options)]


@pytest.mark.parametrize(("call", "words"), [
    *[(modelled(**options), words) for options, words in [
        (dict(config=replace(CONFIG, num_blocks=3)), "params have 2 blocks, the config 3"),
        (dict(tokens=np.array(1)), "tokens (); wanted tokens (..., T)"),
        (dict(tokens=[1]), "tokens must be an integer array, got list"),
        (dict(where=np.array([0, 1, 1])), "where must be a boolean array (3,), got array([0, 1, 1"),
        (dict(where=[True, False, True]), "where must be a boolean array (3,), got [True, False"),
        (dict(where=np.array([True])), "where must be a boolean array (3,), got array([ True])"),
        (dict(heads_off=[0]), "heads_off and patch name a head by (block, head), got 0"),
        (dict(patch={(1, 0): np.zeros((2, 4))}), "the patch of head 0 must be 0.0 or (3, 4), got "),
    ]],
    *[(continued(**options), words) for options, words in [
        (dict(tokens=TOKENS[None]), "tokens (1, 3); wanted tokens (T,)"),
        (dict(tokens=np.array(1)), "tokens (); wanted tokens (T,)"),
        (dict(limit=-1), "limit must be at least 0, got -1"),
        (dict(limit=2.0), "limit must be an integer, got 2.0"),
        (dict(temperature=None), "temperature must be a number, got None"),
        (dict(threads=0), "threads must be at least 1, got 0"),
        (dict(stop=2), "stop must hold tokens, such as (2,), got 2"),
    ]],
    *[(lambda past=past: encoder_block(X, PARAMS.blocks[0], past=past, options=CONFIG),
       f"past must be KeysValues, or a layer of a KVCache, cache.layer(i); got {kind}")
      for past, kind in [(3, "int"), ((X, X), "tuple"), (KVCache(CONFIG, 3), "KVCache")]],
    *[(lambda past=past: decoder_block(X, X, DECODER, past=past, options=CONFIG),
       "past must be two: of the self-attention, and of the memory; got ")
      for past in (3, None, (None,), (None, None, None))],
    (lambda: self_attention(X, PARAMS.blocks[0].attention, num_heads=2, qk_eps=-1),
     "qk_eps must be 0 or more, such as 1e-6, got -1"),
    (lambda: self_attention(X, PARAMS.blocks[0].attention, num_heads=2, turn=Rotary(width=0)),
     "width must be at least 2, got 0"),
    (lambda: self_attention(X, PARAMS.blocks[0].attention, num_heads=2, past=KeysValues(3, 4)),
     "past.K must be a NumPy array, got int"),
    (lambda: self_attention(X, PARAMS.blocks[0].attention, num_heads=2,
                            turn=Rotary(speeds=(np.nan,))), "positions and speeds must be finite"),
    (lambda: next_logits(TOKENS[None], PARAMS, KVCache(CONFIG, 5), config=CONFIG),
     "wanted tokens (T,)"),
    (lambda: next_logits(TOKENS, PARAMS, KVCache(CONFIG, 5), config=replace(CONFIG, num_blocks=3)),
     "params have 2 blocks, the config 3"),
    (lambda: next_logits(TOKENS, PARAMS, KVCache(CONFIG, 5), config=CONFIG),
     "the cache is float32, but the model is float64: make one with KVCache(config, room, np.flo"),
    (lambda: next_logits(TOKENS, PARAMS, KVCache(replace(CONFIG, num_blocks=3), 5, float),
                         config=CONFIG), "the cache has 3 blocks, the config 2"),
    (lambda: next_logits(TOKENS, PARAMS, KVCache(replace(CONFIG, head_width=6), 5, float),
                         config=CONFIG), "heads of keys, 6 wide each; these are "),
    (lambda: next_logits(TOKENS, PARAMS, None, config=CONFIG), "cache must be a KVCache, got None"),
    (lambda: encoder_block(X, PARAMS.blocks[0], past=KVCache(CONFIG, 2, float).layer(0),
                           options=CONFIG), "room for 2 tokens and holds 0, so 3 more do not fit"),
    *[(lambda options=options: self_attention(
        X, PARAMS.blocks[0].attention, num_heads=2, past=KVCache(CONFIG, 3, float).layer(0),
        **options), f"a KVCache attends without a {words}; hand over KeysValues as past")
      for options, words in [
          (dict(zero_key=True), "key behind the others"),
          (dict(dropout=0.5, rng=np.random.default_rng(0)), "dropout")]],
    (lambda: KVCache(CONFIG, 3).grow(4), "the cache is full: it has room for 3 tokens and holds 0"),
    (lambda: KVCache(CONFIG, 3).grow(-1), "tokens must be at least 0, got -1"),
    (lambda: sample(LOGITS + 1j, temperature=0.0), "logits must be real numbers, got complex128"),
    (lambda: KVCache(CONFIG, -1), "room must be at least 0, got -1"),
    (lambda: KVCache(CONFIG, 3, int), "dtype must be float32 or float64, got int64"),
    *[(lambda logits=logits: sample(np.array(logits), np.random.default_rng(0)),
       f"the largest of the logits must be a finite number, got {largest}")
      for logits, largest in [([0.0, np.nan], "nan"), ([np.inf, 0.0], "inf"), ([-np.inf], "-inf"),
                              ([], "-inf")]],
    (lambda: sample(np.array([1, 2], np.uint8), temperature=0.0), "logits must be float32 or"),
    (lambda: sample(LOGITS[None], temperature=0.0), "wanted logits (V,)"),
    (lambda: sample(LOGITS, temperature="1"), "temperature must be a number, got '1'"),
    (lambda: sample(LOGITS, top_p=None), "top_p must be a number, got None"),
    *[(lambda options=options: replace(CONFIG, **options), words) for options, words in [
        (dict(windows=5), "windows must be one for each of 2 blocks, got 5"),
        (dict(windows=(0, 3)), "window must be at least 1, got 0"),
        (dict(window=(1,)), "window must be an integer or (left, right), got (1,)"),
        (dict(window=(1, -1)), "window[1] must be at least 0, got -1"),
        (dict(local_rotary="x"), 'rotary must be "interleaved" or "halves", got \'x\''),
        (dict(embedding_scale=np.nan), "embedding_scale must be finite, got nan"),
        (dict(eps=None), "eps must be a number, got None"), (dict(eps=-1.0), "eps must be 0 or mo"),
        (dict(cap=0.0), "cap must be positive"), (dict(scale="1"), "scale must be a number"),
        *[({name: value}, f"{name} must be True or False, got {value!r}")
          for name in ("bias", "gated", "qk_norm", "sink") for value in ("no", None)],
    ]],
])
def test_what_cannot_be_in_a_language_model_is_named(call, words):
    assert words in refusal(call)


def test_a_token_of_minus_infinity_is_never_drawn_and_nothing_warns():
    logits, rng = np.array([-np.inf, 1e308, -1e308]), np.random.default_rng(0)
    with np.errstate(all="raise"):
        for temperature in (0.0, 5e-324, 1.0, 1e300):
            drawn = {sample(logits, rng, temperature=temperature) for _ in range(50)}
            assert 1 in drawn and 0 not in drawn


def test_weights_that_are_nan_give_nan_without_a_warning():
    broken = PARAMS._replace(embedding=PARAMS.embedding * np.nan)
    with np.errstate(all="raise"):
        logits, _ = language_model(TOKENS, broken, config=CONFIG)
        last = next_logits(TOKENS, broken, KVCache(CONFIG, 3, float), config=CONFIG)
    assert np.isnan(logits).all() and np.isnan(last).all()
    with pytest.raises(ValueError, match="the largest of the logits must be a finite number"):
        [*continue_tokens(TOKENS, broken, config=CONFIG, limit=2)]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_state_that_is_not_finite_is_named_and_nothing_is_loaded(broken):
    layer = nn.Linear(2, 3, rng=0)
    before = layer.state_dict()
    state = {**layer.state_dict(), "W": np.full((2, 3), broken), "b": np.ones(3)}
    assert "W holds NaN or inf" in refusal(lambda: layer.load_state_dict(state))
    assert all(np.array_equal(before[path], X) for path, X in layer.state_dict().items())


@pytest.mark.parametrize("mask", [MASK, None, [[True]]], ids=str)
def test_a_mask_that_is_no_tensor_is_named(mask):
    pytest.importorskip("torch", reason="torch is not installed")
    from npattn import torch_bridge as bridge

    for call in (bridge.from_key_padding_mask, lambda mask: bridge.from_attn_mask(mask, 1)):
        assert "the mask must be a torch tensor, got " in refusal(lambda: call(mask))


FLOATS = np.ones((3, 4))
RNG = np.random.default_rng(0)
SMALL_LORA = npattn.init_lora(4, 3, 2, RNG)
TEXTS, IDS = np.ones((2, 4)), np.array([0, 1])
KINDS = {  # of options, and what each of them is not
    "text": "abc", "bytes": b"a", "an array": np.ones(2), "a list": [1], "an object": object(),
    "complex": 1j, "timedelta": np.timedelta64(1, "s"), "a class": int,
}
REAL_OPTIONS = [
    ("scale", lambda x: npattn.lora(FLOATS, SMALL_LORA, scale=x)),
    ("scale", lambda x: npattn.merge_lora(np.ones((4, 3)), SMALL_LORA, scale=x)),
    ("scale", lambda x: npattn.linear_attention(
        FLOATS, FLOATS, FLOATS, npattn.Gates(), np.zeros((4, 4)), scale=x)),
    ("scale", lambda x: npattn.attention(FLOATS, FLOATS, FLOATS, scale=x)),
    ("label_smoothing", lambda x: npattn.token_losses(TEXTS, IDS, label_smoothing=x)),
    ("initial", lambda x: npattn.differential_lambda([FLOATS] * 4, initial=x)),
    ("cap", lambda x: npattn.soft_cap(FLOATS, x)),
    ("threshold", lambda x: npattn.mask_from_additive(FLOATS * 0, threshold=x)),
    ("eps", lambda x: npattn.rms_norm(FLOATS, np.ones(4), eps=x)),
]
INTEGER_OPTIONS = [
    ("ignore", lambda n: npattn.cross_entropy(TEXTS, IDS, ignore=n)),
    ("padding", lambda n: npattn.embedding(IDS, TEXTS, padding=n)),
    ("max_len", lambda n: npattn.pad_sequences([[1]], n)),
    ("patch", lambda n: inner_patch_attention(np.ones((4, 4, 4)), None, patch=n)),
    ("offset", lambda n: npattn.sinusoidal_positions(3, 4, offset=n)),
    ("D", lambda n: npattn.init_rms_norm(n)), ("D", lambda n: npattn.init_qk_norm(n)),
    ("C", lambda n: npattn.init_channel_attention(n, RNG)),
    ("ratio", lambda n: npattn.init_channel_attention(4, RNG, ratio=n)),
]
FLAG_OPTIONS = [
    ("use_max", lambda b: npattn.channel_attention(
        np.ones((2, 2, 4)), npattn.init_channel_attention(4, RNG, ratio=2), use_max=b)),
    ("frozen", lambda b: language_model(TOKENS, PARAMS, config=CONFIG, frozen=b)),
]
CHOICES = [
    ("reduction", lambda c: npattn.cross_entropy(TEXTS, IDS, reduction=c)),
    ("pairing", lambda c: npattn.rotary(FLOATS, pairing=c)),
    ("kernel", lambda c: self_attention(X, PARAMS.blocks[0].attention, num_heads=2, kernel=c)),
    ("pooling", lambda c: text_vectors(FLOATS, pooling=c)),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "call"), [
    *REAL_OPTIONS, *INTEGER_OPTIONS, *FLAG_OPTIONS, *CHOICES])
def test_an_option_of_another_kind_is_named(name, call, kind):
    assert re.match(rf"{name} must be (a number|an integer|True or False|\")", refusal(
        lambda: call(KINDS[kind])))


@pytest.mark.parametrize(("name", "call"), REAL_OPTIONS)
@pytest.mark.parametrize("number", [10**400, np.nan])
def test_a_number_beyond_all_floats_is_named(name, call, number):
    assert re.search(rf"\b{name} must (be|lie)", refusal(lambda: call(number)))


FAR = 2**63 - 1


@pytest.mark.parametrize(("name", "call"), [
    ("offset", lambda: npattn.causal_mask(3, offset=FAR)),
    ("offset", lambda: npattn.causal_mask(3, offset=np.array([2**63], np.uint64))),
    ("offset", lambda: npattn.window_mask(3, left=1, offset=-FAR)),
    ("right", lambda: npattn.window_mask(3, right=FAR, offset=1)),
    ("prefix", lambda: npattn.prefix_mask(-FAR, 3)),
    ("offset", lambda: npattn.relative_bias(np.ones((3, 2)), 3, 3, offset=FAR)),
    ("Tk", lambda: npattn.relative_bias(np.ones((3, 2)), 3, 2**70)),
    ("offset", lambda: npattn.sinusoidal_positions(3, 4, offset=2**62)),
    ("offset", lambda: npattn.rotary(FLOATS, offset=2**70)),
])
def test_a_place_that_no_integer_of_numpy_holds_is_named(name, call):
    assert f"{name} must be at most 2**53 in size, got " in refusal(call)


@pytest.mark.parametrize("n", [np.int8(100), np.uint8(100), np.uint64(100), np.int64(100)])
def test_a_narrow_integer_of_numpy_counts_as_the_same_integer(n):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        E, X = np.arange(400.0).reshape(200, 2), np.ones((60, 2))
        for call in (
            lambda n: npattn.learned_positions(X, E, offset=n)[0],
            lambda n: npattn.sinusoidal_positions(200, 2, offset=n),
            lambda n: npattn.rotary(np.ones((200, 2)), offset=n)[0],
            lambda n: npattn.rotary(X, offset=n, table=npattn.rotary_table(
                np.arange(160), npattn.rotary_speeds(2)))[0],
            lambda n: npattn.relative_bias(E[:199], 50, 200, offset=n)[0],
            lambda n: npattn.causal_mask(50, 200, offset=n),
        ):
            np.testing.assert_array_equal(call(n), call(100))


def test_a_cap_at_the_ends_of_its_range_is_finite_in_float32():
    S = np.array([-3.0, 0.0, 3.0], np.float32)
    for cap in CAPS:
        assert np.isfinite(npattn.soft_cap(S, cap)[0]).all()
        assert np.isfinite(npattn.tiled_attention(*[S[:, None]] * 3, cap=cap)[0]).all()
    for cap in (1e-60, 1e308):
        assert "cap must be positive" in refusal(lambda: npattn.soft_cap(S, cap))


MASKED = np.ma.array([2, 1], mask=[False, True])


@pytest.mark.parametrize(("call", "words"), [
    (lambda: npattn.valid_lens_mask(MASKED, 3), "valid_lens is a masked array, whose mask would"),
    (lambda: npattn.tiled_attention(*[FLOATS[None]] * 3, valid_lens=MASKED[:1]),
     "valid_lens is a masked array"),
    (lambda: npattn.tiled_attention(*[FLOATS[None]] * 3, causal=True, offset=MASKED[:1]),
     "offset is a masked array"),
    (lambda: npattn.causal_mask(3, offset=MASKED), "offset is a masked array"),
    (lambda: npattn.prefix_mask(MASKED, 3), "prefix is a masked array"),
    (lambda: npattn.mask_from_drop(MASKED > 0), "drop is a masked array"),
    (lambda: npattn.mask_from_additive(MASKED * 0.0), "bias is a masked array"),
    (lambda: npattn.pad_sequences([[1], MASKED]), "sequences[1] is a masked array"),
    (lambda: npattn.valid_lens_mask([[1], [2, 3]], 3), "valid_lens must be an array, got lists of"),
    (lambda: npattn.pad_sequences([[[1], [2, 3]]]), "sequences[0] must be an array, got lists of"),
    (lambda: npattn.rotary_table(MASKED, [1.0]), "positions is a masked array"),
    (lambda: npattn.rotary_table([0], ["a"]), "speeds must be numbers, got <U1"),
    (lambda: npattn.rotary(FLOATS, speeds=[1e308, 1e308]), "positions and speeds must be finite"),
    (lambda: npattn.linear_attention(FLOATS[:0], FLOATS, FLOATS, npattn.Gates(), FLOATS),
     "T is 0 in Q, 3 in K"),
    # one of several arguments of another kind, which only the line that meets it can tell
    (lambda: npattn.rotary(FLOATS, table=3), "table must be of another kind, as the docstring of"),
    (lambda: npattn.rotary(FLOATS, table=(1, 2, 3)), "table must be of another kind"),
    (lambda: npattn.merge_partials(3, (FLOATS, FLOATS)), "first or second must be of"),
    (lambda: npattn.pack(FLOATS, None), "packing must have .tokens"),
    (lambda: npattn.pack([1.0], npattn.packing_of(MASK)), "X must have .shape"),
    (lambda: npattn.linear_attention(FLOATS, FLOATS, FLOATS, 3, FLOATS), "gates must be of anot"),
    (lambda: npattn.linear_attention(FLOATS, FLOATS, FLOATS, "a", FLOATS), "log_decay must be"),
    (lambda: encoder_block(X, PARAMS.blocks[0], options=3), "options must be BlockOptions or a co"),
    (lambda: npattn.append_keys_values(3, FLOATS, FLOATS), "past must be of another kind"),
    (modelled(heads_off=3), "heads_off must be of another kind"),
    (modelled(patch=3), "patch must"),
    (lambda: self_attention(X, PARAMS.blocks[0].attention, mask=[[True]], num_heads=2),
     "mask must be a boolean array (True = may attend), got list"),
    (lambda: chosen_attention([1.0], Q, Q, window=2), "Q must be a NumPy array, got list"),
    (lambda: embed_tokens(np.array([0]), TEXTS, config=TransformerConfig(9, 9, 2, 1, 4),
                          positions=True), "positions must be an integer array, got bool"),
    (lambda: text_vectors(FLOATS, FLOATS[:, 0]), "mask must be a boolean array"),
    (lambda: text_vectors(FLOATS, FLOATS[:, 0] > 2), "mask must allow at least one token"),
    (lambda: npattn.init_transformer(None, RNG), "config must have .width"),
    (lambda: npattn.gradcheck(lambda x: (x, x), lambda d, x: d, FLOATS, names=[1]), "names must"),
    (lambda: text_vectors([1.0]), "Y must be a NumPy array"),
])
def test_what_else_is_of_another_kind_is_named(call, words):
    assert words in refusal(call)


class Tree(NamedTuple):
    """Parameters of one array."""

    w: np.ndarray


THREE = Tree(np.ones(3))
NUMBERS = {
    "lr": [lambda x: training.sgd(THREE, THREE, training.init_sgd(THREE), lr=x),
           lambda x: training.adam(THREE, THREE, training.init_adam(THREE), lr=x)],
    "momentum": [lambda x: training.sgd(THREE, THREE, training.init_sgd(THREE), lr=1, momentum=x)],
    "beta1": [lambda x: training.adam(THREE, THREE, training.init_adam(THREE), lr=1, beta1=x)],
    "eps": [lambda x: training.adam(THREE, THREE, training.init_adam(THREE), lr=1, eps=x)],
    "max_norm": [lambda x: training.clip_by_global_norm(THREE, x)],
    "step": [lambda x: training.schedules.constant(x, lr=1),
             lambda x: training.schedules.noam(x, width=1, warmup=1)],
    "warmup": [lambda x: training.schedules.noam(1, width=1, warmup=x),
               lambda x: training.schedules.linear_warmup_linear_decay(
                   1, peak=1, warmup=x, total=9)],
    "width": [lambda x: training.schedules.noam(1, width=x, warmup=1)],
    "steps": [lambda x: fitted(steps=x)],
    "evaluate_every": [lambda x: fitted(evaluate_every=x)],
}


def fitted(**options):
    return training.fit(THREE, lambda params, batch, rng: (0.0, THREE, {}), lambda rng: None,
                        **{"steps": 1, "rng": np.random.default_rng(0)} | options)


@pytest.mark.parametrize("value", [None, "1", [1], np.ones(2), int, 1j, True, np.nan, -1],
                         ids=str)
@pytest.mark.parametrize(("name", "call"), [(k, f) for k, calls in NUMBERS.items() for f in calls])
def test_a_number_of_training_that_cannot_be_is_named(name, call, value):
    assert name in refusal(lambda: call(value))


@pytest.mark.parametrize(("call", "words"), [
    (lambda: training.sgd(THREE, THREE, training.init_adam(THREE), lr=1),
     "state must be the SGDState of init_sgd or of the step before, got AdamState"),
    (lambda: training.adam(THREE, THREE, None, lr=1), "state must be the AdamState of init_adam"),
    (lambda: training.adam(THREE, Tree(1.0), training.init_adam(THREE), lr=1),
     "gradient of w must be float32 or float64, got float"),
    (lambda: training.init_adam(Tree("w")), "parameter w must be float32 or float64, got str"),
    (lambda: training.global_norm(Tree(np.ones(3, int))), "gradient of w must be float32 or floa"),
    (lambda: training.clip_by_global_norm(Tree(np.ones(3) * 1j), 1.0), "gradient of w must be"),
    (lambda: training.select(THREE, "w"), "moves must be a function from path to bool, or None"),
    (lambda: fitted(resume="no"), "resume must be True or False, got 'no'"),
    (lambda: training.save_tree("tree.npz", Tree("w")), "w must be a numeric array, got str"),
    (lambda: training.save_tree("tree.npz", Tree(np.ma.ones(3))), "w must be a numeric array, go"),
    (lambda: doctor("few.py:f", limit="3"), "limit must be a number, got '3'"),
    (lambda: doctor("few.py:f", limit=np.nan), "limit must be finite, got nan"),
    (lambda: doctor("few.py:f", limit=-1), "limit must be above 0 seconds, got -1"),
    (lambda: find_weights("gpt2"), 'name must be "smollm2" or "minilm", got \'gpt2\''),
    (lambda: find_weights(None), 'name must be "smollm2" or "minilm", got None'),
    (lambda: nn.Linear(3, 4).train("no"), "mode must be True or False, got 'no'"),
    (lambda: nn.Linear(3, 4).train(None), "mode must be True or False, got None"),
    (lambda: nn.Linear(3, 4).load_state_dict(None), "state must be a dict as state_dict makes it"),
    (lambda: nn.Linear(3, 4).load_state_dict(
        {"W": np.ma.array(np.ones((3, 4)), mask=True), "b": np.ones(4)}), "W is a masked array"),
])
def test_what_cannot_be_in_training_is_named(call, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in refusal(call)
    assert not [*tmp_path.iterdir()]


def test_a_step_may_be_the_array_that_the_state_of_adam_holds():
    assert training.schedules.noam(np.array(4), width=4, warmup=2) == 0.25
