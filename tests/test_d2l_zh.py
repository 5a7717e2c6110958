"""The Chinese edition's names, on the shapes and numbers of its own examples."""

import copy
import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_nn import assert_gradients_of, assert_same

from npattn.d2l import en
from npattn.d2l import zh as d2l
from npattn.kernels.heads import merge_heads, split_heads
from npattn.kernels.masks import valid_lens_mask
from npattn.models.encoder import encoder_block, encoder_block_backward
from npattn.trees import tree_items


@pytest.fixture
def pyplot():
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def averages_of_the_valid():
    """Equal keys: each query gets the average of its valid values."""
    keys, valid_lens = np.ones((2, 10, 2)), np.array([2, 6])
    values = np.arange(40, dtype=np.float64).reshape(1, 10, 4).repeat(2, axis=0)
    return keys, values, valid_lens, [[[2, 3, 4, 5]], [[10, 11, 12, 13]]]


# ---- 10.1 heatmaps, 10.3 scoring functions ----


def test_heatmap_of_the_identity(pyplot):
    attention_weights = np.eye(10).reshape((1, 1, 10, 10))
    assert d2l.show_heatmaps(attention_weights, xlabel="Keys", ylabel="Queries") is None
    figure = d2l.plt.gcf()
    assert len(d2l.plt.get_fignums()) == 1
    assert figure.axes[0].get_xlabel() == "Keys" and figure.axes[0].get_ylabel() == "Queries"


def test_masked_softmax(rng):
    X = rng.random((2, 2, 4))
    P = d2l.masked_softmax(X, np.array([2, 3]))
    assert_array_equal(P > 0, [[[1, 1, 0, 0]] * 2, [[1, 1, 1, 0]] * 2])
    P = d2l.masked_softmax(X, np.array([[1, 3], [2, 4]]))
    assert_array_equal((P > 0).sum(axis=-1), [[1, 3], [2, 4]])
    assert_allclose(P.sum(axis=-1), 1, rtol=1e-15)


def test_sequence_mask_and_the_softmax_of_what_it_leaves():
    y = np.array([[[7, 5, 5, 4], [3, 7, 7, 7]]])
    r = d2l.sequence_mask(y.reshape(2, 4), np.array([1, 2]), -1000)
    assert_array_equal(r, [[7, -1000, -1000, -1000], [3, 7, -1000, -1000]])
    P = d2l.masked_softmax(y.astype(float), np.array([[1, 2]]))
    assert_allclose(P, [[[1, 0, 0, 0], [0.0180, 0.9820, 0, 0]]], atol=5e-5)


def test_additive_attention(rng, pyplot):
    keys, values, valid_lens, averages = averages_of_the_valid()
    queries = rng.normal(0, 1, (2, 1, 20))
    attention = d2l.AdditiveAttention(key_size=2, query_size=20, num_hiddens=8, dropout=0.1)
    attention.eval()
    assert_allclose(attention(queries, keys, values, valid_lens), averages, rtol=1e-14)
    assert [W.shape for W in attention.params] == [(20, 8), (2, 8), (8,)]
    weights = attention.attention_weights
    assert_allclose(weights[1, 0], [1 / 6] * 6 + [0] * 4, rtol=1e-15)
    d2l.show_heatmaps(weights.reshape((1, 1, 2, 10)), xlabel="Keys", ylabel="Queries")
    keys = rng.normal(0, 1, keys.shape)
    assert_gradients_of(attention, queries, keys, values, valid_lens=valid_lens)


def test_dot_product_attention(rng):
    keys, values, valid_lens, averages = averages_of_the_valid()
    queries = rng.normal(0, 1, (2, 1, 2))
    attention = d2l.DotProductAttention(dropout=0.5)
    attention.eval()
    assert_allclose(attention(queries, keys, values, valid_lens), averages, rtol=1e-14)
    assert_allclose(attention.attention_weights[0, 0], [1 / 2] * 2 + [0] * 8, rtol=1e-15)
    attention(queries, keys, values, np.array([0, 6]))
    assert not attention.attention_weights[0].any()
    keys = rng.normal(0, 1, keys.shape)
    assert_gradients_of(attention, queries, keys, values, valid_lens=[[0], [6]])


# ---- 10.2 what a regression looks like ----


def test_plot_kernel_reg(rng, pyplot):
    x_train, y_train, x_test = rng.random(7), rng.random(7), np.arange(0, 5, 0.1)
    plot_kernel_reg = functools.partial(
        d2l.plot_kernel_reg, x_test=x_test, y_truth=np.sin(x_test), x_train=x_train,
        y_train=y_train,
    )
    y_hat = np.repeat(y_train.mean(), 50)
    for shape in ((50,), (50, 1)):
        truth, pred, points = plot_kernel_reg(y_hat.reshape(shape)).lines
        assert_array_equal(truth.get_ydata(), np.sin(x_test))
        assert_array_equal(pred.get_ydata(), y_hat)
        assert_array_equal(points.get_xydata(), np.column_stack((x_train, y_train)))
    assert d2l.plt.gca().get_xlim() == (0, 5)


# ---- 10.5 multi-head attention ----


def test_multihead_attention():
    num_hiddens, num_heads = 100, 5
    attention = d2l.MultiHeadAttention(
        num_hiddens, num_hiddens, num_hiddens, num_hiddens, num_heads, 0.5
    )
    attention.eval()
    batch_size, num_queries, num_kvpairs, valid_lens = 2, 4, 6, np.array([3, 2])
    X = np.ones((batch_size, num_queries, num_hiddens))
    Y = np.ones((batch_size, num_kvpairs, num_hiddens))
    assert attention(X, Y, Y, valid_lens).shape == (2, 4, 100)
    assert attention.attention.attention_weights.shape == (10, 4, 6)


def test_sizes_come_in_the_order_key_query_value(draw):
    attention = d2l.MultiHeadAttention(6, 5, 7, 8, 2, 0.2, bias=True, rng=0)
    assert attention.params.query.W.shape == (5, 8)
    assert attention.params.key.W.shape == (6, 8)
    assert attention.params.value.W.shape == (7, 8)
    X = draw(2, 3, 5), draw(2, 4, 6), draw(2, 4, 7)
    assert_gradients_of(attention, *X, valid_lens=[0, 3])
    with pytest.raises(ValueError, match="Tk is 3 in Xk, 4 in Xv"):
        attention(X[1], X[0], X[2])


def test_heads_go_to_the_batch_and_back(draw):
    X = draw(2, 3, 8)
    heads = d2l.transpose_qkv(X, 4)
    assert_array_equal(heads.reshape(2, 4, 3, 2), split_heads(X, 4))
    assert_array_equal(d2l.transpose_output(heads, 4), X)
    Z = draw(8, 3, 2)
    assert_array_equal(d2l.transpose_output(Z, 4), merge_heads(Z.reshape(2, 4, 3, 2)))


def test_self_attention():
    num_hiddens, num_heads = 100, 5
    attention = d2l.MultiHeadAttention(*[num_hiddens] * 4, num_heads, 0.5)
    attention.eval()
    X, valid_lens = np.ones((2, 4, num_hiddens)), np.array([3, 2])
    assert attention(X, X, X, valid_lens).shape == (2, 4, 100)


# ---- 10.6 positional encoding ----


def test_positional_encoding(pyplot):
    encoding_dim, num_steps = 32, 60
    pos_encoding = d2l.PositionalEncoding(encoding_dim, 0)
    pos_encoding.eval()
    X = pos_encoding(np.zeros((1, num_steps, encoding_dim)))
    P = pos_encoding.P[:, : X.shape[1], :]
    assert_array_equal(X, P)
    assert_array_equal(P[0, 0], [0, 1] * 16)
    axes = d2l.plot(
        np.arange(num_steps), P[0, :, 6:10].T, xlabel="Row", figsize=(6, 2.5),
        legend=[f"Col {d}" for d in range(6, 10)],
    )
    assert [text.get_text() for text in axes.get_legend().get_texts()][-1] == "Col 9"
    d2l.show_heatmaps(P[0][None, None], "Column", "Row", figsize=(3.5, 4), cmap="Blues")


# ---- 10.7 the Transformer ----


def test_feed_forward(draw):
    ffn = d2l.PositionWiseFFN(4, 4, 8)
    ffn.eval()
    Y = ffn(np.ones((2, 3, 4)))
    assert Y.shape == (2, 3, 8)
    assert_array_equal(Y, np.tile(Y[0, 0], (2, 3, 1)))
    assert_gradients_of(d2l.PositionWiseFFN(4, 5, 6, rng=0), draw(2, 3, 4))


def test_add_norm_over_the_last_axis_and_over_the_last_two(draw):
    add_norm = d2l.AddNorm([3, 4], 0.5)
    add_norm.eval()
    assert add_norm(np.ones((2, 3, 4)), np.ones((2, 3, 4))).shape == (2, 3, 4)
    X, Y = draw(2, 3, 4), draw(2, 3, 4)
    for shape, axes in (([3, 4], (-1, -2)), ([4], -1), (4, -1)):
        S = X + Y
        S = S - S.mean(axis=axes, keepdims=True)
        want = S / np.sqrt((S * S).mean(axis=axes, keepdims=True) + 1e-5)
        add_norm = d2l.AddNorm(shape, 0.5, rng=0)
        assert_allclose(add_norm.eval()(X, Y), want, rtol=1e-12)
        assert_gradients_of(add_norm.train(), X, Y)
    with pytest.raises(ValueError, match=r"\(2, 4, 3\) must end in .* \(3, 4\)"):
        d2l.AddNorm([3, 4], 0.0)(draw(2, 4, 3), draw(2, 4, 3))


def test_encoder_block_and_encoder_of_the_text():
    X, valid_lens = np.ones((2, 100, 24)), np.array([3, 2])
    encoder_blk = d2l.EncoderBlock(24, 24, 24, 24, [100, 24], 24, 48, 8, 0.5)
    encoder_blk.eval()
    assert encoder_blk(X, valid_lens).shape == (2, 100, 24)
    encoder = d2l.TransformerEncoder(200, 24, 24, 24, 24, [100, 24], 24, 48, 8, 2, 0.5)
    encoder.eval()
    assert encoder(np.ones((2, 100), dtype=np.int64), valid_lens).shape == (2, 100, 24)
    weights = np.concatenate(encoder.attention_weights, 0)
    assert weights.shape == (2 * 2 * 8, 100, 100)
    assert not weights.reshape(2, 2, 8, 100, 100)[:, 0, :, :, 3:].any()
    decoder_blk = d2l.DecoderBlock(24, 24, 24, 24, [100, 24], 24, 48, 8, 0.5, 0)
    decoder_blk.eval()
    state = [encoder_blk(X, valid_lens), valid_lens, [None]]
    assert decoder_blk(X, state)[0].shape == (2, 100, 24)


@pytest.mark.thorough
def test_gradients_of_the_blocks(draw):
    X, M = draw(2, 4, 6), draw(2, 3, 6)
    block = d2l.EncoderBlock(6, 6, 6, 6, [4, 6], 6, 7, 2, 0.3, use_bias=True, rng=0)
    assert_gradients_of(block, X, valid_lens=[0, 3], max_entries=3)
    block = d2l.DecoderBlock(6, 6, 6, 6, [6], 6, 7, 2, 0.3, 0, rng=0)
    assert_gradients_of(
        block, X, M, max_entries=3, call=lambda b, X, M: b(X, [M, [0, 2], [None]])[0]
    )


def test_encoder_block_is_the_pair(draw):
    X, lens = draw(2, 5, 8), np.array([4, 0])
    block = d2l.EncoderBlock(8, 8, 8, 8, [8], 8, 6, 2, 0.3, rng=0)
    twin = copy.deepcopy(block.attention.rng)
    Y = block(X, lens)
    mask = valid_lens_mask(lens, 5)
    want, cache = encoder_block(X, block.params, mask, num_heads=2, dropout=0.3, rng=twin)
    assert_array_equal(Y, want)
    dX, dparams = encoder_block_backward(X, cache)
    assert_array_equal(block.backward(X), dX)
    assert_same(block.grads, dparams)


def test_the_attention_weights_that_the_text_draws(pyplot):
    num_hiddens, num_layers, num_steps, num_heads = 32, 2, 10, 4
    sizes = (num_hiddens,) * 4 + ([num_hiddens], num_hiddens, 64, num_heads, num_layers, 0.1)
    encoder, decoder = d2l.TransformerEncoder(20, *sizes), d2l.TransformerDecoder(21, *sizes)
    encoder.eval()
    decoder.eval()
    source, valid_len = np.arange(num_steps)[None] % 5, np.array([4])
    state = decoder.init_state(encoder(source, valid_len), valid_len)
    enc = np.concatenate(encoder.attention_weights, 0).reshape((num_layers, num_heads, -1, 10))
    assert enc.shape == (2, 4, 10, 10)
    token, steps = np.array([[1]]), []
    for _ in range(6):  # token by token, as the text predicts
        logits, state = decoder(token, state)
        token = logits.argmax(axis=2)
        steps.append(decoder.attention_weights)
    inner = np.zeros((num_layers, num_heads, 6, 6))
    for t, (own, cross) in enumerate(steps):
        assert [P.shape for P in cross] == [(num_heads, 1, num_steps)] * num_layers
        for layer, P in enumerate(own):
            inner[layer, :, t, : t + 1] = P[:, 0]
    assert_allclose(inner.sum(axis=-1), 1, rtol=1e-14)
    d2l.show_heatmaps(
        inner, xlabel="Key positions", ylabel="Query positions",
        titles=[f"Head {i}" for i in range(1, 5)], figsize=(7, 3.5),
    )


# ---- the two editions ----


def test_the_editions_compute_the_same_from_the_same_parameters():
    source, target, lens = np.array([[3, 1, 10]]), np.array([[1, 12, 4, 4]]), np.array([2])
    sizes = (8,) * 4 + ([8], 8, 6, 2, 2, 0.0)
    encoder, decoder = d2l.TransformerEncoder(11, *sizes), d2l.TransformerDecoder(13, *sizes)
    twins = en.TransformerEncoder(11, 8, 6, 2, 2, 0.0), en.TransformerDecoder(13, 8, 6, 2, 2, 0.0)
    for module, twin in zip((encoder, decoder), twins, strict=True):
        twin.params = module.params  # before any size of the twin has been inferred
    results = []
    for enc, dec in ((encoder, decoder), twins):
        logits, _ = dec(target, dec.init_state(enc(source, lens), lens))
        enc.backward(dec.backward(np.cos(logits)))
        results.append((logits, enc.grads, dec.grads))
    assert_same(*results)


def test_state_dict_goes_from_one_object_to_another():
    sizes = (8,) * 4 + ([8], 8, 6, 2, 2, 0.0)
    one, other = (d2l.TransformerEncoder(11, *sizes, rng=seed) for seed in (0, 1))
    ids = np.array([[3, 1, 10]])
    want = one(ids, None)
    assert not np.array_equal(other(ids, None), want)
    other.load_state_dict(one.state_dict())
    assert_array_equal(other(ids, None), want)
    assert [path for path, _ in tree_items(one.params)] == list(one.state_dict())
    twin = en.TransformerEncoder(11, 8, 6, 2, 2, 0.0)
    with pytest.raises(RuntimeError, match="call it once"):
        twin.load_state_dict(one.state_dict())
    twin(ids, None)
    twin.load_state_dict(one.state_dict())
    assert_array_equal(twin(ids, None), want)


def test_single_precision(draw):
    block = d2l.EncoderBlock(4, 4, 4, 4, [4], 4, 3, 2, 0.1, dtype=np.float32)
    X = draw(2, 3, 4).astype(np.float32)
    assert block(X, None).dtype == np.float32
    assert block.backward(X).dtype == np.float32


def test_heads_that_do_not_divide_the_width():
    X = np.ones((1, 2, 8))
    with pytest.raises(ValueError, match="num_heads=3 for a width of 8"):
        d2l.MultiHeadAttention(8, 8, 8, 8, 3, 0.0)(X, X, X, None)
