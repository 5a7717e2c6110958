"""Arrays, masks and parameters, carried to torch and back. The only file that imports torch.

    import_module(module)         npattn parameters and options of a torch module
    export_module(params, module) the parameters written into a module of that form
    import_gradients(module)      what .backward() left in it, as npattn's gradient

    torch.nn                   here                                        npattn function
    Linear                     LinearParams                                linear
    LayerNorm                  LayerNormParams                             layer_norm
    RMSNorm                    the gain, one array                         rms_norm
    Embedding                  the table, one array                        embedding
    MultiheadAttention         MultiHeadParams, ExtendedMultiHeadParams    multihead_attention
    TransformerEncoderLayer    EncoderBlockParams                          encoder_block
    TransformerDecoderLayer    DecoderBlockParams                          decoder_block
    TransformerEncoder         EncoderParams                               encoder
    TransformerDecoder         DecoderParams                               decoder
    Transformer                (EncoderParams, DecoderParams)              encoder, decoder

Both ways every number keeps its bits: torch.nn stores W transposed and the three projections of
an attention stacked, so only places change. With the options that come along, the function
computes what the module computes in evaluation mode: `encoder_block(X, params, mask, **options)`.
Axes are npattn's, batch first; a module with batch_first=False has the same parameters.
Source: the documentation of torch.nn and of torch.nn.functional.scaled_dot_product_attention.
"""

import numpy as np

from npattn.kernels.shapes import require_mask
from npattn.kernels.layer_norm import LayerNormParams
from npattn.kernels.linear import LinearParams
from npattn.kernels.masks import mask_from_additive, mask_from_drop
from npattn.models.block import DecoderBlockParams, EncoderBlockParams
from npattn.models.config import BlockOptions
from npattn.models.decoder import DecoderParams
from npattn.models.encoder import EncoderParams
from npattn.models.feed_forward import FeedForwardParams
from npattn.models.head_extras import HeadExtras
from npattn.models.multihead import ExtendedMultiHeadParams, MultiHeadParams
from npattn.trees import tree_items, tree_leaves, tree_map

try:
    import torch
    from torch import nn
except ImportError as error:
    raise ImportError(
        "npattn.torch_bridge needs PyTorch, which is not installed; "
        'install it with: pip install "npattn[torch]" (or: pip install torch)'
    ) from error

EPS = BlockOptions.eps
HALVES = (torch.bfloat16, torch.float16)


# Arrays


def to_torch(tree, *, device="cpu", dtype=None, requires_grad=False):
    """A tree of NumPy arrays as the same tree of tensors, each a copy.

    tree           arrays, None and (Named)tuples of these
    device, dtype  where the tensors live, and what the float ones become: a torch.dtype or its
                   name. None keeps the precision. Integers and booleans stay what they are
    requires_grad  whether autograd follows the float tensors

    Raises TypeError for an unknown dtype.
    """
    dtype = None if dtype is None else torch_dtype(dtype)

    def carry(X):
        tensor = torch.from_numpy(np.array(X, order="C")).to(device)
        if not tensor.is_floating_point():
            return tensor
        return tensor.to(dtype or tensor.dtype).requires_grad_(requires_grad)

    return tree_map(carry, tree)


def from_torch(tree):
    """A tree of tensors as the same tree of NumPy arrays, each a copy.

    Precision stays; bfloat16 and float16 come back as float32, which holds all their values.
    """

    def carry(tensor):
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"from_torch takes torch tensors, got {type(tensor).__name__}")
        tensor = tensor.detach().cpu()
        return (tensor.float() if tensor.dtype in HALVES else tensor).numpy().copy()

    return tree_map(carry, tree)


def torch_dtype(name):
    """The floating torch.dtype of that name, "float64" for instance; a torch.dtype passes."""
    dtype = name if isinstance(name, torch.dtype) else getattr(torch, str(name), None)
    if not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"dtype must name a floating dtype of torch, got {name!r}")
    return dtype


# Masks. Here True always means "may attend"; in torch that depends on who asks.


def to_sdpa_mask(mask, *, device="cpu"):
    """For scaled_dot_product_attention, which like npattn takes True as "may attend".

    mask  bool, broadcastable to the scores. Returns it as a tensor of the same shape.
    """
    return to_torch(require_mask(mask, np.shape(mask)), device=device)


def from_sdpa_mask(attn_mask):
    """The mask behind attn_mask of scaled_dot_product_attention: bool, or additive 0 and −inf."""
    came = from_torch(attn_mask)
    return came if came.dtype == bool else mask_from_additive(came)


def to_attn_mask(mask, shape, *, device="cpu"):
    """For attn_mask of MultiheadAttention and Transformer: True means "may not attend".

    mask   bool, (Tq, Tk), (B, Tq, Tk) or (B, H, Tq, Tk), an axis of length 1 serving for all
    shape  (B, H, Tq, Tk) of the scores

    Returns (Tq, Tk) if mask has two axes, else (B·H, Tq, Tk), the heads of a sentence adjacent.
    Raises ValueError if the mask does not broadcast to shape.
    """
    B, H, Tq, Tk = shape
    if np.ndim(mask) == 2:
        return to_torch(~require_mask(mask, (Tq, Tk)), device=device)
    keep = require_mask(mask[:, None] if np.ndim(mask) == 3 else mask, shape)
    return to_torch(~keep.reshape(B * H, Tq, Tk), device=device)


def from_attn_mask(attn_mask, num_heads):
    """The mask behind attn_mask of MultiheadAttention: bool, True = drop, or additive 0 and −inf.

    attn_mask  (Tq, Tk) or (B·H, Tq, Tk). Returns (Tq, Tk) or (B, H, Tq, Tk).
    """
    mask = _from_drop(attn_mask)
    return mask if mask.ndim == 2 else mask.reshape(-1, num_heads, *mask.shape[1:])


def to_key_padding_mask(mask, *, device="cpu"):
    """For key_padding_mask, where True means "drop this key".

    mask  bool, (B, Tk) or, as attention takes it, (B, 1, Tk). Returns (B, Tk).
    Raises ValueError for a mask that differs from query to query.
    """
    keep = require_mask(mask, np.shape(mask))
    if keep.ndim == 3 and keep.shape[1] == 1:
        keep = keep[:, 0]
    if keep.ndim != 2:
        raise ValueError(
            f"mask must be (B, Tk) or (B, 1, Tk), the same for every query, got {mask.shape}; "
            "to_attn_mask carries the others"
        )
    return to_torch(~keep, device=device)


def from_key_padding_mask(key_padding_mask):
    """The mask behind a key_padding_mask (B, Tk), with its query axis: (B, 1, Tk)."""
    return _from_drop(key_padding_mask)[:, None, :]


def _from_drop(drop):
    if not isinstance(drop, torch.Tensor):
        raise TypeError(f"the mask must be a torch tensor, got {type(drop).__name__}: "
                        "mask_from_drop and mask_from_additive take NumPy arrays")
    came = from_torch(drop)
    return mask_from_drop(came) if came.dtype == bool else mask_from_additive(came)


# Modules


def import_module(module):
    """The parameters of a torch module and the options that go with them.

    module  one of the table at the top of this page, in any precision, on any device

    Returns (params, options): arrays of their own, and a dict of keyword arguments such as
    num_heads, norm, activation. Dropout is not among them: it is for training, and torch drops
    in one more place, inside the feed-forward network.
    Raises TypeError for another kind of module, ValueError for a feature that has no counterpart.
    """
    return from_torch(_tensors(module, _value)), _options(module)


def import_gradients(module):
    """The gradients that .backward() left in a module, in the form of its parameters.

    Raises ValueError if a parameter has none.
    """
    return from_torch(_tensors(module, _gradient))


def export_module(params, module):
    """Write `params` into a module of the matching form, and return the module.

    params  as `import_module` returns them; float32 for a module in half precision

    Raises ValueError if structures or shapes disagree, TypeError for another precision. Then
    nothing has been written.
    """
    tensors = _tensors(module, _value)
    tree_map(lambda tensor, X: None, tensors, params)  # structures agree, or this says where
    for (path, tensor), X in zip(tree_items(tensors, "params"), tree_leaves(params), strict=True):
        _require_fit(path, tensor, X)
    tree_map(lambda tensor, X: tensor.copy_(to_torch(X)), tensors, params)
    return module


def _value(parameter):
    return parameter.detach()


def _gradient(parameter):
    if parameter.grad is None:
        raise ValueError("module has a parameter without gradient; call .backward() first")
    return parameter.grad


def _tensors(module, read):
    """npattn's tree of a module: its leaves are views of read(parameter), None where absent."""
    if not isinstance(module, nn.Module):
        hint = "; load a state dict into a module first, with module.load_state_dict(state)"
        raise TypeError(
            f"module must be one of torch.nn's {_known()}, got {type(module).__name__}"
            + (hint if isinstance(module, dict) else "")
        )
    if nn.utils.parametrize.is_parametrized(module):
        raise ValueError(
            "module has parametrized weights; "
            "torch.nn.utils.parametrize.remove_parametrizations makes them plain"
        )
    for parameter in module.parameters(recurse=False):
        if nn.parameter.is_lazy(parameter):
            raise ValueError("module has parameters without a shape yet; call it once")
    return _kind(module)[0](module, lambda p: None if p is None else read(p))


def _options(module):
    return _kind(module)[1](module)


def _kind(module):
    for kind, functions in _KINDS.items():
        if isinstance(module, kind):
            return functions
    raise TypeError(f"module must be one of torch.nn's {_known()}, got {type(module).__name__}")


def _known():
    return ", ".join(kind.__name__ for kind in _KINDS)


def _linear(module, read):
    return LinearParams(_transposed(read(module.weight)), read(module.bias))


def _layer_norm(module, read):
    if module.weight is None or len(module.normalized_shape) != 1:
        raise ValueError(
            f"LayerNorm must have gain and bias, or a gain alone, over one axis, got {module}"
        )
    return LayerNormParams(read(module.weight), read(module.bias))


def _rms_norm(module, read):
    if module.weight is None or len(module.normalized_shape) != 1:
        raise ValueError(f"RMSNorm must have a gain over one axis, got {module}")
    return read(module.weight)


def _embedding(module, read):
    if module.max_norm is not None:
        raise ValueError(f"Embedding must not rescale its rows, got max_norm={module.max_norm}")
    return read(module.weight)


def _multihead(module, read):
    if module.in_proj_weight is not None:
        weights = read(module.in_proj_weight).chunk(3)
    else:
        weights = map(read, (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight))
    bias = read(module.in_proj_bias)
    biases = (None, None, None) if bias is None else bias.chunk(3)
    projections = map(LinearParams, map(_transposed, weights), biases)
    layers = *projections, _tensors(module.out_proj, read)
    if module.bias_k is None:
        return MultiHeadParams(*layers)
    rows = (read(row).reshape(-1) for row in (module.bias_k, module.bias_v))
    return ExtendedMultiHeadParams(*layers, None, HeadExtras(None, *rows))


def _feed_forward(layer, read):
    return FeedForwardParams(_tensors(layer.linear1, read), _tensors(layer.linear2, read))


def _encoder_block(layer, read):
    return EncoderBlockParams(
        _tensors(layer.self_attn, read),
        _tensors(layer.norm1, read),
        _feed_forward(layer, read),
        _tensors(layer.norm2, read),
    )


def _decoder_block(layer, read):
    return DecoderBlockParams(
        _tensors(layer.self_attn, read),
        _tensors(layer.norm1, read),
        _tensors(layer.multihead_attn, read),
        _tensors(layer.norm2, read),
        _feed_forward(layer, read),
        _tensors(layer.norm3, read),
    )


def _encoder(stack, read):
    return EncoderParams(*_blocks_and_norm(stack, read))


def _decoder(stack, read):
    return DecoderParams(*_blocks_and_norm(stack, read))


def _blocks_and_norm(stack, read):
    for layer in stack.layers:
        if not isinstance(layer, (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)):
            raise TypeError(f"layers must be those of a Transformer, got {type(layer).__name__}")
    norm = None if stack.norm is None else _tensors(stack.norm, read)
    return tuple(_tensors(layer, read) for layer in stack.layers), norm


def _transformer(module, read):
    return _tensors(module.encoder, read), _tensors(module.decoder, read)


def _transposed(tensor):
    return tensor.T


def _no_options(module):
    return {}


def _norm_options(module):
    return {"eps": module.eps}


def _rms_options(module):
    eps = torch.finfo(module.weight.dtype).eps if module.eps is None else module.eps
    return {"eps": eps}


def _attention_options(module):
    return {"num_heads": module.num_heads} | ({"zero_key": True} if module.add_zero_attn else {})


def _embedding_options(module):
    return {} if module.padding_idx is None else {"padding": module.padding_idx}


def _block_options(layer):
    return {
        **_attention_options(layer.self_attn),
        "norm": "pre" if layer.norm_first else "post",
        "activation": _activation(layer.activation),
        **_block_eps(layer),
    }


def _block_eps(layer):
    """The eps of a block's norms, where it is not that of BlockOptions."""
    eps = _shared(m for m in layer.children() if isinstance(m, nn.LayerNorm))["eps"]
    return {} if eps == EPS else {"eps": eps}


def _stack_options(stack):
    options = _shared(stack.layers)
    eps = options.get("eps", EPS)
    if stack.norm is not None and stack.norm.eps != eps:
        raise ValueError(f"the last norm must have that of the blocks, eps={eps}, got {stack.norm}")
    return options


def _shared(modules):
    first, *others = map(_options, modules)
    for other in others:
        if other != first:
            raise ValueError(f"all blocks must have the same options, got {first} and {other}")
    return first


def _activation(activation):
    """npattn's name of what a torch layer was given: a function or a module."""
    if activation is nn.functional.relu or isinstance(activation, nn.ReLU):
        return "relu"
    if activation is nn.functional.silu or isinstance(activation, nn.SiLU):
        return "silu"
    if activation is nn.functional.gelu:
        return "gelu"
    if isinstance(activation, nn.GELU):
        return "gelu" if activation.approximate == "none" else "gelu_tanh"
    raise ValueError(f"activation must be relu, gelu or silu, got {activation!r}")


_KINDS = {
    nn.Linear: (_linear, _no_options),
    nn.LayerNorm: (_layer_norm, _norm_options),
    nn.RMSNorm: (_rms_norm, _rms_options),
    nn.Embedding: (_embedding, _embedding_options),
    nn.MultiheadAttention: (_multihead, _attention_options),
    nn.TransformerEncoderLayer: (_encoder_block, _block_options),
    nn.TransformerDecoderLayer: (_decoder_block, _block_options),
    nn.TransformerEncoder: (_encoder, _stack_options),
    nn.TransformerDecoder: (_decoder, _stack_options),
    nn.Transformer: (_transformer, lambda module: _shared([module.encoder, module.decoder])),
}


def _require_fit(path, tensor, X):
    if not isinstance(X, np.ndarray) or X.shape != tuple(tensor.shape):
        came = X.shape if isinstance(X, np.ndarray) else f"a {type(X).__name__}"
        raise ValueError(f"{path} must have the shape {tuple(tensor.shape)}, got {came}")
    wanted = "float32" if tensor.dtype in HALVES else str(tensor.dtype).removeprefix("torch.")
    if X.dtype != wanted:
        raise TypeError(
            f"{path} is {X.dtype} but the module {wanted}; convert one, with module.double() or "
            "tree_map(lambda X: X.astype(np.float32), params)"
        )
