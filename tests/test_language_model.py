"""The decoder-only model: cache against the whole text, heads off, patches, windows, errors."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.checking import assert_gradients
from npattn.kernels.attention import attention
from npattn.kernels.linear import LinearParams
from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.kernels.masks import causal_mask
from npattn.models import head_extras
from npattn.models.adapting import adapted, frozen, init_updates
from npattn.models.block import attention_weights
from npattn.models import continuation
from npattn.models.continuation import continue_tokens, next_logits
from npattn.models.feed_forward import FeedForwardParams, GatedFeedForwardParams
from npattn.models.head_extras import Rotary
from npattn.models.kv_cache import KVCache
from npattn.models.language_model import (
    LanguageModelConfig, embedded_gradient, head_outputs, init_language_model, language_model,
    language_model_backward,
)
from npattn.models.sampling import sample
from npattn.trees import tree_leaves, tree_map

CONFIG = LanguageModelConfig(
    vocabulary=11, width=6, num_blocks=3, num_heads=4, num_kv_heads=2, head_width=4, hidden=9,
    context=400,
)


def model(rng, config=CONFIG, **parts):
    params = init_language_model(config, rng, **parts)
    return tree_map(lambda p: p + 0.5 * rng.standard_normal(p.shape), params)


WINDOWS = replace(
    CONFIG, windows=(3, None, 200), local_rotary=Rotary(base=50.0), embedding_scale=2.0,
    qk_norm=True, norm="sandwich",
)
GPT2 = replace(
    CONFIG, num_kv_heads=4, rotary=None, activation="gelu_tanh", gated=False, bias=True,
    normalization="layer_norm",
)
KINDS = {
    "llama": CONFIG, "windows": WINDOWS, "gpt2": GPT2, "one window": replace(CONFIG, window=(2, 0)),
    "post-norm": replace(GPT2, norm="post"),
    "keys of their own": replace(CONFIG, num_kv_heads=None),
    "halves": replace(CONFIG, rotary=Rotary("halves", width=2), normalization="rms_norm_1",
                      activation="gelu", scale=0.3),
    "large scores": replace(CONFIG, scale=300.0),
    "no biases": replace(GPT2, bias=False, activation="relu"),
}


def weights_of(cache):
    """The weights of all heads: (blocks, ..., H, T, T)."""
    return np.stack([block["self"] for block in attention_weights(cache)])


@pytest.mark.parametrize("threads", ["1", "3"])  # with three, the prompts of 260 and 32 have parts
@pytest.mark.parametrize("kind", KINDS)
def test_the_cache_gives_the_logits_of_the_whole_text(kind, threads, rng, monkeypatch):
    monkeypatch.setenv("NPATTN_THREADS", threads)
    monkeypatch.setattr(continuation, "PART", 32)
    config = KINDS[kind]
    params, tokens = model(rng, config), rng.integers(0, 11, 300)
    logits, _ = language_model(tokens, params, config=config)
    cache = KVCache(config, 300, np.float64)
    done = 0
    for step in (4, 1, 2, 260, 1, 32):  # also more than one tile of queries behind earlier keys
        last = next_logits(tokens[done:done + step], params, cache, config=config)
        done += step
        assert_allclose(last, logits[done - 1], rtol=1e-9, atol=1e-11)


def test_single_tokens_go_through_updates_as_prompts_do(rng):
    params, tokens = frozen(model(rng)), rng.integers(0, 11, 8)
    updates = tree_map(lambda p: rng.standard_normal(p.shape), init_updates(params, 2, rng))
    logits, _ = language_model(tokens, adapted(params, updates), config=CONFIG)
    cache = KVCache(CONFIG, 8, np.float64)
    for part in np.split(tokens, [5, 6, 7]):
        last = next_logits(part, adapted(params, updates), cache, config=CONFIG)
    assert_allclose(last, logits[-1], rtol=1e-9, atol=1e-11)


def test_a_cache_that_a_model_of_another_precision_has_filled_is_refused(rng):
    params, cache = model(rng), KVCache(CONFIG, 8, np.float64)
    next_logits(rng.integers(0, 11, 3), params, cache, config=CONFIG)
    single = tree_map(lambda p: p.astype(np.float32), params)
    for tokens in ([1], [1, 2]):
        with pytest.raises(TypeError, match="the cache is float64, but the model is float32"):
            next_logits(np.array(tokens), single, cache, config=CONFIG)


def test_a_prompt_that_fails_in_one_part_leaves_the_cache_as_long_as_it_was(rng, monkeypatch):
    monkeypatch.setenv("NPATTN_THREADS", "2")
    monkeypatch.setattr(continuation, "PART", 4)
    params, cache = model(rng), KVCache(CONFIG, 30, np.float64)
    next_logits(rng.integers(0, 11, 3), params, cache, config=CONFIG)
    broken = params._replace(blocks=(*params.blocks[:-1], None))
    with pytest.raises((AttributeError, TypeError), match="attention_norm"):  # by which thread
        next_logits(rng.integers(0, 11, 20), broken, cache, config=CONFIG)
    assert cache.length == 3


def test_parameters_that_lie_turned_in_memory_give_the_same(rng):
    params, tokens = model(rng), rng.integers(0, 11, 30)
    turned = tree_map(lambda p: np.asfortranarray(p), params)
    there = [language_model(tokens, p, config=CONFIG)[0] for p in (params, turned)]
    assert_allclose(*there, rtol=1e-10)
    caches = [KVCache(CONFIG, 30, np.float64) for _ in range(2)]
    there = [next_logits(tokens, p, c, config=CONFIG)
             for p, c in zip((params, turned), caches, strict=True)]
    assert_allclose(*there, rtol=1e-10)


def test_no_position_looks_ahead(rng):
    params, tokens = model(rng), rng.integers(0, 11, (2, 8))
    other = tokens.copy()
    other[:, 5:] = (other[:, 5:] + 1) % 11
    here, there = (language_model(t, params, config=CONFIG)[0] for t in (tokens, other))
    assert_array_equal(here[:, :5], there[:, :5])
    assert np.abs(here[:, 5:] - there[:, 5:]).min() > 0


def test_weights_are_distributions_over_the_past_of_every_head(rng):
    _, cache = language_model(rng.integers(0, 11, (2, 5)), model(rng), config=CONFIG)
    P = weights_of(cache)
    assert P.shape == (3, 2, 4, 5, 5)
    assert_allclose(P.sum(axis=-1), 1.0)
    assert (np.triu(P, 1) == 0).all()


def test_a_window_hides_what_lies_before_it(rng):
    _, cache = language_model(rng.integers(0, 11, 8), model(rng, WINDOWS), config=WINDOWS)
    P = weights_of(cache)
    assert (np.tril(P[0], -3) == 0).all() and (np.tril(P[1], -3) > 0).sum() == 4 * 15


def test_a_head_that_is_off_is_one_whose_output_columns_are_0(rng):
    params, tokens = model(rng), rng.integers(0, 11, (2, 6))
    off, _ = language_model(tokens, params, config=CONFIG, heads_off=[(1, 2)])
    W = params.blocks[1].attention.output.W.copy()
    W[8:12] = 0.0
    block = params.blocks[1]
    block = block._replace(attention=block.attention._replace(
        output=block.attention.output._replace(W=W)))
    cut = params._replace(blocks=(params.blocks[0], block, params.blocks[2]))
    assert_allclose(off, language_model(tokens, cut, config=CONFIG)[0], rtol=1e-12)


def test_all_heads_patched_from_another_text_bring_its_output(rng):
    config = replace(CONFIG, num_blocks=1)
    params, here, there = model(rng, config), *rng.integers(0, 11, (2, 6))
    other = head_outputs(language_model(there, params, config=config)[1], 0)
    patch = {(0, head): other[head] for head in range(4)}
    same = {(0, head): O for head, O in enumerate(
        head_outputs(language_model(here, params, config=config)[1], 0))}
    plain, _ = language_model(here, params, config=config)
    assert_allclose(language_model(here, params, config=config, patch=same)[0], plain, rtol=1e-12)
    patched, _ = language_model(here, params, config=config, patch=patch)
    assert np.abs(patched - plain).max() > 1e-3


def test_a_mask_hides_a_token_from_later_ones(rng):
    params, tokens = model(rng), rng.integers(0, 11, 7)
    mask = np.ones((7, 7), bool)
    mask[4:, 0] = False
    hidden, cache = language_model(tokens, params, mask, config=CONFIG)
    assert (weights_of(cache)[:, :, 4:, 0] == 0).all()
    assert_array_equal(hidden[:4], language_model(tokens, params, config=CONFIG)[0][:4])


def test_the_gradient_of_an_answer_by_the_tokens_before_it(rng):
    """The gradient of what went into the first block is that of shifted embeddings."""
    config = replace(CONFIG, vocabulary=6, context=6)
    tokens = np.arange(6)  # each token once, so that a row of E is a position
    params = model(rng, config, tied=False)

    def answer(E):
        logits, cache = language_model(tokens, params._replace(embedding=E), config=config)
        loss, ce = cross_entropy(logits[-1:], np.array([3]))
        return loss, (cache, ce, logits.shape)

    def answer_backward(dloss, cache):
        cache, ce, shape = cache
        dlogits = np.zeros(shape)
        dlogits[-1:] = cross_entropy_backward(dloss, ce)
        return embedded_gradient(dlogits, cache)

    assert_gradients(answer, answer_backward, params.embedding)


def test_frozen_tables_have_no_gradient(rng):
    params, tokens = model(rng), rng.integers(0, 11, (2, 5))
    logits, cache = language_model(tokens, params, config=CONFIG, frozen=True)
    there, full = language_model(tokens, params, config=CONFIG)
    assert_array_equal(logits, there)
    dlogits = rng.standard_normal(logits.shape)
    grads, all_grads = (language_model_backward(dlogits, c) for c in (cache, full))
    assert grads.embedding is None and grads.output is None
    for g, other in zip(tree_leaves(grads), tree_leaves(all_grads._replace(embedding=None)),
                        strict=True):
        assert_array_equal(g, other)


def test_float32_stays_float32(rng):
    params = tree_map(lambda p: p.astype(np.float32), model(rng, WINDOWS))
    logits, cache = language_model(rng.integers(0, 11, 6), params, config=WINDOWS)
    assert logits.dtype == np.float32
    grads = language_model_backward(logits, cache)
    assert {g.dtype for g in tree_leaves(grads)} == {np.dtype(np.float32)}


def test_a_continuation_is_greedy_and_stops(rng):
    params, prompt = model(rng), rng.integers(0, 11, 5)
    found = list(continue_tokens(prompt, params, config=CONFIG, limit=12))
    assert len(found) == 12
    text = prompt
    for token in found:
        assert token == language_model(text, params, config=CONFIG)[0][-1].argmax()
        text = np.append(text, token)
    stopped = list(continue_tokens(prompt, params, config=CONFIG, limit=12, stop=found[2:3]))
    assert stopped == found[:found.index(found[2]) + 1]


@pytest.mark.parametrize("told", [
    dict(temperature=3.0), dict(temperature=1.0, top_k=2), dict(temperature=1.0, top_p=0.4),
], ids=str)
def test_a_continuation_is_drawn_as_sample_draws(told, rng):
    params, text = model(rng), rng.integers(0, 11, 5)
    found = continue_tokens(text, params, config=CONFIG, limit=30, rng=np.random.default_rng(3),
                            **told)
    drawn = np.random.default_rng(3)
    for token in found:
        assert token == sample(language_model(text, params, config=CONFIG)[0][-1], drawn, **told)
        text = np.append(text, token)
    with pytest.raises(ValueError, match="temperature must be"):
        list(continue_tokens(text, params, config=CONFIG, limit=0, temperature=-1.0))
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator"):
        list(continue_tokens(text, params, config=CONFIG, limit=0, temperature=1.0))


def test_single_tokens_take_as_many_threads_of_blas_as_they_are_told(rng, monkeypatch):
    told = []

    def limit(self, limits, user_api):
        told.append((limits, user_api))
        return nullcontext()

    monkeypatch.setattr("threadpoolctl.ThreadpoolController.limit", limit)
    prompt, params = rng.integers(0, 11, 5), model(rng)
    list(continue_tokens(prompt, params, config=CONFIG, limit=3))
    list(continue_tokens(prompt, params, config=CONFIG, limit=2, threads=7))
    assert told == [(1, "blas"), (1, "blas"), (7, "blas")]


def test_a_first_token_proves_the_shapes_of_the_parameters(rng):
    params = model(rng, GPT2)
    layer = params.blocks[2].feed_forward
    block = params.blocks[2]._replace(feed_forward=layer._replace(output=layer.hidden))
    broken = params._replace(blocks=(*params.blocks[:2], block))
    with pytest.raises(ValueError, match="^Din is 9 in X, 6 in W"):
        next_logits(np.array([1]), broken, KVCache(GPT2, 2, np.float64), config=GPT2)


def test_errors_name_what_is_wrong(rng):
    params, tokens = model(rng), np.arange(5)
    with pytest.raises(ValueError, match="there is no block 3: the model has blocks 0 … 2"):
        language_model(tokens, params, config=CONFIG, heads_off=[(3, 0)])
    with pytest.raises(ValueError, match="there is no head 4: the layer has heads 0 … 3"):
        language_model(tokens, params, config=CONFIG, heads_off=[(0, 4)])
    cache = KVCache(CONFIG, 4, np.float64)
    with pytest.raises(ValueError, match="cache is full: it has room for 4 tokens and holds 0"):
        next_logits(tokens, params, cache, config=CONFIG)
    with pytest.raises(ValueError, match="do not fit the model's context of 400"):
        list(continue_tokens(tokens, params, config=CONFIG, limit=396))
    next(continue_tokens(tokens, params, config=CONFIG, limit=395))  # and this fits
    with pytest.raises(ValueError, match="the text has 5 tokens, the model 3 positions"):
        short = model(rng, replace(GPT2, context=3))
        language_model(tokens, short, config=GPT2)


def test_a_cache_has_no_cap_and_says_so(rng):
    config = replace(CONFIG, cap=2.0)
    with pytest.raises(ValueError, match="a KVCache attends without a cap"):
        next_logits(np.arange(3), model(rng, config), KVCache(config, 3, np.float64), config=config)


def test_windows_are_one_for_each_block():
    with pytest.raises(ValueError, match="windows must be one for each of 3 blocks"):
        replace(CONFIG, windows=(3, None))


def test_dropout_is_for_training_alone(rng):
    config = replace(CONFIG, dropout=0.5)
    params, tokens = model(rng), rng.integers(0, 11, 7)
    plain, _ = language_model(tokens, params, config=CONFIG)
    assert_array_equal(language_model(tokens, params, config=config)[0], plain)
    assert np.abs(language_model(tokens, params, config=config, rng=rng)[0] - plain).max() > 1e-3


def test_one_table_turns_queries_and_keys_of_all_blocks(rng):
    head_extras._table.cache_clear()
    language_model(rng.integers(0, 11, 6), model(rng), config=CONFIG)
    assert head_extras._table.cache_info()[:2] == (5, 1)  # hits, misses


def test_a_window_alone_changes_no_rotation(rng):
    config = replace(CONFIG, windows=(3, None, 200))
    params, tokens = model(rng, config), rng.integers(0, 11, 12)
    whole = replace(config, windows=(200, 200, 200))  # as much as no window
    assert_array_equal(language_model(tokens, params, config=whole)[0],
                       language_model(tokens, params, config=CONFIG)[0])
    for local, where in ((None, CONFIG.rotary), (Rotary(base=50.0),) * 2):
        some = replace(config, local_rotary=local)
        assert [block.rotary for block in some.blocks] == [where, CONFIG.rotary, where]
        assert [block.window for block in some.blocks] == [3, None, 200]


def test_a_head_with_large_scores_does_not_silence_another(rng):
    cache = KVCache(CONFIG, 4, np.float64).layer(0)
    Q, K, V = (rng.standard_normal((n, 3, 4)) for n in (4, 2, 2))
    Q[0] *= 1e4
    O = cache.attend(Q, K, V)
    K, V = (np.repeat(X, 2, axis=0) for X in (K, V))
    assert_allclose(O, attention(Q, K, V, causal_mask(3))[0], rtol=1e-12, atol=1e-14)


def test_the_gradient_of_a_position_is_a_sum_over_the_batch(rng):
    params, tokens = model(rng, GPT2), rng.integers(0, 11, (2, 3, 5))
    dlogits = rng.standard_normal((2, 3, 5, 11))

    def grads(tokens, dlogits):
        _, cache = language_model(tokens, params, config=GPT2)
        return language_model_backward(dlogits, cache).positions

    alone = sum(grads(tokens[i], dlogits[i]) for i in np.ndindex(2, 3))
    assert_allclose(grads(tokens, dlogits), alone, rtol=1e-10, atol=1e-12)


def test_a_table_that_is_embedding_and_output_has_the_sum_of_both_gradients(rng):
    params, tokens = model(rng), rng.integers(0, 11, 5)
    own = params._replace(output=LinearParams(params.embedding.T, None))
    dlogits = rng.standard_normal((5, 11))
    tied, apart = (language_model_backward(dlogits, language_model(tokens, p, config=CONFIG)[1])
                   for p in (params, own))
    assert tied.output is None
    assert_allclose(tied.embedding, apart.embedding + apart.output.W.T, rtol=1e-12)
    assert np.abs(apart.embedding).max() > 1e-3 and np.abs(apart.output.W).max() > 1e-3


def test_logits_that_are_not_wanted_have_no_gradient(rng):
    params, tokens = model(rng), rng.integers(0, 11, (2, 5))
    where = rng.integers(0, 4, (2, 5)) > 0
    logits, cache = language_model(tokens, params, config=CONFIG, where=where)
    whole, other = language_model(tokens, params, config=CONFIG)
    assert_allclose(logits, whole[where], rtol=1e-12)
    assert len(logits) not in (6, 11)
    dlogits = np.zeros(whole.shape)
    dlogits[where] = rng.standard_normal(logits.shape)
    grads = (language_model_backward(d, c) for d, c in ((dlogits[where], cache), (dlogits, other)))
    for one, two in zip(*map(tree_leaves, grads), strict=True):
        assert_allclose(one, two, rtol=1e-9, atol=1e-12)


def test_blocks_have_a_gate_and_there_may_be_no_block(rng):
    assert isinstance(model(rng).blocks[0].feed_forward, GatedFeedForwardParams)
    assert isinstance(model(rng, GPT2).blocks[0].feed_forward, FeedForwardParams)
    none = replace(CONFIG, num_blocks=0)
    assert language_model(np.arange(3), model(rng, none), config=none)[0].shape == (3, 11)


def test_the_embedding_is_scaled(rng):
    params, tokens = model(rng, tied=False), rng.integers(0, 11, 5)
    scaled = replace(CONFIG, embedding_scale=2.0)
    doubled = params._replace(embedding=2.0 * params.embedding)
    assert_array_equal(language_model(tokens, params, config=scaled)[0],
                       language_model(tokens, doubled, config=CONFIG)[0])


def test_a_text_may_be_as_long_as_the_table_of_positions(rng):
    params = model(rng, replace(GPT2, context=8))
    assert len(params.positions) == 8
    logits, _ = language_model(np.arange(8), params, config=GPT2)
    assert logits.shape == (8, 11)
    with pytest.raises(ValueError, match="the text has 9 tokens, the model 8 positions"):
        language_model(np.arange(9), params, config=GPT2)
