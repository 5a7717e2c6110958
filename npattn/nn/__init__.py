"""The pairs as objects, for people who think in layers.

    layer = nn.MultiHeadAttention(512, 8, rng=0)
    y = layer(q, k, v, mask=mask)
    dq, dk, dv = layer.backward(dy)
    layer.params, state = adam(layer.params, layer.grads, state, lr=1e-3)

How calls and backwards pair up, and what a mode is, stands in module.py.
"""

from npattn.nn.attention import (
    AdditiveAttention,
    BidirectionalAttention,
    CoAttention,
    DotProductAttention,
    MultiHeadAttention,
)
from npattn.nn.layer import Composite, Layer
from npattn.nn.layers import (
    GELU,
    CrossEntropyLoss,
    Dropout,
    Embedding,
    FeedForward,
    LayerNorm,
    Linear,
    PositionalEncoding,
    ReLU,
)
from npattn.nn.module import Module
from npattn.nn.transformer import (
    DecoderBlock,
    DecoderWeights,
    EncoderBlock,
    Transformer,
    TransformerDecoder,
    TransformerEncoder,
    TransformerWeights,
)

__all__ = [
    "GELU",
    "AdditiveAttention",
    "BidirectionalAttention",
    "CoAttention",
    "Composite",
    "CrossEntropyLoss",
    "DecoderBlock",
    "DecoderWeights",
    "DotProductAttention",
    "Dropout",
    "Embedding",
    "EncoderBlock",
    "FeedForward",
    "Layer",
    "LayerNorm",
    "Linear",
    "Module",
    "MultiHeadAttention",
    "PositionalEncoding",
    "ReLU",
    "Transformer",
    "TransformerDecoder",
    "TransformerEncoder",
    "TransformerWeights",
]
