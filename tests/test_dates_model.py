"""The Transformer that ships: small, right on days it has not seen, and trainable again."""

import numpy as np
import pytest

from npattn.experiments import dates
from npattn.training import CheckpointError
from npattn.trees import tree_leaves


@pytest.fixture(scope="module")
def params():
    return dates.load()


def test_the_shipped_weights_are_small_and_single_precision(params):
    assert dates.WEIGHTS.stat().st_size <= 1_000_000
    assert {leaf.dtype for leaf in tree_leaves(params)} == {np.dtype(np.float32)}


def test_995_of_1000_dates_of_unseen_days_are_read_exactly(params):
    assert dates.exact_match(params, dates.held_out_batch(1000, seed=3)) >= 0.995


@pytest.mark.parametrize("formats", ["en", "zh", "digits"])
def test_each_language_is_read(params, formats):
    assert dates.exact_match(params, dates.held_out_batch(200, seed=4, formats=formats)) >= 0.98


def test_padding_does_not_change_a_reading(params):
    alone = dates.read_dates(params, ["2021/3/5"])[0]
    beside = dates.read_dates(params, ["2021/3/5", "Wednesday, the 22nd of September, 2021"])[0]
    assert beside.answer == alone.answer == "2021-03-05"
    assert beside.probability == pytest.approx(alone.probability, rel=1e-4)


def test_cross_attention_has_a_row_per_character_of_the_answer(params):
    reading = dates.read_dates(params, ["2021年3月5日"])[0]
    weights, source, answer = dates.cross_attention(params, reading)
    assert weights.shape == (1, 4, 10, 9)
    assert "".join(source) == "2021年3月5日"
    assert "".join(answer) == "2021-03-05"
    np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-5)
    month = weights[0, :, answer.index("3"), source.index("3")]
    assert month.max() > 0.5  # some head reads the month where it stands


@pytest.mark.thorough
def test_the_gradient_of_the_shipped_model_is_right(params):
    report = dates.check_gradient(params, dates.read_dates(params, ["5 Mar 2021", "20210305"]))
    assert report.ok, str(report)
    assert report.worst.error < 1e-11


@pytest.mark.thorough
def test_training_learns_quickly():
    result = dates.train(seed=5, steps=60)
    loss = result.history["loss"]
    assert loss[-5:].mean() < 0.75 * loss[:5].mean()


def test_weights_of_another_model_are_refused(tmp_path):
    path = tmp_path / "other.npz"
    dates.save(path, dates.load()._replace(decode=None))
    with pytest.raises(CheckpointError, match="decode.embedding is missing"):
        dates.load(path)
