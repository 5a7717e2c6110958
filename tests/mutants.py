"""Mutants: one small fault at a time is planted into a page, and its tests must notice.

    python -m tests.mutants                              300 drawn from kernels, models, checking
    python -m tests.mutants --sample 500 --seed 7 --jobs 2
    python -m tests.mutants npattn/kernels/softmax.py    all of one page, or of a folder

A mutant is an edit of the page's syntax tree: another operator, number or comparison, a condition
turned round, a statement or a keyword left out, two results exchanged. No file is touched: pytest
collects the tests once; then, for each mutant, a fork of that process puts the edited code in the
place of the page's and runs, one by one, the tests that enter the edited function, until one
fails; where the edit is of what runs at import, a fresh process imports the edited page. The
shortest come first. Which test enters what, and how long it takes, is recorded in
build/mutants.json; where a test file has changed, it is recorded again.

A mutant that no test could tell from the page is equivalent: tests/equivalent_mutants.txt lists
them, each with the reason. The exit code is 1 if less than 98 % of the others are killed.
"""

import argparse
import ast
import gc
import hashlib
import inspect
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import lru_cache, partial
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("npattn/kernels", "npattn/models", "npattn/checking")
EQUIVALENT = ROOT / "tests" / "equivalent_mutants.txt"
RECORD = ROOT / "build" / "mutants.json"
GOAL = 0.98
SECONDS = 20  # of tests for one mutant; of longer lists the end is left out
# test files that are about what stands on these rooms: a page must be held without them
OTHER_ROOMS = re.compile(
    "adaptation|bench|bleu|broken|classroom|cli|command|crosscheck|d2l|dates|digits"
    "|distributed|doctor|edits|exercises|explore|figures|files|growth|gpt|hugging|jax|llm|museum"
    "|notebooks|onnx|kernel_pages|test_page|phrases|plots|pooling_experiment|readme"
    "|seed_systems|site|smollm2|snippets|test_series|texts|torch|translation|weights"
)
FLAGS = ["-q", "-s", "-p", "no:cacheprovider", "-m", "not (browser or llm or peers or cuda)"]
SWAPS = [
    (ast.Add, ast.Sub), (ast.Mult, ast.Div), (ast.FloorDiv, ast.Mult), (ast.Mod, ast.Add),
    (ast.Pow, ast.Mult), (ast.BitAnd, ast.BitOr), (ast.LShift, ast.RShift), (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn),
    (ast.And, ast.Or),
]
OTHER = {b: a for a, b in SWAPS} | {a: b for a, b in SWAPS}
NAMES = [
    ("max", "min"), ("maximum", "minimum"), ("any", "all"), ("argmax", "argmin"),
    ("triu", "tril"), ("zeros", "ones"), ("zeros_like", "ones_like"), ("floor", "ceil"),
    ("exp", "expm1"), ("isfinite", "isnan"), ("real", "imag"), ("cos", "sin"),
]
OTHER_NAME = {b: a for a, b in NAMES} | {a: b for a, b in NAMES}
LEFT_ALONE = (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)
UNREAD = ("annotation", "returns", "decorator_list", "bases")


class Mutant(NamedTuple):
    """A page with one edit."""

    page: str   # npattn/kernels/softmax.py
    where: str  # the function or class around it, or ""
    line: int
    old: str    # what is edited, and what stands there instead
    new: str
    text: str   # the whole page, edited

    def __str__(self):
        return f"{self.page}:{self.line}: {one_line(self.old)} -> {one_line(self.new)}"


def one_line(text):
    return " ".join(text.split())


def mutants_of(page):
    """Every `Mutant` of a page, by line."""
    source = (ROOT / page).read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found, tree = {}, ast.parse(source)
    for node, new in edits(tree):
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        old = source[begin:end].decode()
        new = f"({ast.unparse(new)})" if isinstance(new, ast.expr) else ast.unparse(new)
        text = (source[:begin] + new.encode() + source[end:]).decode()
        where = around(tree, node.lineno)
        found.setdefault(text, Mutant(page, where, node.lineno, old, new, text))
    return sorted(found.values(), key=lambda mutant: (mutant.line, mutant.old, mutant.new))


def around(tree, line):
    """The name of the function or class at the top of a page that has the line, or ""."""
    named = [node for node in tree.body if hasattr(node, "name")]
    return next((node.name for node in named if first_line(node) <= line <= node.end_lineno), "")


def first_line(node):
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def edits(tree):
    """Pairs of a node and what may stand in its place, all over the tree.

    Errors' messages, annotations, decorators and imports stay as they are; so does strict= of zip,
    which guards against the page's own mistakes, and the real or imag of whose dtype is asked."""
    for name, value in ast.iter_fields(tree):
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and name not in UNREAD and not is_left_alone(node):
                if not (isinstance(tree, ast.Attribute) and tree.attr == "dtype"):
                    yield from ((node, new) for new in replacements(node))
                yield from edits(node)
    for test in conditions(tree):
        if not isinstance(test, (ast.Compare, ast.UnaryOp)):  # those are turned round anyway
            yield test, ast.UnaryOp(ast.Not(), test)


def is_left_alone(node):
    return isinstance(node, LEFT_ALONE) or isinstance(node, ast.keyword) and node.arg == "strict"


def conditions(node):
    """The conditions that decide what is run."""
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        return [node.test]
    return node.ifs if isinstance(node, ast.comprehension) else []


def replacements(node):
    """What may stand in place of one node."""
    match node:
        case ast.BinOp(left, op, right) if type(op) in OTHER:
            yield ast.BinOp(left, OTHER[type(op)](), right)
        case ast.Compare(left, [op], right) if type(op) in OTHER:
            yield ast.Compare(left, [OTHER[type(op)]()], right)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(OTHER[type(op)](), values)
        case ast.UnaryOp(_, operand):
            yield operand
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() as value):
            yield ast.Constant(value + 1)
        case ast.Constant(float() as value):
            yield ast.Constant(value * 1.5 or 1.0)
        case ast.Attribute(value, name) if name in OTHER_NAME:
            yield ast.Attribute(value, OTHER_NAME[name])
        case ast.Call(function, args, keywords):
            if isinstance(function, ast.Name) and function.id in OTHER_NAME:
                yield ast.Call(ast.Name(OTHER_NAME[function.id]), args, keywords)
            for i, keyword in enumerate(keywords):
                if keyword.arg not in (None, "out", "strict"):  # out= saves memory only
                    yield ast.Call(function, args, keywords[:i] + keywords[i + 1:])
        case ast.Return(ast.Tuple([first, second, *rest])):
            yield ast.Return(ast.Tuple([second, first, *rest]))
        case ast.AugAssign(target, op, value):
            yield ast.AugAssign(target, OTHER.get(type(op), ast.Add)(), value)
            yield ast.Pass()
        case ast.Expr(ast.Call()):
            yield ast.Pass()


def equivalents():
    """{(page, old, new): reason}, of pieces or whole lines; "*" for new: every edit of a piece."""
    lines = EQUIVALENT.read_text(encoding="utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line and not line.startswith("#")]
    return {(page, old, new): reason for page, old, new, reason in rows}


def is_equivalent(mutant, listed):
    return any((mutant.page, *words) in listed for words in descriptions(mutant))


def descriptions(mutant):
    """The pairs (old, new) under which a mutant may be listed."""
    old, new = one_line(mutant.old), one_line(mutant.new)
    texts = (ROOT / mutant.page).read_text(encoding="utf-8"), mutant.text
    lines = (text.splitlines()[mutant.line - 1].strip() for text in texts)
    return (old, new), (old, "*"), tuple(lines)


class Collected:
    """A pytest plugin: when the tests are collected, `work` is done instead of running them."""

    def __init__(self, work):
        self.work = work

    def pytest_runtestloop(self, session):
        self.work(session)
        return True


def in_a_fork(work, session, seconds):
    """The id of a process that does `work` and exits with what that returns.

    It counts as killed if it takes longer than `seconds` of CPU, or if it hangs.
    """
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.alarm(int(20 * seconds))
        with tempfile.TemporaryDirectory() as folder:
            os.environ["PYTEST_DEBUG_TEMPROOT"] = folder
            status = work(session)
    finally:
        os._exit(status)


def passes(session, item):
    """Run one test."""
    before = session.testsfailed
    session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    return session.testsfailed == before


def run_all(jobs, tasks):
    """Yields (task, exit status) of each, `jobs` forks at a time.

    tasks  pairs of a task and a function that starts it and returns its process id
    """
    running, waiting = {}, list(tasks)[::-1]
    while running or waiting:
        while waiting and len(running) < jobs:
            task, start = waiting.pop()
            running[start()] = task
        pid, status = os.wait()
        yield running.pop(pid), status


# ---- which test enters which function ----


def recorded(session, jobs):
    """{test: (seconds, the functions it enters, as "page:name")}, brought up to date."""
    known = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    items = {}
    for item in session.items:
        items.setdefault(item.nodeid.split("::")[0], []).append(item)
    digests = {file: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in items}
    for file in items:
        if known.get(file, {}).get("digest") != digests[file]:
            known.pop(file, None)
    RECORD.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        notes = {file: Path(folder, Path(file).name) for file in items}
        tasks = [(file, partial(in_a_fork, partial(watch, items[file], notes[file]), session, 600))
                 for file in items if file not in known]
        for file, _ in run_all(jobs, tasks):
            tests = json.loads(notes[file].read_text()) if notes[file].exists() else {}
            if len(tests) < len(items[file]):
                print(f"{file}: {len(items[file]) - len(tests)} fail without a mutant", flush=True)
            if tests:
                known[file] = {"digest": digests[file], "tests": tests}
                RECORD.write_text(json.dumps(known))
    rows = [known[file]["tests"] for file in items if file in known]
    return {test: row for tests in rows for test, row in tests.items()}


def watch(items, notes, session):
    """Runs tests and writes {test: (seconds, functions)} of those that pass."""
    rows, entered = {}, set()

    def note(frame, event, arg):
        entered.add(frame.f_code)

    threading.settrace(note)
    for item in items:
        entered.clear()
        start = cpu_seconds()
        sys.settrace(note)
        good = passes(session, item)
        sys.settrace(None)
        if good:
            seconds = round(cpu_seconds() - start, 4)
            rows[item.nodeid] = seconds, sorted({*filter(None, map(name_of, [*entered]))})
    notes.write_text(json.dumps(rows))
    return 0


def cpu_seconds():
    """Of this process and of all that it has started and waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


@lru_cache(maxsize=None)
def name_of(code):
    """"page:name" of code in the package, the name that of the function or class at the top."""
    if not code.co_filename.startswith(f"{ROOT}/npattn/") or code.co_name == "<module>":
        return None
    page = os.path.relpath(code.co_filename, ROOT)
    return f"{page}:{around(page_tree(page), code.co_firstlineno)}"


@lru_cache(maxsize=None)
def page_tree(page):
    return ast.parse((ROOT / page).read_bytes())


def tests_of(mutant, record):
    """The tests that enter the edited function, then those that enter its page: the shortest first.

    The page's own count as ten times as short. Functions with a cache are entered by few tests,
    and felt by more; what acts at import is seen by tests that enter nothing, too."""
    stem, page = Path(mutant.page).stem, f"{mutant.page}:"
    key = page + mutant.where
    ranks = {test: 0 if key in names else 1 for test, (_, names) in record.items()
             if any(name.startswith(page) for name in names)}
    if acts_at_import(mutant, record):
        ranks |= {test: 0 for test, (_, names) in record.items() if not names}

    def order(test):
        return ranks[test], record[test][0] * (0.1 if stem in test else 1.0)

    tests, total = [], 0.0
    for test in sorted(ranks, key=order):
        total += record[test][0]
        if total <= SECONDS:
            tests.append(test)
    return tests


# ---- a mutant in a process ----


def functions_and_caches():
    """{(file, line, name): the functions made of that code}, and all caches of the package."""
    functions, caches = {}, []
    for thing in gc.get_objects():
        if type(thing) is FunctionType:  # isinstance asks proxies, some of which warn
            code = thing.__code__
            key = code.co_filename, code.co_firstlineno, code.co_name
            functions.setdefault(key, []).append(thing)
        elif hasattr(type(thing), "cache_clear") and thing.__module__.startswith("npattn"):
            caches.append(thing)
    return functions, caches


def plant(mutant, functions, caches):
    """The mutant takes the place of the page's functions in this process."""
    for one, other in codes_of(mutant):
        for function in functions.get((one.co_filename, one.co_firstlineno, one.co_name), ()):
            function.__code__ = other
    for cache in caches:
        cache.cache_clear()


def acts_at_import(mutant, record):
    """Whether the edit is of a constant, a default, a class, or of what no test enters."""
    key = f"{mutant.page}:{mutant.where}"
    return not any(key in names for _, names in record.values()) or any(
        not one.co_flags & inspect.CO_OPTIMIZED and instructions(one) != instructions(other)
        for one, other in codes_of(mutant)
    )


def instructions(code):
    """What code does, without the functions and classes in it."""
    inner = [constant for constant in code.co_consts if not isinstance(constant, CodeType)]
    return code.co_code, code.co_names, repr(inner)


def codes_of(mutant):
    """Pairs of the code of a page and of the mutant."""
    path = str(ROOT / mutant.page)
    return codes(*(compile(text, path, "exec") for text in (Path(path).read_bytes(), mutant.text)))


def codes(one, other):
    """Pairs of the code objects in two that are alike but for an edit, the inner ones as well."""
    yield one, other
    inner = [[c for c in code.co_consts if isinstance(c, CodeType)] for code in (one, other)]
    for pair in zip(*inner):
        yield from codes(*pair)


def imported_anew(mutant, tests, seconds, session):
    """The exit status of the tests in a fresh process that imports the mutant as the page."""
    python = [sys.executable, "-c", "from tests import mutants; mutants.run_with_page()"]
    words = json.dumps([mutant.page, mutant.text, tests])
    try:
        return subprocess.run(python, input=words, text=True, timeout=60 + seconds).returncode
    except subprocess.TimeoutExpired:
        return 1


def run_with_page():
    """Run the tests, in this fresh process, with the page that stdin holds."""
    import pytest

    page, text, tests = json.load(sys.stdin)

    class Loader(SourceFileLoader):
        def get_code(self, fullname):
            return compile(text, self.path, "exec")

    class Finder:
        @staticmethod
        def find_spec(name, path, target=None):
            if name == module_of(page):
                return spec_from_loader(name, Loader(name, str(ROOT / page)))

    sys.meta_path.insert(0, Finder)
    sys.exit(pytest.main([*FLAGS, "-x", *tests]))


def module_of(page):
    return page.removesuffix(".py").replace("/", ".")


def own_tests():
    return [f"tests/{path.name}" for path in sorted(Path("tests").glob("test_*.py"))
            if not OTHER_ROOMS.search(path.name)]


def survivors_of(mutants, files, jobs):
    """Those that no test in the files noticed; each is printed as it is found."""
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "NPATTN_THOROUGH": "1",
                   "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    import pytest

    survivors = []
    hunt = Collected(lambda session: survivors.extend(hunted(session, mutants, jobs)))
    if pytest.main([*FLAGS, *files], plugins=[hunt]) == pytest.ExitCode.INTERNAL_ERROR:
        sys.exit("the hunt has broken off")
    return survivors


def hunted(session, mutants, jobs):
    """Yields the mutants that live."""
    import npattn.checking.jax_functions  # noqa: F401  every page must be there
    import npattn.checking.torch_functions  # noqa: F401

    record = recorded(session, jobs)
    items = {item.nodeid: item for item in session.items}
    functions, caches = functions_and_caches()
    gc.freeze()

    def survives(mutant, tests, session):
        plant(mutant, functions, caches)
        for test in tests:
            signal.alarm(60 + int(20 * record[test][0]))  # threads may wait for ever
            if not passes(session, items[test]):
                return 1
        return 0

    def start(mutant, tests):
        seconds = 10 + 5 * sum(record[test][0] for test in tests)
        if acts_at_import(mutant, record):
            work = partial(imported_anew, mutant, tests, seconds)
        else:
            work = partial(survives, mutant, tests)
        return in_a_fork(work, session, seconds)

    plans = {mutant: tests_of(mutant, record) for mutant in mutants}
    begin = time.perf_counter()
    tasks = [(mutant, partial(start, mutant, tests)) for mutant, tests in plans.items()]
    for n, (mutant, status) in enumerate(run_all(jobs, tasks), 1):
        if status == 0:
            print(f"{mutant}    lives through {len(plans[mutant])} tests", flush=True)
            yield mutant
        if n % 50 == 0:
            print(f"{n} of {len(mutants)}, {time.perf_counter() - begin:.0f} s", flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", help="pages or folders; default: " + ", ".join(ROOMS))
    parser.add_argument("--sample", type=int, metavar="N", help="how many are drawn; 0 means all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--tests", nargs="+", metavar="FILE", help="only these test files")
    options = parser.parse_args(arguments)
    os.chdir(ROOT)
    pages = pages_of(options.pages or ROOMS)
    mutants = [mutant for page in pages for mutant in mutants_of(page)]
    size = (0 if options.pages else 300) if options.sample is None else options.sample
    drawn = random.Random(options.seed).sample(mutants, min(size or len(mutants), len(mutants)))
    listed = equivalents()
    real = [mutant for mutant in drawn if not is_equivalent(mutant, listed)]
    print(f"{len(mutants)} mutants of {len(pages)} pages, {len(drawn)} drawn, "
          f"{len(drawn) - len(real)} of them equivalent", flush=True)
    killed = len(real) - len(survivors_of(real, options.tests or own_tests(), options.jobs))
    rate = killed / max(1, len(real))
    print(f"killed {killed} of {len(real)}: {rate:.1%}")
    return 0 if rate >= GOAL else 1


def pages_of(paths):
    """The pages under some folders, and pages themselves."""
    files = [file for path in map(Path, paths)
             for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    return [str(file) for file in files if file.name != "__init__.py"]


if __name__ == "__main__":
    sys.exit(main())
