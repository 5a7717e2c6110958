"""The examination: stage after stage, each with calls of its own, from plain calls to gradients.

A stage asks the patient's code for outputs, compares them with the model (the fitted reference),
and, where they differ, looks for the mistake that explains them. What has no explanation is kept as
a property that does not hold.
"""

import re
from typing import NamedTuple

import numpy as np

from npattn.doctor import cases
from npattn.doctor.cases import Sizes
from npattn.doctor.catalogue import ALL
from npattn.doctor.making import WIDTH
from npattn.doctor.models import windows


class Property(NamedTuple):
    """One probe."""

    probe: str
    holds: object          # True, False; None: could not be asked
    counterexample: dict = {}


class Examination:
    """All that is found out about one patient."""

    partly = ""      # why it cannot be called right, though it is in one of its uses
    forced = False   # whether a mask must be given, whatever the signature says
    packed = False   # whether heads stand side by side in the features of a token
    alone = False    # whether a cache is kept by the object, one token at a time

    def __init__(self, patient, hints):
        self.patient, self.hints = patient, hints
        self.properties, self.mistakes, self.conventions, self.guessed = [], [], [], []
        self.troubles, self.worst, self.compared, self.written = [], 0.0, 0, set()
        self.model = self.way = self.target = None
        self.masks_found = []  # [(parameter, form, how), …] of masks that are right
        self.evidence, self.guess, self.repaired = [], "", False
        self.searched = 0  # candidates of all searches

    def form(self):
        """"block", "mha" (attention with projections) or "core" (heads as they come)."""
        W = self.target.weights
        if "W1" in W and "W2" in W:
            return "block"
        return "mha" if W or self.target.loose or self.packed else "core"

    def sizes(self, layout, **given):
        """Sizes of a case in this layout: those given, else such as the code can take.

        Axes that could be confused with each other differ in length.
        """
        s, form, more = self.target.sizes, self.form(), self.stretch()
        B = given.pop("B", 3 if form != "core" else 2)
        if "b" not in layout:
            B = 1
        if form != "core":
            Tq = given.pop("Tq", 5 + more)
            return Sizes(B, 1, 1, Tq, given.pop("Tk", 7 + more), WIDTH, WIDTH, s.width, s.width)
        H, Hk = given.pop("H", 0), given.pop("Hk", 0)
        if "h" not in layout:
            H = Hk = 1
        elif not H:
            H = self.hints.get("heads") or (s.heads if s.heads > 1 else 3)
            Hk = self.hints.get("kv_heads") or (s.groups if s.groups > 1 else H)
            if self.target.parameter("kv_heads") and "kv_heads" not in self.hints:
                H, Hk = 4, 2
        dv, d = given.pop("dv", self.dv), given.pop("d", Sizes().d)
        return Sizes(B, H, Hk or H, given.pop("Tq", 4 + more), given.pop("Tk", 5 + more), d, dv)

    def stretch(self):
        """Tokens more than usual, so that a window shows."""
        known = [w for w in windows(self) if w <= 12]
        return max(known, default=0)

    dv = Sizes().dv
    plain_sizes = {}

    def case(self, name, words, layout=None, same=None, seed=0, size=1.0, options=None, **given):
        """A case without a mask, of sizes that the code can take.

        layout   letters of the axes, as in "bhtd"; None means that in which the code is called
        size     factor on queries and keys
        options  arguments of the call beside the arrays
        given    lengths of axes
        """
        layout = layout or self.way.layout
        inputs = self.way.inputs if self.way else self._inputs
        letters = [letter for _, letter in inputs]
        alone = letters == ["q"]
        if alone and "Tq" not in given and "Tk" in given:
            given["Tq"] = given["Tk"]
        if alone:
            given["Tk"] = given.setdefault("Tq", 5 + self.stretch())
        if self.plain_sizes.get("Tq") and not alone:  # the code takes equal lengths only
            given["Tq"] = given["Tk"] = given.get("Tq", 5 + self.stretch())
        sizes = self.sizes(layout, **given)
        made = cases.plain(name, words, sizes, seed, alone and self.form() != "core", size,
                           **(options or {}))
        if alone and self.form() == "core":
            made = made._replace(k=made.q, v=made.q)
        elif "v" not in letters:
            made = made._replace(v=made.k)
        elif self.form() != "core":
            other = cases.plain(name, words, sizes, seed + 100, False, size)
            made = made._replace(v=other.k)
        return made

    loose = 1.0
    square = False   # whether gradients are asked for with as many queries as keys alone
    grouped = False  # whether it takes fewer heads of keys than of queries

    def near(self):
        """Two outputs of the code that differ by less are the same."""
        return {"float64": 1e-9, "tables": 1e-5, "float32": 1e-4}[self.way.dtype]

    def ask(self, asked, **extra):
        """[(case, output in the reference's layout or None), …]; replies are kept for reading."""
        self.replies = self.patient.call([self.patient.spec(self.way, c, **extra) for c in asked])
        found = []
        for case, reply in zip(asked, self.replies, strict=True):
            found.append((case, cases.received(reply, self.way, case)))
        return found

    def pristine(self, asked):
        """As `ask`, each with a file and an object as new."""
        found = []
        for case in asked:
            self.patient.ask(("pristine", self.way.object))
            found += self.ask([case])
        return found

    def blame(self, models):
        """Name the mistakes of the models that explain what was found; the first is most likely."""
        numbers = set(re.findall(r"\d+", self.patient.text))  # those of the file are likelier
        models = sorted(models, key=lambda m: (
            bool(found := set(re.findall(r"\d+", m.mistakes[-1]))) and not found & numbers,
            "ignored" in m.mistakes[-1], m.mistakes[-1].startswith("masked scores −"),
            m.form != "core" and ALL[m.mistakes[-1]].where == "core"))
        for model in models[:3]:
            for name in model.mistakes:
                self.name_mistake(name, len(models) == 1)

    def name_mistake(self, name, certain=True):
        """Keep a mistake of the catalogue, with the line of the file where it may stand."""
        mistake = ALL[name]
        if any(m["sentence"] == mistake.words for m in self.mistakes):
            return
        behind = "backward|bwd|grad|vjp|backprop" if name.startswith("backward: ") else "$^"
        number, text = self.patient.line(mistake.at, behind)
        self.mistakes.append({"name": name.removeprefix("backward: "), "sentence": mistake.words,
                              "line": number, "text": text, "certain": certain})

    # ---- helpers of the stages ----

    def said(self, sentence, line=0, text=""):
        """Keep a mistake that no catalogue knows, in this sentence."""
        if not any(m["sentence"] == sentence for m in self.mistakes):
            self.mistakes.append({"name": "", "sentence": sentence, "line": line, "text": text,
                                  "certain": True})

    def text(self, line):
        """A line of the file by its number, from 1; "" if it has none."""
        lines = self.patient.text.splitlines()
        return lines[line - 1].strip() if 0 < line <= len(lines) else ""

    def heads(self):
        """How many heads: as the user says, else as the object does, else 3."""
        return self.hints.get("heads") or (
            self.target.sizes.heads if self.target.sizes.heads > 1 else 3)

    def small(self, sizes):
        """These sizes, with those that plain calls needed."""
        return {k: v for k, v in self.plain_sizes.items() if k != "dv"} | sizes

    def masked(self, case, form, seed, dead=False):
        """The case with a random mask of this form.

        dead  one query may attend to nothing
        """
        B = case.q.shape[0]
        H = case.q.shape[1] if case.q.ndim == 4 else self.target.sizes.heads
        keep = cases.kept(np.random.default_rng([seed, 17]), form, B, H, case.q.shape[-2],
                          case.k.shape[-2], dead)
        return case._replace(keep=keep, form=form)

    def everything(self, case, form):
        """The case with a mask of this form in which all is True."""
        made = self.masked(case, form, 0)
        return made._replace(keep=np.ones_like(made.keep), words="the mask allows everything")

    def poisoned(self, case, dark):
        """The case with large numbers in the keys and values at the positions `dark`."""
        k, v = case.k.copy(), case.v.copy()
        k[..., dark, :] = 3.0 * np.sign(k[..., dark, :]) + 1.0
        v[..., dark, :] = 1000.0
        if self.way.form != "core":
            v[..., dark, :] = 50.0
        if len(self.way.inputs) == 1:
            return case._replace(q=k, k=k, v=k)
        if len(self.way.inputs) == 2:
            return case._replace(k=k, v=k)
        return case._replace(k=k, v=v)
