"""How far each broken copy of gpt.py still trains: every edit of the catalogue, measured, drawn.

`RESULTS` ships with the package; `npattn gpt curves --out FILE` measures it again, in two minutes.
"""

import json
import re
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).with_name("broken.json")
SMALL = "B, T, D, H, L = 8, 10, 16, 4, 2"  # trains in a moment
STEPS, EVERY = 300, 15
NEAR = 0.1  # a difference of losses that nobody would see


def page(*names):
    """gpt.py with these edits of the catalogue, in small sizes, as a module."""
    from npattn.breaking.catalogue import broken
    from npattn.edits import edited_module

    return edited_module(_small(broken(*names)))


def losses(module, steps=STEPS, rate=0.01):
    """The loss of each step; NaN from where the copy raises or leaves the numbers."""
    rng, found = np.random.default_rng(0), np.full(steps, np.nan)
    theta, m, v = module.start(rng), 0, 0
    with np.errstate(all="ignore"):
        for step in range(1, steps + 1):
            try:
                value, grad = module.gradient(theta, module.draw(rng, module.B))
            except ValueError:  # shapes that do not fit
                break
            theta, m, v = module.adam(theta, grad, m, v, step, rate * (1 - step / (steps + 1)))
            found[step - 1] = value
    return found


def measure(progress=lambda name, row: None, names=None):
    """{"right": curve, "broken": {name: {"curve", "wrong", "same"}}}; means of EVERY losses.

    progress(name, row) is called after each; `names` is all of the catalogue if None.

    wrong  the parameters whose gradient is not the derivative of the loss
    same   whether the loss is that of gpt.py
    """
    from npattn.breaking import judge_source
    from npattn.breaking.catalogue import EDITS, broken

    found = {}
    for name in EDITS if names is None else names:
        verdict = judge_source(_small(broken(name)))
        found[name] = {"curve": _curve(losses(page(name))),
                       "wrong": [label[1:] for label in verdict.wrong], "same": verdict.same}
        progress(name, found[name])
    return {"sizes": SMALL, "steps": STEPS, "every": EVERY,
            "right": _curve(losses(page())), "broken": found}


def load(path=RESULTS):
    """What `measure` found, as it ships."""
    return json.loads(path.read_text(encoding="utf-8"))


def dump(found):
    """The bytes of a file that `load` reads, a line for each edit."""
    head = json.dumps({key: value for key, value in found.items() if key != "broken"})
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}"
                      for name, row in found["broken"].items())
    return f'{head[:-1]}, "broken": {{\n{rows}\n}}}}\n'.encode()


def last(row):
    """The loss at the end; infinite where there is none."""
    return np.inf if row["curve"][-1] is None else row["curve"][-1]


def _small(text):
    return re.sub(r"^B, T, D, H, L = .*$", f"{SMALL} ", text, count=1, flags=re.MULTILINE)


def _curve(values):
    means = values.reshape(-1, EVERY).mean(-1)
    return [round(float(mean), 4) if abs(mean) < 1e6 else None for mean in means]


def curves_figure(found=None):
    """The loss of every copy over the steps, a panel for each function of the page."""
    from matplotlib.figure import Figure

    from npattn.breaking import CATALOGUE
    from npattn.plots import house_style

    found = load() if found is None else found
    steps = np.arange(1, len(found["right"]) + 1) * found["every"]
    functions = [name for name in CATALOGUE if len(CATALOGUE[name]) > 3]
    few = [name for name in CATALOGUE if name not in functions]
    panels = [[name] for name in functions] + [few]
    with house_style():
        figure = Figure(figsize=(9, 4.6), layout="constrained")
        grid = figure.subplots(2, -(-len(panels) // 2), sharex=True, sharey=True, squeeze=False)
        for ax, names in zip(grid.flat, panels, strict=False):
            ax.plot(steps, found["right"], color="0.8", linewidth=5, label="right")
            for name in (edit for function in names for edit in CATALOGUE[function]):
                row = found["broken"][name]
                ax.plot(steps, np.array(row["curve"], float), color=_colour(row), linewidth=0.8)
            ax.set_title(", ".join(names), fontsize=8)
            ax.set_ylim(0.0, 4.0)
        for ax in grid.flat[len(panels):]:
            ax.set_axis_off()
        figure.supxlabel("step", fontsize=9)
        figure.supylabel("loss", fontsize=9)
        figure.legend(handles=_key(), loc="outside upper center", ncols=4, fontsize=8)
    return figure


def ends_figure(near, found=None, columns=3):
    """The last loss of copies with their names, from the smallest to the largest.

    near  whether to show those that end within NEAR of the right page, or the others
    """
    from matplotlib.figure import Figure

    from npattn.plots import house_style

    found = load() if found is None else found
    right, most = found["right"][-1], 4.0
    rows = sorted(found["broken"].items(), key=lambda item: last(item[1]))
    rows = [(name, row) for name, row in rows if (abs(last(row) - right) <= NEAR) == near]
    height = -(-len(rows) // columns)
    with house_style():
        figure = Figure(figsize=(7.6, 0.13 * height + 0.9), layout="constrained")
        for n, ax in enumerate(figure.subplots(1, columns, sharex=True)):
            part = rows[n * height : (n + 1) * height]
            ax.axvline(right, color="0.8", linewidth=4)
            for y, (_, row) in enumerate(part):
                mark = "o" if last(row) < most else ">"
                ax.plot(min(last(row), most), y, mark, color=_colour(row), markersize=3,
                        clip_on=False)
            ax.set_yticks(range(len(part)), [name for name, _ in part], fontsize=5.5)
            ax.set(ylim=(height - 0.5, -0.5), xlabel="last loss",
                   xlim=(right - NEAR, right + NEAR) if near else (-0.3, most))
            ax.tick_params(axis="y", length=0)
            ax.grid(axis="y", linewidth=0.3)
        figure.legend(handles=_key(), loc="outside upper center", ncols=4, fontsize=6.5)
    return figure


COLOURS = {"the gradient is wrong": "C3", "another loss, and its gradient is right": "C0",
           "loss and gradient are right, the step is not": "C2"}


def kind(row):
    """What is wrong with a copy; a key of COLOURS."""
    if row["wrong"]:
        return [*COLOURS][0]
    return [*COLOURS][2 if row["same"] else 1]


def _colour(row):
    return COLOURS[kind(row)]


def _key():
    from matplotlib.lines import Line2D

    return [Line2D([], [], color="0.8", linewidth=4, label="the right page"),
            *(Line2D([], [], color=colour, marker="o", markersize=4, label=name)
              for name, colour in COLOURS.items())]
