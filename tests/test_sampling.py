"""The next token from its logits."""

import numpy as np
import pytest

from npattn.models.sampling import sample

LOGITS = np.log(np.array([0.1, 0.5, 0.05, 0.3, 0.05]))


def shares(draws=4000, **options):
    rng = np.random.default_rng(0)
    found = [sample(LOGITS, rng, **options) for _ in range(draws)]
    return np.bincount(found, minlength=5) / draws


def test_at_temperature_0_the_likeliest_token_comes_without_a_generator():
    assert sample(LOGITS, temperature=0.0) == 1
    assert sample(np.array([2.0, 2.0]), temperature=0.0) == 0


def test_tokens_come_as_often_as_they_are_likely():
    assert np.abs(shares() - np.exp(LOGITS)).max() < 0.03
    squared = np.exp(2 * LOGITS) / np.exp(2 * LOGITS).sum()
    assert np.abs(shares(temperature=0.5) - squared).max() < 0.03


def test_large_logits_are_drawn_as_small_ones_are():
    one, other = (sample(LOGITS + shift, np.random.default_rng(0)) for shift in (0.0, 900.0))
    assert one == other


def test_top_k_keeps_the_k_likeliest():
    assert np.abs(shares(top_k=2) - [0, 0.625, 0, 0.375, 0]).max() < 0.03


def test_among_equals_top_k_keeps_the_smallest_tokens():
    logits, rng = np.arange(300) % 2 * -9.0, np.random.default_rng(0)
    assert {sample(logits, rng, top_k=3) for _ in range(60)} == {0, 2, 4}


@pytest.mark.parametrize(
    "top_p, kept", [(0.5, [1]), (0.51, [1, 3]), (0.8, [1, 3]), (0.9, [0, 1, 3])]
)
def test_top_p_keeps_the_fewest_tokens_with_that_probability(top_p, kept):
    assert np.flatnonzero(shares(top_p=top_p - 1e-9)).tolist() == kept


def test_the_largest_number_of_a_generator_draws_the_last_token():
    class Largest(np.random.Generator):
        def random(self):
            return 1.0 - 2.0**-53

    rng = Largest(np.random.PCG64(0))
    for n in range(1, 300):
        assert sample(np.zeros(n), rng) == n - 1
        assert sample(np.zeros(2 * n), rng, top_k=n) == n - 1


def test_the_same_seed_gives_the_same_tokens():
    def draw():
        rng = np.random.default_rng(3)
        return [sample(LOGITS, rng) for _ in range(20)]

    assert draw() == draw()


@pytest.mark.parametrize("options, words", [
    (dict(temperature=-1.0), "temperature must be finite and at least 0"),
    (dict(temperature=np.inf), "temperature must be finite"),
    (dict(top_p=0.0), r"top_p must lie in \(0, 1\]"), (dict(top_k=0), "top_k must be at least 1"),
    (dict(top_p=1.1), r"top_p must lie in \(0, 1\], got 1.1"),
])
def test_options_out_of_range_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        sample(LOGITS, np.random.default_rng(0), **options)


def test_drawing_needs_a_generator():
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator"):
        sample(LOGITS)
