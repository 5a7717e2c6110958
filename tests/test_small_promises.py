"""Promises of single arguments: dropout is heard, a reset, the window of a cache, an eps of 0."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.attention import attend, attention
from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.kernels.mixture_of_experts import ExpertsParams, mixture_of_experts
from npattn.kernels.options import score_scale
from npattn.kernels.positional_masks import window_mask
from npattn.kernels.positions import sinusoidal_positions
from npattn.kernels.softmax import softmax, softmax_backward
from npattn.kernels.spatial_attention import init_spatial_attention
from npattn.kernels.tiling.score_steps import ScoreSteps
from npattn.kernels.tiling.tiled import tiled_attention, tiled_attention_backward
from npattn.kernels.tiling.tiles import keep_tile
from npattn.kernels.token_losses import token_losses
from npattn.models.config import BlockOptions
from npattn.models.kv_cache import KVCache
from npattn.models.language_model import (
    LanguageModelConfig, init_language_model, language_model, language_model_backward,
)
from npattn.models.language_proof import prove_gradient
from npattn.models.multihead import init_multihead
from npattn.models.recurrent_decoder import init_recurrent_decoder, recurrent_decoder
from npattn.trees import tree_leaves, tree_map
from npattn.verification.cases import CASES
from npattn.verification.pairs import find_pairs

PAIRS = find_pairs()
DROPPED = [
    name for name, pair in PAIRS.items() if name in CASES and not CASES[name](
        np.random.default_rng(0)).forward
    and {"dropout", "rng"} <= {*inspect.signature(pair.forward).parameters}
]


@pytest.mark.parametrize("name", DROPPED)
def test_dropout_is_heard_where_there_is_a_generator(name):
    case, forward = CASES[name](np.random.default_rng(0)), PAIRS[name].forward
    told = {key: value for key, value in case.options.items() if key not in ("dropout", "rng")}

    def output(**options):
        return np.concatenate([np.ravel(leaf) for leaf in tree_leaves(
            forward(*case.args, **told, **options)[0])])

    dropped = output(dropout=0.5, rng=np.random.default_rng(1))
    assert np.abs(dropped - output()).max() > 1e-6
    assert_array_equal(output(dropout=0.5), output())


def test_key_heads_that_do_not_divide_are_refused_when_layers_are_made(rng):
    with pytest.raises(ValueError, match="^num_kv_heads must be a positive integer that divides"):
        init_multihead(6, rng, num_heads=3, num_kv_heads=2)


def test_an_eps_of_0_passes_and_less_does_not():
    assert BlockOptions(eps=0.0).eps == 0.0
    for eps, words in ((-1e-12, "eps must be 0 or more"), (np.nan, "eps must be finite")):
        with pytest.raises(ValueError, match=f"^{words}"):
            BlockOptions(eps=eps)


def test_paired_is_a_switch():
    with pytest.raises(TypeError, match="^paired must be True or False, got 1$"):
        sinusoidal_positions(2, 4, paired=1)


def test_scores_and_values_that_disagree_are_named(draw):
    with pytest.raises(ValueError, match="^Tk is 4 in S, 5 in V: "):
        attend(draw(3, 4), draw(5, 2))


def test_the_decoder_hears_where_the_reset_acts(rng, draw):
    params = tree_map(lambda p: p + 0.3 * draw(*p.shape),
                      init_recurrent_decoder(6, 2, 3, 1, rng, hidden_bias=True))
    args = np.array([[1, 2, 3]]), (draw(1, 3),), draw(1, 4, 3), params
    before, after = (recurrent_decoder(*args, reset=reset)[0] for reset in ("before", "after"))
    assert np.abs(before - after).max() > 1e-3


@pytest.mark.parametrize("T", [1, 2, 3])
@pytest.mark.parametrize("left", [0, 1, 2, 5])
def test_new_tokens_of_a_cache_see_the_window_and_no_more(rng, T, left):
    config = LanguageModelConfig(vocabulary=3, width=4, num_blocks=1, num_heads=2, hidden=2,
                                 context=9)
    for length in range(5):
        Q, K, V = rng.standard_normal((3, 2, length + T, 2))
        cache = KVCache(config, length + T, np.float64)
        if length:
            cache.layer(0).attend(Q[:, :length], K[:, :length], V[:, :length])
            cache.grow(length)
        O = cache.layer(0).attend(Q[:, length:], K[:, length:], V[:, length:], left=left)
        mask = window_mask(T, length + T, left=left, right=0, offset=length)
        assert_allclose(O, attention(Q[:, length:], K, V, mask)[0], rtol=1e-12, atol=1e-14)


def test_a_proof_is_measured_against_the_length_of_the_whole_gradient(rng):
    config = LanguageModelConfig(vocabulary=7, width=4, num_blocks=1, num_heads=2, hidden=3,
                                 context=9, bias=True, normalization="layer_norm", rotary=None)
    params = tree_map(lambda p: p + 0.5 * rng.standard_normal(p.shape),
                      init_language_model(config, rng, tied=False))
    tokens = rng.integers(0, 7, 6)
    proof = prove_gradient(tokens, params, config=config, answer=2)
    logits, cache = language_model(tokens, params, config=config)
    loss, ce = cross_entropy(logits[-3:-1], tokens[-2:])
    dlogits = np.zeros_like(logits)
    dlogits[-3:-1] = cross_entropy_backward(1.0, ce)
    leaves = tree_leaves(language_model_backward(dlogits, cache))
    count = sum(leaf.size for leaf in leaves)
    assert proof.loss == pytest.approx(float(loss), rel=1e-12)
    assert proof.scale == pytest.approx(
        np.sqrt(sum((leaf**2).sum() for leaf in leaves) * count), rel=1e-10)


def test_a_complex_softmax_needs_no_complex_upstream(draw):
    P, dP = softmax(draw(3, 4)), draw(3, 4)
    dS = softmax_backward(dP, P)
    assert_allclose(softmax_backward(dP, P + 0j, out=dP.copy()), dS, rtol=1e-13, atol=1e-15)
    room = dP.copy()
    assert softmax_backward(room, P, out=room) is room


def test_the_kernel_of_spatial_attention_starts_smaller_the_wider_it_is(rng):
    kernel, _ = init_spatial_attention(rng, k=31)
    assert kernel.std() == pytest.approx(1 / 31, rel=0.1)


def test_a_target_that_is_ignored_needs_no_class_of_its_own():
    losses, _ = token_losses(np.zeros((2, 1)), np.array([0, -1]), ignore=-1)
    assert losses.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("keys", [1, 2, 7])
def test_patches_that_add_to_the_same_part_of_a_bias_say_so(rows, keys):
    steps = ScoreSteps(None, np.zeros((2, rows, keys)), None, None)
    heads = slice(0, 2)
    for a, b, c, d in np.ndindex(2, 2, 2, 2):
        meet = {*steps.places(heads, a, b)} & {*steps.places(heads, c, d)}
        assert bool(meet) == ((rows == 1 or a == c) and (keys == 1 or b == d))


def test_heads_and_streams_of_queries_drop_other_weights():
    whole = keep_tile(0.5, 7, slice(0, 2), slice(0, 256), slice(0, 64))
    parts = [whole[h, :, s:s + 128] for h in range(2) for s in (0, 128)]
    for i, one in enumerate(parts):
        for other in parts[:i]:
            assert 0.4 < (one == other).mean() < 0.6


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_balance_of_experts_is_1_where_all_serve_alike(k):
    params = ExpertsParams(np.eye(4), *(np.ones((4, *sizes)) for sizes in ((4, 2), (4, 2), (2, 4))))
    X = np.array([np.roll([9.0, 6.0, 3.0, 0.0], turn) for turn in range(4)])
    (_, balance), _ = mixture_of_experts(X, params, k)
    assert balance == pytest.approx(1.0, rel=1e-12)


def test_the_scale_of_queries_that_are_1_wide_is_1():
    assert score_scale(None, np.ones((3, 1))) == 1.0
    with pytest.raises(ValueError, match="^Q .* must be at least 1 wide, or scale be given$"):
        score_scale(None, np.ones((3, 0)))
    assert score_scale(2, np.ones((3, 0))) == 2.0


def test_tiles_take_an_upstream_gradient_of_the_precision_of_the_output_alone(draw):
    O, cache = tiled_attention(draw(3, 4), draw(5, 4), draw(5, 2))
    with pytest.raises(TypeError, match="^dO is float32 but O is float64; "):
        tiled_attention_backward(O.astype(np.float32), cache)


def test_tiles_take_a_bias_on_no_keys(draw):
    O, _ = tiled_attention(draw(3, 4), draw(0, 4), draw(0, 2), None, draw(3, 0))
    assert_array_equal(O, np.zeros((3, 2)))


def test_tiles_take_no_heads_with_a_sink_and_a_bias(draw):
    O, cache = tiled_attention(draw(0, 3, 4), draw(0, 5, 4), draw(0, 5, 2), None, draw(0, 3, 5),
                               draw(0))
    shapes = [grad.shape for grad in tiled_attention_backward(O, cache)]
    assert shapes == [(0, 3, 4), (0, 5, 4), (0, 5, 2), (0, 3, 5), (0,)]
