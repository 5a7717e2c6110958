"""Which BLAS does the matrix products, and whether OpenBLAS could do them faster.

OpenBLAS has kernels for many processors and takes those for the one it finds. One that it does
not know gets older ones: Haswell's, on processors that have AVX-512 as well. The environment
variable OPENBLAS_CORETYPE, read when OpenBLAS is loaded, names others; some systems set it, to have
the same bits everywhere. Where other kernels may help, the same measurement is made in two fresh
processes, as things are and with OPENBLAS_CORETYPE=SKYLAKEX. The variable is never set for anybody
else.

    python -m npattn.benchmarks.blas SETTING      prints the rows that one such process measures
"""

import json
import os
import subprocess
import sys
from statistics import geometric_mean

from npattn.benchmarks import attention
from npattn.benchmarks.machine import blas_of_numpy, has_avx512, import_bridge
from npattn.benchmarks.results import plain, restored
from npattn.benchmarks.timing import Setting, ratio

VARIABLE, CORETYPE = "OPENBLAS_CORETYPE", "SKYLAKEX"
OLDER = {"Haswell", "Zen"}  # kernels that leave AVX-512 unused
SHAPES, QUICK = ((2, 8, 1024, 64), (1, 8, 4096, 64)), ((1, 8, 1024, 64),)
TITLE = f"BLAS, and what {VARIABLE}={CORETYPE} would give"
HEADER = ""


def measure(setting):
    """Yields one row: the library, and the rows of both processes where the hint applies."""
    library = blas_of_numpy()
    row = {"library": library, "avx512": has_avx512(), "set": os.environ.get(VARIABLE)}
    if hint_applies(library, row["avx512"]):
        environments = {"without": {}, "with": {VARIABLE: CORETYPE}}
        row |= {name: in_a_process(setting, extra) for name, extra in environments.items()}
    yield row


def hint_applies(library, avx512):
    """Whether this is OpenBLAS and leaves AVX-512 unused though it is there, told to or not."""
    return library["name"] == "openblas" and library["kernels"] in OLDER and avx512


def in_a_process(setting, environment):
    """The rows of `main` in a fresh process, with additional variables in its environment."""
    plan = setting._replace(bridge=None)._asdict()
    child = subprocess.run(
        [sys.executable, "-m", "npattn.benchmarks.blas", json.dumps(plan)],
        env=os.environ | environment, capture_output=True, text=True,
    )
    if child.returncode:
        raise ChildProcessError(f"measuring with {environment}: {child.stderr.strip()[-200:]}")
    return json.loads(child.stdout)


def main(plan):
    """Measure in this process, under the Setting that is in the JSON `plan`; print the rows."""
    setting = Setting(**json.loads(plan))._replace(bridge=import_bridge())
    rows = attention.rows(
        setting, QUICK if setting.quick else SHAPES, ["tiled_attention", "torch"], masks=[False]
    )
    print(json.dumps([plain(row) for row in rows]))


def line(row):
    """The library, its version and its kernels."""
    name, version, kernels = row["library"].values()
    text = f"{name} {version or ''}, {kernels or 'unknown'} kernels"
    return f"{text}, as {VARIABLE}={row['set']} says" if row["set"] else text


def summary(rows):
    """What the hint gives in each precision, or that it does not apply."""
    for row in rows:
        if "with" not in row:
            yield f"{VARIABLE} stays: it is for OpenBLAS with older kernels on AVX-512 processors"
            continue
        pairs = list(zip(*(map(restored, row[name]) for name in ("with", "without")), strict=True))
        for dtype in attention.DTYPES:
            yield _gain(dtype, [pair for pair in pairs if pair[0]["dtype"] == dtype])


def _gain(dtype, pairs):
    """What the hint does to the time of tiled_attention, and to its ratio to torch."""
    with_, without = ([row["timings"] for row in rows] for rows in zip(*pairs, strict=True))
    share = geometric_mean(
        a["tiled_attention"].median() / b["tiled_attention"].median()
        for a, b in zip(with_, without, strict=True)
    )
    text = f"{VARIABLE}={CORETYPE}, {dtype}: tiled_attention in {share:.2f} of its time"
    if "torch" in with_[0]:
        after, before = (
            geometric_mean(ratio(timings["tiled_attention"], timings["torch"]) for timings in side)
            for side in (with_, without)
        )
        text += f"; {after:.2f} of torch's instead of {before:.2f}"
    return text


if __name__ == "__main__":
    main(sys.argv[1])
