"""The text's names for Bahdanau's model, which are the same in both editions."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_nn import assert_gradients_of, assert_same

from npattn.d2l import en, zh
from npattn.kernels.linear import linear
from npattn.models.recurrent_decoder import recurrent_step
from npattn.models.seq2seq import (
    Seq2SeqConfig,
    Seq2SeqParams,
    seq2seq,
    seq2seq_backward,
    translate,
)
from npattn.trees import tree_leaves, tree_map

LENS = np.array([3, 2])
MASK = np.arange(3) < LENS[:, None]
CONFIG = Seq2SeqConfig(11, 13, embedding=4, width=5, num_layers=2, reset="after")


@pytest.fixture
def encoder_decoder(shake):
    """Both in evaluation mode, and no bias at 0."""
    encoder = zh.Seq2SeqEncoder(11, 4, 5, 2, 0.3, rng=0).eval()
    decoder = zh.Seq2SeqAttentionDecoder(13, 4, 5, 2, 0.3, rng=1).eval()
    for module in (encoder, decoder):
        module.params = shake(module.params)
    source, target = np.array([[3, 1, 10], [2, 2, 0]]), np.array([[1, 12, 4, 4], [0, 5, 1, 2]])
    return encoder, decoder, source, target


@pytest.mark.parametrize("d2l", [en, zh])
def test_the_example_of_the_text(d2l):
    vocab_size, embed_size, num_hiddens, num_layers = 10, 8, 16, 2
    batch_size, num_steps = 4, 7
    encoder = d2l.Seq2SeqEncoder(vocab_size, embed_size, num_hiddens, num_layers)
    decoder = d2l.Seq2SeqAttentionDecoder(vocab_size, embed_size, num_hiddens, num_layers)
    X = np.zeros((batch_size, num_steps), dtype=int)
    outputs, hidden_state = encoder(X)
    assert outputs.shape == (num_steps, batch_size, num_hiddens)
    assert hidden_state.shape == (num_layers, batch_size, num_hiddens)
    assert_array_equal(outputs[-1], hidden_state[-1])
    state = decoder.init_state((outputs, hidden_state), None)
    output, state = decoder(X, state)
    assert output.shape == (batch_size, num_steps, vocab_size)
    assert len(state) == 3 and state[0].shape == (batch_size, num_steps, num_hiddens)
    assert len(state[1]) == num_layers and state[1][0].shape == (batch_size, num_hiddens)
    assert [P.shape for P in decoder.attention_weights] == [(batch_size, 1, num_steps)] * num_steps
    drawn = np.concatenate([P[0] for P in decoder.attention_weights]).reshape((1, 1, -1, num_steps))
    assert_allclose(drawn.sum(axis=-1), 1, rtol=1e-14)


@pytest.mark.parametrize("d2l", [en, zh])
def test_what_a_decoder_with_attention_has_to_say(d2l):
    decoder = d2l.AttentionDecoder()
    with pytest.raises(NotImplementedError, match="weights"):
        decoder.attention_weights
    with pytest.raises(NotImplementedError, match="state"):
        decoder.init_state(None, None)
    assert issubclass(d2l.Seq2SeqAttentionDecoder, d2l.AttentionDecoder)
    assert issubclass(d2l.TransformerDecoder, d2l.AttentionDecoder)


def test_encoder_and_decoder_are_the_model(encoder_decoder):
    encoder, decoder, source, target = encoder_decoder
    logits, _ = decoder(target, decoder.init_state(encoder(source, LENS), LENS))
    params = Seq2SeqParams(encoder.params, decoder.params)
    want, cache = seq2seq(source, target, params, MASK, config=CONFIG)
    assert_array_equal(logits, want)
    assert_array_equal(decoder.attention_weights, [s.attention.P for s in cache.decoder.steps])
    dlogits = np.random.default_rng(0).standard_normal(logits.shape)
    assert encoder.backward(decoder.backward(dlogits)) is None
    assert_same(Seq2SeqParams(encoder.grads, decoder.grads), seq2seq_backward(dlogits, cache))


def test_gradients(encoder_decoder, draw):
    encoder, decoder, source, target = encoder_decoder
    assert_gradients_of(encoder.train(), source, valid_lens=LENS, max_entries=3)

    def call(decoder, outputs, hidden_state):
        return decoder(target, decoder.init_state((outputs, hidden_state), [0, 2]))[0]

    assert_gradients_of(decoder.train(), draw(3, 2, 5), draw(2, 2, 5), call=call, max_entries=3)


def test_the_encoder_does_not_read_what_lies_behind_a_sequence(encoder_decoder):
    encoder, _, source, _ = encoder_decoder
    alone = encoder(source[1:, :2])[1]
    assert_allclose(encoder(source, LENS)[1][:, 1:], alone, rtol=1e-14)
    assert not np.allclose(encoder(source)[1][:, 1:], alone)  # as the text does


@pytest.mark.parametrize("chunks", [(1, 1, 1, 1), (2, 2), (1, 3)])
def test_step_by_step_gives_what_the_whole_gives(encoder_decoder, chunks):
    encoder, decoder, source, target = encoder_decoder
    state = decoder.init_state(encoder(source, LENS), LENS)
    whole, whole_state = decoder(target, state)
    whole_weights = decoder.attention_weights
    pieces, weights = [], []
    for part in np.split(target, np.cumsum(chunks)[:-1], axis=1):
        logits, state = decoder(part, state)
        pieces.append(logits)
        weights += decoder.attention_weights
    assert_allclose(np.concatenate(pieces, axis=1), whole, rtol=1e-12, atol=1e-13)
    assert_allclose(weights, whole_weights, rtol=1e-12)
    assert_allclose(state[1], whole_state[1], rtol=1e-12)


def test_the_state_of_a_step_in_training_mode(encoder_decoder):
    encoder, decoder, source, target = encoder_decoder
    M, hidden, _ = first = decoder.init_state(encoder(source), None)
    before = hidden.copy()
    decoder.train()
    twin, table = copy.deepcopy(decoder.rng), decoder.params.embedding
    logits, state = decoder(target[:, :1], first)
    want, _ = recurrent_step(
        table[target[:, 0]], tuple(hidden), M, decoder.params.step,
        reset="after", dropout_rate=0.3, rng=twin,
    )
    assert_array_equal(state[1], want)
    assert_array_equal(linear(state[1][-1], decoder.params.output)[0], logits[:, 0])
    assert_array_equal(hidden, before)  # the old state stays as it was


def test_a_step_that_continues_another_has_no_backward(encoder_decoder):
    encoder, decoder, source, target = encoder_decoder
    _, state = decoder(target[:, :1], decoder.init_state(encoder(source), None))
    logits, _ = decoder(target[:, 1:], state)
    with pytest.raises(RuntimeError, match="continued an earlier one"):
        decoder.backward(logits)


def test_dropout_acts_in_training_mode_only(encoder_decoder):
    encoder, decoder, source, target = encoder_decoder
    calm = encoder(source)
    state = decoder.init_state(calm)
    want, _ = decoder(target, state)
    assert not np.array_equal(decoder.train()(target, state)[0], want)
    assert not np.array_equal(encoder.train()(source)[0], calm[0])
    assert_array_equal(decoder.eval()(target, state)[0], want)


def test_the_package_s_translation_runs_on_the_text_s_objects(encoder_decoder):
    encoder, decoder, source, _ = encoder_decoder
    params = Seq2SeqParams(encoder.params, decoder.params)
    [answer], P = translate(source[:1], params, config=CONFIG, bos=1, eos=0, max_len=5)
    token, state = np.array([[1]]), decoder.init_state(encoder(source[:1]), None)
    ids, weights = [], []
    for _ in range(len(P[0])):
        logits, state = decoder(token, state)
        token = logits.argmax(axis=2)
        ids.append(token[0, 0])
        weights += decoder.attention_weights
    assert_array_equal(answer.ids, [i for i in ids if i])
    assert_array_equal(np.concatenate(weights, axis=1), P)


def test_agreement_with_torch(encoder_decoder):
    torch = pytest.importorskip("torch")
    encoder, decoder, source, target = encoder_decoder
    enc, dec = (
        tree_map(lambda leaf: torch.tensor(leaf, requires_grad=True), module.params)
        for module in (encoder, decoder)
    )

    def gru(X, H, layers):
        """torch.nn.GRU, with our parameters in place of its own."""
        D, Dh = layers[0].input.W.shape[0], len(layers[0].hidden.W)
        own = torch.nn.GRU(D, Dh, len(layers), dtype=torch.float64)
        names, leaves = [], []
        for i, p in enumerate(layers):
            names += [f"{kind}_l{i}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            leaves += [p.input.W.T, p.hidden.W.T, p.input.b, p.hidden.b]
        return torch.func.functional_call(own, dict(zip(names, leaves, strict=True)), (X, H))

    H = torch.zeros(2, 2, 5, dtype=torch.float64)
    M, H = gru(enc.embedding[torch.tensor(source.T)], H, enc.layers)
    M, tops = M.transpose(0, 1), []
    keep = torch.tensor(MASK)
    Wq, Wk, w = dec.step.attention
    for x in dec.embedding[torch.tensor(target.T)]:
        S = torch.tanh((H[-1] @ Wq)[:, None] + M @ Wk) @ w
        P = S.masked_fill(~keep, -1e6).softmax(-1)
        x = torch.cat((torch.einsum("bt,btd->bd", P, M), x), dim=-1)
        top, H = gru(x[None], H, dec.step.layers)
        tops.append(top[0])
    want = torch.stack(tops, 1) @ dec.output.W + dec.output.b

    logits, state = decoder(target, decoder.init_state(encoder(source), LENS))
    assert_allclose(logits, want.detach().numpy(), rtol=1e-12, atol=1e-12)
    assert_allclose(state[1], H.detach().numpy(), rtol=1e-12, atol=1e-12)
    dlogits = np.random.default_rng(0).standard_normal(logits.shape)
    want.backward(torch.tensor(dlogits))
    encoder.backward(decoder.backward(dlogits))
    for module, tree in ((encoder, enc), (decoder, dec)):
        for got, leaf in zip(tree_leaves(module.grads), tree_leaves(tree), strict=True):
            assert_allclose(got, leaf.grad.numpy(), rtol=1e-11, atol=1e-12)


def test_single_precision_and_seeds():
    ids = np.array([[1, 2]])
    sizes = dict(embed_size=3, num_hiddens=4, num_layers=1)
    encoder = en.Seq2SeqEncoder(5, **sizes, rng=0, dtype=np.float32)
    decoder = en.Seq2SeqAttentionDecoder(5, **sizes, rng=0, dtype=np.float32)
    logits, state = decoder(ids, decoder.init_state(encoder(ids)))
    assert {logits.dtype, state[1].dtype} == {np.dtype(np.float32)}
    assert {d.dtype for d in decoder.backward(logits)} == {np.dtype(np.float32)}
    assert_same(en.Seq2SeqEncoder(5, **sizes, rng=3).params,
                en.Seq2SeqEncoder(5, **sizes, rng=3).params)


def test_arguments_that_do_not_fit(encoder_decoder):
    encoder, decoder, source, target = encoder_decoder
    state = decoder.init_state(encoder(source), None)
    for call in (lambda: encoder(source[0]), lambda: decoder(target[0], state),
                 lambda: decoder(target[:1], state)):
        with pytest.raises(ValueError, match=r"must be ids \(B, n\)"):
            call()
    with pytest.raises(ValueError, match=r"valid_lens \(3,\) .* X .* \(2, 3\)"):
        encoder(source, [1, 2, 3])
    with pytest.raises(ValueError, match=r"enc_valid_lens \(2, 1\) .* enc_outputs .* \(2, 3, 5\)"):
        decoder(target, decoder.init_state(encoder(source), [[1], [2]]))
