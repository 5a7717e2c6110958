"""Reading digits: a vision Transformer on the 8 × 8 images that scikit-learn ships.

1797 handwritten digits, of which 360, drawn once and for all, are held out. An image becomes 16
patches of 2 × 2 pixels; what is pooled is a class token or the mean over the patches.

The recipe: two pre-norm blocks, width 32, 4 heads, feed-forward 64, dropout 0.1; Adam, a twentieth
of the steps as warm-up to 4e-3, then linear decay, batches of 64, 1500 steps, gradients clipped to
norm 1, float32. In each batch every image is moved by up to one pixel in each direction: with so
few images, a Transformer, which does not know that moving a digit leaves it what it is, has to be
told.

`WEIGHTS`, one file for each way of pooling, ship with the package; `train(0)` and
`train(0, pool="mean")` make them again from nothing. The images need scikit-learn:
pip install 'npattn[digits]'.
Source: d2l 11.8; the data: Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits".
"""

from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.kernels.softmax import softmax
from npattn.models.vision import (
    VisionConfig,
    init_vision,
    vision_transformer,
    vision_transformer_backward,
)
from npattn.training.checkpoints import load_tree
from npattn.training.loop import fit
from npattn.training.schedules import linear_warmup_linear_decay

CONFIGS = {pool: VisionConfig(pool=pool, dropout=0.1) for pool in ("class", "mean")}
WEIGHTS = {pool: Path(__file__).with_name(f"digits-{pool}.npz") for pool in CONFIGS}
STEPS, PEAK, BATCH, HELD_OUT = 1500, 4e-3, 64, 360


class Digits(NamedTuple):
    """Images and what they show."""

    X: np.ndarray  # (n, 1, 8, 8) float32, from 0 (paper) to 1 (ink)
    y: np.ndarray  # (n,) integers 0 … 9


@cache
def digits():
    """The training images and the held-out ones, two `Digits`, always the same and read-only.

    Raises ImportError, which says what to install, if there is no scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "the digits come with scikit-learn, which is not installed: "
            "pip install 'npattn[digits]', or pip install scikit-learn"
        ) from error
    images, labels = load_digits(return_X_y=True)
    X = (images / 16.0).astype(np.float32).reshape(-1, *CONFIGS["class"].image_shape)
    order = np.random.default_rng(0).permutation(len(X))
    parts = order[HELD_OUT:], order[:HELD_OUT]
    found = [Digits(X[part], labels[part].astype(np.int64)) for part in parts]
    for array in (array for part in found for array in part):
        array.setflags(write=False)
    return tuple(found)


def config_of(params):
    """The VisionConfig of such parameters: without a class token the mean is pooled."""
    return CONFIGS["mean" if params.class_token is None else "class"]


def loss_and_grads(params, batch, rng=None):
    """Mean cross-entropy per image, its gradient, and the share of images that are read right.

    params  VisionParams for one of the CONFIGS
    batch   Digits

    Returns loss, grads (VisionParams) and {"accuracy": …}, as `fit` takes them.
    """
    logits, forward = vision_transformer(batch.X, params, config=config_of(params), rng=rng)
    loss, loss_cache = cross_entropy(logits, batch.y)
    _, grads = vision_transformer_backward(cross_entropy_backward(1.0, loss_cache), forward)
    return loss, grads, {"accuracy": (logits.argmax(axis=-1) == batch.y).mean()}


def shift(X, rng):
    """Each image moved by −1, 0 or 1 pixel in each direction; paper comes in at the edge.

    X  (n, C, H, W)

    Returns an array like X.
    """
    n, C, H, W = X.shape
    padded = np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1)))
    down, right = rng.integers(3, size=(2, n, 1))
    rows, columns = down + np.arange(H), right + np.arange(W)
    image, channel = np.arange(n)[:, None, None, None], np.arange(C)[:, None, None]
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def train(seed=0, *, pool="class", steps=STEPS, **options):
    """The parameters and the history after training from nothing, the same for the same seed.

    pool     "class" or "mean"
    options  of `fit`: checkpoint, resume, progress, …

    Returns FitResult.
    """
    rng, known = np.random.default_rng(seed), digits()[0]
    params = init_vision(CONFIGS[pool], rng, dtype=np.float32)

    def batches(rng):
        chosen = rng.integers(len(known.X), size=BATCH)
        return Digits(shift(known.X[chosen], rng), known.y[chosen])

    with threadpool_limits(1, user_api="blas"):  # two would not be faster, but round differently
        return fit(
            params, loss_and_grads, batches, steps=steps, rng=rng, clip=1.0,
            schedule=partial(
                linear_warmup_linear_decay, peak=PEAK, warmup=steps // 20, total=steps
            ),
            **options,
        )


def load(pool="class", path=None):
    """The parameters in `path`; the shipped ones for this pooling unless a file is named.

    Raises FileNotFoundError, or CheckpointError that names what does not fit.
    """
    like = init_vision(CONFIGS[pool], np.random.default_rng(0), dtype=np.float32)
    return load_tree(WEIGHTS[pool] if path is None else path, like)[0]


def classify(params, X):
    """The probabilities of the ten digits, (..., 10), for images X (..., 1, 8, 8)."""
    logits, _ = vision_transformer(X, params, config=config_of(params))
    return softmax(logits)


def accuracy(params, batch=None):
    """The share of the images of `batch`, by default the held-out ones, that are read right."""
    batch = digits()[1] if batch is None else batch
    return float((classify(params, batch.X).argmax(axis=-1) == batch.y).mean())


def attention_maps(params, X):
    """Where each token looks, in every block and head.

    X  (..., 1, 8, 8)

    Returns weights (blocks, ..., heads, tokens, tokens). With a class token it is token 0; the
    patches follow row by row.
    """
    _, forward = vision_transformer(X, params, config=config_of(params))
    return np.stack([block.attention.attention.P for block in forward.encoder.blocks])
