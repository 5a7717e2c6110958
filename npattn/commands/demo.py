"""Read dates with the Transformer that ships, and draw where it looks.

    npattn demo "3rd of March 2021" "2021年3月5日" --out DIR --html

Prints the ISO form of each text with its probability and draws the cross-attention of every head:
which characters of the text each character of the answer was read from; --html writes a page to
explore beside each figure. The last line holds the model's own gradient on the last of these very
texts against complex step.

Texts in English or Chinese, years from 1950 to 2049 with all four digits; a date in digits alone
is read year first, as in 2021/3/5. An answer that does not fit the text is marked.
"""

import datetime
from pathlib import Path

from npattn.commands import InputError, require_folder, utf8

HELP = "read dates and draw the cross-attention"

WIDE = 14  # characters
# days that the shipped model was not trained on
BUILT_IN = ("Friday, the 12th of November, 2021", "Sept. 7, 2024", "2026年7月4日 星期六")
LEARNED = (
    "The model has learned the years 1950 to 2049, in forms such as March 5, 2021, Fri 5 Mar 2021, "
    "5th of March 2021, 2021年3月5日 and 二〇二一年三月五日; digits alone year first: 2021/3/5."
)


def configure(parser):
    parser.add_argument("texts", nargs="*", type=utf8, metavar="TEXT",
                        help="dates (default: three of ours)")
    parser.add_argument(
        "--out", type=Path, default=Path("npattn-demo"), metavar="DIR",
        help="folder for the figures (default: npattn-demo)",
    )
    parser.add_argument(
        "--html", action="store_true", help="write an interactive page beside each figure"
    )


def run(options):
    from npattn.datasets.dates import encode_source
    from npattn.experiments import dates

    texts = options.texts or BUILT_IN
    for text in texts:
        try:
            encode_source(text)
        except ValueError as error:
            raise InputError(f"{text!r}: {error}") from error
    require_folder("--out", options.out)
    params = dates.load()
    readings = dates.read_dates(params, texts)
    options.out.mkdir(parents=True, exist_ok=True)
    doubts = [*map(_doubt, readings)]
    for number, (reading, doubt) in enumerate(zip(readings, doubts, strict=True), 1):
        path = options.out / f"{number}-{reading.answer}.png"
        _draw(params, reading, path)
        page = f" {_page(params, reading, path.with_suffix('.html'))}" if options.html else ""
        print(
            f"{reading.answer}  p = {reading.probability:.4f}  {reading.text}  → {path}{page}"
            f"{doubt}"
        )
    if any(doubts):
        print(LEARNED)
    print(_gradient_line(reading.text, dates.check_gradient(params, [reading])))
    return 0


def _doubt(reading):
    """What speaks against a reading, in words; "" if its text is a learned form of that day."""
    from npattn.datasets.dates import normalise, spellings

    try:
        day = datetime.date.fromisoformat(reading.answer)
    except ValueError:
        return "  (no such day)"
    learned = normalise(reading.text) in spellings(day)
    return "" if learned else "  (it has learned no such form of that day)"


def _draw(params, reading, path):
    from matplotlib import pyplot

    from npattn.experiments.dates import cross_attention
    from npattn.plots import head_grid, save_figure

    weights, source, answer = cross_attention(params, reading)  # (1, H, Tq, Tk)
    heads = [f"head {h + 1}" for h in range(weights.shape[1])]
    titles = dict(column_titles=heads)
    if len(source) > WIDE:  # one head below the other, so that every character has room
        weights, titles = weights.swapaxes(0, 1), dict(row_titles=heads, column_titles=[""])
    figure = head_grid(weights, answer, source, **titles, **_words(reading))[0, 0].figure
    save_figure(figure, path)
    pyplot.close(figure)


def _page(params, reading, path):
    from npattn.experiments.dates import cross_attention
    from npattn.plots import save_page

    weights, source, answer = cross_attention(params, reading)
    return save_page(path, weights, answer, source, **_words(reading))


def _words(reading):
    """The texts of figure and page."""
    return dict(
        title=f"{reading.text}  →  {reading.answer}", xlabel="character read",
        ylabel="character being written",
    )  # fmt: skip


def _gradient_line(text, report):
    worst = report.worst
    verdict = "right" if report.ok else "WRONG"
    return (
        f"gradient on {text!r} {verdict} by {report.method}, {report.total:,} parameters: "
        f"worst entry {worst.where}, relative error {worst.error:.0e}; "
        f"a fault of {report.smallest_fault:.0e} in one entry would have shown"
    )
