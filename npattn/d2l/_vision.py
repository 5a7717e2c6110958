"""The vision Transformer with the text's names: pre-norm, built from the text's parts.

The parts are called in the order of the text and undone in reverse. The parameters have the types
of npattn.models.vision, so that its `vision_transformer` without dropout computes the same.
Source: d2l 11.8, which the Chinese edition lacks.
"""

import numpy as np

from npattn.d2l._layers import Composite, Layer
from npattn.d2l.nn import GELU, Dropout, Linear
from npattn.kernels.sums import unbroadcast
from npattn.kernels.positions import learned_positions, learned_positions_backward
from npattn.kernels.linear import init_linear, linear, linear_backward
from npattn.models.block import EncoderBlockParams
from npattn.models.encoder import EncoderParams
from npattn.models.feed_forward import FeedForwardParams
from npattn.models.patches import init_patch_embedding, patch_embedding, patch_embedding_backward
from npattn.models.vision import VisionParams


class PatchEmbedding(Layer):
    """A vector for each patch of an image.

    img_size, patch_size  an int, or height and width; patches must be squares and tile the image,
                          where the text does not read what is left over at the edges

    Call it with images X (B, channels, height, width); it returns (B, num_patches, num_hiddens).
    """

    def __init__(
        self, img_size=96, patch_size=16, num_hiddens=512, *, rng=None, dtype=np.float64
    ):
        rng = np.random.default_rng(rng)
        self.img_size, (P, across) = _height_and_width(img_size), _height_and_width(patch_size)
        height, width = self.img_size
        if P != across or height % P or width % P:
            raise ValueError(
                f"patches must be squares that tile the image, got {patch_size=}, {img_size=}"
            )
        self.num_patches = (height // P) * (width // P)

        def infer(X):
            return init_patch_embedding(X.shape[1], P, num_hiddens, rng, dtype=dtype)

        super().__init__(patch_embedding, patch_embedding_backward, infer=infer, patch=P)

    def _forward(self, X):
        if X.ndim != 4 or X.shape[2:] != self.img_size:
            height, width = self.img_size
            raise ValueError(f"X must be images (B, channels, {height}, {width}), got {X.shape}")
        return super()._forward(X)


class ViTMLP(Composite):
    """Two linear layers, a GELU between, dropout behind each.

    Call it with X (B, n, d); it returns (B, n, mlp_num_outputs).
    """

    def __init__(
        self, mlp_num_hiddens, mlp_num_outputs, dropout=0.5, *, rng=None, dtype=np.float64
    ):
        rng = np.random.default_rng(rng)

        def infer(X):
            return init_linear(X.shape[-1], mlp_num_hiddens, rng, dtype=dtype)

        self.dense1, self.gelu = Layer(linear, linear_backward, infer=infer), GELU()
        self.dropout1 = Dropout(dropout, rng=rng)
        self.dense2 = Linear(mlp_num_hiddens, mlp_num_outputs, rng=rng, dtype=dtype)
        self.dropout2 = Dropout(dropout, rng=rng)
        self._order = self.dense1, self.gelu, self.dropout1, self.dense2, self.dropout2
        super().__init__(
            FeedForwardParams(self.dense1, self.dense2), self.gelu, self.dropout1, self.dropout2
        )

    def _forward(self, X):
        for part in self._order:
            X = part(X)
        return X, None

    def _backward(self, dY, cache):
        for part in reversed(self._order):
            dY = part.backward(dY)
        return dY


class ViTBlock(Composite):
    """Self-attention and MLP, each behind a layer norm. Call it with (X, valid_lens=None).

    Returns the shape of X, (B, n, num_hiddens). `attention_weights` is (B·h, n, n).
    """

    def __init__(self, ln1, attention, ln2, mlp):
        self.ln1, self.attention, self.ln2, self.mlp = ln1, attention, ln2, mlp
        super().__init__(EncoderBlockParams(attention, ln1, mlp, ln2))

    def _forward(self, X, valid_lens=None):
        Z = self.ln1(X)
        H = X + self.attention(Z, Z, Z, valid_lens)
        Y = H + self.mlp(self.ln2(H))
        self.attention_weights = self.attention.attention_weights
        return Y, None

    def _backward(self, dY, cache):
        dH = dY + self.ln2.backward(self.mlp.backward(dY))
        dZq, dZk, dZv = self.attention.backward(dH)
        return dH + self.ln1.backward(dZq + dZk + dZv)


class ClassToken(Layer):
    """One learned vector (d,) in front of every sequence: X (B, n, d) → (B, 1 + n, d)."""

    def __init__(self, num_hiddens, *, rng, dtype=np.float64):
        token = rng.normal(0.0, 0.02, num_hiddens).astype(dtype)
        super().__init__(_prepend, _prepend_backward, token, slot="token")


class LearnedPositions(Layer):
    """`learned_positions`: X (B, n, d) plus a learned vector for each of n positions."""

    def __init__(self, num_steps, num_hiddens, *, rng, dtype=np.float64):
        table = rng.normal(0.0, 0.02, (num_steps, num_hiddens)).astype(dtype)
        super().__init__(learned_positions, learned_positions_backward, table, slot="E")


class ViT(Composite):
    """Which class an image shows. Call it with images X (B, channels, height, width).

    Returns logits (B, num_classes), read off the class token behind the last block by a layer norm
    and a linear layer, the two parts of `head`; backward returns the gradient of X.
    `attention_weights` is a list with (B·h, 1 + num_patches, 1 + num_patches) for each block.
    Class token and positions start normal with a standard deviation of 0.02, as in the paper;
    those of the text start at 0 and with 1. `lr` is kept for whoever trains.
    """

    def __init__(self, patch_embedding, cls_token, pos_embedding, dropout, blks, head, lr):
        self.patch_embedding, self.cls_token = patch_embedding, cls_token
        self.pos_embedding, self.dropout = pos_embedding, dropout
        self.blks, self.head, self.lr = list(blks), head, lr
        norm, dense = head
        super().__init__(
            VisionParams(
                patch_embedding, cls_token, pos_embedding, EncoderParams(tuple(blks), norm), dense
            ),
            dropout,
        )

    def _forward(self, X):
        X = self.cls_token(self.patch_embedding(X))
        X = self.dropout(self.pos_embedding(X))
        for blk in self.blks:
            X = blk(X)
        self.attention_weights = [blk.attention_weights for blk in self.blks]
        norm, dense = self.head
        return dense(norm(X[:, 0])), X.shape

    def _backward(self, dlogits, shape):
        norm, dense = self.head
        dX = np.zeros(shape, dlogits.dtype)
        dX[:, 0] = norm.backward(dense.backward(dlogits))
        for blk in reversed(self.blks):
            dX = blk.backward(dX)
        dX = self.pos_embedding.backward(self.dropout.backward(dX))
        return self.patch_embedding.backward(self.cls_token.backward(dX))


def _prepend(X, token):
    """The class token; it serves all images, so its gradient is a sum over them."""
    row = np.broadcast_to(token, (*X.shape[:-2], 1, X.shape[-1]))
    return np.concatenate([row, X], axis=-2), token


def _prepend_backward(dY, token):
    return dY[..., 1:, :], unbroadcast(dY[..., 0, :], token)


def _height_and_width(size):
    """A pair from an int, which stands for a square, or from a pair."""
    return (size, size) if np.ndim(size) == 0 else tuple(size)
