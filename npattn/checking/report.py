"""What a check found, in words: the worst entry by name, and what would not have escaped.

    error of an entry   |got − want| / scale, scale being the largest |want| of the same array
    tolerance           from the measured rounding of this very computation, not from habit
    smallest fault      any single entry off by more than this would have been reported

A gradient can be zero but for rounding: a bias on the keys moves all scores of a query alike, which
softmax ignores. Its scale is then the size of the numbers that cancelled.

The verdict is "right", "wrong" or "undecided". Undecided are entries at a kink, where there is no
derivative, and gradients for which the check had no power: the smallest fault that would show is
not well below the gradient itself. Only "right" is ok.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from npattn.checking.tables import align, html_table

MOST_ROWS = 12
HEADER = ("pair", "entries checked", "worst relative error", "where", "smallest fault", "ok")
OK = {"right": "yes", "wrong": "NO", "undecided": "undecided"}
ROW_HEADER = ("gradient", *HEADER[1:])


class Entry(NamedTuple):
    """One entry of one gradient. error is relative to the array's scale."""

    where: str
    index: tuple
    got: float
    want: float
    error: float

    def __str__(self):
        got, want = _told_apart(self.got, self.want)
        ratio = self.got / self.want if self.want else np.inf
        if abs(ratio - 1) >= 5e-4 and abs(ratio) < 1e4:
            return f"{self.where} is {got}, should be {want}: ratio {ratio:.4g}"
        return f"{self.where} is {got}, should be {want}: off by {self.got - self.want:.2g}"


class Row(NamedTuple):
    """What was found about one gradient array. worst is None where nothing could be checked."""

    path: str
    checked: int
    total: int
    worst: Entry | None
    smallest_fault: float  # absolute
    passed: bool           # no entry that was compared is wrong
    got: np.ndarray | None   # the gradient; None where there was none to compare
    want: np.ndarray | None  # what it should be; NaN where not measured
    doubt: str | None = None  # why nothing is decided, where nothing is

    @property
    def verdict(self):
        """"right", "wrong" or "undecided"."""
        return "wrong" if not self.passed else "undecided" if self.doubt else "right"

    @property
    def ok(self):
        return self.verdict == "right"

    def cells(self):
        """The cells under `ROW_HEADER`; where, without the name that the row has already."""
        worst = self.worst
        if worst is not None:
            worst = worst._replace(where=worst.where.removeprefix(self.path).strip())
        return _cells(self.path, self.checked, self.total, worst, self.smallest_fault, self.verdict)


@dataclass(frozen=True, eq=False)
class Report:
    """The outcome of a check. `print(report)` is the intended way to read it.

    name      what was checked
    method    how the truth was found, "complex step" or "central differences"
    rows      one `Row` for each gradient array
    failures  sentences, empty if all is well
    notes     sentences about how the check was done
    kinks     sentences about entries that have no derivative and were not compared
    reasons   sentences about gradients of which nothing could be decided, and what would help
    """

    name: str
    method: str
    rows: tuple = ()
    failures: tuple = ()
    notes: tuple = ()
    kinks: tuple = ()
    reasons: tuple = ()

    @property
    def verdict(self):
        """"right", "wrong" or "undecided"."""
        undecided = self.kinks or self.reasons
        return "wrong" if self.failures else "undecided" if undecided else "right"

    @property
    def ok(self):
        """Whether the verdict is "right"."""
        return self.verdict == "right"

    @property
    def checked(self):
        """How many entries were examined one by one."""
        return sum(row.checked for row in self.rows)

    @property
    def total(self):
        """How many entries the arrays have together."""
        return sum(row.total for row in self.rows)

    @property
    def worst(self):
        """The `Entry` with the largest relative error, of a failing array if there is one."""
        rows = [row for row in self.rows if row.worst is not None]
        return max(rows, key=_badness).worst if rows else None

    @property
    def smallest_fault(self):
        """Any single entry off by more than this, absolutely, would have been reported."""
        return max((row.smallest_fault for row in self.rows), default=np.inf)

    def summary_row(self):
        """The cells under `HEADER`, as text."""
        return _cells(
            self.name, self.checked, self.total, self.worst, self.smallest_fault, self.verdict
        )

    def __str__(self):
        rows, more = self._shown()
        lines = [self._headline(), *(f"  WRONG  {failure}" for failure in self.failures)]
        lines += [f"  KINK   {kink}" for kink in self.kinks]
        lines += [f"  UNDECIDED  {reason}" for reason in self.reasons]
        if rows:
            lines += ["  " + line for line in align([ROW_HEADER, *(row.cells() for row in rows)])]
        return "\n".join([*lines, *(f"  {line}" for line in [*more, *self.notes])])

    __repr__ = __str__

    def _repr_html_(self):
        from html import escape

        rows, more = self._shown()
        sentences = (*self.failures, *self.kinks, *self.reasons)
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
        lines = "".join(f"<p>{escape(line)}</p>" for line in [*more, *self.notes])
        return (
            f"<p><b>{escape(self._headline())}</b></p>"
            + (f"<ul>{items}</ul>" if items else "")
            + html_table([ROW_HEADER, *(row.cells() for row in rows)])
            + lines
        )

    def _headline(self):
        verdict = {
            "right": "all gradients right",
            "wrong": "GRADIENTS WRONG",
            "undecided": "UNDECIDED" if self.reasons else "UNDECIDED AT KINKS, right elsewhere",
        }[self.verdict]
        return f"{self.name}: {verdict}, by {self.method}"

    def _shown(self):
        """The rows that are worth space, in their order, and a line about the others."""
        worst = sorted(self.rows, key=_badness, reverse=True)[:MOST_ROWS]
        rows = [row for row in self.rows if any(row is shown for shown in worst)]
        rest = [row for row in self.rows if not any(row is shown for shown in worst)]
        bad = sum(not row.passed for row in rest)
        state = f"{bad} of them wrong" if bad else "all right and with smaller errors"
        return rows, [f"... and {len(rest)} more gradients, {state}"] if rest else []


def format_table(reports):
    """The reports as one table of plain text, a line for each."""
    return "\n".join(align([HEADER, *(report.summary_row() for report in reports)]))


def _cells(name, checked, total, worst, smallest_fault, verdict):
    error, where = ("-", "-") if worst is None else (f"{worst.error:.1e}", worst.where)
    fault = f"{smallest_fault:.1e}" if np.isfinite(smallest_fault) else "-"
    return name, f"{checked} of {total}", error, where, fault, OK[verdict]


def _badness(row):
    error = -1.0 if row.worst is None else row.worst.error
    return not row.passed, np.inf if np.isnan(error) else error


def _told_apart(got, want):
    """Both numbers with as many digits as it takes to see that they differ, and at least three."""
    texts = ((f"{got:.{digits}g}", f"{want:.{digits}g}") for digits in range(3, 18))
    return next((pair for pair in texts if pair[0] != pair[1]), (f"{got:.3g}", f"{want:.3g}"))
