"""A diagnosis as HTML: the verdict, the mistake, and the counterexample as heatmaps."""

import html

import numpy as np

COLOURS = {"right": "#1a7f4b", "wrong": "#b3261e", "undecided": "#8a6100"}


def page(d):
    """HTML of a `Diagnosis` for a notebook: on its own, without scripts."""
    said = html.escape(d.trouble or d.reason or (
        f"{d.compared} calls, largest relative difference {d.worst:.1e}"
        if d.verdict == "right" else ""))
    parts = [f"<div style='font-size:0.95em'><b style='color:{COLOURS[d.verdict]}'>{d.verdict}</b> "
             f"{said}"]
    parts += [f"<p style='margin:0.4em 0'>{html.escape(text)}</p>" for text in d.mistakes]
    for p in [p for p in d.properties if p.holds is False][:1]:
        case = html.escape(str(p.counterexample.get("case", "")))
        parts.append("<p style='margin:0.4em 0'>does not hold: "
                     f"<b>{html.escape(p.probe)}</b>{', where ' + case if case else ''}</p>")
        parts.append(heatmaps(p.counterexample.get("got"), p.counterexample.get("expected")))
        parts.append(inputs(p.counterexample.get("inputs")))
    if d.conventions:
        parts.append(f"<p style='color:#555;margin:0.4em 0'>{html.escape('; '.join(d.conventions))}"
                     "</p>")
    return "".join([*parts, "</div>"])


def numbers(X):
    """An array of what stands in a counterexample; None if it holds no table of numbers."""
    try:
        X = np.array(X, float)  # "nan" and "inf" are read, too
    except (TypeError, ValueError):
        return None
    return X if X.ndim and X.size else None


def heatmaps(got, expected):
    """Got, expected and their difference on one scale: of the last two axes, where it is worst."""
    G, E = numbers(got), numbers(expected)
    if G is None or E is None or G.shape != E.shape:
        told = [f"<p style='margin:0.4em 0'>{name}: {html.escape(str(X))}</p>"
                for name, X in (("got", got), ("expected", expected)) if X is not None]
        return "".join(told)
    with np.errstate(invalid="ignore"):
        off = np.abs(G - E)
    worst = np.unravel_index(np.argmax(np.where(np.isfinite(off), off, np.inf)), off.shape)
    where, place = worst[:-2], worst[-2:]
    tables = [np.atleast_2d(X[where]) for X in (G, E, G - E)]
    most = max((np.abs(X[np.isfinite(X)]).max(initial=0.0) for X in tables[:2]), default=0.0) or 1.0
    at = f" [{', '.join(map(str, where))}]" if where else ""
    shown = [f"<div style='display:inline-block;margin:0 1.2em 0.4em 0;vertical-align:top'>"
             f"<div style='color:#555'>{name}{at}</div>{table(X, most, place)}</div>"
             for name, X in zip(("got", "expected", "got − expected"), tables, strict=True)]
    return f"<div>{''.join(shown)}</div>"


def table(X, most, place):
    """A cell for each number: blue above 0, orange below, grey if not finite; the worst framed."""
    rows = []
    for i, row in enumerate(X):
        cells = []
        for j, x in enumerate(row):
            level = min(abs(x) / most, 1.0) if np.isfinite(x) else 0.0
            shade = (f"rgba({'33,102,172' if x > 0 else '217,95,14'},{0.75 * level:.2f})"
                     if np.isfinite(x) else "#ccc")
            frame = "2px solid #b3261e" if (i, j)[-len(place):] == place else "1px solid #eee"
            cells.append(f"<td style='background:{shade};border:{frame};padding:2px 6px;"
                         f"text-align:right;color:#111'>{x:.3g}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table style='border-collapse:collapse'>{''.join(rows)}</table>"


def inputs(given):
    """What the call was given, folded away."""
    if not isinstance(given, dict) or not given:
        return ""
    lines = "\n".join(f"{name} = {X}" for name, X in given.items())
    return (f"<details><summary>the arguments</summary><pre style='white-space:pre-wrap'>"
            f"{html.escape(lines)}</pre></details>")
