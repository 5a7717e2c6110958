"""Write a gradient by hand, and be told whether it is right, or which mistake was made.

    npattn exercise                             the list, with what is solved
    npattn exercise start softmax-backward      writes softmax_backward.py
    npattn exercise check softmax_backward.py   grades it
    npattn exercise watch .                     grades each file when it is saved
    npattn exercise hint softmax-backward       one more hint, up to three
    npattn exercise solution softmax-backward   once solved, or with --reveal

Progress is kept in npattn-exercises.json, in the folder of the files.
"""

import os
import sys
import textwrap
import time
from pathlib import Path

from npattn.commands import InputError, require_seed

HELP = "learn by exercises that name the mistake"

POLL = 0.5   # seconds between two looks at a folder
WIDTH = 100  # characters


def configure(parser):
    parser.set_defaults(act=_list, folder=Path(), seed=0)
    actions = parser.add_subparsers(metavar="ACTION")

    def action(act, text, argument, **options):
        command = actions.add_parser(act.__name__.lstrip("_"), help=text)
        command.add_argument(argument.lower(), metavar=argument, **options)
        command.set_defaults(act=act)
        return command

    action(_start, "write the file to fill in", "NAME")
    for act, text, argument in (
        (_check, "grade a file", "FILE"),
        (_watch, "grade the files of a folder when they are saved", "FOLDER"),
    ):
        command = action(act, text, argument, type=Path)
        command.add_argument("--seed", type=int, default=0, help="of the cases")
    action(_hint, "one more hint", "NAME")
    solution = action(_solution, "the derivation and a solution", "NAME")
    solution.add_argument("--reveal", action="store_true", help="also if it is not solved")


def run(options):
    from npattn.exercises.progress import ProgressError
    from npattn.exercises.registry import UnknownExercise

    require_seed(options.seed)
    try:
        return options.act(options)
    except (UnknownExercise, ProgressError) as error:
        raise InputError(error) from error


def _list(options):
    from npattn.exercises.progress import of, read_progress
    from npattn.exercises.registry import headings, section_title

    progress, shown = read_progress(options.folder), None
    for name, heading in headings().items():
        if section_title(heading) != shown:
            shown = section_title(heading)
            print(f"\n{shown}")
        record = of(progress, name)
        mark = "x" if record["solved"] else "." if record["checks"] else " "
        print(f"  [{mark}] {name:28} {'*' * heading.level:5} {heading.title}")
    solved = sum(of(progress, name)["solved"] for name in headings())
    print(f"\n{solved} of {len(headings())} solved (x; tried: .). More stars are harder.")
    print("`npattn exercise start NAME` begins one.")
    return 0


def _start(options):
    from npattn.exercises.files import file_name, start_text
    from npattn.exercises.registry import load

    exercise = load(options.name)
    path = options.folder / file_name(exercise.name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(start_text(exercise))
    except FileExistsError:
        raise InputError(f"{path} is there already; move it away to begin again") from None
    print(f"wrote {path}; when it is filled in: npattn exercise check {path}")
    return 0


def _check(options):
    if not options.file.is_file():
        raise InputError(f"there is no file {options.file}; `start NAME` writes one to check")
    return 0 if _grade(options.file, options.seed) else 1


def _grade(path, seed):
    """Grade a file, print the verdict and keep the progress. Returns whether it is right."""
    from npattn.exercises.registry import load
    from npattn.exercises.sandbox import grade_file
    from npattn.exercises.submissions import Unreadable, exercise_of

    try:
        name = exercise_of(path) or load(path.stem.replace("_", "-")).name
    except Unreadable as error:
        print(f"{path.name}: {error}.", flush=True)
        return False
    printed = []
    verdict = grade_file(path, name, seed, echo=printed.append)
    kept = _keep(path.parent, name, verdict.ok)
    try:
        print("".join(printed), end="")
        print(verdict)
        if verdict.ok:
            print(f"\nThe derivation: npattn exercise solution {name}")
        print(kept, end="", flush=True)
    except BrokenPipeError:  # whoever reads has seen enough; the verdict stays what it is
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return verdict.ok


def _keep(folder, name, ok):
    """Note a check. Returns "", or a line that says why it could not be noted."""
    from npattn.exercises.progress import ProgressError, note, of, read_progress

    try:
        record = of(read_progress(folder), name)
        note(folder, name, checks=record["checks"] + 1, solved=record["solved"] or ok)
    except (ProgressError, OSError) as error:
        return f"\nThe progress is not kept: {error}\n"
    return ""


def _watch(options):
    if not options.folder.is_dir():
        raise InputError(f"there is no folder {options.folder}")
    print(f"watching {options.folder}; Ctrl-C ends it", flush=True)
    seen = _saved(options.folder)
    try:
        while True:
            time.sleep(POLL)
            now = _saved(options.folder)
            for path in sorted(path for path in now if now[path] != seen.get(path)):
                print(f"\n── {path.name} ──", flush=True)
                _grade(path, options.seed)
            seen = now
    except KeyboardInterrupt:
        print("\nno longer watching")
        return 0


def _saved(folder):
    """{path: when it was saved} for the files in `folder` that belong to exercises."""
    from npattn.exercises.files import file_name
    from npattn.exercises.registry import headings

    paths = (folder / file_name(name) for name in headings())
    return {path: path.stat().st_mtime_ns for path in paths if path.is_file()}


def _hint(options):
    from npattn.exercises.progress import note, of, read_progress
    from npattn.exercises.registry import load

    exercise = load(options.name)
    seen = of(read_progress(options.folder), exercise.name)["hints"]
    count = min(seen + 1, len(exercise.hints))
    for number, hint in enumerate(exercise.hints[:count], 1):
        print(textwrap.fill(f"{number}. {hint}", WIDTH, subsequent_indent="   "))
    if seen == len(exercise.hints):
        print(f"That is all: npattn exercise solution {exercise.name} --reveal")
    note(options.folder, exercise.name, hints=count)
    return 0


def _solution(options):
    from npattn.exercises.files import solution_text
    from npattn.exercises.progress import of, read_progress
    from npattn.exercises.registry import load

    exercise = load(options.name)
    if not (options.reveal or of(read_progress(options.folder), exercise.name)["solved"]):
        raise InputError(f"{exercise.name} is not solved yet; --reveal shows it all the same")
    print(solution_text(exercise))
    return 0
