"""Searching for the likeliest answer: greedily, or with a beam.

    greedy   y_t = argmax p(y | y_1 … y_{t−1}, source)
    beam     keep the k likeliest prefixes; a prefix that ends leaves the beam, which narrows

The likeliest answer need not begin with the likeliest token: that is what a beam is for.
Source: d2l 10.8; Wu et al. 2016, "Google's Neural Machine Translation System", eq. 14, for the
length penalty.
"""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from npattn.kernels.arrays import require_integers
from npattn.kernels.options import require_counts
from npattn.kernels.softmax import log_softmax
from npattn.models.decoding import decode_step, select_rows, start_decoding
from npattn.models.transformer import encode


class Answer(NamedTuple):
    """A decoded sequence."""

    ids: np.ndarray  # (T,) without the tokens that begin and end it
    log_prob: float  # of all its tokens, the end included, in nats
    finished: bool   # False if max_len cut it off


def greedy_decode(source, params, source_mask=None, *, config, bos, eos, max_len):
    """The likeliest token at every step, until `eos` or `max_len` tokens.

    source       (B, Ts)  integers
    params       TransformerParams
    source_mask  (B, Ts)  bool, True = a real token
    bos, eos     the ids that begin and end an answer
    max_len      the most tokens of an answer, its end included

    Returns a list of B `Answer`.
    """
    require_sentences(source)
    state = _before_the_first(source, params, source_mask, config)
    step = partial(decode_step, params=params.decode, config=config)
    answers, _ = greedy_answers(step, state, len(source), bos=bos, eos=eos, max_len=max_len)
    return answers


def greedy_answers(step, state, B, *, bos, eos, max_len):
    """`greedy_decode` for every model that goes from token to token, B sequences at a time.

    step   function of the newest tokens (B,) and a state: logits (B, C) and the new state
    state  the state before the first token, made of whatever `step` wants

    Returns a list of B `Answer` and the last state.
    """
    require_counts(0, max_len=max_len)
    newest = np.full(B, bos)
    ids, log_probs = [], []
    for _ in range(max_len):
        logits, state = step(newest, state)
        L = log_softmax(logits)
        newest = L.argmax(axis=1)
        ids.append(newest)
        log_probs.append(L.max(axis=1))
        if (np.array(ids) == eos).any(axis=0).all():
            break
    shape = len(ids), B
    rows, steps = np.array(ids, int).reshape(shape).T, np.array(log_probs).reshape(shape).T
    return [_until_end(*row, eos) for row in zip(rows, steps, strict=True)], state


def beam_search(
    source, params, source_mask=None, *, config, bos, eos, max_len, beam=4, length_penalty=0.0
):
    """The best answers that a search over `beam` prefixes at a time finds, for one source.

    source          (1, Ts)  integers
    params, source_mask, bos, eos, max_len  as in `greedy_decode`
    beam            prefixes kept at every step; 1 is greedy decoding
    length_penalty  α: answers compare by log_prob / ((5 + length) / 6)^α; 0 compares log_prob

    Returns `beam` `Answer` at most, the best first.
    Raises ValueError for more than one source or a beam below 1.
    """
    require_sentences(source)
    require_counts(0, max_len=max_len)
    if len(source) != 1 or beam < 1:
        raise ValueError(f"need one source and a beam of at least 1, got {len(source)} and {beam}")
    state = _before_the_first(source, params, source_mask, config)
    prefixes, totals, answers = np.full((1, 1), bos), np.zeros(1), []
    for _ in range(max_len):
        logits, state = decode_step(prefixes[:, -1], state, params.decode, config=config)
        scores = totals[:, None] + log_softmax(logits)
        best = np.argsort(-scores, axis=None, kind="stable")[: beam - len(answers)]
        parents, tokens = np.unravel_index(best, scores.shape)
        totals = scores[parents, tokens]
        prefixes = np.column_stack([prefixes[parents], tokens])
        alive = tokens != eos
        answers += _answers(prefixes[~alive, 1:-1], totals[~alive], finished=True)
        prefixes, totals = prefixes[alive], totals[alive]
        if not alive.any():
            break
        state = select_rows(state, parents[alive])
    answers += _answers(prefixes[:, 1:], totals, finished=False)
    return sorted(answers, key=lambda answer: -_compared(answer, length_penalty))


def require_sentences(source):
    """A search takes ids (B, Ts). Raises TypeError if they are no integers, else ValueError."""
    require_integers(source=source)
    if source.ndim != 2:
        raise ValueError(
            f"source must be (B, Ts), a row for each sentence, got shape {source.shape}; "
            "source[None] makes a row of one sentence"
        )


def _before_the_first(source, params, source_mask, config):
    """The state before the first token. Nobody will see what the encoder looked at."""
    unseen = replace(config, kernel="auto")
    M, _ = encode(source, params.encode, source_mask, config=unseen)
    return start_decoding(M, params.decode, source_mask, config=config)


def _answers(rows, totals, finished):
    return [Answer(ids, float(total), finished) for ids, total in zip(rows, totals, strict=True)]


def _compared(answer, length_penalty):
    length = len(answer.ids) + answer.finished
    return answer.log_prob / ((5 + length) / 6) ** length_penalty


def _until_end(ids, log_probs, eos):
    ends = np.flatnonzero(ids == eos)
    finished = len(ends) > 0
    length = ends[0] if finished else len(ids)
    return Answer(ids[:length], float(log_probs[: length + 1].sum()), finished)
