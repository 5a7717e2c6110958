"""How time and memory of attention grow with the length of the text: what was measured, drawn.

A matrix of scores makes both grow with the square of the length; tile by tile, memory grows
with the length alone.

`RESULTS` ships with the package; `npattn bench --only growth --json FILE` measures it again.
"""

import json
import statistics
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).with_name("growth.json")
LABELS = {  # in the order of the legend; who has been measured is in the rows
    "attention": "attention",
    "tiled_attention": "tiled_attention",
    "torch": "torch, default",
    "torch math": "torch, math",
    "jax": "JAX",
}


def load(path=RESULTS):
    """The rows of a measurement, as `growth` takes them."""
    rows = json.loads(path.read_text(encoding="utf-8"))["tables"]["growth"]
    return [
        {**row, "timings": {name: tuple(t.values()) for name, t in row["timings"].items()}}
        for row in rows
    ]


def growth(rows=None):
    """Time and memory over length, both axes logarithmic, a line for each contender.

    rows  dicts of "tokens", "timings": name → (forward, backward), each the seconds of all
          rounds, and "bytes": name → memory beyond the inputs, or None if unknown.
          None means the rows that ship

    Returns a matplotlib Figure.
    """
    from matplotlib.figure import Figure

    from npattn.plots import house_style

    rows = load() if rows is None else rows
    with house_style():
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        panels = figure.subplots(1, 2)
        for name, label in LABELS.items():
            for ax, (lengths, values) in zip(panels, _series(rows, name), strict=True):
                ax.plot(lengths, values, "o-", markersize=3, label=label)
        _dress(panels[0], rows, "seconds, forward and backward")
        _dress(panels[1], rows, "memory beyond the inputs, MiB")
        handles, labels = panels[0].get_legend_handles_labels()
        shown = [(h, text) for h, text in zip(handles, labels, strict=True) if len(h.get_xdata())]
        panels[0].legend(*zip(*shown, strict=True), loc="upper left")
    return figure


def _series(rows, name):
    """(lengths, seconds) and (lengths, MiB) of one contender, where it was measured."""
    here = [row for row in rows if name in row["timings"]]
    timed = [(row["tokens"], _median(row["timings"][name])) for row in here]
    weighed = [(row["tokens"], row["bytes"][name] / 2**20) for row in here if row["bytes"][name]]
    return (np.array(pairs).reshape(-1, 2).T for pairs in (timed, weighed))


def _median(halves):
    """Seconds of forward and backward together, the median over the rounds."""
    return statistics.median(map(sum, zip(*halves, strict=True)))


def _dress(ax, rows, label):
    lengths = [row["tokens"] for row in rows]
    ax.set(xscale="log", yscale="log", xlabel="tokens", ylabel=label)
    ax.set_xticks(lengths, [f"{length:,}" for length in lengths])
    ax.set_xticks([], minor=True)
    ax.yaxis.set_major_formatter("{x:,g}")
    ax.grid(alpha=0.3, linewidth=0.5)
