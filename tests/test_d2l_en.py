"""The English edition's names, on the shapes of its own examples."""

import copy
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_nn import (
    assert_gradients_of,
    assert_same,
    torch_linear,
    torch_norm,
    torch_tree,
)

from npattn import nn
from npattn.d2l import en as d2l
from npattn.kernels.additive import additive_attention
from npattn.kernels.masks import causal_mask, valid_lens_mask
from npattn.models.decoder import decoder_block, decoder_block_backward
from npattn.models.encoder import encoder_block, encoder_block_backward
from npattn.models.multihead import multihead_attention, multihead_attention_backward
from npattn.models.search import greedy_decode
from npattn.models.transformer import (
    TransformerConfig,
    TransformerParams,
    transformer,
    transformer_backward,
)
from npattn.trees import tree_leaves, tree_map

LENS = np.array([3, 2])
CONFIG = TransformerConfig(
    11, 13, width=8, num_heads=2, hidden=6, encoder_blocks=2, decoder_blocks=2,
    norm="post", scale_embeddings=True,
)


@pytest.fixture
def pyplot():
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


@pytest.fixture
def encoder_decoder():
    """Both in evaluation mode, with every size known and no bias at 0."""
    encoder = d2l.TransformerEncoder(11, 8, 6, 2, 2, 0.3, rng=0).eval()
    decoder = d2l.TransformerDecoder(13, 8, 6, 2, 2, 0.3, rng=1).eval()
    source, target = np.array([[3, 1, 10], [2, 2, 0]]), np.array([[1, 12, 4, 4], [0, 5, 1, 2]])
    decoder(target, decoder.init_state(encoder(source, LENS), LENS))
    rng = np.random.default_rng(2)
    for module in (encoder, decoder):
        module.params = tree_map(lambda p: p + 0.3 * rng.standard_normal(p.shape), module.params)
    return encoder, decoder, source, target


# ---- 11.3 scoring functions ----


def test_masked_softmax(rng):
    X = rng.random((2, 2, 4))
    P = d2l.masked_softmax(X, np.array([2, 3]))
    assert_allclose(P.sum(axis=-1), 1, rtol=1e-15)
    assert_array_equal(P > 0, [[[1, 1, 0, 0]] * 2, [[1, 1, 1, 0]] * 2])
    P = d2l.masked_softmax(X, np.array([[1, 3], [2, 4]]))
    assert_array_equal(P[0, 0], [1, 0, 0, 0])
    assert_array_equal((P > 0).sum(axis=-1), [[1, 3], [2, 4]])
    P = d2l.masked_softmax(np.zeros((1, 2, 4)), None)
    assert_array_equal(P, np.full((1, 2, 4), 0.25))


def test_masking_differs_from_the_text_in_dead_rows_and_in_leaving_its_argument_alone(draw):
    X = draw(2, 2, 4)
    before = X.copy()
    P = d2l.masked_softmax(X, [0, 3])
    assert not P[0].any()
    d2l.sequence_mask(X, [1, 2], value=-1.0)
    assert_array_equal(X, before)


def test_sequence_mask():
    X = np.array([[7, 8, 9], [4, 5, 6]])
    assert_array_equal(d2l.sequence_mask(X, np.array([1, 2])), [[7, 0, 0], [4, 5, 0]])
    masked = d2l.sequence_mask(np.ones((2, 3, 4)), np.array([1, 2]), value=-1)
    assert_array_equal(masked[:, :, 0], [[1, -1, -1], [1, 1, -1]])
    assert_array_equal(masked, masked[..., :1].repeat(4, axis=-1))
    assert d2l.sequence_mask(np.ones((2, 3), np.float32), [1, 2], -1e6).dtype == np.float32


def test_sequence_mask_of_lengths_that_do_not_fit():
    for X, lens in ((np.ones((1, 2, 4)), [1, 2]), (np.ones((2, 4)), [[1], [2]]), (np.ones(2), 1)):
        shapes = rf"valid_len \({np.shape(lens)[0] if np.ndim(lens) else ''}.* X .*{X.shape[0]}"
        with pytest.raises(ValueError, match=shapes):
            d2l.sequence_mask(X, np.array(lens))
    with pytest.raises(ValueError, match="0 … 4"):
        d2l.sequence_mask(np.ones((2, 4)), [1, 5])


def test_dot_product_attention(rng, pyplot):
    queries = rng.normal(0, 1, (2, 1, 2))
    keys = rng.normal(0, 1, (2, 10, 2))
    values = rng.normal(0, 1, (2, 10, 4))
    valid_lens = np.array([2, 6])
    attention = d2l.DotProductAttention(dropout=0.5)
    attention.eval()
    d2l.check_shape(attention(queries, keys, values, valid_lens), (2, 1, 4))
    weights = attention.attention_weights.reshape((1, 1, 2, 10))
    assert_array_equal((weights > 0).sum(axis=-1), [[[2, 6]]])
    d2l.show_heatmaps(weights, xlabel="Keys", ylabel="Queries")
    assert len(pyplot.get_fignums()) == 1
    assert [dX.shape for dX in attention.backward(values[:, :1])] == [
        X.shape for X in (queries, keys, values)
    ]


def test_weights_are_stored_before_dropout_which_acts_in_training_mode_only(draw):
    queries, keys = draw(2, 3, 4), draw(2, 5, 4)
    attention = d2l.DotProductAttention(0.5, rng=0)
    Y = attention(queries, keys, keys)
    assert_allclose(attention.attention_weights.sum(axis=-1), 1, rtol=1e-15)
    assert not np.array_equal(Y, attention.eval()(queries, keys, keys))


def test_additive_attention_with_queries_of_another_width(rng):
    queries, keys = rng.normal(0, 1, (2, 1, 20)), rng.normal(0, 1, (2, 10, 2))
    values = rng.normal(0, 1, (2, 10, 4))
    attention = d2l.AdditiveAttention(num_hiddens=8, dropout=0.1)
    assert attention.params is None  # no size is known yet
    attention.eval()
    Y = attention(queries, keys, values, np.array([2, 6]))
    d2l.check_shape(Y, (2, 1, 4))
    assert [W.shape for W in attention.params] == [(20, 8), (2, 8), (8,)]
    mask = valid_lens_mask([2, 6], 10)
    want, cache = additive_attention(queries, keys, values, attention.params, mask)
    assert_array_equal(Y, want)
    assert_array_equal(attention.attention_weights, cache.P)
    assert_gradients_of(attention, queries, keys, values, valid_lens=[2, 6])


# ---- 11.5 multi-head attention ----


def test_multihead_attention():
    num_hiddens, num_heads = 100, 5
    attention = d2l.MultiHeadAttention(num_hiddens, num_heads, 0.5)
    batch_size, num_queries, num_kvpairs = 2, 4, 6
    valid_lens = np.array([3, 2])
    X = np.ones((batch_size, num_queries, num_hiddens))
    Y = np.ones((batch_size, num_kvpairs, num_hiddens))
    d2l.check_shape(attention(X, Y, Y, valid_lens), (batch_size, num_queries, num_hiddens))
    assert attention.attention_weights.shape == (10, 4, 6)  # all heads of a sequence together
    assert attention.attention.attention_weights is attention.attention_weights
    assert_array_equal(attention.attention_weights[:5, :, 3:], 0)
    assert_array_equal(attention.attention_weights[5:, :, 2:], 0)
    assert all(p.b is None for p in attention.params)


@pytest.mark.parametrize("bias", [False, True])
def test_multihead_attention_is_the_pair(draw, bias):
    queries, keys, values = draw(2, 3, 5), draw(2, 4, 6), draw(2, 4, 7)
    lens = np.array([[1, 4, 2], [0, 3, 3]])
    attention = d2l.MultiHeadAttention(8, 2, 0.0, bias, rng=0)
    Y = attention(queries, keys, values, lens)
    want, cache = multihead_attention(
        queries, keys, values, attention.params, valid_lens_mask(lens, 4), num_heads=2
    )
    assert_array_equal(Y, want)
    *dX, dparams = multihead_attention_backward(Y, cache)
    assert_same(attention.backward(Y), tuple(dX))
    assert_same(attention.grads, dparams)
    assert (attention.params.query.b is None) is not bias


def test_heads_go_to_the_batch_and_back(draw):
    X, attention = draw(2, 3, 8), d2l.MultiHeadAttention(8, 4, 0.0)
    heads = attention.transpose_qkv(X)
    assert heads.shape == (8, 3, 2)
    assert_array_equal(heads[5], X[1, :, 2:4])  # sequence 1, head 1
    assert_array_equal(attention.transpose_output(heads), X)


def test_heads_that_do_not_divide_the_width():
    with pytest.raises(ValueError, match="num_heads=3 for a width of 8"):
        d2l.MultiHeadAttention(8, 3, 0.0)(*np.ones((3, 2, 3, 8)))


# ---- 11.6 positional encoding ----


def test_positional_encoding(pyplot):
    encoding_dim, num_steps = 32, 60
    pos_encoding = d2l.PositionalEncoding(encoding_dim, 0)
    X = pos_encoding(np.zeros((1, num_steps, encoding_dim)))
    P = pos_encoding.P[:, : X.shape[1], :]
    assert pos_encoding.P.shape == (1, 1000, 32)
    assert_array_equal(X, P)
    t = np.arange(num_steps)
    assert_allclose(P[0, :, 6], np.sin(t / 10000 ** (6 / 32)), rtol=0, atol=1e-13)
    assert_allclose(P[0, :, 7], np.cos(t / 10000 ** (6 / 32)), rtol=0, atol=1e-13)
    axes = d2l.plot(
        np.arange(num_steps), P[0, :, 6:10].T, xlabel="Row (position)",
        figsize=(6, 2.5), legend=[f"Col {d}" for d in np.arange(6, 10)],
    )
    assert len(axes.lines) == 4 and axes.get_xlabel() == "Row (position)"
    assert_array_equal(axes.lines[2].get_ydata(), P[0, :, 8])
    d2l.show_heatmaps(
        P[0][None, None], xlabel="Column", ylabel="Row", figsize=(3.5, 4), cmap="Blues"
    )
    assert tuple(d2l.plt.gcf().get_size_inches()) == (3.5, 4)


def test_positional_encoding_of_odd_widths_later_positions_and_too_many():
    pos_encoding = d2l.PositionalEncoding(5, 0.0, max_len=7)
    P, zeros = pos_encoding.P, np.zeros((2, 3, 5))
    assert P.shape == (1, 7, 5)
    assert_array_equal(pos_encoding(zeros, offset=4), np.tile(P[:, 4:7], (2, 1, 1)))
    assert pos_encoding(zeros.astype(np.float32)).dtype == np.float32
    with pytest.raises(ValueError, match="max_len=7 .* position 8"):
        pos_encoding(zeros, offset=5)
    with pytest.raises(ValueError, match="num_hiddens=5"):
        pos_encoding(np.zeros((2, 3, 1)))


# ---- 11.7 the Transformer ----


def test_feed_forward_is_the_same_at_every_position(draw):
    ffn = d2l.PositionWiseFFN(4, 8)
    ffn.eval()
    Y = ffn(np.ones((2, 3, 4)))
    assert Y.shape == (2, 3, 8)
    assert_array_equal(Y, np.tile(Y[0, 0], (2, 3, 1)))
    assert [p.b.shape for p in ffn.params] == [(4,), (8,)]
    assert_gradients_of(ffn, draw(2, 3, 4))


def test_add_norm(draw):
    add_norm = d2l.AddNorm(4, 0.5)
    shape = (2, 3, 4)
    d2l.check_shape(add_norm(np.ones(shape), np.ones(shape)), shape)
    X, Y = draw(*shape), draw(*shape)
    Z = add_norm.eval()(X, Y)
    S = X + Y
    want = (S - S.mean(-1, keepdims=True)) / np.sqrt(S.var(-1, keepdims=True) + 1e-5)
    assert_allclose(Z, want, rtol=1e-12)
    assert_gradients_of(d2l.AddNorm(4, 0.5, rng=0), X, Y)
    with pytest.raises(ValueError, match=r"\(2, 3, 5\) must end in .* \(4,\)"):
        add_norm(draw(2, 3, 5), draw(2, 3, 5))
    with pytest.raises(ValueError):
        add_norm(X, draw(3, 4))


def test_encoder_block_and_encoder():
    X = np.ones((2, 100, 24))
    valid_lens = np.array([3, 2])
    encoder_blk = d2l.TransformerEncoderBlock(24, 48, 8, 0.5)
    encoder_blk.eval()
    d2l.check_shape(encoder_blk(X, valid_lens), X.shape)
    encoder = d2l.TransformerEncoder(200, 24, 48, 8, 2, 0.5)
    d2l.check_shape(encoder(np.ones((2, 100), dtype=int), valid_lens), (2, 100, 24))
    assert [P.shape for P in encoder.attention_weights] == [(16, 100, 100)] * 2
    shape = (2, 8, -1, 100)
    weights = np.concatenate(encoder.attention_weights, 0)[: 2 * 8].reshape(shape)
    d2l.check_shape(weights, (2, 8, 100, 100))
    assert encoder.blks[1].attention.attention.attention_weights is encoder.attention_weights[1]


def test_decoder_block_returns_a_new_state(draw):
    X, lens = draw(2, 10, 24), np.array([3, 2])
    encoder_blk = d2l.TransformerEncoderBlock(24, 48, 8, 0.5)
    decoder_blk = d2l.TransformerDecoderBlock(24, 48, 8, 0.5, 0)
    state = [encoder_blk(X, lens), lens, [None]]
    Y, new_state = decoder_blk(X, state)
    d2l.check_shape(Y, X.shape)
    assert state[2] == [None]
    assert_array_equal(new_state[2][0], X)
    assert new_state[0] is state[0] and new_state[1] is lens


def test_blocks_are_the_pairs(draw):
    X, M, lens = draw(2, 5, 8), draw(2, 3, 7), np.array([4, 1])
    options = dict(num_heads=2, norm="post", dropout=0.3)
    block = d2l.TransformerEncoderBlock(8, 6, 2, 0.3, use_bias=True, rng=0)
    block(X, lens)  # sizes
    twin = copy.deepcopy(block.attention.rng)  # one generator draws for all parts
    Y = block(X, lens)
    want, cache = encoder_block(X, block.params, valid_lens_mask(lens, 5), **options, rng=twin)
    assert_array_equal(Y, want)
    dX, dparams = encoder_block_backward(X, cache)
    assert_array_equal(block.backward(X), dX)
    assert_same(block.grads, dparams)

    block = d2l.TransformerDecoderBlock(8, 6, 2, 0.3, 0, rng=0)
    mask, keys = causal_mask(5), valid_lens_mask([0, 2], 3)
    block(X, [M, [0, 2], [None]])
    twin = copy.deepcopy(block.attention1.rng)
    Y, _ = block(X, [M, [0, 2], [None]])
    want, cache = decoder_block(X, M, block.params, mask, keys, **options, rng=twin)
    assert_array_equal(Y, want)
    *dinputs, dparams = decoder_block_backward(X, cache)
    assert_same(block.backward(X), tuple(dinputs))
    assert_same(block.grads, dparams)


@pytest.mark.thorough
def test_gradients_of_the_blocks(draw):
    X, M = draw(2, 4, 6), draw(2, 3, 5)
    block = d2l.TransformerEncoderBlock(6, 7, 2, 0.3, rng=0)
    block(X)
    assert_gradients_of(block, X, valid_lens=[[0, 2, 3, 4], [1, 1, 4, 4]], max_entries=3)
    block = d2l.TransformerDecoderBlock(6, 7, 2, 0.3, 1, rng=0)
    block(X, [M, None, [None, None]])
    assert_gradients_of(
        block, X, M, max_entries=3, call=lambda b, X, M: b(X, [M, [0, 2], [None, None]])[0]
    )


def test_encoder_and_decoder_are_the_transformer(encoder_decoder):
    encoder, decoder, source, target = encoder_decoder
    logits, _ = decoder(target, decoder.init_state(encoder(source, LENS), LENS))
    params = TransformerParams(encoder.params, decoder.params)
    mask = valid_lens_mask(LENS, 3)[:, 0]
    want, cache = transformer(source, target, params, mask, config=CONFIG)
    assert_allclose(logits, want, rtol=1e-13)
    dlogits = np.random.default_rng(0).standard_normal(logits.shape)
    assert encoder.backward(decoder.backward(dlogits)) is None
    gradient = TransformerParams(encoder.grads, decoder.grads)
    wanted = transformer_backward(dlogits, cache)
    for got, leaf in zip(tree_leaves(gradient), tree_leaves(wanted), strict=True):
        assert_allclose(got, leaf, rtol=1e-12, atol=1e-13)


def test_encoder_and_decoder_agree_with_torch(encoder_decoder):
    torch = pytest.importorskip("torch")
    encoder, decoder, source, target = encoder_decoder
    enc, dec = torch_tree(torch, encoder.params), torch_tree(torch, decoder.params)

    def attend(Xq, Xkv, params, keep):
        B, H = len(Xq), 2
        Q, K, V = (
            torch_linear(X, p).reshape(B, -1, H, 4).permute(2, 0, 1, 3)
            for X, p in ((Xq, params.query), (Xkv, params.key), (Xkv, params.value))
        )
        S = (Q @ K.transpose(-1, -2) / 2.0).masked_fill(~keep, -1e6)
        return torch_linear(torch.cat(list(S.softmax(-1) @ V), dim=-1), params.output)

    def think(X, params):
        return torch_linear(torch.relu(torch_linear(X, params.hidden)), params.output)

    def embed(ids, table):
        place = torch.arange(ids.shape[1], dtype=torch.float64)[:, None]
        angle = place / 10000 ** (torch.arange(0, 8, 2) / 8)
        positions = torch.stack((angle.sin(), angle.cos()), dim=-1).reshape(-1, 8)
        return table[torch.tensor(ids)] * math.sqrt(8) + positions

    keep = torch.tensor(np.arange(3) < LENS[:, None])[:, None]
    X = embed(source, enc.embedding)
    for p in enc.stack.blocks:
        X = torch_norm(torch, X + attend(X, X, p.attention, keep), p.attention_norm)
        X = torch_norm(torch, X + think(X, p.feed_forward), p.feed_forward_norm)
    M, X = X, embed(target, dec.embedding)
    causal = torch.ones(4, 4).tril().bool()
    for p in dec.stack.blocks:
        X = torch_norm(torch, X + attend(X, X, p.self_attention, causal), p.self_attention_norm)
        X = torch_norm(torch, X + attend(X, M, p.cross_attention, keep), p.cross_attention_norm)
        X = torch_norm(torch, X + think(X, p.feed_forward), p.feed_forward_norm)
    want = torch_linear(X, dec.output)

    logits, _ = decoder(target, decoder.init_state(encoder(source, LENS), LENS))
    assert_allclose(logits, want.detach().numpy(), rtol=1e-12, atol=1e-12)
    dlogits = np.random.default_rng(0).standard_normal(logits.shape)
    want.backward(torch.tensor(dlogits))
    encoder.backward(decoder.backward(dlogits))
    for module, tree in ((encoder, enc), (decoder, dec)):
        for got, leaf in zip(tree_leaves(module.grads), tree_leaves(tree), strict=True):
            assert_allclose(got, leaf.grad.numpy(), rtol=1e-12, atol=1e-12)


# ---- decoding ----


@pytest.mark.parametrize("chunks", [(1, 1, 1, 1), (2, 2), (1, 3)])
def test_step_by_step_gives_what_the_whole_gives(encoder_decoder, chunks):
    encoder, decoder, source, target = encoder_decoder
    state = decoder.init_state(encoder(source, LENS), LENS)
    whole, whole_state = decoder(target, state)
    pieces, weights = [], []
    for part in np.split(target, np.cumsum(chunks)[:-1], axis=1):
        logits, state = decoder(part, state)
        pieces.append(logits)
        weights.append(decoder.attention_weights)
    assert_allclose(np.concatenate(pieces, axis=1), whole, rtol=1e-12, atol=1e-13)
    assert_allclose(np.array(state[2]), np.array(whole_state[2]), rtol=1e-12, atol=1e-13)
    (inner, cross), n = weights[-1], chunks[-1]
    assert [P.shape for P in inner] == [(4, n, 4)] * 2
    assert [P.shape for P in cross] == [(4, n, 3)] * 2


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_future_is_never_seen(draw, mode):
    decoder = d2l.TransformerDecoder(13, 8, 6, 2, 2, 0.0, rng=1)
    getattr(decoder, mode)()
    state = decoder.init_state(draw(1, 3, 8), None)
    early, _ = decoder(np.array([[1, 2, 3, 4]]), state)
    late, _ = decoder(np.array([[1, 2, 9, 9]]), state)
    assert_array_equal(early[:, :2], late[:, :2])
    assert not np.array_equal(early[:, 2], late[:, 2])


def test_a_step_that_continues_another_has_no_backward(encoder_decoder):
    encoder, decoder, source, target = encoder_decoder
    state = decoder.init_state(encoder(source, LENS), LENS)
    _, state = decoder(target[:, :1], state)
    logits, _ = decoder(target[:, 1:], state)
    with pytest.raises(RuntimeError, match="continued 1 earlier positions"):
        decoder.backward(logits)


def test_the_package_s_search_runs_on_the_text_s_objects(encoder_decoder):
    encoder, decoder, source, _ = encoder_decoder
    params = TransformerParams(encoder.params, decoder.params)
    [answer] = greedy_decode(source[:1], params, config=CONFIG, bos=1, eos=0, max_len=5)
    token, state, ids = np.array([[1]]), decoder.init_state(encoder(source[:1])), []
    for _ in range(5):
        logits, state = decoder(token, state)
        token = logits.argmax(axis=-1)
        if token[0, 0] == 0:
            break
        ids.append(token[0, 0])
    assert_array_equal(answer.ids, ids)


def test_training_learns_to_copy():
    rng = np.random.default_rng(0)
    draw = dict(rng=rng)
    encoder = d2l.TransformerEncoder(6, 16, 16, 2, 1, 0.0, **draw)
    decoder = d2l.TransformerDecoder(6, 16, 16, 2, 1, 0.0, **draw)
    loss_of, losses = nn.CrossEntropyLoss(), []
    for _ in range(150):
        ids = rng.integers(1, 6, (16, 4))
        dec_X = np.concatenate((np.zeros((16, 1), int), ids[:, :-1]), axis=1)
        logits, _ = decoder(dec_X, decoder.init_state(encoder(ids, None), None))
        losses.append(loss_of(logits, ids))
        for module in (encoder, decoder):
            module.zero_grad()
        encoder.backward(decoder.backward(loss_of.backward()))
        for module in (encoder, decoder):
            module.params = tree_map(lambda p, d: p - 0.3 * d, module.params, module.grads)
    assert losses[-1] < 0.5 * losses[0]


# ---- figures ----


def test_heatmaps_share_one_scale(pyplot):
    matrices = np.random.default_rng(0).random((2, 4, 3, 5))
    titles = [f"Head {h}" for h in range(1, 5)]
    d2l.show_heatmaps(
        matrices, xlabel="Key positions", ylabel="Query positions", titles=titles,
        figsize=(7, 3.5),
    )
    figure = d2l.plt.gcf()
    drawn = [c for ax in figure.axes[:8] for c in (*ax.collections, *ax.images)]
    assert len({c.get_clim() for c in drawn}) == 1
    assert len(drawn) >= 8 and len(figure.axes) == 9  # one colour bar
    assert [ax.get_title() for ax in figure.axes[:4]] == titles
    assert [ax.get_xlabel() for ax in figure.axes[:8]] == [""] * 4 + ["Key positions"] * 4
    assert [ax.get_ylabel() for ax in figure.axes[:8]] == (["Query positions"] + [""] * 3) * 2
    figure.canvas.draw()
    with pytest.raises(ValueError, match="rows, columns, queries, keys"):
        d2l.show_heatmaps(matrices[0], "", "")


def test_plot_of_one_curve_and_of_curves_with_their_own_places(pyplot):
    axes = d2l.plot([4.0, 5.0, 6.0])
    assert_array_equal(axes.lines[0].get_xdata(), [0, 1, 2])
    axes = d2l.plot([[0, 1], [2, 3, 4]], [[5, 6], [7, 8, 9]], xlim=(0, 5), yscale="log")
    assert_array_equal(axes.lines[1].get_xdata(), [2, 3, 4])
    assert axes.get_xlim() == (0, 5) and axes.get_yscale() == "log"
    again = d2l.plot([1, 2], [3, 4], axes=axes)
    assert again is axes and len(axes.lines) == 3


def test_pyplot_under_the_text_s_name(pyplot):
    assert d2l.plt is pyplot
    with pytest.raises(AttributeError, match="no 'Residual'"):
        d2l.Residual


def test_check_shape():
    d2l.check_shape(np.ones((2, 3)), (2, 3))
    with pytest.raises(AssertionError, match=r"\(2, 3\), expected \(3, 2\)"):
        d2l.check_shape(np.ones((2, 3)), (3, 2))


# ---- errors ----


def test_valid_lens_that_do_not_fit():
    X = np.ones((2, 3, 4))
    attention = d2l.DotProductAttention(0.0)
    for lens in ([4, 1], [-1, 1], [[[1]]]):
        with pytest.raises(ValueError, match="valid_lens"):
            attention(X, X, X, lens)
    with pytest.raises(TypeError, match="valid_lens must be integers"):
        attention(X, X, X, [1.0, 2.0])
    for lens in ([1, 2, 3], [[1, 2], [1, 2]]):
        with pytest.raises(ValueError, match="mask"):
            attention(X, X, X, lens)


def test_arrays_of_another_precision():
    encoder = d2l.TransformerEncoder(5, 4, 3, 2, 1, 0.1, dtype=np.float32)
    assert encoder(np.ones((1, 2), int), None).dtype == np.float32
    attention = d2l.MultiHeadAttention(4, 2, 0.0)
    X = np.random.default_rng(0).random((3, 1, 2, 4), np.float32)
    attention.eval()
    Y = attention(*X)
    assert Y.dtype == np.float64
    assert_array_equal(Y, attention(*X.astype(np.float64)))
    with pytest.raises(TypeError, match="float32"):
        encoder.blks[0](np.ones((1, 2, 4)), None)


def test_backward_without_a_forward():
    with pytest.raises(RuntimeError, match="TransformerEncoderBlock.backward without a forward"):
        d2l.TransformerEncoderBlock(4, 4, 2, 0.0).backward(np.ones((1, 2, 4)))
