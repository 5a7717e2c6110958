"""The recurrent decoder that attends."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.additive import additive_attention
from npattn.kernels.gru_cell import gru_cell
from npattn.models.recurrent_decoder import (
    init_recurrent_decoder,
    recurrent_decoder,
    recurrent_decoder_backward,
    recurrent_step,
    recurrent_step_backward,
)
from npattn.trees import tree_items, tree_leaves

MASK = np.arange(5) < np.array([[3], [5]])


@pytest.fixture
def make_params(rng, shake):
    """Vocabulary 6, embeddings 2 wide, states and memory 3 wide."""
    return lambda layers=2, **bias: shake(init_recurrent_decoder(6, 2, 3, layers, rng, **bias))


@pytest.fixture
def given(draw):
    """The states of two layers (2, 3), a memory (2, 5, 3)."""
    return (draw(2, 3), draw(2, 3)), draw(2, 5, 3)


@pytest.fixture
def ids(rng):
    return rng.integers(0, 6, (2, 4))


# ---- values ----


def test_one_step_spelled_out(make_params, given, draw):
    params, (states, M), X = make_params().step, given, draw(2, 2)
    (lower, upper), cache = recurrent_step(X, states, M, params, MASK)
    query, mask = states[1][:, None], MASK[:, None]
    context, attended = additive_attention(query, M, M, params.attention, mask)
    expected, _ = gru_cell(np.concatenate([context[:, 0], X], axis=1), states[0], params.layers[0])
    assert_array_equal(lower, expected)
    assert_array_equal(upper, gru_cell(lower, states[1], params.layers[1])[0])
    assert_array_equal(cache.attention.P, attended.P)


def test_shapes_of_the_text(rng):
    params = init_recurrent_decoder(10, 8, 16, 2, rng)
    states = np.zeros((4, 16)), np.zeros((4, 16))
    logits, cache = recurrent_decoder(np.zeros((4, 7), int), states, np.zeros((4, 7, 16)), params)
    assert logits.shape == (4, 7, 10)
    assert [step.attention.P.shape for step in cache.steps] == [(4, 1, 7)] * 7


def test_initial_parameters(rng):
    params = init_recurrent_decoder(6, 2, 3, 2, rng, dtype=np.float32)
    assert [(path, X.shape) for path, X in tree_items(params)] == [
        ("embedding", (6, 2)),
        ("step.attention.Wq", (3, 3)), ("step.attention.Wk", (3, 3)), ("step.attention.w", (3,)),
        ("step.layers[0].input.W", (5, 9)), ("step.layers[0].input.b", (9,)),
        ("step.layers[0].hidden.W", (3, 9)),
        ("step.layers[1].input.W", (3, 9)), ("step.layers[1].input.b", (9,)),
        ("step.layers[1].hidden.W", (3, 9)),
        ("output.W", (3, 6)), ("output.b", (6,)),
    ]
    assert {X.dtype for X in tree_leaves(params)} == {np.dtype(np.float32)}


# ---- invariants ----


def test_the_past_does_not_feel_the_future(make_params, given, ids):
    params, (states, M) = make_params(), given
    changed = ids.copy()
    changed[:, 2:] = (ids[:, 2:] + 1) % 6
    logits, other = (recurrent_decoder(X, states, M, params)[0] for X in (ids, changed))
    assert_array_equal(other[:, :2], logits[:, :2])
    assert (other[:, 2:] != logits[:, 2:]).all()


def test_padding_of_the_memory_is_not_seen(make_params, given, ids, draw):
    params, (states, M), dlogits = make_params(), given, draw(2, 4, 6)
    logits, cache = recurrent_decoder(ids, states, M, params, MASK)
    poisoned = np.where(MASK[..., None], M, np.nan)
    found, dirty = recurrent_decoder(ids, states, poisoned, params, MASK)
    assert_array_equal(found, logits)
    _, dM, _ = recurrent_decoder_backward(dlogits, cache)
    assert not dM[~MASK].any() and dM[MASK].all()
    for d, want in zip(tree_leaves(recurrent_decoder_backward(dlogits, dirty)),
                       tree_leaves(recurrent_decoder_backward(dlogits, cache)), strict=True):
        assert_array_equal(d, want)


def test_two_parts_make_the_whole(make_params, given, ids):
    params, (states, M) = make_params(), given
    logits, _ = recurrent_decoder(ids, states, M, params)
    for t in range(4):
        states, _ = recurrent_step(params.embedding[ids[:, t]], states, M, params.step)
        assert_allclose(states[-1] @ params.output.W + params.output.b, logits[:, t], rtol=1e-12)


def test_convention(convention, make_params, given, ids):
    args = ids, *given, make_params(), MASK
    options = dict(dropout_rate=0.3, rng=np.random.default_rng(3))
    convention(recurrent_decoder, recurrent_decoder_backward, *args, **options)


# ---- gradients ----


def test_gradients_of_a_step(assert_gradients, make_params, given, draw, rng):
    mask = MASK.copy()
    mask[0] = False  # nothing to attend to
    args = draw(2, 2), *given, make_params().step, mask
    assert_gradients(recurrent_step, recurrent_step_backward, *args, dropout_rate=0.3, rng=rng)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("layers, reset", [(1, "before"), (2, "after")])
def test_gradients(assert_gradients, make_params, given, ids, rng, layers, reset):
    states, M = given
    args = ids[:, :2], states[:layers], M, make_params(layers, hidden_bias=reset == "after"), MASK
    options = dict(reset=reset, dropout_rate=0.3, rng=rng)
    assert_gradients(recurrent_decoder, recurrent_decoder_backward, *args, **options)


def test_gradients_of_one_token(assert_gradients, make_params, given, ids):
    args = ids[:, :1], *given, make_params(), MASK
    assert_gradients(recurrent_decoder, recurrent_decoder_backward, *args, max_entries=3)


# ---- errors ----


def test_arguments_that_do_not_fit(make_params, given, ids):
    params, (states, M) = make_params(), given
    with pytest.raises(ValueError, match=r"at least one token, got shape \(2, 0\)"):
        recurrent_decoder(ids[:, :0], states, M, params)
    with pytest.raises(TypeError, match="ids must be an integer array, got list"):
        recurrent_decoder(ids.tolist(), states, M, params)
    with pytest.raises(ValueError, match="states must be one per layer, 2, got 1"):
        recurrent_decoder(ids, states[:1], M, params)
    with pytest.raises(ValueError, match="^Dk is 2 in K, 3 in Wk"):
        recurrent_decoder(ids, states, M[..., :2], params)
    with pytest.raises(ValueError, match=r"mask \(2, 4\) .* the tokens \(2, 5\)"):
        recurrent_decoder(ids, states, M, params, MASK[:, :4])
