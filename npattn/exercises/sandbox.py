"""Grading a file: its function runs in a process of its own, the truth and the verdict stay here.

What comes back from that process are arrays (npattn.strangers), which are compared here. So a file
cannot write its own verdict, and cannot hang or spoil the grader.
"""

import ast
import inspect
import linecache
from pathlib import Path

from npattn import strangers
from npattn.exercises.answers import Elsewhere, Thing, Trouble
from npattn.exercises.changed import ENDLESS
from npattn.exercises.grading import grade
from npattn.exercises.pupil import apart, pack
from npattn.exercises.registry import function_name, load
from npattn.exercises.submissions import Unreadable, read_source
from npattn.exercises.verdict import Verdict

LIMIT = 10.0   # seconds
ANSWER = "npattn.exercises.pupil:answer"
LIGHT = ("npattn", "npattn.checking")  # their __init__ would import the kernels


class Refused(Exception):
    """The file is not to be graded: why."""


class _Function(Elsewhere):
    """The function of a file, in the process of that file."""

    def __init__(self, stranger, source, name):
        self.stranger, self.source, self.name = stranger, source, name

    def call(self, args, count):
        """As `Elsewhere.call`. Raises Refused if what comes back is no answer."""
        words, arrays = self._ask("call", [pack(arg) for arg in args], count)
        if "trouble" in words:
            return Trouble(*map(str, words["trouble"]))
        try:
            if words["none"]:
                return None
            arrays = iter(arrays)
            found = [next(arrays) if item is None else Thing(item) for item in words["items"]]
            return tuple(found) if len(found) > 1 else found[0]
        except (KeyError, StopIteration, TypeError, IndexError) as error:
            raise Refused("what came back from the file is no answer") from error

    def changed(self, source, changes, args, count, quick):
        """As `Elsewhere.changed`; [] where time is short or the file cannot be run."""
        if self.stranger.limit - self.stranger.spent < ENDLESS:
            return []
        packed = [pack(arg) for arg in args]
        words, arrays = self._ask("changed", source.text, changes, quick, packed, count)
        if "trouble" in words:
            return []
        return list(apart(words["shapes"], arrays))

    def load(self):
        """Run the file. Raises Refused if that cannot be, or has no such function."""
        words, _ = self._ask("load", self.source, self.name)
        if "trouble" in words:
            raise Refused(words["trouble"][0])

    def _ask(self, *request):
        words, arrays = self.stranger.ask(request)
        if "refused" in words:
            raise Refused(words["refused"])
        return words, arrays


def _turned(source, exercise):
    """Words on parameters that have the right names in another order; "" where they do not."""
    want = list(inspect.signature(exercise.reference).parameters)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name == function_name(exercise.name):
            names = [arg.arg for arg in node.args.args]
            if names != want and sorted(names) == sorted(want):
                return (f"its arguments are {', '.join(names)}; they must be {', '.join(want)}, in "
                        "this order")
    return ""


def grade_file(path, name, seed=0, limit=LIMIT, echo=None, lang="en"):
    """The `Verdict` on the function of the exercise `name` in the file at `path`.

    limit  seconds that loading the file and calling its function may take
    lang   of the verdict
    echo   a function that takes what the file printed; None throws it away
    """
    path, exercise, printed = Path(path).resolve(), load(name), ""
    try:
        source = read_source(path, name)
        linecache.cache[str(path)] = len(source), None, source.splitlines(True), str(path)
        with strangers.Stranger(path, ANSWER, limit, LIGHT) as stranger:
            try:
                function = _Function(stranger, source, function_name(name))
                function.load()
                verdict = grade(exercise, function, seed, lang)
                if not verdict.ok and (words := _turned(source, exercise)):
                    raise Refused(words)
            finally:
                printed = stranger.output()
    except (Refused, Unreadable, strangers.Trouble) as trouble:
        verdict = Verdict(name, False, trouble=str(trouble), lang=lang)
    if verdict.ok and not (verdict.cases and verdict.numbers):
        verdict = Verdict(name, False, trouble="no number was compared", lang=lang)
    if echo and printed:
        echo(printed)
    return verdict
