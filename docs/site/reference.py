"""The reference: a page for each module, and for each package a table of its public names.

The tables are grouped as `__all__` is: a comment line in that list heads the names below it; for
npattn itself, a comment line in _names.py. A page ends with the source of its module. Packages
stand in the contents at the side; their modules are found from them and by the search.
"""

import importlib.util
import inspect
import pkgutil
import re
import sys
from types import ModuleType

import docstrings
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from sphinx.ext.autodoc.mock import mock

import npattn

LEFT_OUT = re.compile(  # what runs the package, not what it offers
    r"npattn\.(__main__|cli|commands|benchmarks|verification|breaking|edits|strangers|files)\b"
    r"|npattn\.(exercises|doctor|plots\.explorer)\.|.*\._"
)


def absent():
    """The libraries that our modules import at their top and that are not installed."""
    return [name for name in ("torch", "dask", "distributed") if not importlib.util.find_spec(name)]


def modules():
    """The names of all modules that have a page, npattn first."""
    found = pkgutil.walk_packages(npattn.__path__, "npattn.", onerror=lambda name: None)
    return ["npattn", *(m.name for m in found if not LEFT_OUT.match(m.name))]


def write(folder):
    """A page for each module into `folder`, and one for the commands."""
    pages = modules()
    with mock(absent()):
        for name in pages:
            importlib.import_module(name)
    homes = {}  # of what a module without a page defines: the first page that lists it
    for name in pages:
        for n in getattr(sys.modules[name], "__all__", ()):
            thing = getattr(sys.modules[name], n)
            if getattr(thing, "__module__", None) not in pages:
                homes.setdefault(id(thing), f"{name}.{n}")
    for name in pages:
        inside = [page for page in pages if page.rpartition(".")[0] == name]
        text = "\n".join(_page(name, sys.modules[name], inside, {*pages}, homes))
        (folder / f"{name}.rst").write_text(text + "\n", encoding="utf-8")
    (folder / "commands.rst").write_text("\n".join(_commands()) + "\n", encoding="utf-8")


def _page(name, module, inside, pages, homes):
    groups = _groups(module) if hasattr(module, "__all__") else {"": _own(module, pages)}
    home = {n: _home(getattr(module, n), pages, homes) for names in groups.values() for n in names}
    here = [n for n in home if home[n] in (None, f"{name}.{n}")]
    if not hasattr(module, "__path__"):
        yield from (":orphan:", "")
    yield from _heading(name, "=")
    yield from (f".. automodule:: {name}", "")
    for title, names in groups.items():
        there = [n for n in names if n not in here and not _is_alias(n, home)]
        if there and title:
            yield from _heading(title[0].upper() + title[1:], "-")
        yield from _table((home[n], getattr(module, n)) for n in there)
    if here and len(here) < len(home):
        yield from _heading("Defined here", "-")
    for n in here:
        yield from _entry(n, getattr(module, n))
    for n in home:
        if n not in here and _is_alias(n, home):
            yield from (f".. py:data:: {n}", "", f"   Another name of :py:obj:`~{home[n]}`.", "")
    if inside:
        yield from _heading("Pages", "-")
        yield from _table((f"mod:{page}", sys.modules[page]) for page in inside)
        rooms = [page for page in inside if hasattr(sys.modules[page], "__path__")]
        yield from (".. toctree::", "   :hidden:", "", *(f"   {room}" for room in rooms), "")
    if not hasattr(module, "__path__"):
        yield from _heading("Source", "-")
        source = highlight(inspect.getsource(module), PythonLexer(), HtmlFormatter())
        yield from (".. raw:: html", "", *(f"   {line}" for line in source.splitlines()), "")


def _groups(module):
    """{comment: names} in the order of __all__; without comments one group, ""."""
    if module is npattn:
        listed = inspect.getsource(importlib.import_module("npattn._names")).split('"""')[2]
        parts = re.findall(r"^# (.*)|(?:import |, |^    )\(?(\w+)", listed, re.M)
    else:
        listed = re.search(r"^__all__ = \[(.*?)^\]", inspect.getsource(module), re.S | re.M)
        parts = re.findall(r'# (.*)|"(\w+)"', listed[1] if listed else "")
    groups, title = {}, ""
    for comment, name in parts:
        title = comment or title
        if name:
            groups.setdefault(title, []).append(name)
    return groups or {"": list(module.__all__)}


def _own(module, pages):
    """The public names that a module without __all__ defines, or pages of it without one here."""
    def is_own(name, thing):
        where = getattr(thing, "__module__", None) or ""
        inside = where.startswith(f"{module.__name__}.") and where not in pages
        return not name.startswith("_") and (where == module.__name__ or inside)

    return [
        name for name, thing in vars(module).items()
        if is_own(name, thing) and hasattr(thing, "__qualname__") and inspect.getdoc(thing)
    ]  # fmt: skip


def _home(thing, pages, homes):
    """The dotted name under which `thing` is documented, "mod:" before that of a module."""
    if isinstance(thing, ModuleType):
        return f"mod:{thing.__name__}" if thing.__name__ in pages else None
    module = getattr(thing, "__module__", None)
    if module in pages and hasattr(thing, "__qualname__"):
        return f"{module}.{thing.__name__}"
    return homes.get(id(thing))


def _is_alias(name, home):
    return not home[name].startswith("mod:") and home[name].rpartition(".")[2] != name


def _table(rows):
    rows = list(rows)
    if rows:
        yield from (".. list-table::", "   :widths: 35 65", "")
    for target, thing in rows:
        role, name = ("doc", target[4:]) if target.startswith("mod:") else ("obj", f"~{target}")
        yield f"   * - :{'py:' * (role == 'obj')}{role}:`{name}`"
        yield f"     - {docstrings.summary(thing)}"
    yield ""


def _entry(name, thing):
    if inspect.isclass(thing):
        yield from (f".. autoclass:: {name}", "   :members:", "")
    elif callable(thing):
        yield from (f".. autofunction:: {name}", "")
    else:
        yield from (f".. py:data:: {name}", "")


def _commands():
    """The help texts of the command line."""
    from npattn.cli import COMMANDS

    yield from _heading("Commands", "=")
    yield from ("``npattn COMMAND --help`` lists the options of each.", "")
    for name in COMMANDS:
        yield from _heading(f"npattn {name}", "-")
        yield from docstrings.as_rst([importlib.import_module(f"npattn.commands.{name}").__doc__])


def _heading(text, line):
    return text, line * len(text), ""
