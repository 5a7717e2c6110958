"""A function with changes of its text: what each returns, without compiling all of it each time.

    text     of the function and of those that it calls, one below the other
    changes  (start, stop, new): text[start:stop] becomes `new`

Of a changed text only that statement is compiled in which the change is. So it may go otherwise
than the whole text would, where a statement hangs on what stands around it: what is to be told is
tried as a whole (`quick` is False). How many changes are tried is counted and not timed, so that
the same answer gets the same verdict on every machine.
"""

import ast
import contextlib
import io
import itertools
import re
import sys
import time
from collections.abc import Iterator
from functools import cached_property

TRIES = 600       # changes at most
FEWEST = 10       # and at least
WORK = 150_000    # lines of Python that all of them may run, if each runs as many as the text
ENDLESS = 6.0     # seconds: a change that runs away ends the search
WRITES = re.compile(r"[-+*/@&|^]=|\] *=[^=]|out=|copyto|place|\b(next|globals)\(|"
                    r"\.(at|append|extend|insert|pop|update|sort|fill|put|add|remove|resize)\(")


def runs(text, changes, name, space, args, quick=True):
    """What the function `name` returns for `args()` with each change; None where it raises.

    There are fewer results than changes where they would be too much work.
    """
    end = time.monotonic() + ENDLESS
    try:
        base = _Text(text, name, space)
    except Exception:  # a default, say, that stands elsewhere
        return
    tries = min(TRIES, max(FEWEST, WORK // max(1, _lines_run(base.whole(), args))))
    make, given = base.changed if quick else base.whole, args() if base.pure else None
    for change in changes[:tries]:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                result = make(*change)(*(given or args()))
            except (Exception, SystemExit):  # whatever a changed function does
                result = None
        yield result
        if time.monotonic() > end:
            return


def _lines_run(function, args):
    """How many lines of Python a call runs: the same on every machine."""
    given, count, before = args(), itertools.count(), sys.gettrace()

    def trace(frame, event, argument):
        next(count)
        return trace

    sys.settrace(trace)
    try:
        function(*given)
    except (Exception, SystemExit):  # up to there
        pass
    finally:
        sys.settrace(before)
    return next(count)


class _Text:
    """The text of the function `name` and of those that it calls, taken apart."""

    def __init__(self, text, name, space):
        self.text, self.name, self.space = text, name, space
        self.starts = [0, *itertools.accumulate(map(len, text.splitlines(keepends=True)))]
        tree = ast.parse(text)
        self.functions = [(*self._span(node, node), node.name) for node in tree.body]
        self.code = compile(tree, "changed", "exec")
        self.function = next(node for node in tree.body if node.name == name)
        self.known = dict(space)
        exec(self.code, self.known)
        self.pure, self.before = not WRITES.search(text), {}  # number of a block: what is known

    def whole(self, start=0, stop=0, new=""):
        """The function, made of the whole text with a change."""
        own = dict(self.space)
        exec(compile(self.text[:start] + new + self.text[stop:], "changed", "exec"), own)
        return own[self.name]

    def changed(self, start, stop, new):
        """The function with a change, of which no more is compiled than must be."""
        for number, (low, high, _, head) in enumerate(self.blocks):
            if low <= start and stop <= high:
                return self._with(number, _compiled(head, self._cut(low, high, start, stop, new)))
        for low, high, _ in self.functions:
            if low <= start and stop <= high:
                own = dict(self.space)
                exec(self.code, own)
                exec(compile(self._cut(low, high, start, stop, new), "changed", "exec"), own)
                return own[self.name]
        return self.whole(start, stop, new)

    def _cut(self, low, high, start, stop, new):
        return self.text[low:start] + new + self.text[stop:high]

    def _with(self, number, code):
        def run(*args):
            own = dict(self._known(number, args))
            for each in (code, *(block[2] for block in self.blocks[number + 1 :])):
                exec(each, own)
            return own["_answer"]()

        return run

    def _known(self, number, args):
        """{name: value} before a block; kept, where nothing is written to."""
        known = self.before.get(number) if self.pure else None
        if known is None:
            if number:
                known = dict(self._known(number - 1, args))
                exec(self.blocks[number - 1][2], known)
            else:
                known = {**self.known, **dict(zip(self.names, args, strict=True))}
            if not any(isinstance(value, Iterator) for value in known.values()):  # read once
                self.before[number] = known
        return known

    @cached_property
    def blocks(self):
        """[(start, stop, code, what stands above it)]: its statements; [] if they need each other.

        The last one, which returns, is a function of its own.
        """
        function = self.function
        body = function.body[ast.get_docstring(function) is not None :]
        plain = function.args.posonlyargs + function.args.args
        self.names = [arg.arg for arg in plain]
        nodes = [node for each in body for node in ast.walk(each)]
        returned = [node for node in nodes if isinstance(node, ast.Return)]
        awkward = (ast.Global, ast.Nonlocal, ast.Yield, ast.YieldFrom, ast.Delete, ast.FunctionDef,
                   ast.Lambda, ast.ClassDef, ast.NamedExpr)
        others = function.args.vararg or function.args.kwonlyargs or function.args.defaults
        if others or body[0].lineno == function.lineno or returned != body[-1:] or any(
                isinstance(node, awkward) for node in nodes):
            return []
        spans = [self._span(node, node) for node in body]
        if any(one[1] > two[0] for one, two in itertools.pairwise(spans)):
            return []  # two in one line
        heads = ["if True:\n"] * (len(body) - 1) + ["def _answer():\n"]
        return [(low, high, _compiled(head, self.text[low:high]), head)
                for (low, high), head in zip(spans, heads, strict=True)]

    def _span(self, first, last):
        return self.starts[first.lineno - 1], self.starts[last.end_lineno]


def _compiled(head, text):
    return compile(head + (text if text.strip() else "    pass\n"), "changed", "exec")
