"""Torch's own samples of attention modules, through the bridge: outputs and all gradients."""

import importlib
import warnings

import numpy as np
import pytest

from npattn.kernels.masks import combine_masks
from npattn.models.decoder import decoder, decoder_backward
from npattn.models.block import (
    decoder_block, decoder_block_backward, encoder_block, encoder_block_backward,
)
from npattn.models.encoder import encoder, encoder_backward
from npattn.models.multihead import multihead_attention, multihead_attention_backward
from npattn.trees import tree_items, tree_map

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("expecttest", reason="torch's samples need it")
bridge = importlib.import_module("npattn.torch_bridge")
nn = torch.nn

COUNTS = {
    nn.MultiheadAttention: 64, nn.TransformerEncoderLayer: 39, nn.TransformerDecoderLayer: 67,
    nn.TransformerEncoder: 39, nn.Transformer: 64,
}


def samples(kind):
    """[(module, inputs, masks by name), ...] of torch.testing, in double precision."""
    from torch.testing._internal.common_modules import module_db

    [info] = [info for info in module_db if info.module_cls is kind]
    drawn = info.module_inputs_func(
        info, device="cpu", dtype=torch.float64, requires_grad=True, training=True
    )
    for sample in drawn:
        made, called = sample.constructor_input, sample.forward_input
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "enable_nested_tensor")
            module = kind(*made.args, **made.kwargs).double()
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.5)
        yield module, called.args, called.kwargs


def batch_second(module, inputs):
    attentions = [m for m in module.modules() if isinstance(m, nn.MultiheadAttention)]
    return inputs[0].ndim == 3 and not attentions[0].batch_first


def mask_of(masks, attn, padding, num_heads):
    """One mask of ours from torch's two."""
    found = []
    if masks.get(attn) is not None:
        mask = bridge.from_attn_mask(masks[attn], num_heads)
        found.append(mask[0] if mask.ndim == 4 and len(mask) == 1 else mask)
    if masks.get(padding) is not None:
        found.append(~bridge.from_torch(masks[padding])[..., None, :])
    return combine_masks(*found) if found else None


def here(module, arrays, masks, dY):
    """Y, gradients of the inputs, and of the parameters, by this package."""
    params, options = bridge.import_module(module)
    heads = options["num_heads"]

    def mask(attn, padding):
        return mask_of(masks, attn, padding, heads)

    if isinstance(module, nn.Transformer):
        source, target = arrays
        M, encoded = encoder(
            source, params[0], mask("src_mask", "src_key_padding_mask"), **options
        )
        own = mask("tgt_mask", "tgt_key_padding_mask")
        memory = mask("memory_mask", "memory_key_padding_mask")
        Y, decoded = decoder(target, M, params[1], own, memory, **options)
        dtarget, dM, ddecoder = decoder_backward(dY, decoded)
        dsource, dencoder = encoder_backward(dM, encoded)
        return Y, (dsource, dtarget), (dencoder, ddecoder)
    name = "mask" if isinstance(module, nn.TransformerEncoder) else "src_mask"
    own = mask(name, "src_key_padding_mask"),
    pair = {
        nn.MultiheadAttention: (multihead_attention, multihead_attention_backward),
        nn.TransformerEncoderLayer: (encoder_block, encoder_block_backward),
        nn.TransformerEncoder: (encoder, encoder_backward),
        nn.TransformerDecoderLayer: (decoder_block, decoder_block_backward),
    }[type(module)]
    if isinstance(module, nn.MultiheadAttention):
        own = mask("attn_mask", "key_padding_mask"),
    if isinstance(module, nn.TransformerDecoderLayer):
        own = (mask("tgt_mask", "tgt_key_padding_mask"),
               mask("memory_mask", "memory_key_padding_mask"))
    Y, cache = pair[0](*arrays, params, *own, **options)
    *gradients, dparams = pair[1](dY, cache)
    return Y, gradients, dparams


@pytest.mark.parametrize("kind", COUNTS, ids=lambda kind: kind.__name__)
def test_torchs_own_samples_come_out_the_same_with_all_gradients(kind):
    rng, count = np.random.default_rng(0), 0
    torch.manual_seed(0)
    for module, inputs, masks in samples(kind):
        tensors = [X.detach().clone().requires_grad_() for X in inputs]
        want = module(*tensors, **masks)
        want = want[0] if isinstance(want, tuple) else want
        dY = rng.standard_normal(tuple(want.shape))
        want.backward(bridge.to_torch(dY))

        def ours(X):
            return X.swapaxes(0, 1) if batch_second(module, inputs) else X

        arrays = [ours(X) for X in bridge.from_torch(tuple(t.detach() for t in tensors))]
        Y, gradients, dparams = here(module, arrays, masks, ours(dY))
        np.testing.assert_allclose(ours(Y), bridge.from_torch(want), rtol=0, atol=1e-12)
        for found, tensor in zip(gradients, tensors, strict=True):
            np.testing.assert_allclose(ours(found), bridge.from_torch(tensor.grad), atol=1e-11)
        wanted = bridge.import_gradients(module)
        assert [path for path, _ in tree_items(dparams)] == [path for path, _ in tree_items(wanted)]
        tree_map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-11), dparams, wanted)
        count += 1
    assert count == COUNTS[kind]
