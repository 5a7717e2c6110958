"""Cells as the text has them, in words of our own: only the import lines are npattn's."""

import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn import nn as ours
from npattn.d2l import en, nn, torch, zh

EDITIONS = {"en": en, "zh": zh}


@pytest.fixture
def pyplot():
    import matplotlib
    from matplotlib import pyplot

    matplotlib.use("Agg")
    yield pyplot
    pyplot.close("all")


@pytest.fixture
def cell(pyplot):
    """A function that runs cells in one namespace, and returns it."""
    space = {"np": np}

    def run(code, edition="en"):
        exec(f"from npattn.d2l import {edition} as d2l, torch, nn", space)
        exec(code, space)
        return space

    run.space = space
    return run


# ---- torch ----


@pytest.mark.parametrize("code, wanted", [
    ("torch.ones((2, 3)).size(1)", 3),
    ("torch.ones(2, 3).size", 6),
    ("torch.zeros((2, 3)).dim()", 2),
    ("torch.arange(4).unsqueeze(0).shape", (1, 4)),
    ("torch.arange(24).reshape(2, 3, 4).permute(2, 0, 1)[3, 1, 2]", 23),
    ("torch.arange(24).reshape(2, 3, 4).transpose(1, 2).shape", (2, 4, 3)),
    ("torch.arange(3).repeat((2, 1)).tolist()", [[0, 1, 2]] * 2),
    ("np.tile(torch.arange(2), (2, 2)).tolist()", [[0, 1, 0, 1]] * 2),
    ("torch.arange(2).repeat_interleave(2).tolist()", [0, 0, 1, 1]),
    ("torch.repeat_interleave(torch.tensor([[1], [2]]), 2, dim=0).tolist()", [[1], [1], [2], [2]]),
    ("torch.repeat_interleave(torch.ones(3).mean(), 2).tolist()", [1, 1]),
    ("torch.cat((torch.ones(1, 2), torch.zeros(1, 2)), dim=1).tolist()", [[1, 1, 0, 0]]),
    ("torch.bmm(torch.ones(2, 1, 3), torch.ones(2, 3, 2)).tolist()", [[[3, 3]]] * 2),
    ("torch.sort(torch.tensor([3, 1, 2]))[0].tolist()", [1, 2, 3]),
    ("torch.max(torch.tensor([-1., 2.]), torch.zeros_like(torch.ones(2))).tolist()", [0, 2]),
    ("nn.functional.softmax(torch.zeros((2, 4)), dim=0).tolist()", [[0.5] * 4] * 2),
    ("(1 - torch.eye(2)).type(torch.bool).tolist()", [[False, True], [True, False]]),
    ("torch.tensor([1, 2], dtype=torch.float32).dtype", np.float32),
    ("d2l.numpy(d2l.concat([torch.ones(1)] * 2, 0)).tolist()", [1, 1]),
    ("d2l.reduce_sum(d2l.astype(torch.arange(3) > 0, d2l.int32), 0)", 2),
    ("d2l.reshape(d2l.eye(2), (1, 4)).cpu().detach().tolist()", [[1, 0, 0, 1]]),
    ("torch.exp(torch.zeros(1)).item() + d2l.abs(d2l.tensor(-1))", 2),
])
@pytest.mark.parametrize("edition", EDITIONS)
def test_names_of_torch_mean_what_they_mean_there(cell, edition, code, wanted):
    assert cell(f"found = {code}", edition)["found"] == wanted


def test_the_same_seed_draws_the_same_numbers():
    torch.manual_seed(3)
    first = torch.randn(4)
    torch.manual_seed(3)
    assert_array_equal(torch.randn(4), first)
    assert len({*torch.rand(9), *torch.normal(0, 1, (9,))}) == 18


def test_every_name_of_the_stand_ins_is_there():
    for stand_in in (torch, nn):
        assert all(getattr(stand_in, name) is not None for name in stand_in.__all__)


@pytest.mark.parametrize("code, says", [
    ("torch.einsum", "write np.… as NumPy calls it"),
    ("torch.optim.SGD(net.parameters(), lr=0.5)", "no autograd. In place of loss.backward"),
    ("torch.ones(1).sum().backward()", "backward"),
    ("torch.ones(1).grad", "no autograd"),
    ("torch.ones(1).masked_fill_", "write what NumPy calls it"),
    ("nn.MSELoss(reduction='none')", "net.backward(2 * (y - y_train))"),
    ("nn.Conv2d", "npattn.nn.Layer(forward, backward, params)"),
    ("d2l.FashionMNIST(batch_size=8)", "write logits = model(X)"),
    ("d2l.resnet18", "write the NumPy function"),
])
def test_any_other_name_says_what_to_write(cell, code, says):
    with pytest.raises(AttributeError, match=re.escape(says)):
        cell(code)


def test_what_the_sentence_says_to_write_trains(cell):
    sentence = torch.__dict__["NO_AUTOGRAD"]
    steps = "\n".join(re.findall(r"^    (.*)$", sentence, re.M)).replace("(…)", "(x, K, V)")
    space = cell("net, x = d2l.NWKernelRegression(rng=0), torch.rand(5)\n"
                 "K = V = torch.rand(5, 4); y_train = torch.rand(5)\n"
                 "before = net.params\nfrom npattn.training import init_sgd, sgd\n"
                 + steps.replace("lr=…", "lr=0.1"), "zh")
    y = space["net"](space["x"], space["K"], space["V"])
    assert ((y - space["y_train"])**2).sum() < ((space["y"] - space["y_train"])**2).sum()


# ---- d2l's classes ----


def test_tensors_in_tensors_out_and_the_numbers_of_plain_arrays():
    layer = en.MultiHeadAttention(8, 2, 0.5, rng=0)
    layer.eval()
    X, lens = torch.rand(2, 3, 8), torch.tensor([1, 3])
    Y = layer(X, X, X, lens)
    weights, plain = layer.attention_weights, layer(*[X.numpy()] * 3, lens.numpy())
    assert isinstance(Y, torch.Tensor) and isinstance(weights, torch.Tensor)
    assert type(plain) is np.ndarray and type(layer.attention_weights) is np.ndarray
    assert_array_equal(Y, plain)
    gradients = layer.backward(Y)
    assert all(isinstance(d, torch.Tensor) for d in gradients)


def test_a_decoder_takes_states_of_tensors():
    decoder = en.TransformerDecoder(9, 8, 4, 2, 2, 0.0, rng=0)
    state = decoder.init_state(torch.rand(2, 3, 8), torch.tensor([1, 3]))
    logits, state = decoder(torch.zeros((2, 4), dtype=torch.long), state)
    assert isinstance(logits, torch.Tensor) and isinstance(state[0], torch.Tensor)
    assert isinstance(decoder.attention_weights[1][0], torch.Tensor)


def test_float32_inputs_are_raised_to_float64_parameters():
    X = torch.tensor([[1, 2], [2, 4]], dtype=torch.float32)
    for layer in (nn.LayerNorm(2), en.AddNorm(2, 0.0), en.PositionWiseFFN(3, 2, rng=0)):
        inputs = [X] * (2 if isinstance(layer, en.AddNorm) else 1)
        Y = layer(*inputs)
        assert Y.dtype == np.float64
        assert_array_equal(Y, layer(*[X.astype(np.float64) for X in inputs]))
    mixed = en.DotProductAttention(0.0)
    keys = torch.rand(1, 3, 2)
    assert mixed(X[None], keys, keys.type(torch.float32)).dtype == np.float64
    assert mixed(X[None], X[None], X[None]).dtype == np.float32


def test_chinese_scoring_cell(cell):
    space = cell(
        "keys, values = torch.ones((2, 10, 3)), torch.arange(20, dtype=torch.float32)\n"
        "values = values.reshape(1, 10, 2).repeat(2, 1, 1)\n"
        "score = d2l.AdditiveAttention(key_size=3, query_size=5, num_hiddens=4, dropout=0.1)\n"
        "score.eval()\n"
        "out = score(d2l.normal(0, 1, (2, 1, 5)), keys, values, d2l.tensor([1, 4]))", "zh")
    assert_allclose(space["out"][:, 0], [[0, 1], [3, 4]], atol=1e-12)
    assert "eval" in repr(space["score"]) and "(3, 4)" in repr(space["score"])


@pytest.mark.parametrize("layer, says", [
    (lambda: en.AdditiveAttention(4, 0.1), "AdditiveAttention(dropout=0.1) with parameters whose"),
    (lambda: zh.PositionWiseFFN(2, 3, 2), "with hidden.W (2, 3), hidden.b (3,)"),
    (lambda: en.DotProductAttention(0.5).eval(), "dropout=0.5), in evaluation mode"),
    (lambda: ours.ReLU(), "ReLU()"),
    (lambda: ours.EncoderBlock(4, 2, 8), "and 12 more"),
])
def test_repr_says_what_a_layer_is(layer, says):
    assert says in repr(layer())
    assert "object at" not in repr(layer()) and "\n" not in repr(layer())


# ---- cells that define classes ----

PASTED = """
class DotProductAttention(nn.Module):
    def __init__(self, dropout):
        super(DotProductAttention, self).__init__()
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries, keys, values, valid_lens=None):
        return torch.bmm(queries, keys.transpose(1, 2)) @ values
"""


def test_a_class_of_the_text_stays_the_imported_one(cell):
    with pytest.warns(UserWarning, match="DotProductAttention stays the one of npattn.d2l"):
        space = cell(PASTED)
    assert space["DotProductAttention"] is en.DotProductAttention
    warnings.simplefilter("ignore")
    source = ("class AddNorm(nn.Module):\n"
              "    def __init__(self, {0}, dropout, **kwargs):\n        super().__init__()")
    assert cell(source.format("norm_shape"))["AddNorm"] is en.AddNorm
    assert cell(source.format("normalized_shape"), "zh")["AddNorm"] is zh.AddNorm
    assert cell("class AttentionDecoder(d2l.Decoder):\n    pass")["AttentionDecoder"] in (
        en.AttentionDecoder, zh.AttentionDecoder)


def test_a_method_that_a_class_has_is_kept_and_another_added(cell):
    own = en.MultiHeadAttention.transpose_qkv
    space = cell("@d2l.add_to_class(d2l.MultiHeadAttention)\n"
                 "def transpose_qkv(self, X):\n    pass\n"
                 "class Own:\n    pass\n@d2l.add_to_class(Own)\ndef name(self):\n    return 3")
    assert en.MultiHeadAttention.transpose_qkv is own
    assert space["Own"]().name() == 3


@pytest.mark.parametrize("base", ["nn.Module", "d2l.Module", "ours.Module", "ours.Composite"])
def test_a_class_of_ones_own_is_told_what_it_lacks(cell, base):
    cell.space["ours"] = ours
    space = cell(PASTED.replace("nn.Module", base).replace("DotProductAttention", "Mine"))
    if base == "ours.Composite":
        with pytest.raises(TypeError, match="parts"):
            space["Mine"](0.5)
        return
    with pytest.raises(TypeError, match=r"Mine has no _forward, _backward.*Write Y, cache"):
        space["Mine"](0.5)(*[torch.ones(1, 2, 3)] * 3)
    assert "Mine" in repr(space["Mine"](0.5))


# ---- figures ----


def test_heatmaps_are_drawn_once(cell):
    space = cell("found = d2l.show_heatmaps(d2l.reshape(d2l.eye(4), (1, 1, 4, 4)), 'k', 'q')")
    assert space["found"] is None and len(en.plt.get_fignums()) == 1
    cell("d2l.use_svg_display()")
    en.show_heatmaps(torch.rand(1, 2, 3, 4), xlabel="k", ylabel="q", titles=["a", "b"])


def test_plot_kernel_reg_reads_the_notebook_as_the_text_does(cell):
    cell("x_test, y_truth = d2l.arange(0, 5, 0.5), d2l.arange(10.)\n"
         "x_train, y_train = torch.rand(3), torch.rand(3)\n"
         "d2l.plot_kernel_reg(torch.zeros((10,)).unsqueeze(1).detach())", "zh")
    assert len(zh.plt.gca().lines) == 3
    with pytest.raises(NameError, match="needs x_test, y_truth, x_train, y_train: give x_test=…"):
        zh.plot_kernel_reg(np.zeros(10))


def test_the_texts_own_functions_run_under_a_star_import(cell):
    space = cell("from npattn.d2l.en import *\n"
                 "def plot(x, kernel):\n"
                 "    _, y_hat = None, nadaraya_watson(x, x, x, kernel)[0]\n"
                 "    d2l.plt.plot(x, y_hat)\n"
                 "kernels = gaussian, boxcar, constant, epanechikov, gaussian_with_width(2)\n"
                 "for kernel in kernels:\n"
                 "    plot(d2l.arange(-2.5, 2.5, 0.1), kernel)\n"
                 "P = masked_softmax(torch.rand(2, 2, 4), torch.tensor([[1, 3], [2, 4]]))")
    assert_array_equal((space["P"] > 0).sum(-1), [[1, 3], [2, 4]])


def test_positions_are_drawn_from_p(cell):
    space = cell("p = d2l.PositionalEncoding(8, 0); X = p(d2l.zeros((1, 5, 8)))\n"
                 "P = p.P[:, :X.shape[1], :]\n"
                 "d2l.plot(d2l.arange(5), P[0, :, 2:6].T,\n"
                 "         legend=['Col %d' % d for d in d2l.arange(2, 6)])\n"
                 "Q = P[0, :, :].unsqueeze(0).unsqueeze(0)")
    assert_array_equal(space["X"], space["P"])
    assert space["Q"].shape == (1, 1, 5, 8)


# ---- training ----

LINES = "\n".join(["run.\tcours !", "i run.\tje cours.", "run now.\tcours vite !"] * 4)


def test_the_english_trainer_trains_predicts_and_draws(pyplot):
    data = en.MTFraEng(4, num_steps=5, num_train=8, num_val=4, text=LINES)
    sizes = dict(num_hiddens=8, ffn_num_hiddens=8, num_heads=2, num_blks=1, dropout=0.0)
    model = en.Seq2Seq(
        en.TransformerEncoder(len(data.src_vocab), **sizes, rng=0),
        en.TransformerDecoder(len(data.tgt_vocab), **sizes, rng=1),
        tgt_pad=data.tgt_vocab["<pad>"], lr=0.02,
    )
    trainer = en.Trainer(max_epochs=30, gradient_clip_val=1, num_gpus=1)
    trainer.fit(model, data)
    losses = trainer.history["train_loss"]
    assert losses[-1] < 0.3 * losses[0] and len(trainer.history["val_loss"]) == 30
    assert len(en.plt.gca().lines) == 2
    preds, weights = model.predict_step(
        data.build(["i run ."], ["je cours ."]), en.try_gpu(), data.num_steps, True)
    words = data.tgt_vocab.to_tokens(preds[0])
    assert words[: words.index("<eos>")] == ["je", "cours", "."]
    assert len(weights) == 5 and weights[4][0][0].shape == (2, 1, 5)
    with pytest.raises(TypeError, match="trains a Seq2Seq, got PositionWiseFFN"):
        trainer.fit(en.PositionWiseFFN(2, 2), data)


def test_the_chinese_training_predicts_even_long_sentences(pyplot, capsys):
    batches, source, target = zh.load_data_nmt(4, 4, text=LINES)
    net = zh.EncoderDecoder(zh.Seq2SeqEncoder(len(source), 8, 8, 1, rng=0),
                            zh.Seq2SeqAttentionDecoder(len(target), 8, 8, 1, rng=1))
    zh.train_seq2seq(net, batches, 0.05, 30, target, zh.try_gpu())
    assert float(capsys.readouterr().out.split()[1].rstrip(",")) < 0.5
    assert len(zh.plt.gca().lines) == 1
    found, weights = zh.predict_seq2seq(net, "i run .", source, target, 4, "cpu", True)
    assert zh.bleu(found, "je cours .", k=2) == 1 and len(weights) == 4
    zh.predict_seq2seq(net, "i run now and then run and run .", source, target, 4, "cpu")


def test_sentences_without_a_file_are_those_of_npattn():
    data = en.MTFraEng(batch_size=128)
    assert len(data.train_dataloader()) == 4 and len(data.val_dataloader()) == 1
    X, read, lens, Y = data.build(["go .", "unheard words"], ["va !", "mots"])
    assert data.tgt_vocab.to_tokens(read[0, :2]) == ["<bos>", "va"]
    assert_array_equal(lens, [3, 3])
    assert data.src_vocab["unheard"] == 0 and data.src_vocab[["go", "."]] == list(X[0, :2])


# ---- the runner ----


def test_the_runner_tells_cell_by_cell(tmp_path):
    (tmp_path / "a.md").write_text(
        "```{.python .input}\n%%tab pytorch\nfrom d2l import torch as d2l\nimport torch\n```\n"
        "```{.python .input}\n%%tab all\nd2l.check_shape(torch.ones(2), (2,))\n```\n"
        "```{.python .input}\n#@tab mxnet\nraise ValueError\n```\n"
        "```{.python .input}\n%%tab pytorch\ntorch.optim.SGD(1)\n```\n"
        "```{.python .input}\n%%tab pytorch\nclass AddNorm(nn.Module):\n    pass\n```\n"
        "```{.python .input}\n%%tab pytorch\n1 / 0\n```\n", encoding="utf-8")
    from d2l_cells import run_section

    found = [row[:2] for row in run_section("en", tmp_path / "a.md", True, None)]
    assert found == [(1, "runs"), (2, "runs"), (4, "says"), (6, "fails")]
