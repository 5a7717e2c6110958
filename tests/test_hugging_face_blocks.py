"""Blocks of Hugging Face's models with random weights in float64, and ours with the same options.

As they come, Llama, Qwen3 and Gemma compute norms, turns and softmax in float32 whatever their
input is, and agree to 1e-6; GPT-2 agrees to 1e-12. With these steps in float64 all agree to 1e-12.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from npattn.kernels.layer_norm import LayerNormParams
from npattn.kernels.linear import LinearParams
from npattn.kernels.masks import causal_mask
from npattn.kernels.qk_norm import QKNormParams
from npattn.models.block import EncoderBlockParams, encoder_block, encoder_block_backward
from npattn.models.config import BlockOptions
from npattn.models.feed_forward import FeedForwardParams, GatedFeedForwardParams
from npattn.models.head_extras import HeadExtras, Rotary
from npattn.models.multihead import ExtendedMultiHeadParams, MultiHeadParams
from npattn.models.normalize import BothNorms
from npattn.trees import tree_items

pytestmark = [pytest.mark.peers, pytest.mark.llm]

WIDTH, HIDDEN, HEADS, GROUPS, HEAD, T = 12, 20, 4, 2, 6, 9
SIZES = dict(
    hidden_size=WIDTH, intermediate_size=HIDDEN, num_hidden_layers=1, num_attention_heads=HEADS,
    num_key_value_heads=GROUPS, head_dim=HEAD, vocab_size=11,
)
GATED = dict(
    num_heads=HEADS, num_kv_heads=GROUPS, head_width=HEAD, rotary="halves", norm="pre",
    normalization="rms_norm", eps=1e-5, activation="silu", gated=True, bias=False,
)
OPTIONS = {
    "gpt2": BlockOptions(num_heads=HEADS, norm="pre", activation="gelu_tanh", eps=1e-5),
    "llama": BlockOptions(**GATED),
    "qwen3": BlockOptions(**GATED | dict(qk_norm=True)),
    "gemma3": BlockOptions(**GATED | dict(
        qk_norm=True, norm="sandwich", normalization="rms_norm_1", activation="gelu_tanh",
        scale=7.0**-0.5, window=(3, 0), rotary=Rotary("halves", base=500.0),
    )),
}


@pytest.fixture(scope="module")
def libraries():
    torch = pytest.importorskip("torch", reason="torch is the witness")
    return torch, pytest.importorskip("transformers", reason="transformers is the witness")


def peer_block(libraries, family, attention):
    """A block of the peer in float64, all weights random, and how to call it."""
    torch, hf = libraries
    torch.manual_seed(3)
    if family == "gpt2":
        config = hf.GPT2Config(
            n_embd=WIDTH, n_inner=HIDDEN, n_layer=1, n_head=HEADS, vocab_size=11, resid_pdrop=0.0,
            embd_pdrop=0.0, attn_pdrop=0.0, attn_implementation=attention,
        )
        model, rope = hf.GPT2Model(config), None
        block = model.h[0]
    else:
        more = dict(
            llama=dict(rms_norm_eps=1e-5), qwen3=dict(rms_norm_eps=1e-5),
            gemma3=dict(
                rms_norm_eps=1e-5, query_pre_attn_scalar=7, sliding_window=4,
                layer_types=["sliding_attention"], rope_parameters={
                    "sliding_attention": {"rope_type": "default", "rope_theta": 500.0},
                    "full_attention": {"rope_type": "default", "rope_theta": 9000.0},
                }),
        )[family]
        name = {"llama": "Llama", "qwen3": "Qwen3", "gemma3": "Gemma3Text"}[family]
        config = getattr(hf, f"{name}Config")(**SIZES, **more, attn_implementation=attention)
        model = getattr(hf, f"{name}Model")(config)
        block, rope = model.layers[0], model.rotary_emb
    model = model.double().eval()
    with torch.no_grad():
        for p in block.parameters():
            p.copy_(torch.randn(p.shape, dtype=p.dtype) * 0.4 + (p.ndim == 1))
    return block, rope


def run_peer(libraries, family, X, dY, exact):
    """Y, dX and the gradients by name; exact: with norms and turns computed in float64."""
    torch, _ = libraries
    # "eager" computes the softmax in float32
    block, rope = peer_block(libraries, family, "sdpa" if exact else "eager")
    if exact:
        for module in block.modules():
            if "RMSNorm" in type(module).__name__:
                exact_norm(torch, module)
    X = torch.tensor(X, requires_grad=True)
    i = torch.arange(T)
    allowed = i[:, None] >= i
    options = {}
    if family == "gemma3":
        allowed = allowed & (i[:, None] - i < 4)
    if rope is not None:
        speeds = OPTIONS[family].rotary
        base = speeds.base if isinstance(speeds, Rotary) else 10000.0
        if exact:
            angle = i[:, None] * base ** (-torch.arange(0, HEAD, 2, dtype=X.dtype) / HEAD)
            angle = torch.cat([angle, angle], dim=-1)[None]
            turn = angle.cos(), angle.sin()
        else:
            kind = ("sliding_attention",) if family == "gemma3" else ()
            turn = rope(X, i[None], *kind)
        options = dict(position_embeddings=turn)
    mask = torch.where(allowed, 0.0, -torch.inf).double()[None, None]
    Y = block(X, attention_mask=mask, **options)
    Y = Y[0] if isinstance(Y, tuple) else Y
    Y.backward(torch.tensor(dY))
    return Y.detach().numpy(), X.grad.numpy(), block


def exact_norm(torch, module):
    """The module's norm in float64: the same formula, without its detour through float32."""
    eps = getattr(module, "variance_epsilon", None) or module.eps
    offset = 1.0 if "Gemma" in type(module).__name__ else 0.0

    def forward(X):
        return X * torch.rsqrt((X * X).mean(-1, keepdim=True) + eps) * (offset + module.weight)

    module.forward = forward


def ours(block, family, read):
    """The peer's parameters, or their gradients, as EncoderBlockParams."""
    def linear(module):
        W, b = read(module.weight), getattr(module, "bias", None)
        W = W if type(module).__name__ == "Conv1D" else W.T
        return LinearParams(W, None if b is None else read(b))

    if family == "gpt2":
        qkv = linear(block.attn.c_attn)
        parts = zip(np.split(qkv.W, 3, axis=1), np.split(qkv.b, 3), strict=True)
        attention = MultiHeadParams(
            *(LinearParams(*part) for part in parts), linear(block.attn.c_proj))
        feed = FeedForwardParams(linear(block.mlp.c_fc), linear(block.mlp.c_proj))
        norms = (LayerNormParams(read(n.weight), read(n.bias)) for n in (block.ln_1, block.ln_2))
        first, second = norms
        return EncoderBlockParams(attention, first, feed, second)
    A, M = block.self_attn, block.mlp
    layers = [linear(getattr(A, f"{name}_proj")) for name in "qkvo"]
    attention = MultiHeadParams(*layers)
    if family != "llama":
        gains = [read(A.q_norm.weight), read(A.k_norm.weight)]
        attention = ExtendedMultiHeadParams(
            *layers, None, HeadExtras(QKNormParams(*gains), None, None))
    feed = GatedFeedForwardParams(linear(M.up_proj), linear(M.down_proj), linear(M.gate_proj))
    first, second = read(block.input_layernorm.weight), read(block.post_attention_layernorm.weight)
    if family == "gemma3":
        first = BothNorms(first, second)
        second = BothNorms(read(block.pre_feedforward_layernorm.weight),
                           read(block.post_feedforward_layernorm.weight))
    return EncoderBlockParams(attention, first, feed, second)


def shifted_gains(params):
    """Gemma stores the gains of queries and keys as gain − 1, too."""
    extras = params.attention.extras
    normed = QKNormParams(*(1.0 + gain for gain in extras.qk_norm))
    attention = params.attention._replace(extras=extras._replace(qk_norm=normed))
    return params._replace(attention=attention)


@pytest.mark.parametrize("kernel", ["attention", "tiled"])
@pytest.mark.parametrize("exact", [True, False], ids=["float64", "float32 inside"])
@pytest.mark.parametrize("family", OPTIONS)
def test_a_block_and_its_gradients_are_those_of_hugging_face(
    libraries, rng, family, exact, kernel
):
    X, dY = rng.standard_normal((2, 2, T, WIDTH))
    theirs, dX, block = run_peer(libraries, family, X, dY, exact)
    params = ours(block, family, lambda p: p.detach().numpy())
    if family == "gemma3":
        params = shifted_gains(params)
    Y, cache = encoder_block(
        X, params, causal_mask(T), options=OPTIONS[family], kernel=kernel)
    found = encoder_block_backward(dY, cache)
    tolerance = 1e-12 if exact or family == "gpt2" else 1e-6
    assert_close(Y, theirs, tolerance)
    assert_close(found[0], dX, tolerance)
    expected = dict(tree_items(ours(block, family, lambda p: p.grad.numpy())))
    gradients = dict(tree_items(found[1]))
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        assert_close(gradient, expected[name], tolerance)


def assert_close(got, want, tolerance):
    assert_allclose(got, want, rtol=0.0, atol=tolerance * max(1.0, np.abs(want).max()))
