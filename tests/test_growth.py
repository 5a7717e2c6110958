"""What was measured of growth ships with the package and is drawn as it is."""

import json
from pathlib import Path

from matplotlib.figure import Figure

from npattn.experiments.growth import LABELS, RESULTS, growth, load

ROWS = [
    {
        "tokens": 512 * 2**i,
        "timings": {
            "attention": ([1.0, 4.0**i, 90.0], [1.0, 4.0**i, 9.0]), "torch": ([2.0], [1.0]),
        },
        "bytes": {"attention": 4**i * 2**20 if i < 2 else None, "torch": 2**20},
    }
    for i in range(3)
]


def test_a_line_for_each_contender_through_the_medians():
    figure = growth(ROWS)
    assert isinstance(figure, Figure)
    seconds, memory = figure.axes
    assert {scale for ax in figure.axes for scale in (ax.get_xscale(), ax.get_yscale())} == {"log"}
    drawn = {line.get_label(): line.get_xydata().tolist() for line in seconds.lines}
    assert drawn["attention"] == [[512, 2.0], [1024, 8.0], [2048, 32.0]]
    assert drawn["torch, default"] == [[512, 3.0], [1024, 3.0], [2048, 3.0]]
    assert memory.lines[0].get_xydata().tolist() == [[512, 1.0], [1024, 4.0]]  # the rest is unknown


def test_the_legend_names_who_was_measured():
    shown = growth(ROWS).axes[0].get_legend().get_texts()
    assert [text.get_text() for text in shown] == ["attention", "torch, default"]


def test_what_ships_is_whole():
    content = json.loads(RESULTS.read_text(encoding="utf-8"))
    rows = load()
    assert [row["tokens"] for row in rows] == [r["tokens"] for r in content["tables"]["growth"]]
    for row in rows:
        assert set(row["timings"]) <= set(LABELS)
        for forward, backward in row["timings"].values():
            assert len(forward) == len(backward) >= 3
            assert min(forward + backward) > 0.0
    assert {"attention", "tiled_attention"} <= set(rows[0]["timings"])
    drawn = growth()
    for line, name in zip(drawn.axes[0].lines, LABELS, strict=True):
        assert len(line.get_xdata()) == sum(name in row["timings"] for row in rows)


def test_the_page_on_speed_tells_the_memory_of_the_last_point():
    last = load()[-1]
    outputs = 4 * 2 * last["tokens"] * 64 * 4  # O, dQ, dK, dV of two heads of 64 in float32
    said = f"of the {last['bytes']['tiled_attention'] / 2**20:.0f} MiB of `tiled_attention` at "
    page = (Path(__file__).parents[1] / "docs" / "speed.md").read_text(encoding="utf-8")
    assert said + f"{last['tokens']:,} tokens, O, dQ, dK and dV take {outputs >> 20}" in page
