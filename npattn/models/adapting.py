"""A language model of which a small part learns: LoRA on some maps, or the last blocks.

    frozen(params)                 nothing learns, and nothing is kept for a backward of weights
    adapted(params, updates)       the same with updates of rank r added to queries and values
    updates_of(dparams)            their gradients, from `language_model_backward`
    merged(params, updates)        one matrix again: W + A B

updates is a tuple with one BlockUpdates for each block: a tree by itself, so that an optimizer and
a checkpoint see only what learns.
Source: Hu et al. 2021, "LoRA", section 4.2: queries and values.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.linear import LinearParams
from npattn.kernels.lora import LoRAParams, init_lora, merge_lora
from npattn.models.projection import AdaptedParams, FrozenParams


class BlockUpdates(NamedTuple):
    """The updates of one block."""

    query: LoRAParams
    value: LoRAParams


def init_updates(params, rank, rng, *, gain=1.0):
    """Updates of that rank for every block; at the start they change nothing.

    gain  factor of A at the start: the larger it is, the more a step of B moves the layer
    """
    def init(layer):
        A, B = init_lora(*layer.W.shape, rank, rng, dtype=layer.W.dtype)
        return LoRAParams(A * A.dtype.type(gain), B)

    return tuple(
        BlockUpdates(init(block.attention.query), init(block.attention.value))
        for block in params.blocks
    )


def frozen(params):
    """The parameters with every linear layer frozen; call the model with frozen=True."""
    if isinstance(params, LinearParams):
        return FrozenParams(*params)
    if params is None or isinstance(params, np.ndarray):
        return params
    if hasattr(params, "_fields"):
        return type(params)(*map(frozen, params))
    return tuple(map(frozen, params))


def adapted(params, updates):
    """The frozen parameters with updates added to each block's queries and values."""
    def block(old, update):
        a = old.attention
        a = a._replace(query=AdaptedParams(a.query, update.query),
                       value=AdaptedParams(a.value, update.value))
        return old._replace(attention=a)

    return params._replace(blocks=tuple(map(block, params.blocks, updates)))


def updates_of(dparams):
    """The gradients of the updates, from those of an adapted model."""
    return tuple(
        BlockUpdates(block.attention.query.update, block.attention.value.update)
        for block in dparams.blocks
    )


def merged(params, updates, *, scale=1.0):
    """The parameters with the updates merged into their matrices; scale=−1 undoes it."""
    def layer(old, update):
        return old._replace(W=np.asfortranarray(merge_lora(old.W, update, scale=scale)))

    def block(old, update):
        a = old.attention
        a = a._replace(query=layer(a.query, update.query), value=layer(a.value, update.value))
        return old._replace(attention=a)

    return params._replace(blocks=tuple(map(block, params.blocks, updates)))
