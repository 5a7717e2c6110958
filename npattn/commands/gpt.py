"""A whole GPT on one page: train it, break it, and be told what is broken.

    npattn gpt                       learns names, invents new ones, checks every gradient
    npattn gpt break --list          what can be broken
    npattn gpt break NAME [NAME]     writes my_gpt.py, a copy with this mistake
    npattn gpt check my_gpt.py       says which gradients of a copy are wrong, and why
    npattn gpt curves --out F.json   trains every broken copy in small sizes, in two minutes

The page is npattn/gpt.py, which runs by itself, too: python gpt.py. `npattn gpt break` without a
name writes a copy that is right, for you to change.
"""

import difflib
from pathlib import Path

from npattn.commands import InputError, require_file, require_seed

HELP = "a whole GPT on one page; break it, and be told what is broken"


def configure(parser):
    parser.set_defaults(act=_train)
    parser.add_argument("--seed", type=int, default=0, help="of the training (default: 0)")
    parser.add_argument("--steps", type=int, default=1500, help="of the training (default: 1500)")
    actions = parser.add_subparsers(metavar="ACTION")

    check = actions.add_parser("check", help="say what is wrong with an edited copy, and why")
    check.add_argument("file", metavar="FILE", type=Path)
    check.set_defaults(act=_check)

    broken = actions.add_parser("break", help="write a copy with a mistake")
    broken.add_argument("names", metavar="NAME", nargs="*", help="which; several are all made")
    broken.add_argument("--list", action="store_true", help="print what can be broken")
    broken.add_argument("--out", metavar="FILE", type=Path, default=Path("my_gpt.py"),
                        help="default: my_gpt.py")
    broken.add_argument("--force", action="store_true", help="write over a file that is there")
    broken.set_defaults(act=_break)

    curves = actions.add_parser("curves", help="measure how far every broken copy still trains")
    curves.add_argument("--out", metavar="FILE", type=Path, required=True, help="ends in .json")
    curves.set_defaults(act=_curves)


def run(options):
    return options.act(options)


def _train(options):
    from npattn import gpt

    require_seed(options.seed)
    if options.steps < 1:
        raise InputError(f"--steps must be at least 1, got {options.steps}")
    gpt.main(options.seed, options.steps)
    return 0


def _check(options):
    from npattn.breaking import check_file

    if not options.file.is_file():
        raise InputError(f"there is no file {options.file}; `npattn gpt break` writes one")
    verdict = check_file(options.file)
    print(verdict)
    return 0 if verdict.right and verdict.same and not verdict.findings else 1


def _break(options):
    from npattn.breaking.catalogue import CATALOGUE, EDITS, broken
    from npattn.edits import Overlap
    from npattn.files import replace_file

    if options.list:
        for function, edits in CATALOGUE.items():
            print(function)
            for name, edit in edits.items():
                print(f"  {name:28} {edit.words}")
        return 0
    for name in options.names:
        if name not in EDITS:
            near = difflib.get_close_matches(name, EDITS, n=3, cutoff=0.4)
            hint = f"did you mean {' or '.join(near)}?" if near else "--list names them all"
            raise InputError(f"nothing to break is called {name!r}; {hint}")
    require_file("--out", options.out, ".py")
    if options.out.exists() and not options.force:
        raise InputError(f"{options.out} is there already; --force writes over it, or name another "
                         "with --out FILE")
    try:
        text = broken(*dict.fromkeys(options.names))
    except Overlap as error:
        raise InputError(f"{' and '.join(options.names)} exclude each other: {error}") from error
    print(f"wrote {replace_file(options.out, text.encode())}; to check it: "
          f"npattn gpt check {options.out}")
    return 0


def _curves(options):
    from npattn.experiments import broken
    from npattn.files import replace_file

    require_file("--out", options.out, ".json")
    found = broken.measure(lambda name, row: print(f"{name:28} {broken.last(row):.3f}", flush=True))
    print(f"wrote {replace_file(options.out, broken.dump(found))}")
    return 0
