"""A class at once: who handed in what, and the verdict on each file.

    rows = grade_all(gather([Path("handed-in")]), jobs=2)
    csv_text(rows), json_text(rows), gradescope_texts(rows), table(rows)

A row has `FIELDS`. Nothing is written into the folders of the students.
"""

import contextlib
import csv
import hashlib
import html
import io
import json
import os
import re
import tempfile
import time
import zipfile
from collections import Counter, defaultdict
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from npattn import __version__
from npattn.exercises.answers import Trouble
from npattn.exercises.registry import headings, load
from npattn.exercises.sandbox import LIMIT, grade_file
from npattn.exercises.submissions import LARGEST, Unreadable, exercises_of
from npattn.exercises.symptoms import telling

FIELDS = ("student", "exercise", "verdict", "mistakes", "step", "seconds", "file")
BETWEEN = " || "  # two mistakes of one answer; no sentence and no Python has it
SUFFIXES = (".py", ".ipynb")
NONE = "(no exercise)"  # the column of files that cannot be read, or answer none
ENDED = "it ended the process that grades it"
MARKS = {"right": "+", "wrong": "-", "unsure": "?", "not run": "!"}


class Submission(NamedTuple):
    """One answer of one student: a file, or a function of a notebook."""

    student: str
    exercise: str  # "" where the file does not tell
    path: Path
    trouble: str = ""


def gather(places, student=None):
    """(submissions, sentences about files that do not count), of folders and files.

    student  a regular expression for the path below the folder; its first group, or all that it
             matches, is the student. Otherwise that is the first folder below the folder, else the
             file's name before its first "_".
    """
    found, notes = {}, []
    for path, below in _files(places):
        who = _student(below, student)
        try:
            names, trouble = exercises_of(path) or [""], "it answers no exercise"
        except FileNotFoundError:
            names, trouble = [""], "it is a link to nothing"
        except (Unreadable, OSError) as error:
            names, trouble = [""], str(error)
        for name in names:
            new = Submission(who, name, path, trouble if not name else "")
            key = (who, name or str(path))
            old = found.get(key)
            if old:
                first, new = sorted((old, new), key=lambda each: each.path.stat().st_mtime_ns)
                notes.append(f"{who}, {name}: {new.path} counts, {first.path} is older")
            found[key] = new
    return sorted(found.values(), key=lambda each: (each.student, each.exercise, each.path)), notes


@contextlib.contextmanager
def unpacked(places):
    """The places with folders in place of ZIP files, and {such a folder: the ZIP}."""
    with tempfile.TemporaryDirectory() as folder:
        found, homes = [], {}
        for number, place in enumerate(places):
            if place.suffix.lower() == ".zip" and place.is_file():
                homes[Path(folder, str(number))] = place
                found.append(_unzip(place, Path(folder, str(number))))
            else:
                found.append(place)
        yield found, homes


def _unzip(path, folder):
    with zipfile.ZipFile(path) as file:
        for info in file.infolist():
            if Path(info.filename).suffix.lower() in SUFFIXES and info.file_size <= LARGEST:
                seconds = time.mktime((*info.date_time, 0, 0, -1))
                os.utime(file.extract(info, folder), (seconds, seconds))
    folder.mkdir(exist_ok=True)
    inner = [each for each in folder.iterdir() if not each.name.startswith(("__", "."))]
    alone = len(inner) == 1 and inner[0].is_dir() and all(each.is_dir() for each in
                                                          inner[0].iterdir())
    return inner[0] if alone else folder


def _files(places):
    """(path, path below the place that was named) of all files that may be answers."""
    for place in places:
        if place.is_file():
            yield place, Path(place.name)
            continue
        for path in sorted(place.rglob("*")):
            below = path.relative_to(place)
            hidden = any(part.startswith((".", "__")) for part in below.parts)
            is_answer = path.is_file() or not path.exists()  # a link to nothing is told of
            if path.suffix.lower() in SUFFIXES and is_answer and not hidden:
                yield path, below


def _student(below, pattern):
    if pattern:
        match = re.search(pattern, below.as_posix())
        return (match[1] if match.re.groups else match[0]) if match else "unknown"
    return below.parts[0] if len(below.parts) > 1 else below.stem.split("_")[0]


def grade_all(submissions, jobs=1, seed=0, limit=LIMIT, known=None, done=None, pool=None):
    """The rows of all submissions, in their order.

    known  {key_of(submission, seed): row} from before, which are not graded again
    done   is called with (key, row) as each is graded
    pool   an executor, such as that of a Dask client; None means `jobs` processes
    """
    known, rows, tasks = known or {}, {}, []
    for i, each in enumerate(submissions):
        key = key_of(each, seed)
        if key in known:
            rows[i] = {**known[key], "student": each.student, "file": str(each.path)}
        else:
            tasks.append((i, key, each))
    tasks.sort(key=lambda task: task[2].exercise)  # what is known of an exercise is kept
    for i, key, row in _graded(tasks, pool or ProcessPoolExecutor(max(1, jobs)), seed, limit):
        rows[i] = row
        if done:
            done(key, row)
    return [rows[i] for i in range(len(submissions))]


def _graded(tasks, pool, seed, limit):
    """(number, key, row) of each task; where a process breaks, the rest one by one."""
    contents, left = {i: _content(each.path) for i, _, each in tasks}, []
    with pool:
        waiting = {pool.submit(row_of, each, seed, limit, contents[i]): (i, key, each)
                   for i, key, each in tasks}
        for future in as_completed(waiting):
            try:
                yield *waiting[future][:2], future.result()
            except BrokenExecutor:
                left.append(waiting[future])
    for i, key, each in left:
        with ProcessPoolExecutor(1) as alone:
            try:
                row = alone.submit(row_of, each, seed, limit, contents[i]).result()
            except BrokenExecutor:
                row = row_of(each._replace(exercise="", trouble=ENDED), seed, limit)
                row["exercise"] = each.exercise
        yield i, key, row


def key_of(submission, seed):
    """What a verdict depends on: the exercise, the seed, and the bytes of the file."""
    words = (__version__, submission.exercise, seed, submission.path.suffix, submission.trouble)
    return hashlib.sha256(repr(words).encode() + b"\0" + _content(submission.path)).hexdigest()


def row_of(submission, seed=0, limit=LIMIT, content=None):
    """{field: value} of one submission; from the content, where the file is no longer that."""
    if content is not None and _content(submission.path) != content:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, submission.path.name)
            path.write_bytes(content)
            row = row_of(submission._replace(path=path), seed, limit)
        return {**row, "file": str(submission.path)}
    began, words, mistakes, step = time.monotonic(), submission.trouble, (), ""
    verdict = "not run"
    if submission.exercise:
        found = grade_file(submission.path, submission.exercise, seed, limit)
        verdict, mistakes, step = _summary(found)
        words = found.trouble if verdict == "not run" else ""
    seconds = round(time.monotonic() - began, 2)
    mistakes = BETWEEN.join(mistakes) or words
    values = (submission.student, submission.exercise, verdict, mistakes, step, seconds,
              str(submission.path))
    return dict(zip(FIELDS, values, strict=True))


def _content(path):
    """The bytes of a file, none if it cannot be read; what is wrong with it is said elsewhere."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _summary(verdict):
    """(a key of MARKS, the named mistakes, the step of the first)."""
    if verdict.ok:
        return "right", (), ""
    if verdict.failure is None:
        return "not run", (), ""
    keys = [key for sets in verdict.explanations.values() for key in sets[0]]
    diagnosis = verdict.diagnosis
    beside = [each.beside for each in diagnosis.explanations if each.beside] if diagnosis else ()
    named = [*dict.fromkeys([*keys, *beside]), *(diagnosis.slips if diagnosis else ()),
             *(diagnosis.repairs if diagnosis else ())]
    named = named or _facts(verdict)
    steps = [load(verdict.name).mistakes[key].step for key in keys]
    return "wrong" if named else "unsure", tuple(named), min(steps, default="")


def _facts(verdict):
    """What is as good as a mistake: what each number is, or why there is none in any case."""
    diagnosis, outcome = verdict.diagnosis, verdict.failure.outcome
    if diagnosis and not diagnosis.compared and isinstance(outcome, Trouble):
        return (outcome.words,)
    return diagnosis.facts if diagnosis and telling(diagnosis.facts) else ()


def counts(rows):
    """{exercise: [(mistake, how often), ...]}, what was made most often first."""
    found = defaultdict(Counter)
    for row in rows:
        if row["verdict"] == "wrong":
            found[row["exercise"]].update(row["mistakes"].split(BETWEEN))
    return {name: found[name].most_common() for name in headings() if name in found}


def table(rows):
    """Student by exercise, with the named mistakes below, as text."""
    students, exercises, cells = _grid(rows)
    wide = max([7, *map(len, students)])
    lines = [f"{i:>3}  {name}" for i, name in enumerate(exercises, 1)]
    lines += ["", " " * wide + "".join(f"{i:>4}" for i in range(1, len(exercises) + 1))]
    for who in students:
        marks = (MARKS.get(cells.get((who, name), {}).get("verdict"), ".") for name in exercises)
        lines.append(f"{who:{wide}}" + "".join(f"{mark:>4}" for mark in marks))
    lines += ["", "+ right   - wrong   ? unsure   ! not run   . nothing handed in"]
    named = [row for row in rows if row["mistakes"]]
    lines += [""] * bool(named) + [
        f"{row['student']}, {row['exercise'] or row['file']}: {row['verdict']}: {row['mistakes']}"
        for row in named]
    often = counts(rows)
    lines += ["", "What was made how often:"] * bool(often)
    for name, mistakes in often.items():
        lines += [f"  {name}", *(f"  {count:>4}  {words}" for words, count in mistakes)]
    return "\n".join(lines)


def _grid(rows):
    students = list(dict.fromkeys(row["student"] for row in rows))
    present = {row["exercise"] for row in rows}
    exercises = [name for name in headings() if name in present] + [NONE] * ("" in present)
    cells = {(row["student"], row["exercise"]): row for row in rows if row["exercise"]}
    for row in rows:
        if not row["exercise"]:  # of such files a student may have several
            words = f"{Path(row['file']).name}: {row['mistakes']}"
            old = cells.get((row["student"], NONE))
            cells[row["student"], NONE] = {
                **row, "mistakes": f"{old['mistakes']}; {words}" if old else words}
    return students, exercises, cells


def csv_text(rows):
    """The rows as CSV. A cell that a spreadsheet would take for a formula gets a quote."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(FIELDS)
    for row in rows:
        writer.writerow([
            "'" + value if isinstance(value, str) and value[:1] in tuple("=+-@") else value
            for value in row.values()])
    return file.getvalue()


def json_text(rows):
    """The rows as a list of objects."""
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def gradescope_texts(rows):
    """{student: Gradescope's results.json}: a test for each exercise, a point where it is right."""
    tests = defaultdict(list)
    for row in rows:
        right = row["verdict"] == "right"
        tests[row["student"]].append({
            "name": row["exercise"] or row["file"], "score": float(right), "max_score": 1.0,
            "status": "passed" if right else "failed",
            "output": ": ".join(filter(None, (row["verdict"], row["mistakes"]))),
        })
    return {
        who: json.dumps({"score": sum(test["score"] for test in found), "tests": found},
                        indent=1, ensure_ascii=False) + "\n"
        for who, found in tests.items()}


def html_text(rows):
    """The table as a page that needs nothing else."""
    students, exercises, cells = _grid(rows)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in exercises)
    body = ""
    for who in students:
        body += f"<tr><th>{html.escape(who)}</th>"
        for name in exercises:
            row = cells.get((who, name), {"verdict": "", "mistakes": ""})
            body += (f'<td class="{row["verdict"][:3]}"><b>{row["verdict"]}</b><br>'
                     f'<small>{html.escape(row["mistakes"])}</small></td>')
        body += "</tr>\n"
    often = "".join(
        f"<h3>{html.escape(name)}</h3><ul>" + "".join(
            f"<li>{count} × {html.escape(words)}</li>" for words, count in mistakes) + "</ul>"
        for name, mistakes in counts(rows).items())
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Exercises</title><style>'
        "body{font:15px sans-serif;margin:2em}td,th{border:1px solid #bbb;padding:4px 8px;"
        "text-align:left;vertical-align:top}table{border-collapse:collapse}"
        ".rig{background:#dff3e4}.wro{background:#fbe3d6}.uns{background:#fff6d6}</style>"
        f"<table><tr><th></th>{head}</tr>\n{body}</table><h2>What was made how often</h2>{often}"
        "</html>\n")
