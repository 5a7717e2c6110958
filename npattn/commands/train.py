"""Train the weights of an experiment from nothing and write them to a file.

    npattn train dates --seed 0 --out FILE

The same seed gives the same file. Beside FILE a checkpoint grows, FILE.checkpoint, every 250
steps: --resume goes on from it, and it is removed when FILE is complete.
"""

from pathlib import Path

from npattn.commands import InputError

HELP = "train the dates model from nothing"


def configure(parser):
    parser.add_argument("experiment", choices=["dates"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="ends in .npz")
    parser.add_argument("--steps", type=int, default=None, help="fewer steps, for a quick look")
    parser.add_argument("--resume", action="store_true", help="go on from FILE.checkpoint")


def run(options):
    from npattn.experiments import dates
    from npattn.training.checkpoints import CheckpointError

    steps = dates.STEPS if options.steps is None else options.steps
    checkpoint = options.out.with_name(options.out.name + ".checkpoint")
    _require(options, steps, checkpoint)
    try:
        result = dates.train(
            options.seed, steps=steps, checkpoint=checkpoint, resume=options.resume, progress=True
        )
    except (CheckpointError, ValueError) as error:
        raise InputError(error) from error
    share = dates.exact_match(result.params, dates.held_out_batch())
    dates.save(options.out, result.params, {"seed": options.seed, "steps": steps})
    checkpoint.unlink(missing_ok=True)
    print(f"{share:.1%} of 1000 dates of days not trained on are read right, every character")
    print(f"wrote {options.out}")
    return 0


def _require(options, steps, checkpoint):
    if options.out.suffix != ".npz":
        raise InputError(f"--out must end in .npz, got {options.out}")
    if not options.out.parent.is_dir():
        raise InputError(f"--out {options.out}: the folder {options.out.parent} does not exist")
    if options.seed < 0 or steps < 20:
        raise InputError(
            f"--seed must be at least 0 and --steps at least 20, got {options.seed} and {steps}"
        )
    if options.resume and not checkpoint.is_file():
        raise InputError(f"--resume: there is no {checkpoint} to go on from")
