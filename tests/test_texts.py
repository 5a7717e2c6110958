"""Vocabularies of characters and of words, and what neither takes."""

import re

import numpy as np
import pytest

from npattn.datasets.texts import BOS, EOS, PAD, Vocabulary


@pytest.mark.parametrize("units, text, said", [
    ("cab", "abc", "ab"),
    (("c", "a", "b"), ["a", "b", "c"], ["a", "b"]),
], ids=["characters", "words"])
def test_encode_and_decode(units, text, said):
    vocabulary = Vocabulary(units)
    assert vocabulary.symbols == ("<pad>", "<bos>", "<eos>", "c", "a", "b")
    assert len(vocabulary) == 6
    ids = vocabulary.encode(text)
    assert ids.tolist() == [4, 5, 3] and ids.dtype == np.int64
    assert vocabulary.decode(ids) == text
    assert vocabulary.decode([BOS, 4, PAD, 5, EOS, 3]) == said
    assert vocabulary.encode(text[:0]).shape == (0,)
    assert vocabulary.decode([]) == text[:0]


def test_a_vocabulary_stays_as_it_is():
    with pytest.raises(AttributeError):
        Vocabulary("cab").units = "abc"


@pytest.mark.parametrize("units", ["aba", ("a", "b", "a")])
def test_repeated_units_are_refused(units):
    with pytest.raises(ValueError, match=re.escape(f"units must not repeat, got {units!r}")):
        Vocabulary(units)


@pytest.mark.parametrize("vocabulary", [Vocabulary("cab"), Vocabulary(("c", "a", "b"))])
def test_what_is_not_in_the_vocabulary_is_named(vocabulary):
    message = "'d' at position 2 is none of the 3 known: c a b"
    with pytest.raises(ValueError, match=message):
        vocabulary.encode(["a", "d"])
    for ids in ([3, 6], [-1]):
        message = re.escape(f"ids must lie from 0 to 5, got {ids}")
        with pytest.raises(ValueError, match=message):
            vocabulary.decode(ids)
    with pytest.raises(ValueError, match=re.escape("ids must have one axis, got shape (1, 2)")):
        vocabulary.decode([[3, 4]])
    with pytest.raises(TypeError, match="ids must be integers, got float64"):
        vocabulary.decode([3.0])
