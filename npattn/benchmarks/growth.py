"""How time and memory grow with the length of the text: 512 to 16,384 tokens.

Two heads of 64 in float32, full attention, forward and backward. `npattn.experiments.growth`
ships what was measured, and draws it.
"""

from npattn.benchmarks.contenders import NAMES, attention_contenders, draw_inputs
from npattn.benchmarks.memory import extra_bytes
from npattn.benchmarks.tables import milliseconds

LENGTHS = 512, 1024, 2048, 4096, 8192, 16384
QUICK = 512, 1024, 2048
HEADS, WIDTH, DTYPE = 2, 64, "float32"
TITLE = f"growth with length, {HEADS} heads of {WIDTH}, {DTYPE}: time, and memory beyond the inputs"
HEADER = f"{'tokens':8}" + "".join(f"{name:>22}" for name in NAMES)


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
    """The length, and each contender's milliseconds and MiB."""
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


def _cell(timing, memory):
    return milliseconds(timing) + (f", {memory / 2**20:,.0f} MiB" if memory else "")
