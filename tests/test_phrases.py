"""The phrase pairs: the text's sentences, the split, words and ids, what is refused, batches."""

import hashlib
import itertools

import numpy as np
import pytest

from npattn.datasets.phrases import (
    BOS,
    EOS,
    PAD,
    PAIRS,
    TEST_SENTENCES,
    batches,
    decode_target,
    encode_source,
    encode_sources,
    english_words,
    french_words,
    held_out_pairs,
    phrase_batch,
    source_vocabulary,
    target_vocabulary,
    training_pairs,
    write_french,
)
from npattn.datasets.words import Phrase

# ---- pairs, and the split ----


def test_the_sentences_of_the_text_are_trained_on_and_translated_by_the_grammar():
    french = {pair.english: write_french(pair.french) for pair in training_pairs()}
    assert [french[tuple(english_words(sentence))] for sentence in TEST_SENTENCES] == [
        "va !", "j'ai perdu.", "il est calme.", "je suis chez moi.",
    ]


def test_the_split_has_every_pair_once_and_no_sentence_twice_in_either_language():
    pairs = training_pairs() + held_out_pairs()
    assert len(pairs) == len(set(pairs)) == PAIRS
    for side in (0, 1):
        assert len({pair[side] for pair in pairs}) == PAIRS
    assert 0.09 < len(held_out_pairs()) / PAIRS < 0.11


def test_every_held_out_word_is_trained_on():
    for side in (0, 1):
        trained, held_out = (
            {word for pair in pairs for word in pair[side]}
            for pairs in (training_pairs(), held_out_pairs())
        )
        assert held_out <= trained


def test_the_pairs_are_the_same_for_ever():
    """Shipped weights are worth what the held-out pairs say only if these never change."""
    text = "\n".join(" ".join(itertools.chain(*pair)) for pair in held_out_pairs())
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "42681b85c6b9b601"


# ---- text and words ----


@pytest.mark.parametrize("text, words", [
    ("go.", "go ."),
    ("I lost.", "i lost ."),
    ("he's calm", "he 's calm ."),
    ("  We’re  home . ", "we 're home ."),
    ("The boy's car isn't old.", "the boy 's car is not old ."),
    ("do not look for the children's owls.", "do not look for the children 's owls ."),
    ("go, now_!", "go , now _ ! ."),
])
def test_english_words(text, words):
    assert english_words(text) == words.split(" ")


@pytest.mark.parametrize("text, words", [
    ("va !", "va !"),
    ("J’ai perdu.", "j' ai perdu ."),
    ("l'œuvre n'est pas là.", "l' œuvre n' est pas là ."),
])
def test_french_words(text, words):
    assert french_words(text) == words.split(" ")


def test_what_is_written_is_read_as_the_same_words():
    for pair in held_out_pairs():
        assert tuple(french_words(write_french(pair.french))) == pair.french


def test_spaces_stand_where_french_wants_them():
    assert write_french(["n'", "achète", "pas", "l'", "arbre", "!"]) == "n'achète pas l'arbre !"


# ---- words and ids ----


def test_vocabularies_hold_each_word_once_in_order():
    for vocabulary in (source_vocabulary(), target_vocabulary()):
        assert list(vocabulary.units) == sorted(set(vocabulary.units))
    assert "hibou" in target_vocabulary().ids and "hibou" not in source_vocabulary().ids


def test_an_unknown_word_is_named():
    message = r"'bicycle' at position 4 is none of the \d+ known: .*apple"
    with pytest.raises(ValueError, match=message):
        encode_source("the boy's bicycle is old.")


@pytest.mark.parametrize("text", ["", " ", ".", " . "])
def test_an_empty_sentence_is_refused(text):
    with pytest.raises(ValueError, match="text is empty; write a sentence"):
        encode_source(text)


def test_what_is_no_text_is_refused():
    with pytest.raises(TypeError, match="text must be a str, got int"):
        encode_source(7)
    with pytest.raises(TypeError, match="texts must be a list of str, got the str 'go"):
        encode_sources("go.")
    with pytest.raises(ValueError, match="texts must hold one text or more, got none"):
        encode_sources([])


def test_sources_are_padded_and_masked():
    ids, mask = encode_sources(["go.", "he's calm."])
    assert mask.tolist() == [[True, True, False, False], [True] * 4]
    assert (ids[0, 2:] == PAD).all() and (ids[mask] > EOS).all()
    assert source_vocabulary().decode(ids[0]) == ["go", "."]


# ---- batches ----


def test_a_batch_worked_out_by_hand():
    batch = phrase_batch([
        Phrase(("go", "."), ("va", "!")), Phrase(("i", "lost", "."), ("j'", "ai", "perdu", ".")),
    ])
    source, target = source_vocabulary().ids, target_vocabulary().ids
    assert batch.source.tolist() == [
        [source["go"], source["."], PAD], [source["i"], source["lost"], source["."]],
    ]
    assert batch.source_mask.tolist() == [[True, True, False], [True, True, True]]
    assert batch.target_in.tolist() == [
        [BOS, target["va"], target["!"], PAD, PAD],
        [BOS, target["j'"], target["ai"], target["perdu"], target["."]],
    ]
    assert batch.target_out.tolist() == [
        [target["va"], target["!"], EOS, PAD, PAD],
        [target["j'"], target["ai"], target["perdu"], target["."], EOS],
    ]
    assert decode_target(batch.target_out[1]) == "j'ai perdu."


def test_batches_are_drawn_from_the_training_pairs_the_same_for_the_same_seed():
    trained = {write_french(pair.french) for pair in training_pairs()}
    first, again = (
        list(batches(np.random.default_rng(3), 5, count=4)) for _ in range(2)
    )
    assert len(first) == 4
    for batch, other in zip(first, again, strict=True):
        for X, Y in zip(batch, other, strict=True):
            np.testing.assert_array_equal(X, Y)
        assert {decode_target(ids) for ids in batch.target_out} <= trained
        assert batch.source.shape == batch.source_mask.shape
        assert batch.target_in.shape == batch.target_out.shape


def test_batches_of_given_pairs_go_on_without_end():
    pairs = held_out_pairs()[:2]
    stream = batches(np.random.default_rng(0), 8, pairs)
    found = {
        decode_target(ids) for batch in itertools.islice(stream, 5) for ids in batch.target_out
    }
    assert found == {write_french(pair.french) for pair in pairs}


def test_batches_that_cannot_be_are_refused_at_once():
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        batches(np.random.default_rng(0), 0)
    with pytest.raises(ValueError, match="pairs must hold one pair or more, got none"):
        batches(np.random.default_rng(0), 4, [])
    with pytest.raises(ValueError, match="at least one array"):
        phrase_batch([])
