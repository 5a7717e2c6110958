r"""Exercises that check themselves and name the mistake.

    from npattn.exercises import check, hint, solution, statement

    statement("softmax-backward")          what to do, with shapes
    check("softmax-backward", function)    right, or wrong: where, and most likely why
    hint("softmax-backward", 2)            the second of three
    solution("softmax-backward")           the derivation, and a solution

The same in files: `npattn exercise`. Grading is independent of this package's own backwards: the
truth is the complex step through the forward, or a specification written in loops. A diagnosis is
given only where the numbers are exactly, in every case, those of a known mistake.

How to add an exercise
----------------------
Write one module in `tasks/`; its file name is the name of the exercise and of the function to
write. Nothing else needs to know of it: the list and the tests find it. From top to bottom:

docstring       first line `d2l 11.3.2, level 2: Title`, or `beyond d2l, level 5: Title`, with
                levels from 1, first steps, to 5, research. Then the statement, in Markdown with
                TeX, and an indented table of names and shapes.
ANSWER          {"dQ": "query dim", "dV": "key dim"}: what is returned, in this order, and words
                for its last axes; axes in front of these are called batch.
FORWARD         where gradients are asked for: the forward of which "dQ" is the gradient for its
                argument Q. It returns Y, and the learner's function gets (dY, Y); or (Y, cache),
                and it gets (dY, cache). It must take complex numbers.
GIVEN           what the learner's file quotes, the forward last; (FORWARD,) unless given. Quoted
                code may use imports, but no other name of its module.
the reference   a function named like the module: the solution as it is shown in the end. Its
                signature, its docstring and a first line `Q, K, V, P = cache` become the stub.
specification   where values are asked for: the same by loops, from the definition. It is the
                truth then. Beside a gradient it is optional and is shown with the solution.
cases(rng)      {what is special: arguments of the forward}, or of the function where values are
                asked for. The first is small enough to redo by hand. Every axis has another
                length; somewhere there is a dead row, a batch, one array as q, k and v. Other
                numbers of leading axes, lengths of 1, and a square in which a missing transpose
                runs are derived from the shapes in the statement (derived.py); other precisions
                and layouts of memory come by themselves.
SHAPES          {"K_rest": "... rest D"}: of arguments that the statement does not list.
EXCLUDED        {a length, or "large": the words of the statement that exclude 1, or large scores}.
HINTS           three, each saying more.
DERIVATION      Markdown with TeX, its steps marked **1.**, **2.**, …
MISTAKES        {id: (step of the derivation, old, new, what was probably done and why it is
                wrong)}: an edit of the reference (npattn.edits), or [(old, new), …] in place of
                old and new. Two mistakes that give the same numbers are one. Any two that do not
                change the same words can be made together.
mistaken        (made, *arguments), for mistakes that are no edits and have no old and new: the
                reference's steps, with the mistakes whose ids are in the set `made`.
UNSETTLED       {id: the words of a case}, in which it depends on the writing what comes out.

Add its texts in other languages (texts/__init__.py). What is one slip in the reference (slips.py: a
factor, a sign, a transpose, an axis, another array), an overall sign, a constant factor, or arrays
exchanged need no entry: where nothing in the catalogue fits, slips and symptoms are stated.
"""


def check(name, function=None, seed=0, lang=None):
    """The `Verdict` on `function` as a solution of the exercise `name`.

    name      such as "softmax-backward" or "softmax_backward"; or the function alone, whose name
              is then that of the exercise
    function  as the statement asks for; it is called with read-only arrays
    seed      of the cases; the same seed gives the same verdict
    lang      "en" or "zh"; by the locale unless given

    Where somebody types, in a notebook or at a prompt, the check is noted in the current folder,
    as `npattn exercise check` does. Raises UnknownExercise, a LookupError, if there is none of
    that name; TypeError if `function` cannot be called.
    """
    import sys

    from npattn.exercises.grading import grade
    from npattn.exercises.progress import keep
    from npattn.exercises.registry import load
    from npattn.exercises.texts import spoken

    if function is None and callable(name):
        name, function = getattr(name, "__name__", ""), name
    if not callable(function):
        raise TypeError(f"function must be a function, got {type(function).__name__}")
    exercise = load(name.replace("_", "-"))
    verdict = grade(exercise, function, seed, lang or spoken())
    if hasattr(sys, "ps1"):
        keep(".", exercise.name, verdict.ok)
    return verdict


def statement(name, lang=None):
    """What the exercise asks for, in Markdown, with the forward and the stub."""
    from npattn.exercises.files import statement_text

    return Markdown(statement_text(*_loaded(name, lang)))


def hint(name, number=1, lang=None):
    """One of the three hints of an exercise, in Markdown. Raises ValueError for another number."""
    from npattn.exercises.texts import texts

    hints = texts(*_loaded(name, lang)).hints
    if number not in range(1, len(hints) + 1):
        raise ValueError(f"number must be in 1 … {len(hints)}, got {number!r}")
    return Markdown(hints[number - 1])


def solution(name, lang=None):
    """The derivation and a solution, in Markdown."""
    from npattn.exercises.files import solution_text

    return Markdown(solution_text(*_loaded(name, lang)))


def _loaded(name, lang):
    """The exercise of that name, and the language."""
    from npattn.exercises.registry import load
    from npattn.exercises.texts import LANGUAGES, spoken

    if lang not in (None, *LANGUAGES):
        raise ValueError(f"lang must be one of {', '.join(LANGUAGES)}, got {lang!r}")
    return load(name.replace("_", "-")), lang or spoken()


class Markdown(str):
    """A text that a notebook renders, formulas included, and that prints as it is."""

    def _repr_markdown_(self):
        return str(self)

    __repr__ = str.__str__
