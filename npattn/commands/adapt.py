"""Adapt the dates model from English to Chinese, and measure what has to move.

    npattn adapt --seeds 0 1 2 --out FILE

For each seed a model learns the English formats, then the Chinese ones while only the source
embeddings move, or these and the cross-attention, or everything; a random model does the same for
comparison. FILE gets all numbers as JSON. The same seeds give the same file.
"""

from pathlib import Path

from npattn.commands import InputError, require_file

HELP = "adapt the dates model to Chinese by its cross-attention"


def configure(parser):
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="SEED")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="ends in .json")


def run(options):
    from npattn.experiments import adaptation

    require_file("--out", options.out, ".json")
    if min(options.seeds) < 0 or len(set(options.seeds)) < len(options.seeds):
        raise InputError(f"--seeds must be different numbers from 0, got {options.seeds}")
    runs, heads = [], {}
    for seed in options.seeds:
        for result, params in adaptation.adapt(seed, progress=True):
            runs.append(result)
            print(f"seed {seed}, {result.start}, {result.moves}: {result.chinese:.1%}", flush=True)
            if seed == options.seeds[0] and result.start == adaptation.STARTS[0]:
                heads[result.moves] = adaptation.heads(params)
    adaptation.save(options.out, adaptation.Results(runs, heads))
    print(adaptation.table(runs))
    print(f"wrote {options.out}")
    return 0
