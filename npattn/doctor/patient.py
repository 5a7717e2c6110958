"""Somebody's attention code, as the doctor sees it: a process that answers calls, a signature.

A `Patient` knows no right or wrong. It makes arguments of a `Case` in the ways that `Way` names,
and brings results back in the reference's layout.
"""

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from npattn.doctor import cases, roles
from npattn.edits import NO_PYTHON, no_python
from npattn.strangers import Stranger, Trouble

ANSWER = "npattn.doctor.remote:answer"
LIGHT = ("npattn", "npattn.doctor")


class Reply(NamedTuple):
    """What a call returned: arrays by their path, or an error."""

    out: list = ()        # [(path, array), ...]
    error: str = ""
    line: int = 0
    wrote: tuple = ()
    inside: bool = False
    gradients: list = ()
    state: list = ()      # [(name, array), …] of an object
    slopes: list = ()     # [(name, autograd's slope, that of differences, again), …]
    kept: object = None   # whether the output is on the device of the arguments


class Way(NamedTuple):
    """How the code is called and its output read."""

    object: str = ""
    name: str = ""
    form: str = "core"       # core, mha or block
    inputs: tuple = ()       # ((parameter, "q"), …)
    layout: str = "bhtd"
    mask: tuple = ()         # (parameter, form, (kind, dtype))
    causal: str = ""         # parameter
    torch: bool = False
    autograd: bool = False
    dtype: str = "float64"
    others: tuple = ()       # ((parameter, value specification), …)
    positional: bool = False
    out: tuple = ()          # path of the output
    open: tuple = ()         # as mask: one that must be given, and lets everything through
    modes: tuple = ()        # ((attribute, value in evaluation, value in training), …)
    fresh: bool = False      # each call gets a copy of the object, as it keeps things
    turned: bool = False     # keys are given transposed

    def axes(self, letter):
        """The axes of the argument for q, k or v."""
        swap = str.maketrans("td", "dt") if self.turned and letter == "k" else {}
        return self.layout.translate(swap)


class Patient:
    """A file in a process of its own, and the thing of that name in it."""

    unregistered = ()  # attributes with modules that are no part of the module
    turned = False  # whether keys are given transposed
    apart = ""  # axes of weights whose heads have an axis of their own

    def __init__(self, path, name, limit):
        self.path, self.name, self.text = Path(path), name, ""
        try:
            self.text = self.path.read_text(encoding="utf-8-sig", errors="replace")
            self.tree = ast.parse(self.text)
        except NO_PYTHON as error:
            raise Trouble(no_python(error)) from error
        self.stranger = Stranger(path, ANSWER, limit, LIGHT)
        self.calls, self.tried, self.busy = 0, 0, 0.0  # other texts, and their seconds

    def close(self):
        """End the process of the file."""
        self.stranger.__exit__()

    def ask(self, *steps):
        """The answers to some steps, with arrays in place of their numbers."""
        answers, arrays = self.stranger.ask(list(steps))
        self.arrays = arrays
        return answers

    def load(self):
        """Run the file and look at the thing in it: what the process tells, also kept in `facts`.

        Raises Trouble if the file cannot be run, or has nothing of that name.
        """
        found, = self.ask(("load", self.name))
        if "error" in found:
            raise Trouble(f"the file cannot be run: {found['error']}{self.place(found)}")
        if "missing" in found:
            names = ", ".join(found["names"]) or "none"
            raise Trouble(f"there is no {self.name} in the file; its functions and classes are: "
                          f"{names}")
        self.facts = SimpleNamespace(**found)
        self.uses_torch = found["torch"]
        return found

    def place(self, found):
        """" in line 7: `…`"."""
        number = found.get("line")
        if not number:
            return ""
        lines = self.text.splitlines()
        shown = lines[number - 1].strip()[:80] if number <= len(lines) else ""
        return f", in line {number}: `{shown}`"

    def call(self, specs):
        """A `Reply` for each call."""
        answers = self.ask(*[("call", spec) for spec in specs])
        self.calls += len(specs)
        return [self._reply(found) for found in answers]

    def _reply(self, found):
        if "error" in found:
            return Reply(error=found["error"], line=found.get("line", 0),
                         inside=found.get("inside", False))
        if "out" not in found:
            return Reply(kept=found.get("kept"))
        out = [(tuple(path), self.arrays[i]) for path, i in found["out"]]
        gradients = [self.arrays[i] for i in found.get("gradients", ())]
        state = [(name, self.arrays[i]) for name, i in found.get("state", ())]
        return Reply(out, wrote=tuple(found["wrote"]), gradients=gradients, state=state,
                     slopes=found.get("slopes", ()))

    def variants(self, texts, specs):
        """For each other text of the file a `Reply` for each call; [] if it cannot be run."""
        steps = [("call", spec) for spec in specs]
        answers = self.ask(*[("variant", text, steps) for text in texts])
        self.tried += len(texts)
        self.busy += sum(a.get("seconds", 0.0) for a in answers)
        return [[self._reply(found) for found in a.get("answers", ())] for a in answers]

    def spec(self, way, case, **extra):
        """The call of a case in one way."""
        given, options = [], case.options
        for parameter, letter in way.inputs:
            X = getattr(case, letter)
            given.append((parameter, ("array", cases.outward(X, way.axes(letter)))))
        if way.mask and case.keep is not None:
            parameter, form, how = way.mask
            given.append((parameter, cases.written(case.keep, form, how, case.bias)))
        if way.open and way.open[0] not in dict(given):
            parameter, form, how = way.open
            given.append((parameter, cases.written(cases.whole(case, form), form, how)))
        if way.causal:
            given.append((way.causal, ("value", bool(case.causal))))
        given += [(name, spec) for name, spec in way.others
                  if name not in dict(given)]
        return {"object": way.object, "name": way.name, "torch": way.torch,
                "autograd": way.autograd,
                "dtype": options.get("dtype", way.dtype).replace("tables", "float64"),
                **self._arguments(way, given),
                **{k: options[k] for k in ("strided", "train", "seed", "fresh") if k in options},
                **({"attributes": {name: on if options.get("train") or extra.get("train") else off
                                   for name, off, on in way.modes}} if way.modes else {}),
                **({"fresh": True} if way.fresh else {}), **extra}

    def _arguments(self, way, given):
        if not way.positional:
            return {"kwargs": dict(given)}
        given, args = dict(given), []
        for name, default, required, *_ in way.positional:
            if name in given:
                args.append(given[name])
            else:
                args.append(("none",) if default is None else ("value", default))
        while args and args[-1] == ("none",):
            args.pop()
        return {"args": args}

    # ---- what the source says of itself ----

    def node(self):
        """The syntax tree of the thing that is examined; that of the file if it is not found."""
        node = self.tree
        for part in self.name.split("."):
            inner = [n for n in ast.walk(node) if getattr(n, "name", None) == part]
            if not inner:
                return self.tree
            node = inner[0]
        return node

    def order_of_axes(self):
        """{number of axes: the letters that the code gives them where it unpacks a shape}."""
        found = {}
        for node in ast.walk(self.node()):
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Tuple):
                continue
            value = ast.unparse(node.value)
            if not (value.endswith(".shape") or value.endswith(".size()")):
                continue
            names = [ast.unparse(e) for e in node.targets[0].elts]
            letters = [letter_of(name) for name in names]
            if None not in letters and len(set(letters)) == len(letters):
                found.setdefault(len(letters), "".join(letters))
        return found

    def keys_of(self, name):
        """What the code looks up in its parameter `name`: (keys of a dict, attributes)."""
        keys, attributes = [], []
        for node in ast.walk(self.node()):
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == name:
                if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
                    keys.append(node.slice.value)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == name:
                attributes.append(node.attr)
        return list(dict.fromkeys(keys)), list(dict.fromkeys(attributes))

    def prose(self):
        """The numbers of lines that docstrings stand in."""
        return {n for node in ast.walk(self.tree) if isinstance(node, ast.Expr) and isinstance(
            getattr(node.value, "value", None), str)
            for n in range(node.lineno, node.end_lineno + 1)}

    def told(self):
        """What docstrings and comments say."""
        lines = self.text.splitlines()
        said = [lines[n - 1] for n in sorted(self.prose())]
        return "\n".join(said + re.findall("#.*", self.text))

    def lines_of(self, pattern):
        """The numbers of lines of all functions whose names hold the pattern."""
        return {n for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)
                and re.search(pattern, node.name) for n in range(node.lineno, node.end_lineno + 1)}

    def modes(self, attributes):
        """((attribute, value in evaluation, in training), …) of an object that keeps its mode."""
        found = []
        for name, value in attributes.items():
            if not re.fullmatch(r"_?(mode|phase|(is_)?train(ing)?(_mode)?)", name):
                continue
            if isinstance(value, bool):
                found.append((name, False, True))
            elif isinstance(value, str):
                off = next((w for w in ("test", "eval", "inference", "predict", "val", "evaluate")
                            if re.search(rf"[\"']{w}[\"']", self.text)), "test")
                on = next((w for w in ("train", "training", "fit") if re.search(
                    rf"[\"']{w}[\"']", self.text)), "train")
                found.append((name, off, on))
        return tuple(found)

    def old_random(self):
        """Whether random numbers are drawn from a RandomState, and not from a Generator."""
        return bool(re.search(r"\.randn?\(|RandomState|\.randint\(", self.text))

    def after_making(self):
        """The source of the thing that is examined, without its constructor."""
        node = self.node()
        parts = [n for n in getattr(node, "body", []) if getattr(n, "name", "") != "__init__"]
        return "\n".join(map(ast.unparse, parts)) if isinstance(node, ast.ClassDef) else self.text

    def line(self, pattern, within="$^"):
        """(number, text) of the line of the code that a mistake is likely written in.

        The alternatives of the pattern stand in order; a constructor comes behind the other lines.

        within  pattern of the names of functions that come first
        """
        first, last = getattr(self.facts, "first", 1), getattr(self.facts, "last", 10**6)
        built, lines, front = self.lines_of("^__init__$"), self.code_lines(), self.lines_of(within)
        order = sorted(lines, key=lambda n: (n not in front, not first <= n <= last, n in built))
        for part in alternatives(pattern):
            for number in order:
                if re.search(part, lines[number]):
                    return number, lines[number]
        return 0, ""

    def code_lines(self):
        """{number: text} of the lines that do something: no prose, no head, no `if x is None:`."""
        prose, idle = self.prose(), r'(def |class |"|import|from|else:|try:|(el)?if [^:]* None:$)'
        lines = {i: line.split("#")[0].strip() for i, line in enumerate(self.text.splitlines(), 1)}
        return {i: text for i, text in lines.items()
                if text and i not in prose and not re.match(idle, text)}


def alternatives(pattern):
    """The parts of a pattern between the bars that stand in no bracket."""
    parts, depth = [""], 0
    for piece in re.findall(r"\\.|.", pattern):
        depth += (piece in "([") - (piece in ")]")
        if piece == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def letter_of(name):
    """The axis that a name like `batch_size` or `T` stands for, as a letter of bhtd; None."""
    name = name.lower().strip("_").replace("self.", "")
    for letter, pattern in (
        ("b", r"b|bs|n|batch\w*|n_?batch|bsz|nb|items?"),
        ("h", r"h|nh|heads?|n_?heads?|num_heads|hq|hk"),
        ("t", r"t|s|l|tq|tk|tgt_len|src_len|seq\w*|len\w*|time|steps|tokens?|q_len|k_len|lq|lk|m|"
              r"tgt|slen|n_?ctx|nq|nk|num_(queries|keys)|qlen|klen|sq|sk"),
        ("d", r"d|c|e|dim|d_?model|d_?k|d_?head|dk|dh|width|channels|emb\w*|features|hidden\w*|"
              r"head_dim|input_dim|model_dim|hd|dv|d_v"),
    ):
        if re.fullmatch(pattern, name):
            return letter
    return None


def signature_roles(signature, among):
    """[(name, default, required, role), ...] of the parameters that can be given by name."""
    return [(name, default, required, roles.role(name, among) or (
                roles.likely_role(name, among) if required or default is None else None))
            for name, default, required, kind, *_ in signature if not kind.startswith("VAR")]
