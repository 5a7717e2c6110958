"""Which parameters adapt, that no others do, and that the shipped results are those of the code."""

import json
import re

import numpy as np
import pytest

from npattn.cli import main
from npattn.datasets.dates import encode_source, held_out_dates
from npattn.experiments import adaptation
from npattn.experiments.adaptation import ANSWER, RULES, STARTS, TEXT, Results, Run
from npattn.experiments.dates import CONFIG
from npattn.models.transformer import init_transformer
from npattn.trees import tree_items

BLOCK = "decode.stack.blocks[0]."
TABLE = {"encode.embedding"}
CROSS = {
    f"{BLOCK}cross_attention.{layer}.{part}"
    for layer in ("query", "key", "value", "output") for part in "Wb"
} | {f"{BLOCK}cross_attention_norm.{part}" for part in ("gain", "bias")}


@pytest.fixture(scope="module")
def sizes():
    params = init_transformer(CONFIG, np.random.default_rng(0))
    return {path: leaf.size for path, leaf in tree_items(params)}


@pytest.fixture(scope="module")
def tiny():
    """What `adapt` yields on a handful of steps."""
    return list(adaptation.adapt(7, english_steps=4, steps=4, held_out=4))


@pytest.fixture(scope="module")
def shipped():
    return adaptation.load()


# ---- the rules ----


def test_each_rule_selects_what_its_name_says(sizes):
    selected = {moves: {*filter(rule, sizes)} for moves, rule in RULES.items()}
    assert selected == {
        "embeddings": TABLE,
        "embeddings, cross-attention": TABLE | CROSS,
        "everything": {*sizes},
    }


def changed(before, after):
    pairs = zip(tree_items(before), tree_items(after), strict=True)
    return {path for (path, X), (_, Y) in pairs if X.tobytes() != Y.tobytes()}


def test_only_the_named_parameters_move_from_the_english_model_bit_for_bit(tiny, sizes):
    (_, parent), *adapted = tiny[:4]
    for run, params in adapted:
        assert run.start == "English model"
        assert changed(parent, params) == {*filter(RULES[run.moves], sizes)}


def test_only_the_named_parameters_move_from_the_random_model_bit_for_bit(tiny, sizes):
    (_, embeddings), (_, cross_attention), (_, everything) = tiny[4:]
    assert changed(embeddings, cross_attention) == TABLE | CROSS
    assert changed(cross_attention, everything) == {*sizes}


def test_the_random_model_is_not_the_english_one(tiny):
    from_english, from_random = tiny[1][1], tiny[4][1]
    matrices = {path for path in changed(from_english, from_random) if path.endswith("W")}
    assert matrices == {path for path, _ in tree_items(from_english) if path.endswith("W")}


def test_the_english_left_is_read_with_the_english_table(monkeypatch):
    read = []

    def exact_match(params, batch):
        read.append((batch.source.shape[1], params.encode.embedding))
        return 0.5

    monkeypatch.setattr(adaptation, "learn", lambda params, *_, **__: params)
    monkeypatch.setattr(adaptation, "exact_match", exact_match)
    (_, parent), *adapted = adaptation.adapt(3, held_out=40)
    english, fresh = parent.encode.embedding, adapted[0][1].encode.embedding
    widest = max(width for width, _ in read)  # the English texts are the longer ones
    for width, E in read[2:]:
        assert E is (english if width == widest else fresh)
    assert [run.english for run, _ in adapted] == [0.5] * 3 + [None] * 3


def test_the_runs_are_one_as_it_is_and_one_for_each_start_and_rule(tiny, sizes):
    runs = [run for run, _ in tiny]
    assert [(run.start, run.moves) for run in runs] == [
        ("English model", "nothing"), *((start, moves) for start in STARTS for moves in RULES)
    ]
    for run in runs[1:]:
        assert run.parameters == sum(sizes[path] for path in filter(RULES[run.moves], sizes))
        assert (run.seed, run.steps) == (7, 4)
    assert (runs[0].parameters, runs[0].steps) == (0, 0)


def test_the_same_seed_adapts_to_the_same_bits(tiny):
    again = adaptation.adapt(7, english_steps=4, steps=4, held_out=4)
    for (run, params), (other_run, other) in zip(again, tiny[:2], strict=False):
        assert run == other_run
        assert not changed(params, other)


# ---- the results that ship ----


def test_the_shipped_results_hold_every_run_of_three_seeds_or_more(shipped, sizes):
    seeds = {run.seed for run in shipped.runs}
    assert len(seeds) >= 3
    keys = [("English model", "nothing", 0)] + [
        (start, moves, adaptation.STEPS) for start in STARTS for moves in RULES
    ]
    expected = [(seed, *key) for seed in sorted(seeds) for key in keys]
    assert [(run.seed, run.start, run.moves, run.steps) for run in shipped.runs] == expected
    for run in shipped.runs:
        rule = RULES.get(run.moves, lambda path: False)
        assert run.parameters == sum(sizes[path] for path in filter(rule, sizes))
        assert (run.english is None) == (run.start == "random model")
        counts = [x * adaptation.HELD_OUT for x in (run.chinese, run.english) if x is not None]
        assert all(0 <= n <= adaptation.HELD_OUT for n in counts)
        assert counts == pytest.approx([*map(round, counts)], abs=1e-6)


def test_english_stays_whole_where_only_the_table_was_exchanged(shipped):
    whole = {run.seed: run.english for run in shipped.runs if run.moves == "nothing"}
    assert min(whole.values()) > 0.99
    for run in shipped.runs:
        if (run.start, run.moves) == ("English model", "embeddings"):
            assert run.english == whole[run.seed]


def test_the_shipped_heatmaps_are_attention_weights_over_the_text(shipped):
    assert [*shipped.heads] == ["nothing", *RULES]
    for P in shipped.heads.values():
        assert P.shape == (CONFIG.num_heads, len(ANSWER), len(TEXT))
        np.testing.assert_allclose(P.sum(-1), 1.0, atol=1e-3)  # stored to four decimals
    assert len(encode_source(TEXT)) == len(TEXT)
    assert np.datetime64(ANSWER) in held_out_dates(3738)


# ---- table and file ----

RUNS = [
    Run(0, "English model", "nothing", 0, 0, 0.0, 1.0),
    Run(0, "random model", "everything", 89614, 600, 0.5, None),
    Run(1, "English model", "nothing", 0, 0, 0.1, 0.9),
    Run(1, "random model", "everything", 89614, 600, 0.8, None),
]


def test_the_table_shows_mean_least_and_greatest_over_the_seeds():
    cells = [re.split(r"  +", line) for line in adaptation.table(RUNS).splitlines()]
    assert cells[0] == ["start", "moves", "parameters", "steps", "Chinese", "English left"]
    assert cells[1][2:] == ["0", "0", "5.0% (0.0% – 10.0%)", "95.0% (90.0% – 100.0%)"]
    assert cells[2][2:] == ["89,614", "600", "65.0% (50.0% – 80.0%)"]


def test_what_is_saved_is_loaded_and_a_failure_leaves_the_file_whole(tmp_path):
    path, P = tmp_path / "results.json", np.full((4, 10, 10), 0.1)
    adaptation.save(path, Results(RUNS, {"nothing": P}))
    loaded = adaptation.load(path)
    assert loaded.runs == RUNS
    np.testing.assert_array_equal(loaded.heads["nothing"], P)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        adaptation.save(path, Results(RUNS, {"nothing": P * np.nan}))
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]


# ---- the command ----


def test_adapt_prints_the_table_of_the_results_it_writes(tiny, tmp_path, monkeypatch, capsys):
    def adapt(seed, progress):
        return ((run._replace(seed=seed), params) for run, params in tiny)

    monkeypatch.setattr(adaptation, "adapt", adapt)
    path = tmp_path / "results.json"
    assert main(["adapt", "--seeds", "4", "2", "--out", str(path)]) == 0
    results = adaptation.load(path)
    assert [run.seed for run in results.runs] == [4] * 7 + [2] * 7
    assert [*results.heads] == ["nothing", *RULES]
    out = capsys.readouterr().out
    assert adaptation.table(results.runs) in out
    assert f"wrote {path}" in out
    assert json.loads(path.read_text())["runs"][0]["moves"] == "nothing"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "results.txt"], "must end in .json"),
        (["--out", "nowhere/results.json"], "there is no folder nowhere"),
        (["--out", "results.json", "--seeds", "1", "1"], "must be different numbers from 0"),
        (["--out", "results.json", "--seeds", "-1"], "must be different numbers from 0"),
    ],
)
def test_adapt_refuses_what_cannot_be(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["adapt", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []
