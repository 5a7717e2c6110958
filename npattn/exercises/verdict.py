"""What the grader says: as text, and as HTML with a map of where the error sits."""

import html
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from npattn.exercises.answers import Trouble
from npattn.exercises.diagnosis import Diagnosis
from npattn.exercises.plain import fill
from npattn.exercises.symptoms import telling
from npattn.exercises.texts import translated

MOST = 30    # entries of an array that are printed in full
SHOWN = 8    # inputs that are printed; of more, those that are no arrays of many entries


class Answer(NamedTuple):
    """One array of an answer beside the truth."""

    name: str
    want: np.ndarray
    got: np.ndarray
    wrong: np.ndarray | None  # None where the shape is wrong
    complaint: str            # "" if all is right
    fault: float              # an error greater than this, in one entry, would be reported


class Failure(NamedTuple):
    """The first case that went wrong."""

    words: str
    number: int
    total: int
    failed: int      # how many cases went wrong
    inputs: tuple    # ((name, value), ...)
    outcome: object  # a tuple of `Answer`, or a Trouble


@dataclass(frozen=True, eq=False)
class Verdict:
    """The outcome of a check: print it, or let a notebook show it."""

    name: str
    ok: bool
    truth: str = ""               # what the answer was compared with
    numbers: int = 0
    cases: int = 0
    fault: float = np.inf         # an error greater than this, in any entry, would have shown
    trouble: str = ""             # why there is nothing to judge
    failure: Failure | None = None
    diagnosis: Diagnosis | None = None
    mistakes: dict | None = None  # of the exercise: {id: Mistake}
    steps: dict | None = None     # of the derivation: {1: its first sentence}
    written: dict | None = None   # {id of a named mistake: what was probably written}
    notes: tuple = ()
    lang: str = "en"              # of what is printed
    words: dict | None = None     # {id of a mistake: its words}, in that language

    @property
    def likely(self):
        """The ids of the mistakes that most likely were made; () where that is not known."""
        return self.diagnosis.likely if self.diagnosis else ()

    @property
    def explanations(self):
        """{"dQ": (("scale left out",), ...)}: sets of mistakes, each of which explains that array.

        The key is "" where they explain the whole answer.
        """
        found = self.diagnosis.explanations if self.diagnosis else ()
        return {each.scope: each.sets for each in found}

    def __str__(self):
        blocks = [wrap(self.headline()), *map(wrap, self.paragraphs())]
        if self.failure:
            blocks.append("\n".join(_failure_lines(self.failure, self.say)))
        return "\n\n".join([*blocks, *map(wrap, self.help())])

    __repr__ = __str__

    def _repr_html_(self):
        colour = "#1a7f37" if self.ok else "#b35900"
        parts = [f'<p><b style="color:{colour}">{html.escape(self.headline())}</b></p>']
        parts += map(_paragraph, self.paragraphs())
        if self.failure:
            parts += _failure_html(self.failure, self.say)
        parts += map(_paragraph, self.help())
        return '<div style="max-width:60em">' + "".join(parts) + "</div>"

    def headline(self):
        """One line: right and how surely, or not and since when."""
        if self.ok:
            return self.say(
                f"{self.name}: right. {self.numbers} numbers in {self.cases} cases agree with "
                f"{self.truth}; an error of {self.fault:.0e} in any one would have shown."
            )
        if self.failure is None:
            return self.say(f"{self.name}: {self.trouble}.")
        failed = f"{self.failure.failed} of {self.failure.total}"
        return self.say(f"{self.name}: not yet. {failed} cases fail.")

    def say(self, text):
        """A sentence in the language of the verdict."""
        return translated(text, self.lang)

    def paragraphs(self):
        """What the numbers tell, most telling first."""
        found = []
        if self.diagnosis:
            found = [_explained(part, self) for part in self.diagnosis.explanations]
            found += _slipped(self.diagnosis, self.say)
            found += _mended(self.diagnosis, self.say)
            if self.diagnosis.facts:
                facts = " ".join(map(self.say, self.diagnosis.facts))
                unsure = f"No known mistake gives these numbers. What they show: {facts}"
                clear = found or telling(self.diagnosis.facts)
                found.append(facts if clear else self.say(unsure))
        return [*found, *map(self.say, self.notes)]

    def help(self):
        """Where to go on after a wrong answer: the step of the derivation, and the hints."""
        if self.failure is None:
            return []
        steps = self.steps or {}
        keys = [key for sets in self.explanations.values() if len(sets) == 1 for key in sets[0]]
        numbers = sorted({self.mistakes[key].step for key in keys})
        found = [self.say(f"Step {number} of the derivation: {steps[number]}")
                 for number in numbers if number in steps]
        return [*found, self.say(f"A hint: npattn exercise hint {self.name}")]


def _paragraph(text):
    return "<p>" + html.escape(text).replace("\n", "<br>") + "</p>"


def _slipped(diagnosis, say):
    """Paragraphs about slips, each of which gives the numbers."""
    if len(diagnosis.slips) == 1 or diagnosis.slips and diagnosis.slips[0].startswith("In "):
        head = "Exactly these numbers come out where one thing in the solution is changed:"
        return [say(f"{head} {text}") for text in diagnosis.slips]
    head = "Exactly these numbers come out where one of these things in the solution is changed:"
    lines = [say(head), *(f"  - {say(text)}" for text in diagnosis.slips)]
    return ["\n".join(lines)] * bool(diagnosis.slips)


def _mended(diagnosis, say):
    """Paragraphs about lines that should read otherwise."""
    if len(diagnosis.repairs) == 1 or diagnosis.repairs and diagnosis.repairs[0].startswith("In "):
        head = "One change in your function makes it right in every case:"
        return [say(f"{head} {text}") for text in diagnosis.repairs]
    head = "One change in your function makes it right in every case, one of these:"
    lines = [say(head), *(f"  - {say(text)}" for text in diagnosis.repairs)]
    return ["\n".join(lines)] * bool(diagnosis.repairs)


def wrap(text, indent=""):
    """The text in lines of bearable length; its own line breaks remain."""
    found = []
    for line in text.splitlines():
        first = indent + "  " * line.startswith("  ")
        found.append(fill(line.strip(), first + "  " * line.startswith("  "), first))
    return "\n".join(found)


def _explained(explanation, verdict):
    """One explanation in words, with how surely it is the right one."""
    scope, sets, beside = explanation
    start = f"In {scope}, most likely" if scope else "Most likely"
    texts = [verdict.say(" And: ").join(_words(verdict, key) for key in made) for made in sets]
    if len(texts) > 1:
        head = verdict.say(f"{start} one of these, which give the same numbers:")
        return "\n".join([head, *(f"  - {text}" for text in texts)])
    if beside:
        both = f"Your numbers come out where both are done, in all {verdict.failure.total} cases."
        return "\n".join([verdict.say(f"{start}: {texts[0]}"),
                          verdict.say(f"And besides: {beside}"), verdict.say(both)])
    these, others = (
        ("these two mistakes together give", "no single known mistake gives them, and no other two")
        if len(sets[0]) > 1 else
        ("this mistake gives", "no other single known mistake gives them")
    )
    compared, total = verdict.diagnosis.compared, verdict.failure.total
    some = f"the {compared} of {total} cases that can be compared"
    cases = f"all {total} cases" if compared == total else some
    found = verdict.say(f"Your numbers are exactly those that {these}, in {cases}; {others}.")
    return verdict.say(f"{start}: {texts[0]}") + f"\n{found}"


def _words(verdict, key):
    mistake, text = verdict.mistakes[key], (verdict.written or {}).get(key)
    written = f" You probably wrote something like `{text}`." if text else ""
    words = (verdict.words or {}).get(key, mistake.words)
    return verdict.say(f"{words} (Step {mistake.step} of the derivation.){written}")


# ---- the first case that fails ----


def _failure_lines(failure, say):
    lines = [say(f"Case {failure.number} of {failure.total}, {failure.words}:")]
    lines += [_labelled(say(name), value) for name, value in _folded(failure.inputs)]
    if isinstance(failure.outcome, Trouble):
        return [*lines, wrap(say(failure.outcome.words), "  ")]
    for answer in failure.outcome:
        if answer.complaint:
            lines.append(_labelled(say(f"{answer.name} should be"), answer.want))
            lines.append(_labelled(say(f"{answer.name} is"), answer.got))
            lines.append(f"  {say(answer.complaint)}")
    return lines


def _folded(inputs):
    """The inputs; where there are many, shapes in place of those that are not small."""
    if len(inputs) <= SHOWN:
        return inputs
    small = [np.size(value) <= 6 for _, value in inputs]
    folded = ", ".join(
        f"{name} {np.shape(value)}" for (name, value), each in zip(inputs, small, strict=True)
        if not each
    )
    kept = [item for item, each in zip(inputs, small, strict=True) if each]
    return [*kept, *([("also:", folded)] if folded else [])]


def _labelled(name, value):
    head = f"  {name} " if " " in name or name.endswith(":") else f"  {name} = "
    return head + _array_text(value).replace("\n", "\n" + " " * len(head))


def _array_text(value):
    if not isinstance(value, np.ndarray):
        return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value)
    text = np.array2string(
        value, precision=5, suppress_small=True, threshold=MOST, max_line_width=78, edgeitems=2
    )
    return text if value.size <= MOST else f"{value.shape} {value.dtype}\n{text}"


def _failure_html(failure, say):
    inputs = "\n".join(_labelled(say(name), value)[2:] for name, value in _folded(failure.inputs))
    head = say(f"Case {failure.number} of {failure.total}, {failure.words}:")
    parts = [_paragraph(head), f"<pre>{html.escape(inputs)}</pre>"]
    if isinstance(failure.outcome, Trouble):
        return [*parts, _paragraph(say(failure.outcome.words))]
    for answer in failure.outcome:
        if answer.complaint:
            parts += [_paragraph(say(answer.complaint)), _map(answer, say)]
    return parts


def _map(answer, say):
    """The worst matrix of an array as a table: what came, darker where it is further off."""
    if answer.wrong is None:
        return f"<pre>{html.escape(_array_text(answer.got))}</pre>"
    with np.errstate(invalid="ignore"):
        error = np.where(answer.wrong, np.abs(answer.got * 1.0 - answer.want), 0.0)
    error = np.nan_to_num(error, nan=np.inf)
    page = np.unravel_index(np.argmax(error), error.shape)[:-2]
    got, want, error = (np.atleast_2d(X[page] * 1.0) for X in (answer.got, answer.want, error))
    finite = error[np.isfinite(error)].max(initial=0.0)
    share = np.where(np.isfinite(error), error / (finite or 1.0), 1.0)
    rows = "".join(
        "<tr>" + "".join(_cell(*cell) for cell in zip(*row, strict=True)) + "</tr>"
        for row in zip(got, want, share, strict=True)
    )
    where = f"[{', '.join(map(str, page))}]" if page else ""
    caption = say(
        f"{answer.name}{where} as it came, what it should be below; darker is further off")
    return f"<table><caption>{html.escape(caption)}</caption>{rows}</table>"


def _cell(got, want, share):
    """One entry: its value, and where it is wrong the right one in small letters."""
    right = f"<br><small>{want:.4g}</small>" if share else ""
    style = f"background:rgba(214,96,77,{0.15 + 0.75 * share:.2f});" if share else ""
    return f'<td style="{style}text-align:right;padding:2px 8px">{got:.4g}{right}</td>'
