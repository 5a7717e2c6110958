"""The recurrent encoder–decoder with attention."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.kernels.softmax import log_softmax
from npattn.models.recurrent_decoder import recurrent_decoder
from npattn.models.recurrent_encoder import recurrent_encoder
from npattn.models.seq2seq import (
    Seq2SeqConfig,
    init_seq2seq,
    seq2seq,
    seq2seq_backward,
    translate,
)
from npattn.training import adam, init_adam
from npattn.trees import tree_leaves

SOURCE_MASK = np.arange(5) < np.array([[3], [5]])
BOS, EOS = 1, 2


def small(**options):
    return Seq2SeqConfig(6, 7, **{**dict(embedding=2, width=3), **options})


@pytest.fixture
def make(rng, shake):
    """config and shaken parameters."""

    def build(**options):
        config = small(**options)
        return config, shake(init_seq2seq(config, rng))

    return build


@pytest.fixture
def tokens(rng):
    """source (2, 5), target (2, 4)."""
    return rng.integers(0, 6, (2, 5)), rng.integers(0, 7, (2, 4))


# ---- values ----


@pytest.mark.parametrize("reset", ["before", "after"])
def test_shapes_of_the_text(rng, reset):
    config = Seq2SeqConfig(10, 10, embedding=8, width=16, num_layers=2, reset=reset)
    zeros = np.zeros((4, 7), int)
    logits, cache = seq2seq(zeros, zeros, init_seq2seq(config, rng), config=config)
    assert logits.shape == (4, 7, 10)
    assert [step.attention.P.shape for step in cache.decoder.steps] == [(4, 1, 7)] * 7


def test_zero_source_weights_leave_the_decoder_alone(make, tokens):
    # with all states 0 the memory is 0: equal scores, equal weights on the real tokens
    config, params = make(num_layers=1)
    silent = params.encoder._replace(layers=tuple(
        layer._replace(input=layer.input._replace(W=0 * layer.input.W, b=0 * layer.input.b))
        for layer in params.encoder.layers
    ))
    _, cache = seq2seq(*tokens, params._replace(encoder=silent), SOURCE_MASK, config=config)
    expected = SOURCE_MASK / SOURCE_MASK.sum(axis=1, keepdims=True)
    for step in cache.decoder.steps:
        assert_allclose(step.attention.P[:, 0], expected, rtol=1e-14)


@pytest.mark.parametrize("reset", ["before", "after"])
def test_it_is_an_encoder_and_a_decoder_with_one_reset(make, tokens, reset):
    (config, params), (source, target) = make(reset=reset), tokens
    for layer in (*params.encoder.layers, *params.decoder.step.layers):
        assert (layer.hidden.b is not None) == (reset == "after")
    (M, states), _ = recurrent_encoder(source, params.encoder, SOURCE_MASK, reset=reset)
    expected, _ = recurrent_decoder(target, states, M, params.decoder, SOURCE_MASK, reset=reset)
    assert_array_equal(seq2seq(*tokens, params, SOURCE_MASK, config=config)[0], expected)


# ---- invariants ----


def test_padding_changes_nothing(make, tokens):
    config, params = make()
    source, target = tokens
    logits, _ = seq2seq(source, target, params, SOURCE_MASK, config=config)
    other, _ = seq2seq(np.where(SOURCE_MASK, source, 0), target, params, SOURCE_MASK, config=config)
    assert_array_equal(other, logits)
    cut, _ = seq2seq(source[:1, :3], target[:1], params, config=config)
    assert_allclose(cut, logits[:1], rtol=1e-12)


@pytest.mark.parametrize("leading", [(), (2, 1)])
def test_leading_axes_are_a_batch(make, tokens, draw, leading):
    config, params = make()
    rows = slice(None) if leading else slice(1)
    arrays = [X[rows] for X in (*tokens, SOURCE_MASK, draw(2, 4, 7))]

    def run(source, target, mask, dlogits):
        logits, cache = seq2seq(source, target, params, mask, config=config)
        return logits.reshape(-1, 4, 7), seq2seq_backward(dlogits, cache)

    found = run(*(X.reshape(*leading, *X.shape[1:]) for X in arrays))
    for a, b in zip(tree_leaves(found), tree_leaves(run(*arrays)), strict=True):
        assert_allclose(a, b, rtol=0, atol=1e-12)


def test_dropout_needs_a_generator(make, tokens):
    config, params = make(dropout=0.4)
    plain, _ = seq2seq(*tokens, params, config=config)
    assert_array_equal(seq2seq(*tokens, params, config=small())[0], plain)
    noisy, _ = seq2seq(*tokens, params, config=config, rng=np.random.default_rng(0))
    assert (noisy != plain).any()


def test_convention(convention, make, tokens):
    config, params = make()
    convention(seq2seq, seq2seq_backward, *tokens, params, SOURCE_MASK, config=config)


@pytest.mark.parametrize("masked", [False, True])
def test_translating_is_teacher_forcing_with_ones_own_words(make, tokens, masked):
    config, params = make()
    source, mask = tokens[0], SOURCE_MASK if masked else None
    answers, P = translate(source, params, mask, config=config, bos=BOS, eos=EOS, max_len=6)
    for b, answer in enumerate(answers):
        said = np.concatenate([[BOS], answer.ids])
        logits, cache = seq2seq(
            source[b : b + 1], said[None], params, None if mask is None else mask[b : b + 1],
            config=config,
        )
        L, T = log_softmax(logits[0]), len(answer.ids) + answer.finished
        assert_array_equal(L.argmax(axis=-1)[: len(answer.ids)], answer.ids)
        assert_allclose(answer.log_prob, L.max(axis=-1)[:T].sum(), rtol=1e-12)
        weights = np.stack([step.attention.P[0, 0] for step in cache.decoder.steps])
        assert_allclose(P[b, :T], weights[:T], rtol=1e-12)
        assert answer.finished == (len(said) == T and L[-1].argmax() == EOS)


def test_translating_stops_at_the_end_or_at_the_limit(make, tokens):
    config, params = make()
    output = params.decoder.output

    def always(token):
        b = np.where(np.arange(7) == token, 100.0, 0.0)
        stubborn = params.decoder._replace(output=output._replace(b=b))
        return translate(tokens[0], params._replace(decoder=stubborn), config=config, bos=BOS,
                         eos=EOS, max_len=4)

    for max_len in (0, 2):
        answers, P = translate(tokens[0], params, config=config, bos=BOS, eos=EOS, max_len=max_len)
        assert len(answers) == 2 and P.shape[::2] == (2, 5) and P.shape[1] <= max_len
        assert P.dtype == params.decoder.output.W.dtype
    answers, P = always(EOS)
    assert [len(a.ids) for a in answers] == [0, 0] and all(a.finished for a in answers)
    assert P.shape == (2, 1, 5)
    answers, P = always(4)
    assert_array_equal([a.ids for a in answers], [[4] * 4] * 2)
    assert not any(a.finished for a in answers) and P.shape == (2, 4, 5)
    assert_allclose(P.sum(axis=-1), 1.0, rtol=1e-14)


def test_it_learns_to_copy_one_token_or_two(rng):
    PAD, config = 0, Seq2SeqConfig(6, 6, embedding=6, width=12, num_layers=1)
    params = init_seq2seq(config, rng)
    source = np.stack(np.meshgrid([PAD, 3, 4, 5], [3, 4, 5]), axis=-1).reshape(-1, 2)[:, ::-1]
    mask = source != PAD
    ends = np.where(mask, source, EOS), np.where(mask[:, 1], EOS, PAD)
    answers, target = np.column_stack(ends), np.column_stack([np.full(12, BOS), source])
    state = init_adam(params)
    for _ in range(100):
        logits, cache = seq2seq(source, target, params, mask, config=config)
        _, lost = cross_entropy(logits, answers, ignore=PAD)
        grads = seq2seq_backward(cross_entropy_backward(1.0, lost), cache)
        params, state = adam(params, grads, state, lr=0.03)
    said, P = translate(source, params, mask, config=config, bos=BOS, eos=EOS, max_len=5)
    for answer, row, real in zip(said, source, mask, strict=True):
        assert_array_equal(answer.ids, row[real])
        assert answer.finished
    assert P.shape == (12, 3, 2)  # the longest answer and its end
    assert not P.swapaxes(1, 2)[~mask].any()


# ---- gradients ----


@pytest.mark.sampled(2)
@pytest.mark.parametrize("reset", ["before", "after"])
def test_gradients(assert_gradients, make, tokens, rng, reset):
    config, params = make(reset=reset, dropout=0.2, num_layers=1)
    source, target = tokens
    args = source, target[:, :2], params, SOURCE_MASK
    assert_gradients(seq2seq, seq2seq_backward, *args, config=config, rng=rng)


def test_gradients_have_the_form_of_the_parameters(make, tokens, draw):
    config, params = make()
    logits, cache = seq2seq(*tokens, params, SOURCE_MASK, config=config)
    dparams = seq2seq_backward(draw(*logits.shape), cache)
    assert type(dparams) is type(params)
    assert [d.shape for d in tree_leaves(dparams)] == [p.shape for p in tree_leaves(params)]


# ---- errors ----


@pytest.mark.parametrize("options, message", [
    ({"width": 0}, "width must be at least 1, got 0"),
    ({"num_layers": 0}, "num_layers must be at least 1, got 0"),
    ({"reset": "torch"}, 'reset must be "before" or "after", got \'torch\''),
])
def test_configurations_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_tokens_that_do_not_fit(make, tokens):
    config, params = make()
    source, target = tokens
    with pytest.raises(ValueError, match="ids must lie in 0 … 5"):
        seq2seq(source + 6, target, params, config=config)
    with pytest.raises(ValueError, match="ids must lie in 0 … 6"):
        seq2seq(source, target + 7, params, config=config)
    with pytest.raises(TypeError, match="mask must be a boolean array"):
        seq2seq(source, target, params, SOURCE_MASK * 1.0, config=config)


@pytest.mark.parametrize("source", [np.arange(3), np.zeros((1, 2, 3), int)])
def test_a_search_takes_rows_of_ids(make, source):
    config, params = make()
    with pytest.raises(ValueError, match=r"source must be \(B, Ts\), .* got shape"):
        translate(source, params, config=config, bos=BOS, eos=EOS, max_len=4)
