"""How far every broken copy of gpt.py still trains: the numbers that ship, and their figures."""

import json

import numpy as np
import pytest

from npattn.breaking.catalogue import EDITS
from npattn.cli import main
from npattn.experiments import broken


@pytest.fixture(scope="module")
def shipped():
    return broken.load()


def test_every_edit_of_the_catalogue_was_trained(shipped):
    assert [*shipped["broken"]] == [*EDITS]
    curves = [row["curve"] for row in shipped["broken"].values()]
    assert {len(curve) for curve in curves} == {broken.STEPS // broken.EVERY}


@pytest.mark.thorough
def test_what_ships_is_what_the_measurement_gives(shipped):
    name = "dQ-minus"
    row = broken.measure(names=[name])["broken"][name]
    assert {**row, "curve": 0} == {**shipped["broken"][name], "curve": 0}
    np.testing.assert_allclose(row["curve"], shipped["broken"][name]["curve"], rtol=0, atol=0.01)


def test_many_wrong_gradients_lower_the_loss_as_far_as_the_right_one(shipped):
    ends = [broken.last(row) for row in shipped["broken"].values() if row["wrong"]]
    assert np.mean(np.array(ends) < shipped["right"][-1] + 0.1) > 0.5


def test_a_copy_that_raises_or_leaves_the_numbers_has_no_loss_from_there():
    page = broken.page()
    page.gradient = lambda theta, text: (np.inf, np.nan * theta)
    assert np.isinf(broken.losses(page, steps=3)).all()
    page.gradient = lambda theta, text: theta[:2] + theta[:3]
    assert np.isnan(broken.losses(page, steps=3)).all()


def test_the_figures_show_every_curve_and_every_name(shipped):
    lines = sum(len(ax.lines) for ax in broken.curves_figure().axes)
    panels = sum(bool(ax.lines) for ax in broken.curves_figure().axes)
    assert lines == len(EDITS) + panels
    shown = []
    for near in (True, False):
        axes = broken.ends_figure(near).axes
        labels = [text.get_text() for ax in axes for text in ax.get_yticklabels()]
        ends = [broken.last(shipped["broken"][name]) for name in labels]
        assert ends == sorted(ends)
        assert {abs(end - shipped["right"][-1]) <= broken.NEAR for end in ends} == {near}
        shown += labels
    assert sorted(shown) == sorted(EDITS)


def test_the_command_writes_what_can_be_loaded(tmp_path, monkeypatch, capsys):
    small = {"sizes": "", "steps": 2, "every": 1, "right": [3.0, 2.0],
             "broken": {"a-b": {"curve": [3.0, None], "wrong": ["E"], "same": True}}}
    monkeypatch.setattr(broken, "measure", lambda progress: small)
    assert main(["gpt", "curves", "--out", str(tmp_path / "found.json")]) == 0
    assert broken.load(tmp_path / "found.json") == small
    assert json.loads((tmp_path / "found.json").read_text(encoding="utf-8")) == small
    capsys.readouterr()
    assert main(["gpt", "curves", "--out", str(tmp_path / "found.txt")]) == 2
    assert "must end in .json" in capsys.readouterr().err
