"""Grade the files of a class at once: what `npattn exercise grade` is given, reads and writes.

What was graded before is remembered, so that a second run grades only what is new.
"""

import contextlib
import json
import os
import re
import sys
import zipfile
from functools import partial
from pathlib import Path

from npattn.commands import InputError, require_file
from npattn.files import replace_file

SEED = "a number; the same number gives the same cases"


def options_of_a_class(parser):
    """Give the parser of `npattn exercise grade` its options."""
    parser.add_argument("--seed", type=int, default=0, help=SEED)
    for kind, text in (("csv", "a row for each student and exercise"),
                       ("json", "the same as a list of objects"),
                       ("html", "a page with the table and the mistakes")):
        parser.add_argument(f"--{kind}", type=Path, metavar="F", help=f"write to F {text}")
    parser.add_argument(
        "--gradescope", type=Path, metavar="results.json",
        help="write the results in Gradescope's format; if there are several students, one file "
             "STUDENT.json for each in the folder results")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N",
                        help="how many files are graded at the same time")
    parser.add_argument("--scheduler", metavar="ADDRESS",
                        help="the address of a Dask cluster that does the grading")
    parser.add_argument("--student", metavar="REGEX", help=(
        "a regular expression that finds the name of the student in the path of a file; without "
        "it, the name is the first folder, or the file's name up to its first _"))
    parser.add_argument("--fresh", action="store_true",
                        help="grade all files again, also those that were graded before")


def grade_class(options):
    """Grade all that is handed in, write what is asked for, and print the table."""
    from npattn.exercises import classroom

    texts = {kind: getattr(classroom, f"{kind}_text") for kind in ("csv", "json", "html")
             if getattr(options, kind)}
    _require(options)
    memory = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "npattn", "grades")
    try:
        with _pool(options.scheduler) as pool:
            rows, notes = _rows(options, memory, classroom, pool)
    except (ConnectionError, ImportError) as error:
        raise InputError(error) from error
    except zipfile.BadZipFile as error:
        raise InputError(f"a ZIP file cannot be read: {error}") from error
    for kind, text in texts.items():
        replace_file(getattr(options, kind), text(rows).encode())
    if options.gradescope:
        _write_gradescope(options.gradescope, classroom.gradescope_texts(rows))
    print("\n".join([classroom.table(rows), *notes]))
    return 0


def _require(options):
    """Refuse what cannot be read, graded or written, before any work."""
    for kind in filter(partial(getattr, options), ("csv", "json", "html", "gradescope")):
        require_file(f"--{kind}", getattr(options, kind))
    if options.jobs < 1:
        raise InputError(f"--jobs must be at least 1, got {options.jobs}")
    for place in options.place:
        if not place.exists():
            raise InputError(f"there is no file or folder {place}")
        if place.suffix.lower() == ".zip" and not (place.is_dir() or zipfile.is_zipfile(place)):
            raise InputError(f"{place} is no ZIP file, or a damaged one")
    try:
        re.compile(options.student or "")
    except re.error as error:
        raise InputError(f"--student {options.student}: {error}") from error


def _write_gradescope(path, texts):
    """One student's results.json at `path`; of several, each in a folder of that name."""
    folder = path.with_suffix("")
    if len(texts) > 1:
        folder.mkdir(exist_ok=True)
    for who, text in texts.items():
        safe = re.sub(r"[^\w.-]+", "_", who).strip(".") or "unknown"
        replace_file(path if len(texts) == 1 else folder / f"{safe}.json", text.encode())


@contextlib.contextmanager
def _pool(scheduler):
    """An executor whose workers are those of the Dask cluster; None if there is no address."""
    if scheduler is None:
        yield None
        return
    from npattn.cluster import connect

    with connect(scheduler) as client:
        yield client.get_executor()


def _rows(options, memory, classroom, pool=None):
    """The rows of all that is handed in, each remembered as soon as it is graded."""
    known = {} if options.fresh else _remembered(memory)
    with classroom.unpacked(options.place) as (places, homes):
        found, notes = classroom.gather(places, options.student)
        count = 0

        def done(key, row):
            nonlocal count
            count += 1
            if sys.stderr.isatty():
                print(f"\r{count} of {len(found)} graded", end="", file=sys.stderr, flush=True)
            with contextlib.suppress(OSError):
                memory.parent.mkdir(parents=True, exist_ok=True)
                if row["verdict"] != "not run":
                    with memory.open("a", encoding="utf-8") as file:
                        file.write(json.dumps([key, row]) + "\n")

        rows = classroom.grade_all(
            found, options.jobs, options.seed, known=known, done=done, pool=pool)
        if count and sys.stderr.isatty():
            print(file=sys.stderr)
        for folder, home in homes.items():
            for row in rows:
                row["file"] = row["file"].replace(str(folder), str(home))
            notes = [note.replace(str(folder), str(home)) for note in notes]
    return rows, notes


def _remembered(memory):
    known = {}
    with contextlib.suppress(OSError):
        for line in memory.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):  # the last line of a run that was broken off
                key, row = json.loads(line)
                known[key] = row
    return known
