"""Every figure of the README, drawn from what the package computes. `npattn figures` writes them.

FIGURES maps the name of a file in figures/ to a function that returns the matplotlib Figure.
Experiments are imported when their figure is drawn.
"""

import numpy as np

from npattn.kernels.attention import attention
from npattn.kernels.masks import valid_lens_mask
from npattn.kernels.softmax import masked_softmax
from npattn.plots import anatomy, head_grid, heatmap, house_style


def dates():
    """The cross-attention of the shipped model while it reads a Chinese date."""
    from npattn.experiments.dates import cross_attention, load, read_dates

    params = load()
    reading = read_dates(params, ["2021年3月5日"])[0]
    weights, source, answer = cross_attention(params, reading)
    axes = head_grid(weights, answer, source, title=f"{reading.text}  →  {reading.answer}")
    return axes[0, 0].figure


def attention_anatomy():
    """One attention call with a mask, every matrix and every gradient."""
    rng = np.random.default_rng(7)
    Q, K, V, dO = (rng.standard_normal(shape) for shape in ((4, 3), (6, 3), (6, 5), (4, 5)))
    _, cache = attention(Q, K, V, valid_lens_mask([[6, 4, 0, 2]], 6)[0])
    return anatomy(cache, dO)


def padding():
    """Three padded sentences under valid lengths, each with random scores of its own."""
    from matplotlib.figure import Figure

    sentences = [line.split() for line in ("i love you", "i can't go there", "of course")]
    lens = np.array([len(words) for words in sentences])
    mask = np.repeat(valid_lens_mask(lens, 4), 4, axis=1)
    P = masked_softmax(np.random.default_rng(1).standard_normal((3, 4, 4)), mask)
    with house_style():
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        axes = figure.subplots(1, 3)
        for b, words in enumerate(sentences):
            words = words + ["<pad>"] * (4 - len(words))
            title = f"valid length {lens[b]}"
            heatmap(
                P[b], words, words, mask=mask[b], ax=axes[b], title=title, vmax=1.0,
                colorbar="weight" if b == 2 else False,
            )
    return figure


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


def translation_training():
    """Loss and BLEU of both translation models, step by step."""
    from npattn.experiments import translation

    recipes = {"Transformer": translation.TRANSFORMER, "Bahdanau": translation.BAHDANAU}
    return translation.training_figure(
        {name: translation.shipped_curves(recipe) for name, recipe in recipes.items()}
    )


FIGURES = {
    "dates": dates,
    "anatomy": attention_anatomy,
    "padding": padding,
    "forecast": forecast,
    "adaptation": adaptation,
    "alignment": alignment,
    "translation-training": translation_training,
}
