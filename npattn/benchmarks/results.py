"""What was measured, as JSON.

A file holds {"machine": …, "setting": …, "tables": {name: [row, …]}}. A row is a dict; its
"timings", where it has them, map the name of a contender to its seconds per call, round by
round: {"forward": […], "backward": […]}.
"""

import json

from npattn.benchmarks.machine import machine
from npattn.benchmarks.timing import Timing
from npattn.files import replace_file


def save(path, setting, tables):
    """Write all rows measured so far; the file is whole or as it was."""
    conditions = {name: value for name, value in setting._asdict().items() if name != "bridge"}
    content = {
        "machine": machine(setting.bridge),
        "setting": conditions,
        "tables": {name: [*map(plain, rows)] for name, rows in tables.items()},
    }
    replace_file(path, (json.dumps(content, allow_nan=False) + "\n").encode())


def load(path):
    """The content of a file, the timings of its rows being Timing again."""
    content = json.loads(path.read_text(encoding="utf-8"))
    tables = {name: [*map(restored, rows)] for name, rows in content["tables"].items()}
    return {**content, "tables": tables}


def plain(row):
    """A row as JSON can hold it, seconds to five digits."""
    return _with_timings(row, lambda timing: {
        half: [float(f"{seconds:.5g}") for seconds in rounds]
        for half, rounds in timing._asdict().items()
    })


def restored(row):
    """`plain` undone, but for the digits."""
    return _with_timings(row, lambda halves: Timing(**halves))


def _with_timings(row, change):
    if "timings" not in row:
        return row
    return {**row, "timings": {name: change(value) for name, value in row["timings"].items()}}
