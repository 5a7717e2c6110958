"""The bridge: what crosses it arrives bit by bit, and computes the same on the other side."""

import importlib
import sys
import warnings

import numpy as np
import pytest

from npattn.kernels.attention import attention
from npattn.kernels.embedding import embedding, embedding_backward
from npattn.kernels.layer_norm import LayerNormParams, layer_norm, layer_norm_backward
from npattn.kernels.linear import LinearParams, linear, linear_backward
from npattn.kernels.masks import causal_mask
from npattn.kernels.rms_norm import rms_norm, rms_norm_backward
from npattn.models.decoder import (
    DecoderParams,
    decoder,
    decoder_backward,
    decoder_block,
    decoder_block_backward,
)
from npattn.models.encoder import (
    EncoderParams,
    encoder,
    encoder_backward,
    encoder_block,
    encoder_block_backward,
)
from npattn.models.multihead import multihead_attention, multihead_attention_backward
from npattn.trees import tree_items, tree_leaves, tree_map


def test_without_torch_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "npattn.torch_bridge", raising=False)
    with pytest.raises(ImportError, match=r'pip install "npattn\[torch\]"'):
        importlib.import_module("npattn.torch_bridge")


torch = pytest.importorskip("torch", reason="torch is not installed")
nn = torch.nn
bridge = importlib.import_module("npattn.torch_bridge")

B, TQ, TK, D, H, F = 2, 3, 5, 8, 2, 12


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(5)


# ---- arrays ----


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.bool_])
def test_arrays_come_back_as_they_went(rng, dtype):
    X = (100 * rng.standard_normal((3, 4))).astype(dtype)
    tree = LinearParams(np.flip(X).T, None), np.asarray(X[0, 0])
    back = bridge.from_torch(bridge.to_torch(tree))
    tree_map(np.testing.assert_array_equal, back, tree)
    assert isinstance(back[0], LinearParams) and back[0].W.dtype == dtype and back[1].shape == ()


def test_tensors_and_arrays_share_no_memory():
    X = np.zeros(3)
    X.setflags(write=False)
    tensor = bridge.to_torch(X)
    tensor += 1.0
    back = bridge.from_torch(tensor)
    back += 1.0
    assert X.tolist() == [0.0] * 3 and tensor.tolist() == [1.0] * 3


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", torch.float32])
def test_only_float_arrays_change_precision_and_are_followed_by_autograd(dtype):
    tree = (np.full(2, 0.5), np.arange(2), np.array([True, False]))
    X, ids, mask = bridge.to_torch(tree, dtype=dtype, requires_grad=True)
    assert X.dtype == bridge.torch_dtype(dtype) and X.requires_grad and X.is_leaf
    assert (ids.dtype, mask.dtype) == (torch.int64, torch.bool) and not ids.requires_grad
    assert bridge.from_torch(X).dtype == np.float32


@pytest.mark.parametrize("dtype", ["int64", "float65", None, 3])
def test_an_unknown_precision_is_named(dtype):
    with pytest.raises(TypeError, match=f"floating dtype of torch, got {dtype!r}"):
        bridge.torch_dtype(dtype)


# ---- masks ----


def _qkv(draw):
    return draw(B, H, TQ, 4), draw(B, H, TK, 4), draw(B, H, TK, 6)


def test_sdpa_takes_our_polarity(draw, draw_mask):
    Q, K, V = _qkv(draw)
    mask = draw_mask(B, 1, TQ, TK)
    carried = bridge.to_sdpa_mask(mask)
    O = nn.functional.scaled_dot_product_attention(*bridge.to_torch((Q, K, V)), attn_mask=carried)
    np.testing.assert_allclose(bridge.from_torch(O), attention(Q, K, V, mask)[0], atol=1e-14)
    additive = torch.zeros(mask.shape).masked_fill(~carried, -torch.inf)
    for form in (carried, additive, additive.half()):
        np.testing.assert_array_equal(bridge.from_sdpa_mask(form), mask)


@pytest.mark.parametrize(
    "shape", [(TQ, TK), (B, TQ, TK), (B, 1, TK), (B, H, TQ, TK), (1, H, 1, TK)]
)
def test_attn_mask_of_multihead_attention_is_the_opposite(rng, draw, shape):
    module = nn.MultiheadAttention(D, H, batch_first=True, dtype=torch.float64)
    mask = rng.random(shape) < 0.5
    mask[..., 0] = True  # torch gives NaN to a query without keys
    X, M = draw(B, TQ, D), draw(B, TK, D)
    carried = bridge.to_attn_mask(mask, (B, H, TQ, TK))
    tX, tM = bridge.to_torch((X, M))
    want = module(tX, tM, tM, attn_mask=carried)[0]
    params, options = bridge.import_module(module)
    got, _ = multihead_attention(X, M, M, params, mask, **options)
    np.testing.assert_allclose(got, bridge.from_torch(want), atol=1e-13)
    full = (TQ, TK) if len(shape) == 2 else (B, H, TQ, TK)
    wide = np.broadcast_to(mask if len(shape) != 3 else mask[:, None], full)
    additive = torch.zeros(carried.shape).masked_fill(carried, -torch.inf)
    for form in (carried, additive):
        np.testing.assert_array_equal(bridge.from_attn_mask(form, H), wide)


def test_key_padding_mask_is_the_opposite(draw):
    module = nn.MultiheadAttention(D, H, batch_first=True, dtype=torch.float64)
    tokens = np.arange(TK) < np.array([[2], [TK]])
    X, M = draw(B, TQ, D), draw(B, TK, D)
    carried = bridge.to_key_padding_mask(tokens)
    tX, tM = bridge.to_torch((X, M))
    want = module(tX, tM, tM, key_padding_mask=carried)[0]
    params, options = bridge.import_module(module)
    got, _ = multihead_attention(X, M, M, params, tokens[:, None, :], **options)
    np.testing.assert_allclose(got, bridge.from_torch(want), atol=1e-13)
    np.testing.assert_array_equal(bridge.from_key_padding_mask(carried), tokens[:, None, :])
    assert torch.equal(bridge.to_key_padding_mask(tokens[:, None, :]), carried)


def test_masks_that_do_not_fit_are_named():
    with pytest.raises(TypeError, match="mask must be a boolean array"):
        bridge.to_sdpa_mask(np.zeros((TQ, TK)))
    with pytest.raises(ValueError, match=r"mask \(3, 4\) does not broadcast to .*\(3, 5\)"):
        bridge.to_attn_mask(np.ones((3, 4), bool), (B, H, TQ, TK))
    with pytest.raises(ValueError, match=r"the same for every query, got \(2, 3, 5\)"):
        bridge.to_key_padding_mask(np.ones((B, TQ, TK), bool))


# ---- modules ----


def _quietly(module, *args, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "enable_nested_tensor")
        return module(*args, **options)


def _block(kind, norm_first=False, activation="relu"):
    return kind(
        D, H, F, dropout=0.0, activation=activation, batch_first=True, norm_first=norm_first
    )


def _stack(kind, block, norm=None, **options):
    return _quietly(kind, _block(block, **options), 2, norm)


ENCODER = nn.TransformerEncoder, nn.TransformerEncoderLayer
DECODER = nn.TransformerDecoder, nn.TransformerDecoderLayer
MODULES = {
    "LayerNorm without bias": lambda: nn.LayerNorm(D, bias=False),
    "RMSNorm": lambda: nn.RMSNorm(D, eps=1e-3),
    "RMSNorm without eps": lambda: nn.RMSNorm(D),
    "Embedding with padding": lambda: nn.Embedding(7, D, padding_idx=0),
    "MultiheadAttention with more keys": lambda: nn.MultiheadAttention(
        D, H, add_bias_kv=True, add_zero_attn=True, batch_first=True
    ),
    "TransformerEncoderLayer without biases": lambda: nn.TransformerEncoderLayer(
        D, H, F, dropout=0.0, batch_first=True, bias=False, activation=nn.SiLU(), layer_norm_eps=0.1
    ),
    "TransformerEncoder, pre-norm without a last norm": lambda: _stack(*ENCODER, norm_first=True),
    "Linear": lambda: nn.Linear(D, F),
    "Linear without bias": lambda: nn.Linear(D, F, bias=False),
    "LayerNorm": lambda: nn.LayerNorm(D, eps=1e-3),
    "Embedding": lambda: nn.Embedding(7, D),
    "MultiheadAttention": lambda: nn.MultiheadAttention(D, H, batch_first=True),
    "MultiheadAttention without bias": lambda: nn.MultiheadAttention(
        D, H, bias=False, batch_first=True
    ),
    "MultiheadAttention, separate": lambda: nn.MultiheadAttention(
        D, H, kdim=4, vdim=6, batch_first=True
    ),
    "MultiheadAttention, separate without bias": lambda: nn.MultiheadAttention(
        D, H, kdim=4, vdim=6, bias=False, batch_first=True
    ),
    "TransformerEncoderLayer": lambda: _block(nn.TransformerEncoderLayer),
    "TransformerEncoderLayer, pre-norm": lambda: _block(nn.TransformerEncoderLayer, True, "gelu"),
    "TransformerDecoderLayer": lambda: _block(
        nn.TransformerDecoderLayer, activation=nn.GELU(approximate="tanh")
    ),
    "TransformerDecoderLayer, pre-norm": lambda: _block(
        nn.TransformerDecoderLayer, True, nn.ReLU()
    ),
    "TransformerEncoder": lambda: _stack(*ENCODER),
    "TransformerEncoder, pre-norm": lambda: _stack(*ENCODER, nn.LayerNorm(D), norm_first=True),
    "TransformerDecoder": lambda: _stack(*DECODER),
    "TransformerDecoder, pre-norm": lambda: _stack(*DECODER, nn.LayerNorm(D), norm_first=True),
    "Transformer": lambda: _quietly(
        nn.Transformer, D, H, 2, 1, F, dropout=0.0, batch_first=True, activation="gelu"
    ),
    "Transformer, pre-norm": lambda: _quietly(
        nn.Transformer, D, H, 1, 2, F, dropout=0.0, batch_first=True, norm_first=True
    ),
}


@pytest.fixture(params=MODULES)
def module(request):
    """Every module, in double precision, with every parameter random."""
    module = MODULES[request.param]().double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_parameters_make_the_round_trip_bit_by_bit(module, dtype):
    module = module.to(dtype)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    params, _ = bridge.import_module(module)
    assert sum(leaf.size for leaf in tree_leaves(params)) == sum(map(torch.numel, before))
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    assert bridge.export_module(params, module) is module
    assert all(map(torch.equal, module.parameters(), before))
    tree_map(np.testing.assert_array_equal, bridge.import_module(module)[0], params)


def test_imported_parameters_are_copies(module):
    params, _ = bridge.import_module(module)
    for leaf in tree_leaves(params):
        leaf += 1.0
    fresh, _ = bridge.import_module(module)
    tree_map(lambda p, q: np.testing.assert_array_equal(p, q + 1.0), params, fresh)


MASK, MEMORY_MASK = causal_mask(TQ), np.arange(TK) < np.array([[3], [TK]])


def _here(module, arrays, params, options, dY):
    """Y, the gradients of `arrays` and that of `params`, by this package."""
    rows = {
        nn.Linear: (linear, linear_backward, {}),
        nn.RMSNorm: (rms_norm, rms_norm_backward, {}),
        nn.LayerNorm: (layer_norm, layer_norm_backward, {}),
        nn.Embedding: (embedding, embedding_backward, {}),
        nn.MultiheadAttention: (
            multihead_attention, multihead_attention_backward, {"mask": MEMORY_MASK[:, None]}
        ),
        nn.TransformerEncoderLayer: (encoder_block, encoder_block_backward, {"mask": MASK}),
        nn.TransformerEncoder: (encoder, encoder_backward, {"mask": MASK}),
    }
    for kind, pair in (
        (nn.TransformerDecoderLayer, (decoder_block, decoder_block_backward)),
        (nn.TransformerDecoder, (decoder, decoder_backward)),
    ):
        rows[kind] = (*pair, {"mask": MASK, "memory_mask": MEMORY_MASK[:, None]})
    if isinstance(module, nn.Transformer):
        source, target = arrays
        M, encoder_cache = encoder(source, params[0], MEMORY_MASK[:, None], **options)
        masks = MASK, MEMORY_MASK[:, None]
        Y, decoder_cache = decoder(target, M, params[1], *masks, **options)
        dtarget, dM, ddecoder = decoder_backward(dY, decoder_cache)
        dsource, dencoder = encoder_backward(dM, encoder_cache)
        return Y, [dsource, dtarget], (dencoder, ddecoder)
    f, f_backward, masks = rows[type(module)]
    Y, cache = f(*arrays, params, **masks, **options)
    gradients = f_backward(dY, cache)
    if isinstance(module, nn.Embedding):
        return Y, [], gradients
    return Y, list(gradients[:-1]), gradients[-1]


def _there(module, tensors):
    """The same module called in torch's way, with the masks in torch's polarities."""
    mask = bridge.to_attn_mask(MASK, (B, H, TQ, TQ))
    padding = bridge.to_key_padding_mask(MEMORY_MASK)
    if isinstance(module, nn.MultiheadAttention):
        return module(*tensors, key_padding_mask=padding)[0]
    if isinstance(module, nn.TransformerEncoderLayer):
        return module(*tensors, src_mask=mask)
    if isinstance(module, nn.TransformerEncoder):
        return module(*tensors, mask=mask)
    if isinstance(module, (nn.TransformerDecoder, nn.TransformerDecoderLayer)):
        return module(*tensors, tgt_mask=mask, memory_key_padding_mask=padding)
    if isinstance(module, nn.Transformer):
        return module(
            *tensors, tgt_mask=mask,
            src_key_padding_mask=padding, memory_key_padding_mask=padding,
        )
    return module(*tensors)


def _arguments(module, rng, draw):
    if isinstance(module, nn.Embedding):
        return (rng.integers(0, 7, (B, TQ)),)
    if isinstance(module, nn.MultiheadAttention):
        return draw(B, TQ, D), draw(B, TK, module.kdim), draw(B, TK, module.vdim)
    if isinstance(module, (nn.TransformerDecoder, nn.TransformerDecoderLayer)):
        return draw(B, TQ, D), draw(B, TK, D)
    if isinstance(module, nn.Transformer):
        return draw(B, TK, D), draw(B, TQ, D)
    return (draw(B, TQ, D),)


def test_an_imported_module_computes_the_same_here_with_all_gradients(module, rng, draw):
    arrays = _arguments(module, rng, draw)
    tensors = bridge.to_torch(arrays, requires_grad=True)
    want = _there(module, tensors)
    dY = draw(*want.shape)
    want.backward(bridge.to_torch(dY))
    params, options = bridge.import_module(module)
    Y, gradients, dparams = _here(module, arrays, params, options, dY)
    wanted = bridge.import_gradients(module)
    np.testing.assert_allclose(Y, bridge.from_torch(want), atol=1e-12)
    for got, tensor in zip(gradients, tensors, strict=bool(gradients)):
        np.testing.assert_allclose(got, bridge.from_torch(tensor.grad), atol=1e-12)
    assert [path for path, _ in tree_items(wanted)] == [path for path, _ in tree_items(dparams)]
    scale = max(np.abs(leaf).max() for leaf in tree_leaves(wanted))
    tree_map(
        lambda got, leaf: np.testing.assert_allclose(got, leaf, atol=1e-12 * max(1.0, scale)),
        dparams, wanted,
    )


def test_options_are_the_functions_keywords():
    assert bridge.import_module(MODULES["LayerNorm"]())[1] == {"eps": 1e-3}
    assert bridge.import_module(MODULES["MultiheadAttention"]())[1] == {"num_heads": H}
    expected = {"num_heads": H, "norm": "pre", "activation": "gelu"}
    assert bridge.import_module(MODULES["TransformerEncoderLayer, pre-norm"]())[1] == expected


def test_stacks_of_a_transformer_keep_their_last_norms():
    encoder_params, decoder_params = bridge.import_module(MODULES["Transformer"]())[0]
    assert isinstance(encoder_params, EncoderParams) and len(encoder_params.blocks) == 2
    assert isinstance(decoder_params, DecoderParams) and len(decoder_params.blocks) == 1
    assert isinstance(encoder_params.norm, LayerNormParams)
    assert bridge.import_module(MODULES["TransformerEncoder"]())[0].norm is None


def _with(module, **attributes):
    for path, value in attributes.items():
        *owners, name = path.split("__")
        owner = module
        for step in owners:
            owner = owner[int(step)] if step.isdigit() else getattr(owner, step)
        setattr(owner, name, value)
    return module


def _parametrized():
    return nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.GRU(2, 3), TypeError, "one of torch.nn's Linear, .*got GRU"),
        (lambda: nn.Linear(2, 3).state_dict(), TypeError, "got OrderedDict; load a state dict"),
        (lambda: "Linear", TypeError, "one of torch.nn's Linear, .*got str"),
        (lambda: nn.LayerNorm(D, elementwise_affine=False), ValueError, "must have gain and bias"),
        (lambda: nn.LayerNorm((3, D)), ValueError, "over one axis"),
        (lambda: nn.Embedding(7, D, max_norm=1.0), ValueError, "max_norm=1.0"),
        (lambda: nn.LazyLinear(3), ValueError, "without a shape yet; call it once"),
        (_parametrized, ValueError, "parametrized weights"),
        (
            lambda: _block(nn.TransformerEncoderLayer, activation=torch.tanh),
            ValueError, "activation must be relu, gelu or silu, got .*tanh",
        ),
        (
            lambda: _with(MODULES["TransformerEncoderLayer"](), norm1__eps=1e-6),
            ValueError, "the same options",
        ),
        (
            lambda: _with(MODULES["TransformerEncoder"](), layers__1__norm_first=True),
            ValueError, "all blocks must have the same options",
        ),
        (
            lambda: _with(MODULES["TransformerEncoder"](), norm=nn.LayerNorm(D, eps=1e-6)),
            ValueError, "eps=1e-05, got LayerNorm.*1e-06",
        ),
        (
            lambda: _with(MODULES["TransformerEncoder"](), layers__1=nn.RMSNorm(D)),
            TypeError, "got RMSNorm",
        ),
    ],
)
def test_a_module_that_cannot_be_carried_says_why(make, error, words):
    with pytest.raises(error, match=words):
        bridge.import_module(make())


def test_an_export_that_does_not_fit_writes_nothing():
    module = nn.Linear(2, 3)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    W, b = np.ones((2, 3), np.float32), np.ones(3, np.float32)
    for params, error, words in (
        (LinearParams(W, None), ValueError, "trees disagree at b"),
        (LinearParams(W.T, b), ValueError, r"params.W must have the shape \(2, 3\), got \(3, 2\)"),
        (LinearParams(W, 1.0), ValueError, r"params.b must have the shape \(3,\), got a float"),
        (LinearParams(W, b.astype(float)), TypeError, "params.b is float64 but the module float32"),
        (LayerNormParams(W, b), ValueError, "LinearParams of 2 against LayerNormParams of 2"),
    ):
        with pytest.raises(error, match=words):
            bridge.export_module(params, module)
        assert all(map(torch.equal, module.parameters(), before))


def test_gradients_before_a_backward_are_asked_for():
    with pytest.raises(ValueError, match=r"call \.backward\(\) first"):
        bridge.import_gradients(nn.Linear(2, 3))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
def test_everything_crosses_to_a_cuda_device_and_back(module):
    params, options = bridge.import_module(module)
    there = bridge.import_module(module.cuda())
    tree_map(np.testing.assert_array_equal, there[0], params)
    assert there[1] == options
    bridge.export_module(params, module)
    tensors = bridge.to_torch(params, device="cuda", requires_grad=True)
    assert all(tensor.is_cuda and tensor.is_leaf for tensor in tree_leaves(tensors))
    tree_map(np.testing.assert_array_equal, bridge.from_torch(tensors), params)
    assert bridge.to_sdpa_mask(MASK, device="cuda").is_cuda
