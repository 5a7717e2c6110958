"""Texts as ids: what the dates and the phrases have in common.

    <pad> 0   fills a sequence up to the length of the longest
    <bos> 1   begins what a decoder has read
    <eos> 2   ends what it says
"""

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

PAD, BOS, EOS = 0, 1, 2


class Batch(NamedTuple):
    """B pairs as ids: having read target_in[:, : t + 1], the decoder says target_out[:, t]."""

    source: np.ndarray       # (B, Ts) int64
    source_mask: np.ndarray  # (B, Ts) bool, False on padding
    target_in: np.ndarray    # (B, Tt) int64, <bos> and the text
    target_out: np.ndarray   # (B, Tt) int64, the text and <eos>; PAD counts in no loss


@dataclass(frozen=True)
class Vocabulary:
    """Characters or words and their ids: <pad> 0, <bos> 1, <eos> 2, then `units` from 3.

    units  a str of characters, or a tuple of words

    Raises ValueError if one is repeated.
    """

    units: str | tuple[str, ...]

    def __post_init__(self):
        if len(set(self.units)) < len(self.units):
            raise ValueError(f"units must not repeat, got {self.units!r}")

    @cached_property
    def symbols(self):
        """What each id stands for, as the label of an axis: a tuple of strings."""
        return ("<pad>", "<bos>", "<eos>", *self.units)

    @cached_property
    def ids(self):
        """The id of each symbol: a dict."""
        return {symbol: i for i, symbol in enumerate(self.symbols)}

    def __len__(self):
        return len(self.symbols)

    def encode(self, text):
        """Ids (T,) of the T characters or words of `text`, int64, without <bos> or <eos>.

        Raises ValueError, naming the first that is not in the vocabulary.
        """
        for position, unit in enumerate(text, 1):
            if unit not in self.ids:
                raise ValueError(
                    f"{unit!r} at position {position} is none of the {len(self.units)} known: "
                    + " ".join(self.units)
                )
        return np.array([self.ids[unit] for unit in text], dtype=np.int64)

    def decode(self, ids):
        """What ids (T,) spell up to the first <eos>: a str, or a list if the units are words.

        <pad> and <bos> are silent.
        Raises TypeError if the ids are not integers, ValueError if one is not in the vocabulary.
        """
        ids = np.asarray(ids)
        if ids.ndim != 1:
            raise ValueError(f"ids must have one axis, got shape {ids.shape}")
        if ids.size and not np.issubdtype(ids.dtype, np.integer):
            raise TypeError(f"ids must be integers, got {ids.dtype}")
        if ids.size and not 0 <= ids.min() <= ids.max() < len(self):
            raise ValueError(f"ids must lie from 0 to {len(self) - 1}, got {ids.tolist()}")
        spoken = itertools.takewhile(lambda i: i != EOS, ids.tolist())
        units = [self.symbols[i] for i in spoken if i > EOS]
        return "".join(units) if isinstance(self.units, str) else units


def require_texts(texts):
    """Raises TypeError for a lone str, ValueError if there is no text."""
    if isinstance(texts, str):
        raise TypeError(f"texts must be a list of str, got the str {texts!r}")
    if len(texts) == 0:
        raise ValueError("texts must hold one text or more, got none")
