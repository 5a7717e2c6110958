"""Is this attention code right, and if not, which mistake is it?

    npattn doctor mine.py:attention
    npattn doctor mine.py:MultiHead --heads 4 --mask drop
    npattn doctor --gallery

NAME is a function, a class or an object of the file; NumPy or torch. The file runs in a process of
its own, with limits on time and memory: run files of people whom you do not trust in a container.
What cannot be seen from a signature is guessed by trying, or said by the options below, or by a
line in the file with the same names:

    # npattn: mask=drop heads=4 layout=bthd causal=yes

Exit code 0 right, 1 wrong or undecided, 2 what cannot be run.
"""

import ast
from pathlib import Path

from npattn.commands import InputError
from npattn.edits import NO_PYTHON

HELP = "say whether anybody's attention code is right, and which mistake it has"


def configure(parser):
    from npattn.doctor.hints import HINTS

    parser.add_argument("subject", metavar="FILE.py:NAME", nargs="?")
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.add_argument("--gallery", action="store_true", help="well-known snippets, each with its "
                                                               "verdict")
    parser.add_argument("--limit", type=float, default=45.0, metavar="SECONDS",
                        help="that the code may take in all (default: 45)")
    for name, hint in HINTS.items():
        values = "|".join(hint.values) or hint.kind.__name__.upper()
        parser.add_argument(f"--{name.replace('_', '-')}", metavar=values, help=hint.words)


def run(options):
    from npattn.doctor import Diagnosis, doctor
    from npattn.doctor.hints import HINTS, HintError

    if options.gallery:
        from npattn.doctor import gallery

        print(gallery.table())
        return 0
    path, _, name = (options.subject or "").rpartition(":")
    try:
        if not path or not name:
            raise ValueError(_which(options.subject))
        if not 0 < options.limit <= 3600:
            raise ValueError(f"--limit must be from 0 to 3600 seconds, got {options.limit:g}")
        given = {key: getattr(options, key) for key in HINTS}
        found = doctor(options.subject, limit=options.limit, **given)
    except (ValueError, HintError) as error:
        if not options.json:
            raise InputError(str(error)) from error
        found = Diagnosis("undecided", trouble=str(error), subject=options.subject or "")
    if options.json:
        print(found.to_json())
    elif found.trouble:
        raise InputError(found.trouble)
    else:
        print(found)
    return found.code


def _which(subject):
    """What to say where no name is given: the names of the file, if there is one."""
    said = f"{subject or 'nothing'}: name a file and what is in it, as in mine.py:attention"
    try:
        body = ast.parse(Path(subject).read_text(encoding="utf-8-sig")).body
    except (OSError, TypeError, *NO_PYTHON):
        return said
    names = [n.name for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    return f"{said}; {subject} holds {', '.join(names) or 'no function and no class'}"
