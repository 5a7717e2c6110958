"""Translating the phrase pairs: a Transformer, and the encoder–decoder of Bahdanau et al.

Both learn from nothing to turn "the boy's red car is not old." into "la voiture rouge du garçon
n'est pas vieille.", and both show where they look: across the diagonal wherever French has
another order. Weights point at positions, not at words: where a GRU comes to 's it has read "the
boy", so that is where "du garçon" is found, and a Transformer's encoder may carry a word to
another place too. Padding counts neither in the loss nor in the attention.

    TRANSFORMER   one pre-norm block on either side, width 48, 4 heads, feed-forward 64, dropout
                  0.1; 1500 steps of Adam, peak rate 4e-3
    BAHDANAU      one GRU layer on either side, states and embeddings 48 wide, additive attention,
                  dropout 0.1 on its weights; 2000 steps of Adam, peak rate 8e-3

Both in float32, with batches of 64, gradients clipped to norm 1, and a rate that rises during a
twentieth of the steps and falls in a straight line to 0. The weights of both ship with the
package; `train_transformer(0)` and `train_bahdanau(0)` make them again from nothing.
Source: d2l 11.4 and 11.7 (Chinese edition 10.4 and 10.7).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from npattn.datasets.phrases import (
    BOS, EOS, PAD, batches, decode_target, encode_source, encode_sources, french_words,
    held_out_pairs, phrase_batch, source_vocabulary, target_vocabulary,
)
from npattn.experiments.bleu import bleu
from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.models import seq2seq as recurrent
from npattn.models.block import attention_weights
from npattn.models.search import greedy_decode
from npattn.models.transformer import (
    TransformerConfig, TransformerParams, init_transformer, transformer, transformer_backward,
)
from npattn.training.checkpoints import load_metadata, load_tree, save_tree
from npattn.training.loop import fit
from npattn.training.schedules import linear_warmup_linear_decay
from npattn.training.threads import one_blas_thread

BATCH, CLIP = 64, 1.0
MAX_LEN = 24  # words of an answer and its end
VOCABULARIES = len(source_vocabulary()), len(target_vocabulary())


@dataclass(frozen=True)
class Recipe:
    """A model, and how to train it."""

    name: str
    config: TransformerConfig | recurrent.Seq2SeqConfig
    params_type: type
    init: Callable      # (config, rng, dtype=…) -> params
    forward: Callable   # (source, target, params, source_mask, config=…, rng=…) -> logits, cache
    backward: Callable  # (dlogits, cache) -> dparams
    decode: Callable    # (source, params, source_mask, config=…, …) -> a list of Answer
    weights: Callable   # cache of one pair -> cross-attention weights (blocks, heads, Tt, Ts)
    file: Path          # the trained parameters that ship
    steps: int
    peak: float         # of the learning rate


def _transformer_weights(cache):
    return np.concatenate([weights["cross"] for weights in attention_weights(cache.decode)])


def _decode_recurrent(*args, **options):
    return recurrent.translate(*args, **options)[0]


def _recurrent_weights(cache):
    return np.concatenate([step.attention.P for step in cache.decoder.steps], axis=-2)[:, None]


TRANSFORMER = Recipe(
    "Transformer",
    TransformerConfig(*VOCABULARIES, width=48, hidden=64, dropout=0.1), TransformerParams,
    init_transformer, transformer, transformer_backward, greedy_decode, _transformer_weights,
    Path(__file__).with_name("translation.npz"), steps=1500, peak=4e-3,
)
BAHDANAU = Recipe(
    "Bahdanau",
    recurrent.Seq2SeqConfig(*VOCABULARIES, embedding=48, width=48, num_layers=1, dropout=0.1),
    recurrent.Seq2SeqParams,
    recurrent.init_seq2seq, recurrent.seq2seq, recurrent.seq2seq_backward, _decode_recurrent,
    _recurrent_weights, Path(__file__).with_name("bahdanau.npz"), steps=2000, peak=8e-3,
)


class Translation(NamedTuple):
    """What a model makes of one sentence."""

    english: str
    french: str
    probability: float  # of the whole answer, its end included


def recipe_of(params):
    """The Recipe of the model that has such parameters. Raises TypeError if there is none."""
    for recipe in (TRANSFORMER, BAHDANAU):
        if isinstance(params, recipe.params_type):
            return recipe
    raise TypeError(
        f"params must be TransformerParams or Seq2SeqParams, got {type(params).__name__}"
    )


# ---- training ----


def loss_and_grads(params, batch, rng=None):
    """Mean cross-entropy per word, its gradient, and the share of words that are right.

    params  TransformerParams or Seq2SeqParams, for the config of their recipe
    batch   npattn.datasets.phrases.Batch; its padding counts in neither number

    Returns loss, grads (like params) and {"accuracy": …}, as `fit` takes them.
    """
    recipe = recipe_of(params)
    logits, cache = recipe.forward(
        batch.source, batch.target_in, params, batch.source_mask, config=recipe.config, rng=rng
    )
    loss, loss_cache = cross_entropy(logits, batch.target_out, ignore=PAD)
    grads = recipe.backward(cross_entropy_backward(1.0, loss_cache), cache)
    right = logits.argmax(axis=-1) == batch.target_out
    return loss, grads, {"accuracy": right[batch.target_out != PAD].mean()}


def train_transformer(seed=0, **options):
    """`train` by the recipe TRANSFORMER."""
    return train(TRANSFORMER, seed, **options)


def train_bahdanau(seed=0, **options):
    """`train` by the recipe BAHDANAU."""
    return train(BAHDANAU, seed, **options)


def train(recipe, seed=0, *, steps=None, **options):
    """The parameters and the history after training from nothing, the same for the same seed.

    steps    None means those of the recipe
    options  of `fit`: checkpoint, resume, progress, … Unless told otherwise it evaluates the
             held-out pairs twenty times

    Returns FitResult.
    """
    steps = recipe.steps if steps is None else steps
    rng = np.random.default_rng(seed)
    params = recipe.init(recipe.config, rng, dtype=np.float32)
    schedule = partial(
        linear_warmup_linear_decay, peak=recipe.peak, warmup=steps // 20, total=steps
    )
    options = dict(evaluate=evaluate, evaluate_every=max(1, steps // 20)) | options
    with one_blas_thread():
        return fit(
            params, loss_and_grads, _next_batch, steps=steps, rng=rng, schedule=schedule,
            clip=CLIP, **options,
        )


def _next_batch(rng):
    return next(batches(rng, BATCH, count=1))


def save(path, params, metadata=None):
    """Write the parameters to `path`, atomically; `curves` may go with them as metadata."""
    save_tree(path, params, metadata)


def load(recipe, path=None):
    """The parameters in `path`; the shipped ones of the recipe unless a file is named.

    Raises FileNotFoundError, or CheckpointError that names what does not fit.
    """
    like = recipe.init(recipe.config, np.random.default_rng(0), dtype=np.float32)
    return load_tree(recipe.file if path is None else path, like)[0]


# ---- translating ----


def decode_batch(params, source, source_mask):
    """The greedy answers, a list of `npattn.models.search.Answer`."""
    recipe = recipe_of(params)
    return recipe.decode(
        source, params, source_mask, config=recipe.config, bos=BOS, eos=EOS, max_len=MAX_LEN
    )


def translate(params, sentences):
    """What the model makes of each English sentence.

    sentences  list of str

    Returns a list of Translation.
    Raises ValueError as `npattn.datasets.phrases.encode_source` does, before translating any.
    """
    answers = decode_batch(params, *encode_sources(sentences))
    return [
        Translation(sentence, decode_target(answer.ids), math.exp(answer.log_prob))
        for sentence, answer in zip(sentences, answers, strict=True)
    ]


def held_out_batch():
    """All the pairs that no training batch ever holds."""
    return phrase_batch(held_out_pairs())


def measure(params, batch):
    """How well the sentences of a Batch are translated: means over them, as a dict.

    bleu   BLEU with runs of up to four words, which is at most that of the text, with up to two
    exact  the share of translations without a single wrong word
    """
    decode = target_vocabulary().decode
    answers = decode_batch(params, batch.source, batch.source_mask)
    pairs = [
        (decode(answer.ids), decode(target))
        for answer, target in zip(answers, batch.target_out, strict=True)
    ]
    return {
        "bleu": float(np.mean([bleu(found, right) for found, right in pairs])),
        "exact": float(np.mean([found == right for found, right in pairs])),
    }


def exact_match(params, batch):
    """The share of sentences in the batch that are translated without a single wrong word."""
    return measure(params, batch)["exact"]


def evaluate(params):
    """The `measure` of the held-out pairs, as `fit` takes it."""
    return measure(params, held_out_batch())


def cross_attention(params, english, french):
    """Where a model looks while it writes a translation, be it its own or a given one.

    Returns weights (blocks, heads, Tq, Tk), and the words that label their last two axes: the
    French (Tq) and the English ones (Tk). Row t is what the model looked at when it came to word
    t of the translation, having read the words before it.
    """
    recipe = recipe_of(params)
    source, target = encode_source(english), target_vocabulary().encode(french_words(french))
    _, cache = recipe.forward(
        source[None], np.insert(target, 0, BOS)[None], params, config=recipe.config
    )
    return (
        recipe.weights(cache)[..., : len(target), :],
        [target_vocabulary().symbols[i] for i in target],
        [source_vocabulary().symbols[i] for i in source],
    )


# ---- figures ----


def alignment_figure(models, english):
    """Several models side by side, each with the mean weights of its blocks and heads.

    models   parameters; the first one's translation is what all of them are asked to write
    english  a sentence

    Returns a matplotlib Figure.
    """
    from npattn.plots import head_grid

    french = translate(models[0], [english])[0].french
    found = [cross_attention(params, english, french) for params in models]
    axes = head_grid(
        np.stack([weights.mean(axis=(0, 1)) for weights, _, _ in found]), *found[0][1:],
        column_titles=[recipe_of(params).name for params in models],
        title=f"{english}  →  {french}", xlabel="word read", ylabel="word being written",
    )
    return axes[0, 0].figure


def curves(result):
    """What a FitResult of `train` tells about the way there, as lists that fit into metadata.

    step, bleu, exact  of each evaluation
    loss               mean over the steps since the evaluation before
    """
    steps = result.evaluations["step"]
    stretches = np.split(result.history["loss"], steps[:-1])
    return {
        **{name: values.tolist() for name, values in result.evaluations.items()},
        "loss": [float(stretch.mean()) for stretch in stretches],
    }


def shipped_curves(recipe):
    """The `curves` of the training that made the shipped weights."""
    return load_metadata(recipe.file)["curves"]


def training_figure(curves_by_name):
    """Loss on the training pairs and BLEU on the held-out ones, step by step.

    curves_by_name  {name: curves}

    Returns a matplotlib Figure.
    """
    from matplotlib.figure import Figure

    from npattn.plots import house_style

    with house_style():
        figure = Figure(figsize=(6.6, 2.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        for name, points in curves_by_name.items():
            left.plot(points["step"], points["loss"], label=name)
            right.plot(points["step"], points["bleu"], label=name)
        left.set(xlabel="step", ylabel="nats per word, training pairs", yscale="log")
        right.set(xlabel="step", ylabel="BLEU, held-out pairs", ylim=(0.0, 1.02))
        right.axhline(0.95, color="gray", linewidth=0.6, linestyle="--")
        right.legend(loc="lower right")
    return figure
