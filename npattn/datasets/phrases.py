"""English sentences and their French translations, drawn once and for all from the grammar.

    "the boy's red car is not old."  ->  "la voiture rouge du garçon n'est pas vieille."

A translation task in which position t of the target is seldom caused by position t of the source:
adjectives and owners change places, ne … pas stands around its verb, an article depends on the
noun behind it. `npattn.datasets.grammar` has the rules.

PAIRS different pairs, one in ten of them held out. The four sentences with which the text tests
its models are in the training part, as they are there.

Shapes: B sentences, padded with <pad>, the English Ts and the French Tt − 1 words at most; the
French have <bos> in front or <eos> behind. A mask (B, Ts) is True where a word stands.
Source: d2l 10.5 (Chinese edition 9.5), for tokens and padding.
"""

import itertools
import re
from functools import cache

import numpy as np

from npattn.datasets.grammar import any_sentence, being, doing
from npattn.datasets.texts import BOS, EOS, PAD, Batch, Vocabulary, require_texts  # noqa: F401
from npattn.datasets.words import MOODS, PRONOUNS, TRANSITIVE, Phrase
from npattn.kernels.masks import pad_sequences

PAIRS = 6000
TEST_SENTENCES = "go.", "i lost.", "he's calm.", "i'm home."

# ---- pairs, and the split ----


@cache
def _split():
    """Every pair, as (training, held out).

    Weights saved years ago must still find their held-out pairs unseen, and across its versions
    NumPy keeps only the raw stream of a bit generator, not what a Generator draws from it.
    """
    raw = np.random.PCG64(0).random_raw
    given = [
        Phrase(("go", "."), ("va", "!")),
        doing(PRONOUNS["i"], TRANSITIVE["lose"], past=True),
        being(PRONOUNS["he"], MOODS["calm"]),
        being(PRONOUNS["i"]),
    ]
    pairs = dict.fromkeys(given)  # a set that keeps its order
    while len(pairs) < PAIRS:
        pairs[any_sentence(lambda options: options[raw() % len(options)])] = None
    drawn = list(pairs)[len(given):]
    reserved = {pair for pair in drawn if raw() % 10 == 0}
    return tuple(p for p in pairs if p not in reserved), tuple(p for p in drawn if p in reserved)


def training_pairs():
    """The pairs to train on, about nine in ten: a tuple of Phrase."""
    return _split()[0]


def held_out_pairs():
    """The pairs that `training_pairs` does not hold: a tuple of Phrase.

    The choice is the same for ever. Every word of theirs occurs in the training pairs.
    """
    return _split()[1]


# ---- text and words ----


def english_words(text):
    """The words of an English sentence: "He's calm" is he, 's, calm and the full stop.

    Case, the form of an apostrophe and a missing full stop do not matter; n't is read as not.
    """
    plain = text.lower().replace("’", "'").replace("n't", " not").strip()
    return re.findall(r"'?[^\W_]+|[^\w\s]|_", plain if plain.endswith(".") else plain + " .")


def french_words(text):
    """The words of a French sentence: "l'image n'est pas là." is l', image, n', est, pas, là, ."""
    return re.findall(r"[^\W_]+'?|[^\w\s]|_", text.lower().replace("’", "'"))


def write_english(words):
    """The sentence that English words make: he 's calm . → he's calm."""
    return re.sub(r" (?=['.])", "", " ".join(words))


def write_french(words):
    """The sentence that French words make: l' ami n' est pas là . → l'ami n'est pas là."""
    return re.sub(r"(?<=') | (?=\.)", "", " ".join(words))


# ---- words and ids ----

@cache
def source_vocabulary():
    """The English words of all pairs, in alphabetical order."""
    return _vocabulary("english")


@cache
def target_vocabulary():
    """The French words of all pairs, in alphabetical order."""
    return _vocabulary("french")


def _vocabulary(language):
    pairs = itertools.chain(*_split())
    return Vocabulary(tuple(sorted({word for pair in pairs for word in getattr(pair, language)})))


def encode_source(text):
    """Ids (T,) of an English sentence as somebody typed it, int64.

    Raises ValueError, in one line that may be shown to the writer, if there is no word or an
    unknown one; TypeError if text is no str.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {type(text).__name__}")
    if not text.strip(" ."):
        raise ValueError("text is empty; write a sentence, for example \"he's calm.\"")
    return source_vocabulary().encode(english_words(text))


def encode_sources(texts):
    """Ids (B, T) of B sentences, padded with <pad>, int64, and a mask (B, T), True on words.

    Raises ValueError as `encode_source` does, or if there is no text; TypeError for a lone str.
    """
    require_texts(texts)
    return pad_sequences([encode_source(text) for text in texts])


def decode_target(ids):
    """The French sentence that target ids (T,) spell up to the first <eos>."""
    return write_french(target_vocabulary().decode(ids))


# ---- batches ----


def phrase_batch(pairs):
    """One Batch of the given pairs, a sequence of Phrase. Raises ValueError if there is none."""
    source, source_mask = pad_sequences([source_vocabulary().encode(p.english) for p in pairs])
    french = [target_vocabulary().encode(p.french) for p in pairs]
    target_in, _ = pad_sequences([np.insert(ids, 0, BOS) for ids in french])
    target_out, _ = pad_sequences([np.append(ids, EOS) for ids in french])
    return Batch(source, source_mask, target_in, target_out)


def batches(rng, batch_size, pairs=None, *, count=None):
    """Iterate over batches of pairs drawn uniformly, with replacement.

    rng         numpy.random.Generator
    batch_size  B, at least 1
    pairs       what to draw from; None means `training_pairs()`
    count       how many batches; None means without end

    Returns an iterator of Batch. Raises ValueError at once, not at the first batch.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    pairs = training_pairs() if pairs is None else pairs
    if len(pairs) == 0:
        raise ValueError("pairs must hold one pair or more, got none")
    steps = itertools.count() if count is None else range(count)
    return (phrase_batch([pairs[i] for i in rng.integers(len(pairs), size=batch_size)])
            for _ in steps)
