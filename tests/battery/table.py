"""The battery judged by npattn's checker and by its peers, as a table.

    cd tests && python -m battery.table --markdown battery/README.md [--without-peers]

Takes some minutes. Each checker has its own defaults. Exit code 1 if npattn calls a wrong gradient
right or a right one wrong.
"""

import argparse
import collections
import datetime
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import battery  # noqa: E402
from battery import museum  # noqa: E402
from battery.peers import CHECKERS, ask, missing  # noqa: E402
from npattn.benchmarks.machine import machine  # noqa: E402

COLUMNS = ("wrong called right", "right called wrong", "undecided", "refused")


def count(entries, checkers):
    """{checker: Counter of the columns, and of family by family}, and npattn's own verdicts."""
    counts = {name: collections.Counter() for name in checkers}
    for entry in entries:
        for name in checkers:
            verdict, _ = ask(name, entry)
            column = _column(verdict, entry.fault)
            counts[name][column] += 1
            counts[name][entry.family, column] += 1
            if name == "npattn" and column in COLUMNS[:2]:
                print(f"{entry.title}: {verdict}", flush=True)
        print(".", end="", flush=True, file=sys.stderr)
    return counts


def _column(verdict, fault):
    if verdict in ("undecided", "refused"):
        return verdict
    if (verdict == "wrong") == bool(fault):
        return "as it is"
    return "wrong called right" if fault else "right called wrong"


def markdown(titled, command):
    """The whole page: {title: (entries, counts)}."""
    lines = ["# Gradient checkers on functions that are not npattn's", ""]
    lines += [f"Made by `{command}` on {datetime.date.today():%d %B %Y}; {_machine()}.", ""]
    lines += [
        "Every entry is a function with a backward by hand, right or wrong; `entry.py` says how one"
        " is written. Each checker has its own defaults. \"Undecided\" is npattn's third verdict,"
        " which says why and what would help; the others know two. \"Refused\": it raised"
        " something that is no verdict.", "",
    ]
    for title, (entries, counts) in titled.items():
        wrong = sum(bool(entry.fault) for entry in entries)
        lines += [f"## {title}: {wrong} wrong, {len(entries) - wrong} right", ""]
        lines += _table("checker", {name: counts[name] for name in counts}, COLUMNS)
        lines += ["", "The same family by family: wrong called right + right called wrong.", ""]
        families = list(dict.fromkeys(entry.family for entry in entries))
        rows = {f"{family} ({sum(entry.family == family for entry in entries)})": {
            name: sum(counts[name][family, column] for column in COLUMNS[:2]) for name in counts}
            for family in families}
        lines += [*_table("family", rows, list(counts)), ""]
    lines += ["## Ten bugs that well-known projects really had", "",
              "`museum.py` has each in a minimal form, and notebook 12 tells of them.", "",
              museum.table(), ""]
    return "\n".join(lines)


def _table(first, rows, columns):
    yield f"| {first} | " + " | ".join(columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for name, row in rows.items():
        yield f"| {name} | " + " | ".join(str(row[column]) for column in columns) + " |"


def _machine():
    found = machine()
    packages = ("numpy", "scipy", "torch", "jax", "autograd", "numba")
    versions = ", ".join(f"{name} {version(name)}" for name in packages if _installed(name))
    return f"{found['processor']}, Python {found['python']}, {versions}"


def _installed(name):
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page there too")
    parser.add_argument("--without-peers", action="store_true", help="npattn alone")
    options = parser.parse_args()
    checkers = [name for name in CHECKERS if not missing(name)]
    if options.without_peers:
        checkers = ["npattn"]
    inside = all(map(_installed, ("torch", "jax", "numba")))
    titled = {
        title: (entries, count(entries, checkers)) for title, entries in (
            ("First battery", battery.entries(battery.FIRST + battery.INSIDE * inside)),
            ("Second battery, written afterwards", battery.entries(battery.SECOND)))
    }
    command = "cd tests && python -m battery.table --markdown battery/README.md"
    page = markdown(titled, command)
    print(page)
    if options.markdown:
        options.markdown.write_text(page, encoding="utf-8")
    return any(counts["npattn"][column] for _, counts in titled.values() for column in COLUMNS[:2])


if __name__ == "__main__":
    sys.exit(main())
