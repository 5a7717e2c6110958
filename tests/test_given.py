"""Weights and tokens as people have them: what is made of each form, and what is said of it."""

import numpy as np
import pytest
from matplotlib import pyplot

from npattn.cli import main
from npattn.kernels.softmax import masked_softmax
from npattn.plots import attention_page, given, head_grid, heatmap
from npattn.plots.tokens import readable


@pytest.fixture(autouse=True)
def agg():
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


@pytest.fixture
def layers(draw):
    """Three layers of four heads over five tokens, with the axis of a batch of one."""
    return [masked_softmax(draw(1, 4, 5, 5)) for _ in range(3)]


def read(weights, mask=None, queries=None, keys=None, ndims=(2, 3, 4)):
    return given.read(weights, queries, keys, mask, ndims)


class Tensor:
    """What the plots touch of a tensor of torch, which may require a gradient."""

    def __init__(self, array, dtype="torch.float32", grad=True):
        self.array, self.dtype, self.grad, self.ndim = array, dtype, grad, array.ndim

    def detach(self):
        return Tensor(self.array, self.dtype, False)

    def cpu(self):
        return self

    def float(self):
        return Tensor(self.array.astype(np.float32), "torch.float32", self.grad)

    def numpy(self):
        assert not self.grad and self.dtype != "torch.bfloat16"
        return self.array


@pytest.mark.sampled(4)
@pytest.mark.parametrize("container", [tuple, list])
@pytest.mark.parametrize("dtype", ["torch.float32", "torch.bfloat16"])
def test_attentions_as_hugging_face_returns_them_are_layers(layers, container, dtype):
    found = read(container(Tensor(layer, dtype) for layer in layers))
    want = np.concatenate(layers)
    np.testing.assert_allclose(found.weights, want, rtol=1e-6)  # of float32
    assert found.word == "weight" and found.mask is None
    assert head_grid(container(map(Tensor, layers))).shape == (3, 4)
    assert '"shape": [3, 4, 5, 5]' in attention_page(container(map(Tensor, layers)))


@pytest.mark.peers
def test_tensors_of_torch_that_require_a_gradient(layers):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    tensors = tuple(torch.tensor(layer, requires_grad=True) for layer in layers)
    np.testing.assert_array_equal(read(tensors).weights, np.concatenate(layers))
    heatmap(tensors[0][0, 0].to(torch.bfloat16))


def test_axes_of_length_one_drop_out(layers):
    stacked = np.stack(layers)
    assert read(stacked).weights.shape == (3, 4, 5, 5)
    assert read(stacked[:1, :, :1]).weights.shape == (1, 1, 5, 5)
    assert read(stacked[:1, :, :1], ndims=(2,)).weights.shape == (5, 5)
    with pytest.raises(ValueError, match=r"\(layers, batch, .*weights\[:, 0\]"):
        read(np.concatenate([stacked, stacked], axis=1))


def test_layers_of_several_shapes_are_refused(layers):
    with pytest.raises(ValueError, match=r"layers of one shape, got \(1, 4, 5, 5\) and \(5, 5\)"):
        read([layers[0], np.eye(5)])


def test_a_data_frame_brings_its_labels(layers):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(layers[0][0, 0], index=list("abcde"))
    found = read(frame)
    assert (found.queries, found.keys) == (list("abcde"), None)
    assert read(frame, queries="vwxyz").queries == "vwxyz"
    ax = heatmap(frame)
    ax.figure.canvas.draw()
    assert [t.get_text() for t in ax.get_yticklabels()] == list("abcde")


def test_what_an_array_masks_is_hidden():
    P = np.ma.masked_array(np.eye(3), mask=np.triu(np.ones((3, 3), bool), 1))
    found = read(P)
    np.testing.assert_array_equal(found.mask, np.tri(3, dtype=bool))
    both = read(P, mask=np.array([False, True, True])).mask
    np.testing.assert_array_equal(both, np.tri(3, dtype=bool) & [False, True, True])
    assert read([P, P]).mask.shape == (2, 3, 3)
    assert heatmap(P).patches


def test_nan_under_the_mask_is_a_dead_row_and_elsewhere_an_error():
    P, mask = np.eye(3), np.ones((3, 3), bool)
    P[1], mask[1] = np.nan, False
    found = read(P, mask)
    assert not found.weights[1].any() and not found.mask[1].any()
    assert found.word == "weight"
    assert any(text.get_text() == "∅" for text in heatmap(P, mask=mask).texts)
    with pytest.raises(ValueError, match=r"all of weights\[1\] is nan.*give the mask"):
        read(P)
    P[1, 0] = 0.0
    with pytest.raises(ValueError, match=r"weights\[1, 1\] is nan"):
        read(P)


@pytest.mark.parametrize("low", [-1e4, -1e6, -1e9, np.finfo(np.float32).min])
def test_masked_scores_are_recognised(low):
    S = np.where(np.tri(3, dtype=bool), [[1.0], [2.0], [0.5]], low)
    found = read(S)
    assert found.word == "score"
    np.testing.assert_array_equal(found.mask, np.tri(3, dtype=bool))
    assert found.weights.min() == 0.0


def test_the_colour_bar_says_what_the_numbers_are(draw):
    P = masked_softmax(draw(3, 4, 5))
    assert read(P.astype(np.float16)).word == "weight"
    assert read(draw(3, 4)).word == "score"
    assert read(2 * P).word == "value (rows do not sum to 1)"
    assert "axis 1 sums to 1" in read(P.swapaxes(-1, -2)).word
    assert "axis 1 sums to 1" in read(np.moveaxis(P, 0, -1)).word
    ax = heatmap(-P[0])
    assert "score" in [each.get_ylabel() for each in ax.figure.axes]
    assert '"word": "score"' in attention_page(-P)


def test_bfloat16_that_numpy_could_not_name():
    P = np.array([[0.5, 0.25, 0.25]], np.float32)
    raw = (P.view(np.uint32) >> 16).astype(np.uint16).view("V2")
    np.testing.assert_array_equal(read(raw).weights, P)
    with pytest.raises(TypeError, match="real numbers, got dtype .V1; save it as float32"):
        read(np.zeros((2, 2), "V1"))


# ---------------------------------------------------------------- grids of any size


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("shape", "lines"), [
    ((12, 27, 27), 3), ((3, 27, 27), 1), ((1, 12, 8, 8), 2),
    *(pytest.param(*case, marks=pytest.mark.thorough) for case in (
        ((2, 32, 4, 4), 3), ((12, 12, 5, 5), 1), ((30, 9, 6, 6), 1))),
])
def test_columns_that_would_be_too_narrow_are_wrapped(shape, lines):
    axes = head_grid(np.full(shape, 1 / shape[-1]))
    assert axes.shape == (1, *shape)[-4:-2]
    heights = {round(ax.get_position().y0, 6) for ax in axes[0]}
    assert len(heights) == lines
    figure = axes[0, 0].figure
    assert len(figure.axes) == axes.size + 1
    for ax in axes.flat:
        width, height = ax.get_position().size * figure.get_size_inches()
        assert min(width, height) > 0.45
    titled = axes if lines > 1 else axes[:1]
    assert all(ax.get_title() == f"head {h + 1}" for row in titled for h, ax in enumerate(row))
    if len(axes) > 1:
        assert axes[1, 0].get_ylabel() == "layer 2\nqueries"


# ---------------------------------------------------------------- tokens


@pytest.mark.parametrize(("tokens", "shown"), [
    (["The", "Ġcat", "Ġè¿Ļ", "Ċ"], ["The", "␣cat", "␣这", "\n"]),
    (["è¿Ļ", "æĺ¯"], ["这", "是"]),
    (["Ġ", "ĠĠx"], ["␣", "␣␣x"]),
    (["è¿", "Ġa"], [r"\xe8\xbf", "␣a"]),  # a part of a character
    (["▁the", "▁▁", "ing"], ["␣the", "␣␣", "ing"]),
    (["[CLS]", "play", "##ing", "##", "###"], ["[CLS]", "play", "…ing", "##", "###"]),
    (["Łódź", "café", "naïve", "我"], ["Łódź", "café", "naïve", "我"]),
    ([7, ""], ["7", ""]),
])
def test_tokens_of_the_usual_tokenizers_become_readable(tokens, shown):
    assert readable(tokens) == shown


# ---------------------------------------------------------------- the command


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """The arguments of the head_grid that the command calls in an empty folder."""
    from npattn import plots

    monkeypatch.chdir(tmp_path)
    calls, real = [], plots.head_grid

    def call(*args, **kwargs):
        calls.append((args, kwargs))
        return real(*args, **kwargs)

    monkeypatch.setattr(plots, "head_grid", call)

    def draw_one(*arguments):
        assert main(["heatmap", "--weights", *arguments]) == 0
        return calls[-1]

    return draw_one


@pytest.mark.thorough
def test_an_npz_of_layers_is_drawn_in_their_order(layers, drawn):
    many = [layers[n % 3] * (1 - n / 100) for n in range(11)]
    np.savez("w.npz", *many)
    (weights, *_), options = drawn("w.npz", "--vmax", "0.5")
    np.testing.assert_array_equal(weights, np.concatenate(many))
    assert options["vmax"] == 0.5


@pytest.mark.thorough
def test_one_layer_one_head_and_means(layers, drawn):
    np.savez("w.npz", *layers)
    P = np.concatenate(layers)
    for arguments, want, rows, columns in (
        (["--layer", "2"], P[1:2], ["layer 2"], [f"head {n}" for n in (1, 2, 3, 4)]),
        (["--layer", "3", "--head", "1"], P[2:, :1], ["layer 3"], [""]),
        (["--mean", "heads"], P.mean(1, keepdims=True), ["layer 1", "layer 2", "layer 3"],
         ["mean of 4 heads"]),
        (["--mean", "all"], P.mean((0, 1), keepdims=True), ["mean of 3 layers"],
         ["mean of 4 heads"]),
        (["--layer-names", "a b c", "--layer", "2", "--mean", "heads"],
         P[1:2].mean(1, keepdims=True), ["b"], ["mean of 4 heads"]),
    ):
        (weights, *_), options = drawn("w.npz", *arguments)
        np.testing.assert_allclose(weights, want, rtol=1e-15)
        assert (options["row_titles"], options["column_titles"]) == (rows, columns)


def test_labels_as_json_and_words_that_begin_with_an_at_sign(drawn, tmp_path):
    np.save("w.npy", np.full((2, 2), 0.5))
    (tmp_path / "t.json").write_text('["New York", ""]')
    (_, queries, keys), _ = drawn("w.npy", "--queries", '["a b", "c"]', "--keys", "@t.json")
    assert (queries, keys) == (["a b", "c"], ["New York", ""])
    (_, queries, keys), _ = drawn("w.npy", "--queries", "@@home [SEP]", "--keys", "[CLS] a")
    assert (queries, keys) == (["@home", "[SEP]"], ["[CLS]", "a"])


@pytest.mark.parametrize(("arguments", "message"), [
    (["--layer", "3"], "--layer must be one of 1 to 1, got 3"),
    (["--head", "0"], "--head must be one of 1 to 1, got 0"),
    (["--head-names", "a b"], "--head-names must name each of the 1 heads, got 2"),
    (["--vmax", "-1"], "--vmax must be finite and above 0, got -1"),
])
def test_what_cannot_be_chosen_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("w.npy", np.full((2, 2), 0.5))
    assert main(["heatmap", "--weights", "w.npy", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["w.npy"]


@pytest.mark.peers
def test_a_file_of_torch_is_converted_by_the_line_that_the_error_gives(
    tmp_path, monkeypatch, capsys, layers
):
    import re
    import subprocess
    import sys

    torch = pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.chdir(tmp_path)
    torch.save(tuple(torch.tensor(layer) for layer in layers), "w.pt")
    assert main(["heatmap", "--weights", "w.pt"]) == 2
    code = re.search(r'python -c "(.*)"$', capsys.readouterr().err.strip())[1]
    subprocess.run([sys.executable, "-c", code], check=True)
    assert main(["heatmap", "--weights", "weights.npz"]) == 0
