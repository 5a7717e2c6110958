"""What is handed in: the source of a file or a notebook, and which exercise it answers."""

import ast
import io
import json
import re
import tokenize

from npattn.edits import NO_PYTHON
from npattn.exercises.registry import function_name, headings

FIRST = re.compile(r'\s*[rRuU]?(?:"""|\'\'\')\s*([\w-]+):')
LARGEST = 4 << 20  # bytes


class Unreadable(ValueError):
    """A file that is no text, or no notebook: why, and what to do."""


def read_source(path, name=None):
    """The Python in a file; of a notebook the cell that defines the function of `name`.

    In front of that cell stand the imports and definitions of the cells before it. Without a name
    it is all code of the notebook that is Python. Raises Unreadable.
    """
    if path.stat().st_size > LARGEST:
        raise Unreadable(f"the file has more than {LARGEST >> 20} MiB; hand in the source alone")
    text = _decoded(path.read_bytes())
    return _notebook(text, name) if path.suffix.lower() == ".ipynb" else text


def exercises_of(path):
    """The exercises that a file answers, [] if it does not tell. Raises Unreadable.

    The first line names one, as `npattn exercise start` writes it; else the functions that the
    file defines do, in a notebook all of them, elsewhere the one that the file's name holds, or
    else the last; else the name.
    """
    source = read_source(path)
    first = FIRST.match(source)
    if first and first[1] in headings():
        return [first[1]]
    known = {function_name(name): name for name in headings()}
    stem = path.stem.replace("-", "_")
    defined = [known[name] for name in dict.fromkeys(_defined(source)) if name in known]
    named = [name for name in defined if function_name(name) in stem]
    named = named or [known[name] for name in known if not defined and name in stem]
    if named:
        return [max(named, key=len)]
    return defined if path.suffix.lower() == ".ipynb" else defined[-1:]


def _decoded(data):
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Unreadable("the file is in UTF-16; save it as UTF-8")
    if b"\0" in data:
        raise Unreadable("the file is no text; save it as UTF-8")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise Unreadable(f"the file is not in UTF-8 ({error}); save it as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _notebook(text, name):
    try:
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        sources = ["".join(cell["source"]) for cell in cells]
    except (ValueError, KeyError, TypeError):
        raise Unreadable("the file is no notebook of format 4") from None
    if name is None:
        return "\n\n".join(source for source in sources if _parsed(source))
    wanted, kept = function_name(name), []
    homes = [i for i, source in enumerate(sources) if wanted in _defined(source)]
    if not homes:
        raise Unreadable(f"no cell of the notebook defines {wanted}")
    for source in sources[: homes[-1]]:
        kept += [ast.unparse(node) for node in _parsed(source) if _needed(node, wanted)]
    return "\n\n".join([*kept, sources[homes[-1]]])


def _needed(node, wanted):
    """Whether a statement of an earlier cell goes with the answer."""
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").split(".")[0] != "npattn"
    if isinstance(node, ast.Import):
        return not any(alias.name.split(".")[0] == "npattn" for alias in node.names)
    return isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name != wanted


def _parsed(source):
    """The statements of a source, none if it is not Python (a notebook's magic, say)."""
    try:
        return ast.parse(source).body
    except NO_PYTHON:
        return []


def _defined(source):
    """The names that a source binds at its top, in order; of broken Python those of its `def`s."""
    body = _parsed(source)
    if not body:
        return re.findall(r"^def (\w+)", source, flags=re.M)
    names = []
    for node in body:
        if isinstance(node, ast.FunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.ImportFrom):
            names += [alias.asname or alias.name for alias in node.names]
    return names
