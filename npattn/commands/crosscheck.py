"""Hold every kernel and every system against torch: forward and all gradients.

    npattn crosscheck --device cuda --dtype float32 --json FILE

NumPy computes in float64 with gradients by hand, torch with autograd on the device named. Last
come torch's own implementations of attention in every precision, each with its error, its time
and what it does with a query that may attend to nothing. Exit code 1 if anything disagrees.
"""

from pathlib import Path

from npattn.commands import InputError, require_file, require_seed

HELP = "compare every kernel and system with torch"


def configure(parser):
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--dtype", choices=["float64", "float32"], default="float64", help="torch's precision"
    )
    parser.add_argument("--only", metavar="TEXT", help="what has TEXT in its name")
    parser.add_argument("--seed", type=int, help="of all random numbers; a fresh one unless given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables to FILE too")


def run(options):
    from npattn.verification.devices import Unavailable

    require_file("--json", options.json)
    if options.seed is not None:
        require_seed(options.seed)
    try:
        return _run(options)
    except (ImportError, Unavailable) as error:
        raise InputError(error) from error


def _run(options):
    import secrets

    import numpy as np

    from npattn.torch_bridge import torch
    from npattn.verification import backends
    from npattn.verification.crosscheck import crosscheck
    from npattn.verification.devices import describe_device, require_device, without_tf32
    from npattn.verification.tables import write_json

    device, only = options.device, options.only
    require_device(torch, device)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    with without_tf32(torch) as tf32:
        rows = crosscheck(device, options.dtype, only, seed)
        with_backends = only is None or only in backends.NAME
        own = backends.attention_backends(device, seed) if with_backends else []
    if not rows and not own:
        raise InputError(f"--only: nothing has {only!r} in its name")
    head = {
        "numpy": np.__version__, "torch": torch.__version__, "dtype": options.dtype,
        "device": describe_device(torch, device), "tf32": tf32, "seed": seed,
    }
    _print(head, rows, own)
    if options.json:
        write_json(options.json, {**head, "rows": rows, "backends": own})
    return 0 if all(row.ok for row in (*rows, *own)) else 1


def _print(head, rows, own):
    from npattn.verification import backends
    from npattn.verification.snippets import format_snippets
    from npattn.verification.systems import SYSTEMS
    from npattn.verification.tables import format_backends, format_rows

    print(
        "NumPy {numpy} in float64 against torch {torch} in {dtype} on {device}; "
        "TF32 {tf32}; --seed {seed}".format(**head)
    )
    if rows:
        print(f"\n{format_rows(rows)}\n{sum(row.ok for row in rows)} of {len(rows)} agree")
    if own:
        print(f"\ntorch's own {backends.NAME}, against NumPy in float64\n")
        print(format_backends(own))
    systems = [row.name for row in rows if row.name in {system.name for system in SYSTEMS}]
    if systems:
        print("", *format_snippets(systems), sep="\n")
