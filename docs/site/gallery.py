"""The gallery: every figure of figures/, below the name of the notebook that draws it."""

import html
import json

from npattn.experiments import dates, notebooks
from npattn.experiments.figures import FIGURES
from npattn.plots import save_page

PAGES = {
    "heatmap.html": "Where the dates model looks while it reads 2021年3月5日, as `npattn demo --html` "
    "and `npattn heatmap --html` draw it",
    "explore.html": "One attention call, forward and backward, every number with its sources",
    "explore.zh.html": "The same in Chinese: 一次注意力调用",
    "explore-softmax.html": "Softmax",
    "explore-layer-norm.html": "Layer norm",
}


def write(folder):
    """index.md and heatmap.html."""
    params = dates.load()
    (reading,) = dates.read_dates(params, ["2021年3月5日"])
    weights, source, answer = dates.cross_attention(params, reading)
    save_page(
        folder / "heatmap.html", weights, answer, source, title=reading.text,
        xlabel="character read", ylabel="character being written",
    )  # fmt: skip
    groups = {"Of the README and its pages": [(None, name) for name in FIGURES]}
    for path in sorted(notebooks.paths(), key=_order):
        names = [name for name in notebooks.figure_names(path) if name not in FIGURES]
        if names:
            groups[_title(path)] = [(path, name) for name in names]
    lines = ["# Gallery", "", "A click on a picture opens it as SVG.", ""]
    lines += ["## Pages to look into", ""]
    lines += [f"- [{title}](site:{page})" for page, title in PAGES.items()]
    for title, figures in groups.items():
        lines += ["", f"## {title}", ""]
        if figures[0][0]:
            place = figures[0][0].relative_to(notebooks.FOLDER).as_posix()
            lines += [f"[The notebook](../notebooks/{place})", ""]
        lines += ["```{raw} html", '<div class="gallery">', *map(_figure, figures), "</div>", "```"]
    (folder / "index.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _figure(told):
    name = html.escape(told[1])
    words = name.partition("-")[2].replace("-", " ") if told[0] else name
    return (
        f'<figure id="{name}"><a href="{name}.svg"><img src="{name}.png" alt="{words}" '
        f'loading="lazy"></a><figcaption>{name}</figcaption></figure>'
    )


def _order(path):
    return [int(part) for part in path.name.partition("-")[0].split(".")]


def _title(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "".join(cells[0]["source"]).splitlines()[0].lstrip("# ").partition(" (d2l")[0]
