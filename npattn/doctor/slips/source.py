"""The source of a file: where its parts stand, and a change of one of them.

    source.said(node), source.place(node)    the text of a node; where it starts and stops
    source.slip(node, "np.tril(M)", …)       the node with another text
"""

import ast
import itertools
import re
from typing import NamedTuple

ORDER = "the order of the lines is wrong"
COMPUTED = {ast.Add: ("-", "*"), ast.Sub: ("+",), ast.Mult: ("/", "+", "@"), ast.Div: ("*",),
            ast.BitAnd: ("|",), ast.BitOr: ("&",), ast.FloorDiv: ("/",), ast.MatMult: ("*",),
            ast.Mod: ("//",)}
SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@",
         ast.BitAnd: "&", ast.BitOr: "|", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**"}
SCALE = re.compile(  # a short expression that is likely the scale of the scores
    r"(?=.{1,32}$)(?!.*@)(.*sqrt\(.*\)|.*\*\* ?-?0\.5|((self|ctx)\.)?"
    r"\w*(scale|scaling|temperature))$")


class Slip(NamedTuple):
    """One change of a file."""

    line: int
    old: str    # what stands there
    new: str    # what would stand there
    words: str  # what kind of mistake that is
    rank: int   # 0 is likely
    start: int
    stop: int
    put: str

    def applied(self, text):
        """The text of the file with the change."""
        return text[: self.start] + self.put + text[self.stop :]

    def sentence(self):
        """Where it is, what it is, and what belongs there."""
        old, new = (text if len(text) <= 90 else f"{text[:89]}…" for text in (self.old, self.new))
        place = f"Line {self.line}"
        if self.words == ORDER:
            return f"{place}: {self.words}; `{new}` must come before `{old}`."
        if new == "pass":
            return f"{place}: {self.words}: `{old}` must not be done."
        return f"{place}: {self.words}; it must be `{new}` and not `{old}`."


class Source:
    """The text of a file, where its parts stand, and what may stand in their places."""

    def __init__(self, text):
        self.text, self.tree = text, ast.parse(text)
        self.lines = text.splitlines(keepends=True)
        self.starts = [0, *itertools.accumulate(map(len, self.lines))]
        tree = self.tree
        self.parents = {child: node for node in ast.walk(tree)
                        for child in ast.iter_child_nodes(node)}
        self.torch = bool(re.search(r"\btorch\b", text))
        self.attributes = sorted({n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)
                                  and isinstance(n.value, ast.Name) and n.value.id == "self"})
        self.keys = sorted({n.slice.value for n in ast.walk(tree) if isinstance(n, ast.Subscript)
                            and isinstance(n.slice, ast.Constant)
                            and isinstance(n.slice.value, str)})
        parts = {ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.expr)}
        self.scales = sorted(filter(SCALE.match, parts), key=len)[:6]
        self.running = {n.id for loop in ast.walk(tree) if isinstance(
            loop, (ast.For, ast.comprehension)) for n in ast.walk(loop.target)
            if isinstance(n, ast.Name)}

    def place(self, node):
        """(start, stop) of a node in the text."""
        def at(line, column):
            return self.starts[line - 1] + len(
                self.lines[line - 1].encode()[:column].decode(errors="replace"))
        return at(node.lineno, node.col_offset), at(node.end_lineno, node.end_col_offset)

    def said(self, node):
        """The text of a node."""
        start, stop = self.place(node)
        return self.text[start:stop]

    def with_part(self, node, part, put):
        """The text of a node with another text for one part of it."""
        (start, _), (low, high) = self.place(node), self.place(part)
        whole = self.said(node)
        return whole[: low - start] + put + whole[high - start :]

    def slip(self, node, put, words, rank):
        """The Slip that puts another text in place of a node."""
        start, stop = self.place(node)
        old = self.text[start:stop]
        shown, changed = old, put
        owner = self.parents.get(node)  # a number alone says nothing: show what it stands in
        while len(shown) < 12 and isinstance(owner, (ast.expr, ast.keyword)) and hasattr(
                owner, "lineno"):
            low, high = self.place(owner)
            if high - low > 70:
                break
            shown = self.text[low:high]
            changed = self.text[low:start] + put + self.text[stop:high]
            owner = self.parents.get(owner)
        return Slip(node.lineno, one_line(shown), one_line(changed), words, rank, start, stop, put)


def called(node):
    """The name of the function or method that a node calls; "" if it calls none."""
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def is_module(node):
    """Whether a node is a module such as np, or a part of one."""
    return isinstance(node, ast.Name) and node.id in (
        "np", "numpy", "torch", "F", "nn", "math", "einops", "scipy", "special", "linalg"
    ) or isinstance(node, ast.Attribute) and is_module(node.value)


def is_early(node):
    """Whether it is `if n == 0: return …`: another way through the code is no repair."""
    return isinstance(node, ast.If) and isinstance(node.body[-1], ast.Return) and isinstance(
        node.test, ast.Compare) and isinstance(node.test.comparators[0], ast.Constant) and (
        node.test.comparators[0].value is not None)


def one_line(text):
    """A piece of source on one line."""
    return " ".join(text.split())
