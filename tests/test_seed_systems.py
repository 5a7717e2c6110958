"""Attention systems in wide circulation, each against torch, and their printed numbers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.checking.pairs import random_upstream
from npattn.kernels.attention import attention
from npattn.kernels.masks import causal_mask, pad_sequences, valid_lens_mask
from npattn.kernels.positions import sinusoidal_positions
from npattn.kernels.softmax import masked_softmax, softmax
from npattn.models.multihead import init_multihead, multihead_attention
from npattn.verification.system import leaves, run_numpy
from npattn.verification.systems import SYSTEMS

TOLERANCES = {np.float64: 1e-12, np.float32: 1e-5}
NAMES = [system.name for system in SYSTEMS]


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)


def system_named(name):
    return SYSTEMS[NAMES.index(name)]


def by_autograd(torch, system, arguments, dY):
    """Y, a tuple, and {path: gradient}, from the torch formulation."""
    tensors = {path: torch.tensor(X) for path, X in leaves(arguments).items()}
    floats = {path: X.requires_grad_() for path, X in tensors.items() if X.is_floating_point()}
    Y, dY = (Z if isinstance(Z, tuple) else (Z,) for Z in (system.torch_run(torch, tensors), dY))
    gradients = torch.autograd.grad(Y, [*floats.values()], [torch.tensor(d) for d in dY])
    return [y.detach().numpy() for y in Y], {
        path: d.numpy() for path, d in zip(floats, gradients, strict=True)
    }


def relative_errors(found, truth):
    """The largest error of each gradient, relative to the largest entry of its layer.

    W and b of a layer sum the same terms; that of a key bias is exactly 0, to which no rounding
    error is small.
    """
    assert found.keys() == truth.keys()
    layer = {path: path.rpartition(".")[0] or path for path in truth}
    scales = {
        name: max(np.abs(X).max() for path, X in truth.items() if layer[path] == name)
        for name in layer.values()
    }
    return {path: np.abs(found[path] - X).max() / scales[layer[path]] for path, X in truth.items()}


# ---- against torch: forward and all gradients ----


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("dtype", TOLERANCES, ids=["float64", "float32"])
@pytest.mark.parametrize("system", SYSTEMS, ids=NAMES)
def test_a_system_agrees_with_torch(torch, system, dtype, seed):
    rng = np.random.default_rng(seed)
    arguments = system.build(rng, dtype)
    dY = random_upstream(system.forward(*arguments.values())[0], rng)
    Y, gradients = run_numpy(system, arguments, dY)
    Y_torch, gradients_torch = by_autograd(torch, system, arguments, dY)
    for found, truth in zip(Y, Y_torch, strict=True):
        assert found.dtype == dtype and found.shape == truth.shape
        assert_allclose(found, truth, rtol=0, atol=TOLERANCES[dtype] * np.abs(truth).max())
    errors = relative_errors(gradients, gradients_torch)
    assert max(errors.values()) <= TOLERANCES[dtype], max(errors, key=errors.get)
    assert {X.dtype for X in gradients.values()} == {np.dtype(dtype)}


def test_every_gradient_is_compared_and_none_is_idle():
    for system in SYSTEMS:
        arguments = system.build(np.random.default_rng(0), np.float64)
        dY = random_upstream(system.forward(*arguments.values())[0], np.random.default_rng(1))
        _, gradients = run_numpy(system, arguments, dY)
        floats = {path for path, X in leaves(arguments).items() if X.dtype.kind == "f"}
        assert gradients.keys() == floats, system.name
        assert all(X.any() for X in gradients.values()), system.name


def test_a_small_fault_in_any_one_gradient_is_seen(torch):
    for system in SYSTEMS:
        arguments = system.build(np.random.default_rng(0), np.float64)
        dY = random_upstream(system.forward(*arguments.values())[0], np.random.default_rng(1))
        _, truth = by_autograd(torch, system, arguments, dY)
        for path, X in run_numpy(system, arguments, dY)[1].items():
            wrong = X.copy()
            wrong.flat[np.abs(X).argmax()] *= 1.0 + 1e-6
            if not path.endswith("key.b"):  # 0 in exact arithmetic: a relative fault is nothing
                assert relative_errors({path: wrong}, {path: truth[path]})[path] > 1e-12, path


def test_names_are_unique_and_all_articles_are_there():
    assert len(set(NAMES)) == len(NAMES)
    assert len({system.source for system in SYSTEMS}) == 5


# ---- shapes and numbers as printed ----


@pytest.mark.parametrize(
    "name, shapes",
    [
        ("self-attention with a padding mask", [(2, 10, 128)]),
        ("multi-head self-attention without output projection", [(2, 10, 128)]),
        ("multi-head attention with a padding mask (B, 1, 1, T)", [(2, 5, 512)]),
        ("multi-head attention with a look-ahead mask", [(2, 5, 512)]),
        ("queries, keys and values of two 5-vectors", [(2, 5)]),
        ("time series Transformer", [(16, 4, 8)]),
        ("time series Transformer attending over the batch", [(16, 4, 8)]),
        ("bidirectional cross-attention", [(16, 36, 36), (16, 192, 192)]),
        ("cross-attention, unscaled", [(1, 10, 512)]),
        ("encoder-decoder cross-attention with two lengths", [(2, 7, 24)]),
    ],
)
def test_shapes(name, shapes):
    system = system_named(name)
    arguments = system.build(np.random.default_rng(0), np.float64)
    Y, _ = system.forward(*arguments.values())
    assert [y.shape for y in (Y if isinstance(Y, tuple) else (Y,))] == shapes


def test_softmax_of_larger_scores_is_closer_to_all_or_nothing():
    x = np.array([0.5, -1.0, 2.0])
    assert_allclose(softmax(x), [0.1753, 0.0391, 0.7856], atol=5e-5)
    assert_allclose(softmax(2 * x), [0.0473, 0.0024, 0.9503], atol=5e-5)


def test_scores_beyond_the_valid_length_get_no_weight():
    scores = np.array([[[7.0, 5, 5, 4], [3, 7, 7, 7]]])
    before = scores.copy()
    P = masked_softmax(scores, valid_lens_mask([[1, 2]], 4))
    assert_allclose(P, [[[1, 0, 0, 0], [0.0180, 0.9820, 0, 0]]], atol=5e-5)
    assert_array_equal(P[0, 0], [1, 0, 0, 0])
    assert_array_equal(scores, before)  # not in place


@pytest.fixture
def three_sentences(draw):
    """i love you; i can't go there; of course: padded to the longest."""
    return pad_sequences([draw(3, 6), draw(4, 6), draw(2, 6)])


def test_three_sentences_of_lengths_3_4_and_2(three_sentences):
    X, tokens = three_sentences
    assert_array_equal(tokens, [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0]])
    assert_array_equal(tokens[:, None, :], valid_lens_mask([3, 4, 2], 4))
    _, cache = attention(X, X, X, tokens[:, None, :])
    assert_array_equal(cache.P != 0.0, np.broadcast_to(tokens[:, None, :], (3, 4, 4)))
    assert_allclose(cache.P.sum(axis=-1), 1.0, rtol=1e-14)


def test_the_heatmap_of_three_sentences(three_sentences):
    from npattn.plots import head_grid

    X, tokens = three_sentences
    mask = np.broadcast_to(tokens[:, None, :], (3, 4, 4))
    _, cache = attention(X, X, X, mask)
    words = ["i", "can't", "go", "there"]
    axes = head_grid(cache.P[None], words, words, mask=mask[None])
    assert axes.shape == (1, 3)


def test_padding_and_the_error_for_a_sequence_that_is_too_long(torch, draw):
    sequences = [draw(3, 6), draw(5, 6)]
    padded, tokens = pad_sequences(sequences, 10)
    by_torch = torch.nn.utils.rnn.pad_sequence(list(map(torch.tensor, sequences)), batch_first=True)
    assert padded.shape == (2, 10, 6) and tokens.dtype == bool
    assert_array_equal(padded[:, :5], by_torch.numpy())
    assert not padded[:, 5:].any()
    assert_array_equal(tokens.sum(axis=1), [3, 5])
    with pytest.raises(ValueError, match=r"sequences\[1\] has length 5, more than max_len=4"):
        pad_sequences(sequences, 4)


def test_a_length_per_sequence_serves_all_its_heads(draw, rng):
    X, params = draw(2, 4, 6), init_multihead(6, rng, bias=False)
    _, cache = multihead_attention(X, X, X, params, valid_lens_mask([1, 3], 4), num_heads=3)
    seen = (cache.attention.P != 0.0).sum(axis=-1)
    assert_array_equal(seen[0], 1)
    assert_array_equal(seen[1], 3)


def test_look_ahead_and_padding_masks_with_four_axes(draw, rng):
    X, params = draw(2, 5, 6), init_multihead(6, rng)
    padding = valid_lens_mask([5, 3], 5)[:, None]
    assert padding.shape == (2, 1, 1, 5)
    _, cache = multihead_attention(X, X, X, params, padding & causal_mask(5), num_heads=2)
    assert_array_equal(
        (cache.attention.P != 0.0).sum(axis=-1)[:, 0], [[1, 2, 3, 4, 5], [1, 2, 3, 3, 3]]
    )


@pytest.mark.parametrize("width", [1, 5, 9])
def test_odd_widths_have_one_sine_more_than_cosines(torch, width):
    t = torch.arange(50, dtype=torch.float64)[:, None]
    for paired in (True, False):
        sines = torch.arange(0, width, 2, dtype=torch.float64)
        cosines = torch.arange(1, width, 2, dtype=torch.float64) - (1 if paired else 0)
        P = torch.zeros(50, width, dtype=torch.float64)
        P[:, 0::2] = torch.sin(t * 10000.0 ** (-sines / width))
        P[:, 1::2] = torch.cos(t * 10000.0 ** (-cosines / width))
        assert_allclose(sinusoidal_positions(50, width, paired=paired), P.numpy(), atol=1e-13)


def test_the_whole_time_series_encoder_is_torchs_own(torch):
    """With batch_first, torch's TransformerEncoder is "time"; without, it is "batch"."""
    arguments = system_named("time series Transformer").build(np.random.default_rng(2), np.float64)
    t = {path: torch.tensor(X) for path, X in leaves(arguments).items()}
    for attend, name in (
        ("time", "time series Transformer"),
        ("batch", "time series Transformer attending over the batch"),
    ):
        layer = torch.nn.TransformerEncoderLayer(
            9, 3, dropout=0.0, batch_first=attend == "time", dtype=torch.float64
        )
        stack = torch.nn.TransformerEncoder(layer, 10, enable_nested_tensor=False)
        with torch.no_grad():
            for i, block in enumerate(stack.layers):
                path = f"params.encoder.blocks[{i}]"
                names = ("query", "key", "value")
                W = [t[f"{path}.attention.{n}.W"].T for n in names]
                b = [t[f"{path}.attention.{n}.b"] for n in names]
                block.self_attn.in_proj_weight.copy_(torch.cat(W))
                block.self_attn.in_proj_bias.copy_(torch.cat(b))
                for module, at in (
                    (block.self_attn.out_proj, "attention.output"),
                    (block.linear1, "feed_forward.hidden"), (block.linear2, "feed_forward.output"),
                ):
                    module.weight.copy_(t[f"{path}.{at}.W"].T)
                    module.bias.copy_(t[f"{path}.{at}.b"])
                for module, at in (
                    (block.norm1, "attention_norm"), (block.norm2, "feed_forward_norm"),
                ):
                    module.weight.copy_(t[f"{path}.{at}.gain"])
                    module.bias.copy_(t[f"{path}.{at}.bias"])
            X = t["X"]
            length = X.shape[1] if attend == "time" else X.shape[0]
            P = torch.tensor(sinusoidal_positions(length, 9, paired=False))
            E = stack(X + (P if attend == "time" else P[:, None]))
            Y = E.reshape(16, 288) @ t["params.output.W"] + t["params.output.b"]
        found, _ = system_named(name).forward(*arguments.values())
        tolerance = 1e-12 * np.abs(found).max()
        assert_allclose(found, Y.reshape(16, 4, 8).numpy(), rtol=0, atol=tolerance)
