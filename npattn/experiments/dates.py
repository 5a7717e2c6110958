"""Reading dates: a Transformer that turns "3rd of March 2021" or "2021年3月5日" into ISO dates.

The recipe: one pre-norm encoder and one pre-norm decoder block, width 64, 4 heads, feed-forward
128, embeddings times √D; Adam, 200 warm-up steps to 3e-3, then linear decay, batches of 64, 4000
steps, float32. Texts differ so much in length that more than half of a batch would be padding:
they are packed. Notebook 04 tries other recipes: where embeddings are much larger than positions
the model learns late where things stand.

`WEIGHTS` ships with the package; `train(0)` makes it again from nothing.
"""

import math
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from npattn.checking import gradcheck
from npattn.datasets.dates import (
    BOS, EOS, batches, date_batch, decode_target, encode_source, encode_sources, held_out_dates,
    source_vocabulary, target_vocabulary,
)
from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.kernels.masks import pad_sequences
from npattn.models.block import attention_weights
from npattn.models.search import greedy_decode
from npattn.models.transformer import (
    TransformerConfig, init_transformer, transformer, transformer_backward,
)
from npattn.training.checkpoints import load_tree, save_tree
from npattn.training.loop import fit
from npattn.training.schedules import linear_warmup_linear_decay
from npattn.training.threads import one_blas_thread
from npattn.trees import tree_map

WEIGHTS = Path(__file__).with_name("dates.npz")
CONFIG = TransformerConfig(
    len(source_vocabulary()), len(target_vocabulary()), scale_embeddings=True, packed=True
)
STEPS, PEAK, BATCH = 4000, 3e-3, 64
MAX_LEN = 11  # ten characters and the end


class Reading(NamedTuple):
    """What the model makes of one text."""

    text: str
    answer: str
    probability: float  # of the whole answer, its end included


def loss_and_grads(params, batch, rng=None, *, config=CONFIG):
    """Mean cross-entropy per character, its gradient, and the share of characters that are right.

    params  TransformerParams for `config`
    batch   npattn.datasets.dates.Batch

    Returns loss, grads (TransformerParams) and {"accuracy": …}, as `fit` takes them.
    """
    logits, cache = transformer(
        batch.source, batch.target_in, params, batch.source_mask, config=config, rng=rng
    )
    loss, loss_cache = cross_entropy(logits, batch.target_out)
    grads = transformer_backward(cross_entropy_backward(1.0, loss_cache), cache)
    return loss, grads, {"accuracy": (logits.argmax(axis=-1) == batch.target_out).mean()}


def train(seed=0, *, steps=STEPS, **options):
    """The parameters and the history after training from nothing, the same for the same seed.

    options  of `fit`: checkpoint, resume, progress, …

    Returns FitResult.
    """
    rng = np.random.default_rng(seed)
    params = init_transformer(CONFIG, rng, dtype=np.float32)
    schedule = partial(linear_warmup_linear_decay, peak=PEAK, warmup=steps // 20, total=steps)
    with one_blas_thread():
        return fit(
            params, loss_and_grads, _next_batch, steps=steps, rng=rng,
            schedule=schedule, **options,
        )


def _next_batch(rng):
    return next(batches(rng, BATCH, count=1))


def exact_match(params, batch):
    """The share of texts in the batch that are read without a single wrong character."""
    answers = decode_batch(params, batch.source, batch.source_mask)
    right = [
        decode_target(answer.ids) == decode_target(target)
        for answer, target in zip(answers, batch.target_out, strict=True)
    ]
    return float(np.mean(right))


def held_out_batch(n=1000, seed=0, formats=None):
    """`n` dates of days that no training batch ever holds, each in a format drawn at random."""
    return date_batch(np.random.default_rng(seed), held_out_dates(n, seed), formats)


def decode_batch(params, source, source_mask):
    """The greedy answers, a list of `npattn.models.search.Answer`."""
    return greedy_decode(
        source, params, source_mask, config=CONFIG, bos=BOS, eos=EOS, max_len=MAX_LEN
    )


def read_dates(params, texts):
    """What the model makes of each text.

    texts  list of str

    Returns a list of Reading.
    Raises ValueError as `npattn.datasets.dates.encode_source` does, before reading anything.
    """
    answers = decode_batch(params, *encode_sources(texts))
    return [
        Reading(text, decode_target(answer.ids), math.exp(answer.log_prob))
        for text, answer in zip(texts, answers, strict=True)
    ]


def save(path, params, metadata=None):
    """Write the parameters to `path`, atomically."""
    save_tree(path, params, metadata)


def load(path=WEIGHTS):
    """The parameters in `path`; the shipped ones unless another file is named.

    Raises FileNotFoundError, or CheckpointError that names what does not fit.
    """
    like = init_transformer(CONFIG, np.random.default_rng(0), dtype=np.float32)
    return load_tree(path, like)[0]


def cross_attention(params, reading):
    """Where the model looks while it writes its answer.

    reading  Reading

    Returns weights (blocks, heads, Tq, Tk), and the characters that label their last two axes:
    the source as the model reads it (Tk) and the answer (Tq). Row t is what the model looked at
    when it chose character t of the answer.
    """
    source = encode_source(reading.text)
    target = target_vocabulary().encode(reading.answer)
    _, cache = transformer(
        source[None], np.insert(target, 0, BOS)[None], params, config=CONFIG
    )
    weights = np.concatenate(
        [weights["cross"] for weights in attention_weights(cache.decode)]
    )
    symbols = source_vocabulary().symbols
    return weights[..., : len(target), :], [symbols[i] for i in source], list(reading.answer)


def check_gradient(params, readings, max_entries=1):
    """The model's gradient on these texts and answers against complex step, in float64.

    max_entries  of each array are checked one by one, and all of them at once along random signs

    Returns a Report of npattn.checking.
    """
    source, source_mask = encode_sources([reading.text for reading in readings])
    answers = [target_vocabulary().encode(reading.answer) for reading in readings]
    target, target_mask = pad_sequences([np.insert(answer, 0, BOS) for answer in answers])
    with one_blas_thread():
        return gradcheck(
            transformer, transformer_backward, source, target,
            tree_map(lambda p: p.astype(np.float64), params), source_mask, target_mask,
            config=CONFIG, max_entries=max_entries, name="the dates model",
        )
