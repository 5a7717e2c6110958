"""Which exercises there are, and one of them as an object.

Names and headings come from the files and their first lines; a task module, which holds the
solution, is imported only by `load`.
"""

import ast
import difflib
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from npattn.edits import Edit, Overlap

TASKS = Path(__file__).with_name("tasks")
FIRST_LINE = re.compile(
    r'r?"""(?P<section>d2l [\d.]+|beyond d2l), level (?P<level>[1-5]): (?P<title>.+)'
)


SECTIONS = {
    "10.1": "Attention Cues (Chinese edition)",
    "10.2": "Nadaraya-Watson Kernel Regression (Chinese edition)",
    "10.3": "Attention Scoring Functions (Chinese edition)",
    "11.1": "Queries, Keys, and Values",
    "11.2": "Attention Pooling by Similarity",
    "11.3": "Attention Scoring Functions",
    "11.4": "The Bahdanau Attention Mechanism",
    "11.5": "Multi-Head Attention",
    "11.6": "Self-Attention and Positional Encoding",
    "11.7": "The Transformer Architecture",
    "11.8": "Transformers for Vision",
    "12.10": "Adam",
}


PATH = (  # to multi-head attention in an evening
    "softmax", "softmax-jacobian", "softmax-backward", "masked-softmax", "causal-mask",
    "attention-dv", "attention-dq", "attention-dk", "attention-backward", "split-heads",
    "merge-heads-backward", "self-attention-backward",
)


class Heading(NamedTuple):
    """What the first line of a task says."""

    section: str  # "d2l 11.3.2" or "beyond d2l"
    level: int    # 1, first steps, to 5, research
    title: str


class Mistake(NamedTuple):
    """A mistake that people make."""

    step: int             # of the derivation
    words: str            # what was probably done, and what it misses
    edit: object = None   # of the solution; None where it is made by `mistaken`


@dataclass(frozen=True, eq=False)
class Exercise:
    """One exercise. The fields after `title` are the names of its module in lower case."""

    name: str
    section: str
    level: int
    title: str
    statement: str
    reference: Callable
    answer: dict                   # {"dQ": "query dim"}: what is returned, words for the last axes
    forward: Callable | None       # None where values are asked for and no gradient
    given: tuple                   # functions and classes that the learner sees, forward included
    specification: Callable | None
    cases: Callable
    shapes: dict                   # {"K_rest": "... Tr D"}: of arguments not in the statement
    excluded: dict                 # {a length that is never 1, or "large": where it says so}
    hints: tuple
    derivation: str
    mistaken: Callable | None      # (made, *arguments): for mistakes that are no edits
    mistakes: dict                 # {id: Mistake}
    unsettled: dict                # {id: a case in which a mistake may do anything}

    def with_mistakes(self, made):
        """The solution with these mistakes. Raises Overlap if they exclude each other."""
        return _made(self, tuple(made)) if made else self.reference

    def can_be_made(self, made):
        """Whether these mistakes can be made together."""
        edits = [self.mistakes[key].edit for key in made]
        if None in edits:
            return not any(edits)
        try:
            _made(self, tuple(made))
        except (Overlap, SyntaxError):
            return False
        return True


@lru_cache(maxsize=2**13)
def _made(exercise, made):
    from npattn.exercises.statements import with_edits  # NumPy, which a list of names does without

    edits = [exercise.mistakes[key].edit for key in made]
    if None in edits:
        return partial(exercise.mistaken, frozenset(made))
    return with_edits(exercise.reference, tuple(edits))


class UnknownExercise(LookupError):
    """There is no exercise of that name; the message suggests the nearest ones."""


@lru_cache
def headings():
    """{name: Heading} of all exercises, by section, then from easy to hard."""
    found = {path.stem.replace("_", "-"): _heading(path) for path in TASKS.glob("[a-z]*.py")}
    return dict(sorted(found.items(), key=lambda item: (*_place(item[1]), item[0])))


@lru_cache
def load(name):
    """The Exercise of that name. Raises UnknownExercise."""
    if name not in headings():
        near = difflib.get_close_matches(str(name), headings(), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "`npattn exercise` lists them"
        raise UnknownExercise(f"there is no exercise {name!r}; {hint}")
    module = importlib.import_module(f"npattn.exercises.tasks.{function_name(name)}")
    forward = getattr(module, "FORWARD", None)
    return Exercise(
        name,
        *headings()[name],
        statement=_statement(module),
        reference=getattr(module, function_name(name)),
        answer=module.ANSWER,
        forward=forward,
        given=getattr(module, "GIVEN", (forward,) if forward else ()),
        specification=getattr(module, "specification", None),
        cases=module.cases,
        shapes=getattr(module, "SHAPES", {}),
        excluded=getattr(module, "EXCLUDED", {}),
        hints=module.HINTS,
        derivation=module.DERIVATION.strip(),
        mistaken=getattr(module, "mistaken", None),
        mistakes={key: _mistake(*value) for key, value in module.MISTAKES.items()},
        unsettled=getattr(module, "UNSETTLED", {}),
    )


def _statement(module):
    """The docstring behind its first line; from the file, since `python -OO` keeps none."""
    text = ast.get_docstring(ast.parse(Path(module.__file__).read_text(encoding="utf-8")), False)
    return text.split("\n", 1)[1].strip()


def _mistake(step, *change):
    """(step, words), or (step, old, new, words), or (step, [(old, new), …], words)."""
    *change, words = change
    if len(change) == 1:  # a list of pairs becomes the old texts and the new ones
        change = zip(*change[0], strict=True)
    return Mistake(step, words, Edit(*change, words, step) if change else None)


def section_title(heading):
    """"d2l 11.3 Attention Scoring Functions", under which a list puts an exercise."""
    section = ".".join(heading.section.split(".")[:2])
    return f"{section} {SECTIONS.get(section.removeprefix('d2l '), '')}".rstrip()


def function_name(name):
    """What the learner's function and file are called: softmax_backward for softmax-backward."""
    return name.replace("-", "_")


def _heading(path):
    with path.open(encoding="utf-8") as file:
        line = file.readline().rstrip()
    match = FIRST_LINE.fullmatch(line)
    if match is None:
        raise ValueError(
            f'{path} must begin with """d2l 11.3.2, level 2: Title (or: beyond d2l, level …), '
            f"got {line!r}"
        )
    return Heading(match["section"], int(match["level"]), match["title"])


def _place(heading):
    """What a list is sorted by: section, level, subsection; what is beyond d2l, or in the
    Chinese edition alone, comes last."""
    numbers = [int(number) for number in re.findall(r"\b\d+", heading.section)]
    return numbers[:1] == [10], (numbers[:2] or [99]), heading.level, numbers
