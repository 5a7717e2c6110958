"""Run every forward and backward of the package through the gradient checker.

Each pair is checked in float64 with a random upstream gradient against complex step, entry by
entry. The table says how far off the worst entry is, where it is, and how small a fault in a
single entry the check would have caught. Exit code 1 if a pair fails.
"""

from difflib import get_close_matches

from npattn.commands import InputError, require_seed

HELP = "check every gradient of the package against complex step"


def configure(parser):
    parser.add_argument("--seed", type=int, default=0, help="of inputs and upstream gradients")
    parser.add_argument("name", nargs="?", help="a pair, for example attention; otherwise all")
    parser.add_argument("--only", metavar="TEXT", help="pairs with TEXT in their name")


def run(options):
    from npattn.checking import format_table
    from npattn.verification.cases import check_pairs

    require_seed(options.seed)
    reports = check_pairs(seed=options.seed, only=options.only, name=options.name)
    if not reports:
        raise InputError(_no_pair(options))
    print(format_table(reports))
    failed = [report for report in reports if not report.ok]
    for report in failed:
        print(f"\n{report}")
    print(f"\n{len(reports) - len(failed)} of {len(reports)} pairs right")
    return 1 if failed else 0


def _no_pair(options):
    """Why no pair was checked, and which names there are."""
    from npattn.verification.cases import pair_names

    if options.name is None:
        return f"--only: no pair has {options.only!r} in its name"
    near = get_close_matches(options.name, pair_names(), n=3, cutoff=0.4)
    hint = f"; near it are {', '.join(near)}" if near else ""
    return f"NAME: no pair is called {options.name!r}{hint}. `npattn check` alone lists all"
