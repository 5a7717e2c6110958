"""Read dates with the Transformer that ships, and draw where it looks.

    npattn demo "3rd of March 2021" "2021年3月5日" --out DIR

Prints the ISO form of each text with its probability and draws the cross-attention of every head:
which characters of the text each character of the answer was read from. The last line holds the
model's own gradient on the last of these very texts against complex step. Texts in English or
Chinese; a date in digits alone is read year first, as in 2021/3/5.
"""

from pathlib import Path

from npattn.commands import InputError

HELP = "read dates and draw the cross-attention"

WIDE = 14  # characters
# days that the shipped model was not trained on
BUILT_IN = ("Friday, the 12th of November, 2021", "Sept. 7, 2024", "2026年7月4日 星期六")


def configure(parser):
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="dates (default: three of ours)")
    parser.add_argument(
        "--out", type=Path, default=Path("npattn-demo"), metavar="DIR",
        help="folder for the figures (default: npattn-demo)",
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
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out {options.out} is a file; name a folder")
    params = dates.load()
    readings = dates.read_dates(params, texts)
    options.out.mkdir(parents=True, exist_ok=True)
    for number, reading in enumerate(readings, 1):
        path = options.out / f"{number}-{reading.answer}.png"
        _draw(params, reading, path)
        doubt = "  (unsure: is this a date?)" if reading.probability < 0.5 else ""
        print(f"{reading.answer}  p = {reading.probability:.4f}  {reading.text}  → {path}{doubt}")
    print(_gradient_line(reading.text, dates.check_gradient(params, [reading])))
    return 0


def _draw(params, reading, path):
    from matplotlib import pyplot

    from npattn.experiments.dates import cross_attention
    from npattn.plots import head_grid, save_figure

    weights, source, answer = cross_attention(params, reading)  # (1, H, Tq, Tk)
    heads = [f"head {h + 1}" for h in range(weights.shape[1])]
    titles = dict(column_titles=heads)
    if len(source) > WIDE:  # one head below the other, so that every character has room
        weights, titles = weights.swapaxes(0, 1), dict(row_titles=heads, column_titles=[""])
    title = f"{reading.text}  →  {reading.answer}"
    figure = head_grid(weights, answer, source, title=title, **titles)[0, 0].figure
    save_figure(figure, path)
    pyplot.close(figure)


def _gradient_line(text, report):
    worst = report.worst
    verdict = "right" if report.ok else "WRONG"
    return (
        f"gradient on {text!r} {verdict} by {report.method}, {report.total:,} parameters: "
        f"worst entry {worst.where}, relative error {worst.error:.0e}; "
        f"a fault of {report.smallest_fault:.0e} in one entry would have shown"
    )
