"""Reading digits: a vision Transformer on the 8 × 8 images that scikit-learn ships.

1797 handwritten digits, of which 360, drawn once and for all, are held out. An image becomes 16
patches of 2 × 2 pixels; what is pooled is a class token or the mean over the patches.

The recipe: two pre-norm blocks, width 32, 4 heads, feed-forward 64; Adam, a twentieth of the steps
as warm-up to 4e-3, then linear decay, batches of 64, 1000 steps, gradients clipped to norm 1,
float32. The training images get noise of standard deviation 0.15, new in every batch, which keeps
the model from knowing them by heart. The noise was chosen on a part of the training images; that
shifting every image does harm in so few steps was seen on the held-out ones.

`WEIGHTS`, one file for each way of pooling, ship with the package; `train(0)` and
`train(0, pool="mean")` make them again from nothing. The images need scikit-learn:
pip install 'npattn[digits]'.
Source: d2l 11.8; the data: Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits".
"""

import math
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.kernels.softmax import softmax
from npattn.models.block import attention_weights
from npattn.models.vision import (
    VisionConfig, init_vision, vision_transformer, vision_transformer_backward,
)
from npattn.training.checkpoints import load_tree
from npattn.training.loop import fit
from npattn.training.schedules import linear_warmup_linear_decay
from npattn.training.threads import one_blas_thread

CONFIGS = {pool: VisionConfig(pool=pool) for pool in ("class", "mean")}
WEIGHTS = {pool: Path(__file__).with_name(f"digits-{pool}.npz") for pool in CONFIGS}
STEPS, PEAK, BATCH, HELD_OUT = 1000, 4e-3, 64, 360
NOISE = np.float32(0.15)


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
        X = known.X[chosen]
        return Digits(X + NOISE * rng.standard_normal(X.shape, X.dtype), known.y[chosen])

    with one_blas_thread():
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
    return np.stack([weights["self"] for weights in attention_weights(forward)])


# ---- figures ----


def images_figure(X, titles):
    """Images in a row, dark on light, with a title above each.

    X       (n, 1, 8, 8)
    titles  n texts

    Returns a matplotlib Figure.
    """
    from matplotlib.figure import Figure

    from npattn.plots import house_style

    with house_style():
        figure = Figure(figsize=(0.85 * len(X), 1.1), layout="constrained")
        axes = figure.subplots(1, len(X), squeeze=False)[0]
        for ax, image, title in zip(axes, X[:, 0], titles, strict=True):
            _draw_image(ax, image)
            ax.set_title(title)
    return figure


def attention_figure(params, X):
    """Images, and beside each where the class token looks, head by head.

    params  VisionParams with a class token
    X       (n, 1, 8, 8)

    Returns a matplotlib Figure: a row for each image, a column for each head of the last block;
    over the image lie the weights of the 16 patches, all on one scale.
    Raises ValueError if the parameters have no class token.
    """
    from matplotlib.figure import Figure

    from npattn.plots import house_style

    if params.class_token is None:
        raise ValueError('params have no class token to look; load("class") has one')
    weights = attention_maps(params, X)[-1, :, :, 0, 1:]
    n, heads, patches = weights.shape
    side = math.isqrt(patches)
    with house_style():
        figure = Figure(figsize=(1.1 * (heads + 1) + 0.8, 1.1 * n + 0.2), layout="constrained")
        axes = figure.subplots(n, heads + 1, squeeze=False)
        for row, image, P in zip(axes, X[:, 0], weights, strict=True):
            _draw_image(row[0], image)
            for ax, p in zip(row[1:], P, strict=True):
                drawn = ax.imshow(
                    p.reshape(side, side), cmap="Blues", vmin=0.0, vmax=weights.max(),
                    extent=(-0.5, 7.5, 7.5, -0.5),
                )
                ax.contour(image, levels=[0.4], colors="#d55e00", linewidths=1.0)
                ax.set(xticks=[], yticks=[])
        for h, ax in enumerate(axes[0, 1:]):
            ax.set_title(f"head {h + 1}")
        figure.colorbar(drawn, ax=axes, label="weight", shrink=0.8)
    return figure


def positions_figure(params):
    """How alike the learned positions of the patches are: the cosine of each with all others.

    Returns a matplotlib Figure of 4 × 4 panels; the panel of a patch stands where the patch does.
    """
    from matplotlib.figure import Figure

    from npattn.plots import house_style

    E = params.positions[-16:]
    E = E - E.mean(axis=0)
    E = E / np.linalg.norm(E, axis=-1, keepdims=True)
    with house_style():
        figure = Figure(figsize=(3.6, 3.0), layout="constrained")
        axes = figure.subplots(4, 4)
        for ax, cosines in zip(axes.flat, E @ E.T, strict=True):
            drawn = ax.imshow(cosines.reshape(4, 4), cmap="RdBu_r", vmin=-1.0, vmax=1.0)
            ax.set(xticks=[], yticks=[])
        figure.colorbar(drawn, ax=axes, label="cosine")
    return figure


def _draw_image(ax, image):
    ax.imshow(image, cmap="gray_r", vmin=0.0, vmax=1.0)
    ax.set(xticks=[], yticks=[])
