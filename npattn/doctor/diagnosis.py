"""The answer: what was found, as text, JSON and HTML; and `doctor`, which asks for it."""

import ast
import inspect
import json
import math
import re
import tempfile
import textwrap
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from npattn.doctor import hints as hints_
from npattn.doctor.examine import Examination
from npattn.doctor.fit import Failed
from npattn.doctor.models import windows
from npattn.doctor.page import page
from npattn.doctor.patient import Patient
from npattn.doctor.stages import STAGES
from npattn.doctor.start import start
from npattn.kernels.options import require_real
from npattn.strangers import Trouble

LIMIT = 45.0  # seconds that all calls together may take


class Diagnosis(NamedTuple):
    """What is known about a piece of attention code.

    verdict      "right", "wrong" or "undecided"
    mistakes     sentences, most likely first
    properties   (probe, holds, counterexample): holds is None where it could not be asked
    conventions  sentences: in what it follows one custom among several
    guessed      hints that were found by trying
    trouble      one sentence, where the code could not be examined; else ""
    """

    verdict: str
    mistakes: tuple = ()
    properties: tuple = ()
    conventions: tuple = ()
    guessed: tuple = ()
    trouble: str = ""
    reason: str = ""
    compared: int = 0
    worst: float = 0.0
    subject: str = ""
    seconds: float = 0.0

    def to_dict(self):
        return {
            "verdict": self.verdict, "subject": self.subject, "mistakes": list(self.mistakes),
            "properties": [{"probe": p.probe, "holds": p.holds, "counterexample": p.counterexample}
                           for p in self.properties],
            "conventions": list(self.conventions), "guessed": list(self.guessed),
            "trouble": self.trouble, "reason": self.reason, "calls": self.compared,
            "worst": self.worst, "seconds": round(self.seconds, 2)}

    def to_json(self):
        return json.dumps(_plain(self.to_dict()), ensure_ascii=False, allow_nan=False)

    def __str__(self):
        return "\n".join(_told(self))

    def __repr__(self):
        return str(self)

    def _repr_html_(self):
        return page(self)

    @property
    def code(self):
        """The exit code: 0 right, 1 wrong or undecided, 2 what cannot be run."""
        return 2 if self.trouble else 0 if self.verdict == "right" else 1


def doctor(subject, *, limit=LIMIT, **hints):
    """The `Diagnosis` of a function or class, or of "FILE.py:NAME".

    limit   seconds that the code may take in all
    hints   mask="drop", heads=4, layout="bthd", causal="yes" and the others of `npattn doctor
            --help`; header lines `# npattn: mask=drop` in the file say the same

    A function or class is examined by its source: it may use NumPy as np, torch, and what stands
    in its own file. Raises HintError for a hint that cannot be meant.
    """
    if not 0.0 < require_real(limit=limit):
        raise ValueError(f"limit must be above 0 seconds, got {limit!r}")
    given, began = hints_.from_options(hints), time.monotonic()
    if isinstance(subject, str):
        path, _, name = subject.rpartition(":")
        if not path or not name:
            raise ValueError(f"{subject!r}: name a file and what is in it, as in mine.py:attention")
        made = _examined(path, name, given, limit)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "patient.py")
            path.write_text(_source(subject), encoding="utf-8")
            made = _examined(path, subject.__name__, given, limit)
    return made._replace(subject=subject if isinstance(subject, str) else subject.__name__,
                         seconds=time.monotonic() - began)


def _source(subject):
    """The source of a function or class as a file: with the imports that it sees."""
    if not hasattr(subject, "__name__"):
        raise TypeError("doctor takes a function, a class, or 'FILE.py:NAME'; an object is "
                        "examined through its class")
    try:
        own = textwrap.dedent(inspect.getsource(subject))
    except (OSError, TypeError) as error:
        raise TypeError(f"the source of {subject.__name__} cannot be found; write it to a file and "
                        "name that: 'FILE.py:NAME'") from error
    space = getattr(subject, "__globals__", None) or vars(inspect.getmodule(subject))
    lines, parts, waiting, seen = [], [own], _words(own), {subject.__name__}
    while waiting:  # what it uses, and what that uses
        name = waiting.pop()
        value = space.get(name)
        if name in seen or name not in space:
            continue
        seen.add(name)
        if inspect.ismodule(value):
            lines.append(f"import {value.__name__} as {name}")
        elif isinstance(value, (bool, int, float, str)):
            lines.append(f"{name} = {value!r}")
        elif getattr(value, "__module__", None) == getattr(subject, "__module__", ""):
            if inspect.isfunction(value) or inspect.isclass(value):
                parts.insert(0, textwrap.dedent(inspect.getsource(value)))
                waiting += _words(parts[0])
        elif getattr(value, "__module__", None) and hasattr(value, "__name__"):
            lines.append(f"from {value.__module__} import {value.__name__} as {name}")
    return "\n".join([*lines, *parts])


def _words(text):
    return re.findall(r"\w+", text)


def _examined(path, name, given, limit):
    path = Path(path)
    if not path.is_file():
        return Diagnosis("undecided", trouble=f"there is no file {path}")
    patient = None
    try:
        patient = Patient(path, name, limit)
        header, notes = hints_.from_header(patient.text)
        exam = Examination(patient, with_forward(patient, header | given))
        exam.guessed += notes
        patient.load()
        start(exam)
        for stage in STAGES if exam.way else ():
            try:
                stage(exam)
            except Failed as error:  # the reference cannot compute a case: this is not examined
                exam.partly = (f"{stage.__name__.partition('_')[0]} could not be examined: the "
                               f"reference says {error}")
        return _concluded(exam)
    except Trouble as error:
        return Diagnosis("undecided", trouble=str(error))
    except Exception as error:  # code of any kind may do what no stage expects: that is said
        return Diagnosis("undecided", trouble=(
            f"the doctor cannot follow this code ({type(error).__name__}: {error}); hints such as "
            "layout=btd or heads=4 may help"))
    finally:
        if patient is not None:
            patient.close()


def with_forward(patient, given):
    """The hints; where a backward is named, its forward is examined, with this backward."""
    functions = [n.name for n in patient.tree.body if isinstance(n, ast.FunctionDef)]
    name, end = patient.name, r"_?(backward|bwd|grads?|vjp|backprop)"
    if name not in functions or not re.search(rf"{end}$|^{end}", name, re.IGNORECASE):
        return given
    rest = re.sub(end, "", name, flags=re.IGNORECASE).strip("_")
    for other in (rest, f"{rest}_forward", f"{rest}_fwd", f"forward_{rest}", "forward", "fwd"):
        if other in functions:
            patient.name = other
            return given | {"backward": name}
    return given


def _concluded(exam):
    failed = [p for p in exam.properties if p.holds is False]
    told = sorted(exam.mistakes, key=lambda m: (  # what has a name says more than where it shows
        not m["name"] and m["sentence"].startswith(("It is wrong where", "It fails where"))
        and any(n["name"] and n["certain"] for n in exam.mistakes)))
    mistakes = [_sentence(m) for m in told]
    reason = ""
    if mistakes or failed:
        verdict = "wrong"
        if not mistakes:
            probes = dict.fromkeys(p.probe for p in failed)
            mistakes = [f"It does not hold that {probe}." for probe in probes]
    elif exam.model is None:
        verdict = "undecided"
        reason = ("its outputs are those of no attention that the doctor knows, but no property "
                  "that could be asked fails; hints may help")
        reason += f". {exam.guess}" * bool(exam.guess)
        mistakes = [f"Possibly: {exam.guess}"] * bool(exam.guess)
    elif exam.partly:
        verdict, reason = "undecided", exam.partly
        mistakes = [f"Possibly: {exam.guess}"] * bool(exam.guess)
    else:
        verdict = "right"
    conventions, guessed = list(exam.conventions), list(exam.guessed)
    if exam.way:
        if "layout" not in exam.hints:
            guessed.append(f"layout={exam.way.layout}")
        conventions.insert(0, f"layout ({', '.join(a.upper() for a in exam.way.layout)})")
    if exam.model is not None:
        conventions += exam.model.notes
        if exam.model.causal and (w := exam.model.c.window) and w - 1 in windows(exam):
            conventions.append("the window counts the keys before a query: with its own, a query "
                               f"sees {w} keys")
        if exam.model.c.rotary:
            conventions.append(f"rotary positions, pairing: {exam.model.c.rotary}")
        if abs(exam.model.c.scale - 1.0) > 1e-9:
            conventions.append("the scores are not scaled again: the scale is in the weights")
        if exam.target.sizes.heads > 1 and "heads" not in exam.hints and exam.form() != "core":
            guessed.append(f"heads={exam.target.sizes.heads}")
    return Diagnosis(verdict, tuple(dict.fromkeys(mistakes)), tuple(exam.properties),
                     tuple(dict.fromkeys(conventions)), tuple(dict.fromkeys(guessed)), "", reason,
                     exam.patient.calls, exam.worst)


def _plain(value):
    """What JSON can write: no arrays, no NaN."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _sentence(mistake):
    text = mistake["sentence"]
    if mistake["line"] and "in line" not in text:
        text += f" Most likely line {mistake['line']}: `{mistake['text'][:80]}`"
    return text if mistake["certain"] else f"Possibly: {text}"


def _told(d):
    if d.trouble:
        yield f"undecided: {d.trouble}"
        return
    exact = f"{d.compared} calls, largest relative difference {d.worst:.1e}"
    yield f"{d.verdict}" + (f": {exact}" if d.verdict == "right" else f": {d.reason}"
                            if d.reason else "")
    for text in d.mistakes:
        yield f"  {text}"
    bad = [p for p in d.properties if p.holds is False]
    for p in bad[:3]:
        yield f"  does not hold: {p.probe}"
        c = p.counterexample
        if c.get("case"):
            yield f"    where {c['case']}"
        for name, X in (c.get("inputs") or {}).items() if isinstance(c.get("inputs"), dict) else ():
            yield f"    {name} = {_short(X)}"
        if "got" in c:
            yield f"    got      {_short(c['got'])}"
            yield f"    expected {_short(c.get('expected'))}"
    good = [p.probe for p in d.properties if p.holds]
    if good:
        yield f"  holds: {'; '.join(dict.fromkeys(good))}"
    for text in d.conventions:
        yield f"  convention: {text}"
    if d.guessed:
        yield f"  guessed: {', '.join(d.guessed)}"


def _short(X, most=60):
    """A value for one line: of a long array its shape and its start."""
    if not isinstance(X, list):
        return X
    Y = np.array(X, object)
    return X if Y.size <= most else f"{Y.shape}: {', '.join(map(str, Y.ravel()[:8]))} …"
