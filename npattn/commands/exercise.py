"""Write a gradient by hand, and be told whether it is right, or which mistake was made.

    npattn exercise                             the list, with what is solved
    npattn exercise start softmax-backward      writes softmax_backward.py
    npattn exercise check softmax_backward.py   grades it
    npattn exercise watch .                     grades each file when it is saved
    npattn exercise hint softmax-backward       one more hint, up to three
    npattn exercise solution softmax-backward   once solved, or with --reveal
    npattn exercise list 11.3                   the exercises of a section
    npattn exercise show softmax-backward       what is asked for
    npattn exercise next                        what comes next on the path
    npattn exercise grade FOLDER --csv F        a class at once: run strangers' files in a container

Progress is kept in npattn-exercises.json, in the folder of the files.
"""

import os
import sys
import time
from pathlib import Path

from npattn.commands import InputError, require_seed
from npattn.commands.exercise_class import SEED, grade_class, options_of_a_class
from npattn.files import new_file

HELP = "learn by exercises that name the mistake"

POLL = 0.5  # seconds between two looks at a folder


def configure(parser):
    parser.set_defaults(act=_list, folder=Path(), seed=0, section="", lang=None, all=False)
    actions = parser.add_subparsers(metavar="ACTION")

    def action(act, text, argument, words, **options):
        command = added(act, text)
        command.add_argument(argument.lower(), metavar=argument, help=words, **options)
        return command

    def added(act, text):
        name = act.__name__.removeprefix("_").removesuffix("_class")
        command = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.set_defaults(act=act)
        command.add_argument("--lang", choices=("en", "zh"), help=(
            "the language of the texts: English or Chinese; without it, that of your system"))
        return command

    name = "the name of an exercise, such as softmax-backward"
    listed = action(_list, "show the path, or the exercises of a section", "SECTION",
                    "a section of the book, such as 11.3; without it, the path and the sections",
                    nargs="?", default="")
    listed.add_argument("--all", action="store_true", help="show all exercises")
    action(_show, "show what an exercise asks for", "NAME", name)
    action(_notebook, "write a notebook in which the answers are left out", "SECTION",
           "the number of a notebook, such as 05, or a section, such as 11.3")
    added(_next, "show the next exercise of the path")
    action(_start, "write the file that you fill in", "NAME", name)
    for command in (
        action(_check, "grade a file", "FILE", "the file with your function", type=Path),
        action(_watch, "grade each file of a folder when it is saved", "FOLDER",
               "the folder in which you write", type=Path),
    ):
        command.add_argument("--seed", type=int, default=0, help=SEED)
    action(_hint, "show one more hint", "NAME", name)
    solution = action(_solution, "show the derivation and a solution", "NAME", name)
    solution.add_argument(
        "--reveal", action="store_true", help="show it although you have not solved the exercise")
    grade = action(grade_class, "grade the files of a class at once", "PLACE",
                   "a folder, a ZIP file, or a file; several are allowed", nargs="+", type=Path)
    options_of_a_class(grade)


def run(options):
    from npattn.exercises.progress import ProgressError
    from npattn.exercises.registry import UnknownExercise
    from npattn.exercises.texts import spoken

    options.lang = options.lang or spoken()
    require_seed(options.seed)
    try:
        return options.act(options)
    except (UnknownExercise, ProgressError) as error:
        raise InputError(error) from error


def _list(options):
    from npattn.exercises.progress import of, read_progress
    from npattn.exercises.registry import PATH, headings, load, section_title
    from npattn.exercises.texts import texts, translated

    progress, groups = read_progress(options.folder), {}
    for name, heading in headings().items():
        section = heading.section.removeprefix("d2l ")
        if f"{section}.".startswith(f"{options.section.rstrip('.')}." * bool(options.section)):
            groups.setdefault(section_title(heading), []).append(name)
    if not groups:
        raise InputError(f"no exercise belongs to section {options.section!r}; such as 11.3")
    records = {name: of(progress, name) for name in headings()}

    def line(name):
        record, heading = records[name], headings()[name]
        mark = "x" if record["solved"] else "." if record["checks"] else " "
        step = f"{PATH.index(name) + 1:2}" if name in PATH else "  "
        title = heading.title if options.lang == "en" else texts(load(name), options.lang).title
        print(f"  [{mark}] {name:28} {step} {'*' * heading.level:5} {title}")

    def say(text):
        print(translated(text, options.lang))

    if not (options.section or options.all):
        say("A path to multi-head attention in an evening; `npattn exercise next`:")
        for name in PATH:
            line(name)
        print()
        say("And more, by section; `npattn exercise list 11.3` shows one, `list --all` all:")
        for title, names in groups.items():
            solved = sum(records[name]["solved"] for name in names)
            print(f"  {solved:2} / {len(names):2}  {translated(title, options.lang)}")
    else:
        for title, names in groups.items():
            print(f"\n{translated(title, options.lang)}")
            for name in names:
                line(name)
    solved = sum(record["solved"] for record in records.values())
    print()
    say(f"{solved} of {len(headings())} solved (x; tried: .). More stars are harder.")
    say("`npattn exercise start NAME` begins one.")
    return 0


def _show(options):
    from npattn.exercises.files import statement_text
    from npattn.exercises.plain import plain_page
    from npattn.exercises.registry import load

    print(plain_page(statement_text(load(options.name), options.lang)))
    return 0


def _notebook(options):
    from npattn.exercises.blank import names_of, notebook_text

    if not names_of(options.section):
        raise InputError(f"no exercise belongs to {options.section!r}; such as 05 or 11.3")
    path = Path(f"{options.section}-blank.ipynb")
    try:
        new_file(path, notebook_text(options.section, options.lang).encode())
    except FileExistsError:
        raise InputError(f"{path} is there already; move it away to begin again") from None
    print(f"wrote {path}")
    return 0


def _next(options):
    from npattn.exercises.progress import read_progress
    from npattn.exercises.texts import translated

    name = _following(read_progress(options.folder))
    if name is None:
        print(translated("The path is done. `npattn exercise list` has more.", options.lang))
        return 0
    print(translated(f"The next of the path: {name}", options.lang))
    print(f"npattn exercise start {name}")
    return 0


def _following(progress):
    """The first exercise of the path that is not solved, None if all are."""
    from npattn.exercises.progress import of
    from npattn.exercises.registry import PATH

    return next((name for name in PATH if not of(progress, name)["solved"]), None)


def _start(options):
    from npattn.exercises.files import file_name, start_text
    from npattn.exercises.registry import load
    from npattn.exercises.texts import translated

    exercise = load(options.name)
    path = options.folder / file_name(exercise.name)
    try:
        new_file(path, start_text(exercise, options.lang).encode())
    except FileExistsError:
        raise InputError(f"{path} is there already; move it away to begin again") from None
    text = f"wrote {path}; when it is filled in: npattn exercise check {path}"
    print(translated(text, options.lang))
    return 0


def _check(options):
    if not options.file.is_file():
        raise InputError(f"there is no file {options.file}; `start NAME` writes one to check")
    return 0 if _grade(options.file, options.seed, options.lang) else 1


def _grade(path, seed, lang):
    """Grade each answer of a file, print the verdict and keep the progress. Are all right?"""
    from npattn.exercises.registry import load
    from npattn.exercises.submissions import Unreadable, exercises_of
    from npattn.exercises.texts import translated

    try:
        names = exercises_of(path) or [load(path.stem.replace("_", "-")).name]
    except Unreadable as error:
        print(f"{path.name}: {translated(str(error), lang)}.", flush=True)
        return False
    return all([_grade_one(path, name, seed, lang) for name in names])


def _grade_one(path, name, seed, lang):
    from npattn.exercises.progress import keep
    from npattn.exercises.sandbox import grade_file
    from npattn.exercises.texts import translated

    printed = []
    verdict = grade_file(path, name, seed, echo=printed.append, lang=lang)
    kept = keep(path.parent, name, verdict.ok)
    try:
        print("".join(printed), end="")
        print(verdict)
        if verdict.ok:
            print("\n" + translated(f"The derivation: npattn exercise solution {name}", lang))
            print(translated(_onward(path.parent), lang))
        if kept:
            print("\n" + translated(kept, lang))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough; the verdict stays what it is
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return verdict.ok


def _onward(folder):
    """What comes next on the path."""
    from npattn.exercises.progress import ProgressError, read_progress

    try:
        name = _following(read_progress(folder))
    except (ProgressError, OSError):
        name = None
    return f"The next of the path: npattn exercise start {name}" if name else ""


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
                _grade(path, options.seed, options.lang)
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
    from npattn.exercises.plain import fill
    from npattn.exercises.progress import note, of, read_progress
    from npattn.exercises.registry import load
    from npattn.exercises.texts import texts, translated

    exercise = load(options.name)
    seen = of(read_progress(options.folder), exercise.name)["hints"]
    hints = texts(exercise, options.lang).hints
    count = min(seen + 1, len(hints))
    for number, hint in enumerate(hints[:count], 1):
        print(fill(f"{number}. {hint}", "   "))
    if seen == len(hints):
        text = f"That is all: npattn exercise solution {exercise.name} --reveal"
        print(translated(text, options.lang))
    note(options.folder, exercise.name, hints=count)
    return 0


def _solution(options):
    from npattn.exercises.files import solution_text
    from npattn.exercises.plain import plain_page
    from npattn.exercises.progress import of, read_progress
    from npattn.exercises.registry import load

    exercise = load(options.name)
    if not (options.reveal or of(read_progress(options.folder), exercise.name)["solved"]):
        raise InputError(f"{exercise.name} is not solved yet; --reveal shows it all the same")
    print(plain_page(solution_text(exercise, options.lang)))
    return 0
