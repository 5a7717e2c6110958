"""How far a learner is: one small file in the learner's folder, made to be read.

    {"softmax": {"solved": true, "checks": 2, "hints": 1}, ...}
"""

import json
from pathlib import Path

from npattn.files import replace_file

FILE = "npattn-exercises.json"


class ProgressError(ValueError):
    """The file is there, but it is no progress."""


def read_progress(folder):
    """{name: {"solved": bool, "checks": int, "hints": int}}, {} where there is no file.

    Raises ProgressError if the file holds anything else.
    """
    path = Path(folder, FILE)
    if not path.exists():
        return {}
    try:
        progress = json.loads(path.read_text(encoding="utf-8"))
        return {name: _record(name, given) for name, given in progress.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise ProgressError(f"{path} cannot be read ({error}); mend it or remove it") from error


def of(progress, name):
    """The record of one exercise."""
    return progress.get(name, _fresh())


def note(folder, name, **changes):
    """Change the record of one exercise, and write the file in one step.

    changes  solved=True, checks=3, …
    """
    progress = read_progress(folder)
    progress[name] = {**of(progress, name), **changes}
    lines = [f"  {json.dumps(name)}: {json.dumps(record)}" for name, record in progress.items()]
    replace_file(Path(folder, FILE), ("{\n" + ",\n".join(lines) + "\n}\n").encode())


def keep(folder, name, ok):
    """Note a check. Returns "", or why it could not be noted."""
    try:
        record = of(read_progress(folder), name)
        note(folder, name, checks=record["checks"] + 1, solved=record["solved"] or ok)
    except (ProgressError, OSError) as error:
        return f"The progress is not kept: {error}"
    return ""


def _record(name, given):
    """All fields of one exercise; TypeError unless each is of the kind that a fresh one has."""
    record = {**_fresh(), **given}
    for field, fresh in _fresh().items():
        if type(record[field]) is not type(fresh) or record[field] < fresh:
            raise TypeError(f"{name}: {field} is {record[field]!r}, not such as {fresh!r}")
    return record


def _fresh():
    return {"solved": False, "checks": 0, "hints": 0}
