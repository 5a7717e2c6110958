"""A kernel page holds one idea: it is short, and what it held in version 0.1.0 has not grown."""

from pathlib import Path

import pytest

import npattn.kernels

ROOT = Path(npattn.kernels.__path__[0])
PAGES = sorted(str(path.relative_to(ROOT).with_suffix("")) for path in ROOT.rglob("*.py"))

MOST = 120  # lines of a page that 0.1.0 did not have

# Lines of the same content in 0.1.0. A sum names pages that are one today, or parts of one.
OF_0_1_0 = {
    "activations": 87, "additive": 115, "arrays": 113, "attention": 72 + 68, "biases": 95,
    "co_attention": 95, "distances": 82, "dropout": 56, "embedding": 58 + 17, "gru_cell": 155,
    "heads": 65, "layer_norm": 83, "linear": 69 + 17, "losses": 86, "masks": 150,
    "online_softmax": 96, "packing": 97, "pooling": 142, "positions": 39 + 51, "recurrent": 70,
    "relative": 100, "scores": 94, "softmax": 101, "sums": 24 + 35 + 27,
    "tiling/exp_range": 86, "tiling/passes": 148, "tiling/reach": 161, "tiling/scratch": 50,
    "tiling/threads": 199, "tiling/tiled": 163, "tiling/tiles": 107,
}
# Their ideas are wider today, so that they count as new: numbers and flags; pairings, tables, ids.
WIDER = {"options": 40, "rotary": 55}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_short(page):
    lines = (ROOT / f"{page}.py").read_text(encoding="utf-8").count("\n")
    assert lines <= OF_0_1_0.get(page, MOST)


def test_every_limit_has_its_page():
    assert {*OF_0_1_0, *WIDER} <= set(PAGES)
