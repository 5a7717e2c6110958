"""Greedy decoding and beam search, against the enumeration of all answers."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.kernels.linear import LinearParams
from npattn.kernels.softmax import log_softmax
from npattn.models.search import Answer, beam_search, greedy_decode
from npattn.models.transformer import TransformerConfig, init_transformer, transformer
from npattn.trees import tree_leaves, tree_map

BOS, EOS = 0, 1
SPECIAL = dict(bos=BOS, eos=EOS)
seeds = pytest.mark.parametrize("seed", range(4))


@pytest.fixture
def make_model():
    """config, parameters with well-spread logits, and three sources, padded to (3, 5)."""

    def make(seed, vocabulary=4):
        rng = np.random.default_rng(seed)
        config = TransformerConfig(6, vocabulary, width=4, num_heads=2, hidden=5)
        params = init_transformer(config, rng)
        params = tree_map(lambda p: p + rng.normal(0.0, 0.5, p.shape), params)
        for leaf in tree_leaves(params):
            leaf.setflags(write=False)
        return config, params, rng.integers(0, 6, (3, 5)), np.arange(5) < np.array([[5], [3], [1]])

    return make


def log_prob(tokens, source, params, mask, config):
    """The log-probability of the answer `tokens`, from one pass over all of them."""
    target = np.array([[BOS, *tokens[:-1]]])
    logits, _ = transformer(source, target, params, mask, config=config)
    return log_softmax(logits)[0, np.arange(len(tokens)), list(tokens)].sum()


def every_answer(source, params, mask, config, max_len):
    """All answers of at most max_len tokens, whether they end or are cut off."""
    others = [token for token in range(config.target_vocabulary) if token != EOS]
    answers = []
    for n in range(max_len + 1):
        for ids in itertools.product(others, repeat=n):
            finished = n < max_len
            tokens = (*ids, EOS) if finished else ids
            score = log_prob(tokens, source, params, mask, config)
            answers.append(Answer(np.array(ids, int), score, finished))
    return answers


def assert_same_answers(found, expected):
    assert [(a.ids.tolist(), a.finished) for a in found] == [
        (a.ids.tolist(), a.finished) for a in expected
    ]
    assert_allclose([a.log_prob for a in found], [a.log_prob for a in expected], atol=1e-12)


# ---- greedy ----


@seeds
def test_greedy_takes_the_likeliest_token_at_every_step(make_model, seed):
    config, params, source, mask = make_model(seed)
    answers = greedy_decode(source, params, mask, config=config, max_len=6, **SPECIAL)
    assert len(answers) == 3
    for b, answer in enumerate(answers):
        one, hears, target = source[b : b + 1], mask[b : b + 1], [BOS]
        while len(target) <= 6 and (len(target) == 1 or target[-1] != EOS):
            logits, _ = transformer(one, np.array([target]), params, hears, config=config)
            target.append(int(logits[0, -1].argmax()))
        tokens = target[1:]
        assert answer.finished == (tokens[-1] == EOS)
        assert answer.ids.tolist() == (tokens[:-1] if answer.finished else tokens)
        assert_allclose(answer.log_prob, log_prob(tokens, one, params, hears, config), atol=1e-12)


@seeds
def test_a_batch_is_decoded_as_each_source_alone_without_padding(make_model, seed):
    config, params, source, mask = make_model(seed)
    options = dict(config=config, max_len=6, **SPECIAL)
    together = greedy_decode(source, params, mask, **options)
    alone = [
        greedy_decode(row[hears][None], params, **options)[0]
        for row, hears in zip(source, mask, strict=True)
    ]
    assert_same_answers(together, alone)


def test_answers_end_in_different_ways(make_model):
    lengths, finished = set(), set()
    for seed in range(8):
        config, params, source, mask = make_model(seed)
        for answer in greedy_decode(source, params, mask, config=config, max_len=4, **SPECIAL):
            assert len(answer.ids) <= 4 - answer.finished
            assert EOS not in answer.ids
            lengths.add(len(answer.ids))
            finished.add(answer.finished)
    assert finished == {True, False} and lengths >= {0, 1, 2, 4}  # so that the tests see all kinds


# ---- beam ----


@seeds
def test_a_beam_of_one_is_greedy(make_model, seed):
    config, params, source, mask = make_model(seed)
    options = dict(config=config, max_len=6, **SPECIAL)
    for b in range(3):
        one, hears = source[b : b + 1], mask[b : b + 1]
        assert_same_answers(
            beam_search(one, params, hears, beam=1, **options),
            greedy_decode(one, params, hears, **options),
        )


@pytest.mark.sampled(3)
@seeds
@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
def test_a_wide_beam_finds_every_answer_in_order(make_model, seed, penalty):
    config, params, source, mask = make_model(seed)
    one, hears = source[1:2], mask[1:2]
    expected = sorted(
        every_answer(one, params, hears, config, max_len=3),
        key=lambda a: -a.log_prob / ((5 + len(a.ids) + a.finished) / 6) ** penalty,
    )
    assert len(expected) == 1 + 3 + 9 + 27
    assert np.exp([a.log_prob for a in expected]).sum() == pytest.approx(1.0)
    found = beam_search(one, params, hears, config=config, max_len=3, beam=40,
                        length_penalty=penalty, **SPECIAL)
    assert_same_answers(found, expected)


@seeds
@pytest.mark.parametrize("beam", [2, 3, 5])
def test_a_narrow_beam_finds_different_answers_with_their_right_scores(make_model, seed, beam):
    config, params, source, mask = make_model(seed)
    one, hears = source[2:], mask[2:]
    answers = beam_search(one, params, hears, config=config, max_len=5, beam=beam, **SPECIAL)
    assert len(answers) == beam
    assert len({(*a.ids.tolist(), a.finished) for a in answers}) == beam
    scores = [a.log_prob for a in answers]
    assert scores == sorted(scores, reverse=True)
    for answer in answers:
        tokens = [*answer.ids.tolist(), EOS] if answer.finished else answer.ids.tolist()
        assert_allclose(answer.log_prob, log_prob(tokens, one, params, hears, config), atol=1e-12)


def test_a_beam_can_find_what_greedy_misses(make_model):
    gains = []
    for seed in range(8):
        config, params, source, mask = make_model(seed)
        options = dict(config=config, max_len=4, **SPECIAL)
        (greedy,) = greedy_decode(source[:1], params, mask[:1], **options)
        best, *_ = beam_search(source[:1], params, mask[:1], beam=121, **options)
        gains.append(best.log_prob - greedy.log_prob)
    assert min(gains) > -1e-12 and max(gains) > 1e-3


@seeds
def test_a_greater_penalty_never_shortens_the_best_answer(make_model, seed):
    config, params, source, mask = make_model(seed)
    options = dict(config=config, max_len=4, beam=121, **SPECIAL)
    best = (
        beam_search(source[:1], params, mask[:1], length_penalty=penalty, **options)[0]
        for penalty in (0.0, 0.5, 1.0, 3.0)
    )
    lengths = [len(answer.ids) + answer.finished for answer in best]
    assert lengths == sorted(lengths)


def test_among_equals_the_smallest_ids_come_first(make_model):
    config, params, source, _ = make_model(0, vocabulary=300)
    even = LinearParams(np.zeros((4, 300)), np.arange(300) % 2 * -1.0)  # likelier than the odd ones
    indifferent = params._replace(decode=params.decode._replace(output=even))
    options = dict(config=config, bos=BOS, eos=299, max_len=2)
    answers = beam_search(source[:1], indifferent, beam=5, **options)
    assert [answer.ids.tolist() for answer in answers] == [[0, 2 * i] for i in range(5)]
    (greedy,) = greedy_decode(source[:1], indifferent, **options)
    assert greedy.ids.tolist() == [0, 0]
    assert_allclose(greedy.log_prob, -2 * np.log(150 + 150 / np.e))


@pytest.mark.parametrize("max_len", [0, 1])
def test_short_limits(make_model, max_len):
    config, params, source, mask = make_model(0)
    options = dict(config=config, max_len=max_len, **SPECIAL)
    answers = greedy_decode(source, params, mask, **options)
    assert len(answers) == 3
    for b, answer in enumerate(answers):
        assert len(answer.ids) + answer.finished == max_len
        (best, *_) = beam_search(source[b : b + 1], params, mask[b : b + 1], beam=2, **options)
        assert_array_equal(best.ids, answer.ids)


def test_single_precision_decodes_alike(make_model):
    config, params, source, mask = make_model(0)
    single = tree_map(lambda X: X.astype(np.float32), params)
    options = dict(config=config, max_len=5, **SPECIAL)
    pairs = zip(
        greedy_decode(source, single, mask, **options),
        greedy_decode(source, params, mask, **options),
        strict=True,
    )
    for found, expected in pairs:
        assert_array_equal(found.ids, expected.ids)
        assert_allclose(found.log_prob, expected.log_prob, rtol=1e-4)
        assert type(found.log_prob) is float


# ---- errors ----


@pytest.mark.parametrize("rows, beam", [(2, 4), (0, 4), (1, 0), (1, -1)])
def test_a_beam_takes_one_source_and_at_least_one_prefix(make_model, rows, beam):
    config, params, source, _ = make_model(0)
    with pytest.raises(ValueError, match=f"one source .* at least 1, got {rows} and {beam}"):
        beam_search(source[:rows], params, config=config, max_len=3, beam=beam, **SPECIAL)


@pytest.mark.parametrize("search", [greedy_decode, beam_search])
def test_a_limit_is_not_negative(make_model, search):
    config, params, source, _ = make_model(0)
    with pytest.raises(ValueError, match="max_len must be at least 0, got -1"):
        search(source[:1], params, config=config, max_len=-1, **SPECIAL)


@pytest.mark.parametrize("search", [greedy_decode, beam_search])
def test_the_special_tokens_must_be_in_the_vocabulary(make_model, search):
    config, params, source, _ = make_model(0)
    with pytest.raises(ValueError, match="ids must lie in 0 … 3, the rows of E; got 4 … 4"):
        search(source[:1], params, config=config, bos=4, eos=EOS, max_len=3)


@pytest.mark.parametrize("search", [greedy_decode, beam_search])
def test_sources_are_rows_of_ids(make_model, search):
    config, params, source, mask = make_model(0)
    options = dict(config=config, max_len=3, **SPECIAL)
    with pytest.raises(ValueError, match=r"source must be \(B, Ts\), .* got shape \(5,\); source"):
        search(source[0], params, **options)
    with pytest.raises(TypeError, match="source must be an integer array, got list"):
        search(source.tolist(), params, **options)
    with pytest.raises(TypeError, match="mask must be a boolean array .* got list"):
        search(source[:1], params, mask[:1].tolist(), **options)
