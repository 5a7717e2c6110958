"""Every figure of the README and of docs, drawn from what the package computes.

`npattn figures` writes them.

FIGURES maps the name of a file in figures/ to a function that returns the matplotlib Figure.
Experiments are imported when their figure is drawn. The figures of the notebooks are drawn by
the notebooks, see `npattn.experiments.notebooks`.
"""

import numpy as np

from npattn.kernels.attention import attention
from npattn.kernels.masks import valid_lens_mask
from npattn.plots import anatomy, head_grid


def dates():
    """The cross-attention of the shipped model while it reads a Chinese date."""
    from npattn.experiments.dates import cross_attention, load, read_dates

    params = load()
    reading = read_dates(params, ["2021年3月5日"])[0]
    weights, source, answer = cross_attention(params, reading)
    axes = head_grid(
        weights, answer, source, title=f"{reading.text}  →  {reading.answer}",
        xlabel="character read", ylabel="character being written",
    )
    return axes[0, 0].figure


def attention_anatomy():
    """One attention call with a mask, every matrix and every gradient."""
    rng = np.random.default_rng(7)
    Q, K, V, dO = (rng.standard_normal(shape) for shape in ((3, 2), (4, 2), (4, 2), (3, 2)))
    _, cache = attention(Q, K, V, valid_lens_mask([[4, 0, 2]], 4)[0])
    return anatomy(cache, dO)


def forecast():
    """Delays of the next eight hours, by the shipped model and by its rivals."""
    from npattn.experiments import series

    return series.forecast_figure(series.load())


def adaptation():
    """The cross-attention before and after the dates model learned Chinese."""
    from npattn.experiments.adaptation import adaptation

    return adaptation()


def alignment():
    """How two models reorder the words of a sentence that they translate."""
    from npattn.experiments import translation

    models = [translation.load(translation.TRANSFORMER), translation.load(translation.BAHDANAU)]
    return translation.alignment_figure(models, "she often watches the old white house.")


def growth():
    """How time and memory of attention grow with the length of the text, as measured."""
    from npattn.experiments.growth import growth

    return growth()


FIGURES = {
    "dates": dates,
    "anatomy": attention_anatomy,
    "forecast": forecast,
    "adaptation": adaptation,
    "alignment": alignment,
    "growth": growth,
}
