"""SmolLM2 learns to read dates: LoRA on its queries and values, everything else as it came.

    "Date: Friday, the 5th of March, 2021 ="   ->   " 2021-03-05"
    "Date: 二〇二一年三月五日 ="                 ->   " 2021-03-05"

Of 134,515,008 parameters 460,800 learn, at rank RANK. Each step reads BATCH written dates of about
one length; what counts is the loss of the answer's tokens. A new date is right if every token of
the answer is the likeliest one after those before it: that is when the greedy continuation writes
it.

"Date:" stands in front because heads hardly read the first token, their sink. In "July 20 1957 ="
that is the month, and the model does not learn to find it there.
Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"; page `datasets.dates`.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from npattn.datasets.dates import held_out_dates, training_dates, write_dates
from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.models.adapting import adapted, frozen, init_updates, updates_of
from npattn.models.language_model import language_model, language_model_backward
from npattn.training import adam, fit, init_adam, linear_warmup_linear_decay

RANK, BATCH, STEPS, PEAK, GAIN = 8, 4, 160, 3.5e-3, 5.0
POOL = 8  # so many batches are drawn for a step, which takes one: dates of about one length
SPOKEN = (  # the hardest to read: 十月 is the 10th month, 二十 is 20, 十八 is 18
    "二〇二一年三月五日", "二〇二一年三月五日 星期五", "二零二一年三月五日", "二零二一年三月五号",
)
MORE_SPOKEN = 0.15  # of the dates are written as one of them, beside what all formats make of them
TESTED = 40


class Example(NamedTuple):
    """Texts of several dates, as tokens: the answer's last token needs no position of its own."""

    tokens: np.ndarray   # (B, T) padded at the end, where a causal model does not look
    where: np.ndarray    # (B, T) bool, the positions that predict the answer
    answers: np.ndarray  # (N,) what they are to predict, row by row


def examples(weights, rng, dates, formats=None):
    """The tokens of each date, written in a random format, and of its answer."""
    texts, isos = write_dates(rng, dates, formats)
    return [(weights.encode(f"Date: {text} ="), weights.encode(f" {iso}", special=False))
            for text, iso in zip(texts, isos, strict=True)]


def batch_of(pairs):
    """One Example from pairs of tokens: question and answer."""
    T = max(len(q) + len(a) for q, a in pairs) - 1
    tokens, where = np.zeros((len(pairs), T), np.int64), np.zeros((len(pairs), T), bool)
    for row, (question, answer) in enumerate(pairs):
        text = np.concatenate([question, answer[:-1]])
        tokens[row, :len(text)] = text
        where[row, len(question) - 1:len(text)] = True
    return Example(tokens, where, np.concatenate([answer for _, answer in pairs]))


def loss_and_grads(updates, batch, rng=None, *, model, config):
    """The loss of the answers and its gradient with respect to the updates."""
    logits, cache = language_model(
        batch.tokens, adapted(model, updates), config=config, where=batch.where, frozen=True
    )
    loss, found = cross_entropy(logits, batch.answers)
    dparams = language_model_backward(cross_entropy_backward(logits.dtype.type(1), found), cache)
    right = float((logits.argmax(axis=-1) == batch.answers).mean())
    return loss, updates_of(dparams), {"right": right}


def train(weights, seed=0, *, steps=STEPS, checkpoint_every=20, **options):
    """A FitResult whose params are the updates. The same seed gives the same updates."""
    rng, model = np.random.default_rng(seed), frozen(weights.params)

    def loss(updates, batch, rng):
        return loss_and_grads(updates, batch, rng, model=model, config=weights.config)

    def batches(rng):
        dates = rng.choice(training_dates(), POOL * BATCH)
        spoken = round(MORE_SPOKEN * len(dates))
        pool = examples(weights, rng, dates[:spoken], SPOKEN)
        pool += examples(weights, rng, dates[spoken:])
        pool.sort(key=lambda pair: sum(map(len, pair)))  # little is padded in any of them
        first = BATCH * int(rng.integers(POOL))
        return batch_of(pool[first:first + BATCH])

    return fit(
        init_updates(weights.params, RANK, rng, gain=GAIN), loss, batches, rng=rng, steps=steps,
        schedule=partial(linear_warmup_linear_decay, peak=PEAK, warmup=5, total=steps),
        optimizer=(init_adam, partial(adam, beta2=0.99)), clip=1.0,
        checkpoint_every=checkpoint_every, **options,
    )


def count_right(weights, updates=None, n=TESTED, seed=0):
    """How many of n days that were never trained on are read right, every token."""
    rng = np.random.default_rng(seed)
    pairs = examples(weights, rng, held_out_dates(n, seed))
    model, right = frozen(weights.params), 0
    model = model if updates is None else adapted(model, updates)
    for start in range(0, n, BATCH):
        batch = batch_of(pairs[start:start + BATCH])
        logits, _ = language_model(
            batch.tokens, model, config=weights.config, where=batch.where, frozen=True)
        hits = np.zeros(batch.where.shape, bool)
        hits[batch.where] = logits.argmax(axis=-1) == batch.answers
        right += int((hits == batch.where).all(axis=-1).sum())
    return right
