"""Run the cells of Dive into Deep Learning's attention chapters on npattn.d2l, one by one.

    python tests/d2l_cells.py en PATH/chapter_attention-mechanisms-and-transformers
    python tests/d2l_cells.py zh PATH/chapter_attention-mechanisms

PATH is a copy of the text's repository, which is not part of this one; a single .md file will do.
Each cell of a section runs in one namespace, with nothing changed but its import lines. Cells that
define classes are run too, and keep the classes of npattn.d2l; they are not counted. With --skip
they are skipped, and the names come from a star import; with --epochs=2 training ends after 2. A
cell counts if it runs, or if its error says what to write. The exit code is 1 if another fails.
"""

import contextlib
import io
import re
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

IMPORTS = (
    "from npattn.d2l import {0} as d2l, torch, nn\n"
    "from npattn.d2l.nn import functional as F\n"
)
STAR = "from npattn.d2l.{0} import *\n"
THEIRS = re.compile(r"^\s*(from d2l import .*|import torch\b.*|from torch\b.*)$", re.M)
CELL = re.compile(r"^```\{\.python \.input.*?\}[^\n]*\n(.*?)^```", re.S | re.M)


def cells(text):
    """Number and code of each PyTorch cell; cells without a mark are another framework's."""
    for number, match in enumerate(CELL.finditer(text), 1):
        mark, _, code = match[1].lstrip().partition("\n")
        if re.match(r"(%%|#@)tab .*\b(pytorch|all)\b", mark):
            yield number, code


def run_section(edition, path, skip, epochs):
    """For each cell (number, "runs" | "says" | "fails" | "class", seconds, error's words)."""
    from matplotlib import pyplot

    space = {"tab": SimpleNamespace(selected=lambda *names: "pytorch" in names)}
    exec(IMPORTS.format(edition) + (STAR.format(edition) if skip else ""), space)
    for number, code in cells(path.read_text(encoding="utf-8")):
        defines = re.search(r"^(class |@d2l\.add_to_class)", code, re.M)
        if defines and skip:
            continue
        if epochs:
            code = re.sub(r"(max_epochs=)\d+", rf"\g<1>{epochs}", code)
            code = re.sub(r"(num_epochs, device = [\d.]+,) \d+", rf"\1 {epochs}", code)
        start, words = time.perf_counter(), ""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(THEIRS.sub("", code), f"{path.stem} {number}", "exec"), space)
            outcome = "runs"
        except Exception as error:
            words = f"{type(error).__name__}: {error}"
            outcome = "says" if "npattn" in words and "write" in words else "fails"
        if defines and outcome == "runs":
            outcome = "class"
        yield number, outcome, time.perf_counter() - start, words
        pyplot.close("all")


def main(edition, place, *options):
    """Print the table of all sections; returns the number of cells that fail."""
    import matplotlib

    epochs = next((word[9:] for word in options if word.startswith("--epochs=")), None)
    matplotlib.use("agg")
    warnings.simplefilter("ignore")
    place, counts = Path(place), {"runs": 0, "says": 0, "fails": 0, "class": 0}
    for path in [place] if place.is_file() else sorted(place.glob("*.md")):
        if path.stem.endswith("_origin"):
            continue
        for number, outcome, seconds, words in run_section(
            edition, path, "--skip" in options, epochs
        ):
            counts[outcome] += 1
            print(f"{path.stem:45} {number:3}  {outcome:5} {seconds:6.1f} s  {words[:200]}",
                  flush=True)
    print(f"{counts['runs']} run, {counts['says']} say what to write, {counts['fails']} fail; "
          f"{counts['class']} define classes")
    return counts["fails"]


if __name__ == "__main__":
    sys.exit(bool(main(*sys.argv[1:])))
