"""The vision Transformer: an image in, logits over classes out.

    Z = [class token; patches] + positions      (..., 1 + N, D)   or patches + positions (..., N, D)
    E = encoder(Z), pre-norm, ends in a norm    likewise
    Y = pooled(E) W + b                         (..., classes)

What is pooled is the class token, a learned vector that has no patch of its own and attends to
all of them, or the mean over the patches. Nothing but the positions, learned from random ones,
knows that an image has two dimensions.
Source: Dosovitskiy et al. 2021, "An Image Is Worth 16×16 Words", section 3.1, appendix D.3;
d2l 11.8.
"""

from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_floats
from npattn.kernels.dropout import DropoutCache, dropout, dropout_backward
from npattn.kernels.embedding import normal
from npattn.kernels.floats import quiet
from npattn.kernels.positions import (
    LearnedPositionsCache, learned_positions, learned_positions_backward,
)
from npattn.kernels.linear import LinearCache, LinearParams, init_linear, linear, linear_backward
from npattn.kernels.options import require_choice
from npattn.models.config import VISION, Options, model_config, require_sizes
from npattn.models.encoder import EncoderParams, encoder, encoder_backward, init_encoder
from npattn.models.patches import (
    PatchEmbeddingCache, init_patch_embedding, patch_embedding, patch_embedding_backward,
)
from npattn.models.stack import StackCache


@model_config(**VISION)
class VisionConfig(Options):
    """The sizes of a vision_transformer and the options of its blocks: all that is no array."""

    image_shape: tuple[int, int, int] = (1, 8, 8)  # C, H, W
    patch: int = 2                                 # P
    classes: int = 10
    width: int = 32                                # D
    hidden: int = 64                               # of the feed-forward networks
    num_blocks: int = 2
    pool: str = "class"                            # or "mean"

    def __post_init__(self):
        super().__post_init__()
        self.fix_shape("image_shape", "CHW")
        require_sizes(self, "patch", "classes", "width")
        require_sizes(self, "num_blocks", least=0)
        self.require_blocks(self.width)
        require_choice("pool", self.pool, ("class", "mean"))
        if self.image_shape[1] % self.patch or self.image_shape[2] % self.patch:
            raise ValueError(f"patch={self.patch} does not divide the image {self.image_shape}")

    @property
    def tokens(self):
        """How many vectors the encoder sees."""
        _, H, W = self.image_shape
        return H * W // self.patch**2 + (self.pool == "class")


class VisionParams(NamedTuple):
    """What vision_transformer learns. The gradient has the same type."""

    patches: LinearParams           # W (P²·C, D)
    class_token: np.ndarray | None  # (D,), or None with pool="mean"
    positions: np.ndarray           # (tokens, D)
    encoder: EncoderParams
    output: LinearParams            # W (D, classes)


class VisionCache(NamedTuple):
    """What vision_transformer_backward reads; `attention_weights` reads the weights in it."""

    patches: PatchEmbeddingCache
    positions: LearnedPositionsCache
    dropped: DropoutCache
    encoder: StackCache
    output: LinearCache
    pool: str


def init_vision(config, rng, *, dtype=np.float64):
    """Parameters for `config`: layers Glorot-uniform, token and positions normal (0, 0.02²)."""
    D = config.width

    def small(*shape):
        return normal(0.02, shape, rng, dtype)

    return VisionParams(
        init_patch_embedding(config.image_shape[0], config.patch, D, rng, dtype=dtype),
        small(D) if config.pool == "class" else None,
        small(config.tokens, D),
        init_encoder(D, config.hidden, config.num_blocks, rng, options=config, dtype=dtype),
        init_linear(D, config.classes, rng, dtype=dtype),
    )


@quiet
def vision_transformer(X, params, *, config, rng=None):
    """Which class an image shows.

    X       (..., C, H, W)  images, channels first
    params  VisionParams
    config  VisionConfig
    rng     Generator for dropout, or None

    Returns logits (..., classes) and the cache.
    Raises ValueError if X does not end in config.image_shape.
    """
    require_floats(X=X)
    if X.shape[-3:] != config.image_shape:
        raise ValueError(f"X must be (..., C, H, W) with {config.image_shape}, got {X.shape}")
    Z, patches = patch_embedding(X, params.patches, patch=config.patch)
    if config.pool == "class":
        token = np.broadcast_to(params.class_token, (*Z.shape[:-2], 1, Z.shape[-1]))
        Z = np.concatenate([token, Z], axis=-2)
    Z, positions = learned_positions(Z, params.positions)
    Z, dropped = dropout(Z, config.dropout, rng)
    E, encoded = encoder(Z, params.encoder, options=config, rng=rng)
    pooled = E[..., 0, :] if config.pool == "class" else E.mean(axis=-2)
    logits, output = linear(pooled, params.output)
    return logits, VisionCache(patches, positions, dropped, encoded, output, config.pool)


@quiet
def vision_transformer_backward(dlogits, cache: VisionCache):
    """dX and dparams from dlogits (..., classes): the forward's calls, undone in reverse.

    The token serves every image of the batch, so its gradient is a sum over them.
    """
    dpooled, doutput = linear_backward(dlogits, cache.output)
    T, D = cache.positions.E.shape
    dE = np.zeros((*dpooled.shape[:-1], T, D), dpooled.dtype)
    if cache.pool == "class":
        dE[..., 0, :] = dpooled
    else:
        dE[:] = dpooled[..., None, :] / T
    dZ, dencoder = encoder_backward(dE, cache.encoder)
    dZ, dpositions = learned_positions_backward(
        dropout_backward(dZ, cache.dropped), cache.positions
    )
    dtoken = None
    if cache.pool == "class":
        dtoken = dZ[..., 0, :].sum(axis=tuple(range(dZ.ndim - 2)))
        dZ = dZ[..., 1:, :]
    dX, dpatches = patch_embedding_backward(dZ, cache.patches)
    return dX, VisionParams(dpatches, dtoken, dpositions, dencoder, doutput)
