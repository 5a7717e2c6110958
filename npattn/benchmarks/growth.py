"""How time and memory grow with the length of the text: 512 to 16,384 tokens.

Two heads of 64 in float32, full attention, forward and backward. A matrix of scores makes both
grow with the square of the length; tile by tile, memory grows with the length alone.

`RESULTS` ships with the package; `npattn bench --only growth --json FILE` measures it again.
"""

from pathlib import Path

import numpy as np

from npattn.benchmarks.contenders import NAMES, attention_contenders, draw_inputs
from npattn.benchmarks.memory import extra_bytes
from npattn.benchmarks.results import load
from npattn.benchmarks.tables import milliseconds

RESULTS = Path(__file__).with_name("growth.json")
LENGTHS = 512, 1024, 2048, 4096, 8192, 16384
QUICK = 512, 1024, 2048
HEADS, WIDTH, DTYPE = 2, 64, "float32"
TITLE = f"growth with length, {HEADS} heads of {WIDTH}, {DTYPE}: time, and memory beyond the inputs"
HEADER = f"{'tokens':8}" + "".join(f"{name:>22}" for name in NAMES)
LABELS = {"torch": "torch, default", "torch math": "torch, math", "jax": "JAX"}


def measure(setting):
    """Yields a row for each length; memory is left out of a quick measurement."""
    for length in QUICK if setting.quick else LENGTHS:
        shape = (1, HEADS, length, WIDTH)
        timings = setting.compare(attention_contenders(draw_inputs(shape, DTYPE), setting))
        memory = {
            name: None if setting.quick else extra_bytes(name, shape, DTYPE, setting.threads)
            for name in timings
        }
        yield {"tokens": length, "timings": timings, "bytes": memory}


def line(row):
    cells = (_cell(row["timings"].get(name), row["bytes"].get(name)) for name in NAMES)
    return f"{row['tokens']:<8}" + "".join(f"{cell:>22}" for cell in cells)


def summary(rows):
    """The slopes between the last two lengths: what a doubling multiplies time and memory by."""
    if len(rows) < 2:
        return
    for name in NAMES:
        former, last = rows[-2:]
        if name in former["timings"] and name in last["timings"]:
            factor = last["timings"][name].median() / former["timings"][name].median()
            text = f"{name}, {former['tokens']:,} → {last['tokens']:,} tokens: time × {factor:.1f}"
            if former["bytes"][name] and last["bytes"][name]:
                text += f", memory × {last['bytes'][name] / former['bytes'][name]:.1f}"
            yield text


def growth(rows=None):
    """Time and memory over length, both axes logarithmic, a line for each contender.

    rows  as `measure` yields them; None means those that ship

    Returns a matplotlib Figure.
    """
    from matplotlib.figure import Figure

    from npattn.plots import house_style

    rows = load(RESULTS)["tables"]["growth"] if rows is None else rows
    with house_style():
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        panels = figure.subplots(1, 2)
        for name in NAMES:
            seconds, peaks = _series(rows, name)
            for ax, (lengths, values) in zip(panels, (seconds, peaks), strict=True):
                ax.plot(lengths, values, "o-", markersize=3, label=LABELS.get(name, name))
        _dress(panels[0], rows, "seconds, forward and backward")
        _dress(panels[1], rows, "memory beyond the inputs, MiB")
        handles, names = panels[0].get_legend_handles_labels()
        shown = [(h, n) for h, n in zip(handles, names, strict=True) if len(h.get_xdata())]
        panels[0].legend(*zip(*shown, strict=True), loc="upper left")
    return figure


def _series(rows, name):
    """(lengths, seconds) and (lengths, MiB) of one contender, where it was measured."""
    here = [row for row in rows if name in row["timings"]]
    timed = [(row["tokens"], row["timings"][name].median()) for row in here]
    weighed = [(row["tokens"], row["bytes"][name] / 2**20) for row in here if row["bytes"][name]]
    return (np.array(pairs).reshape(-1, 2).T for pairs in (timed, weighed))


def _dress(ax, rows, label):
    lengths = [row["tokens"] for row in rows]
    ax.set(xscale="log", yscale="log", xlabel="tokens", ylabel=label)
    ax.set_xticks(lengths, [f"{length:,}" for length in lengths])
    ax.set_xticks([], minor=True)
    ax.yaxis.set_major_formatter("{x:,g}")
    ax.grid(alpha=0.3, linewidth=0.5)


def _cell(timing, memory):
    return milliseconds(timing) + (f", {memory / 2**20:,.0f} MiB" if memory else "")
