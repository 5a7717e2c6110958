"""Train the weights of an experiment from nothing and write them to a file.

    npattn train dates --seed 0 --out FILE

The same seed gives the same file. Beside FILE a checkpoint grows, FILE.checkpoint, every 250
steps, for lora every 20: --resume goes on from it, with the same seed and steps, and it is removed
when FILE is complete. Experiments:

    dates        a Transformer that reads dates in English and Chinese
    translation  a Transformer that translates English phrases into French
    bahdanau     the same by a recurrent network with additive attention
    series       a Transformer that forecasts the delays of New York's flights
    digits       a vision Transformer that reads handwritten digits (needs scikit-learn)
    lora         SmolLM2, adapted to read dates: FILE is adapter_model.safetensors, as peft reads
                 it; `npattn llm --lora FILE` uses it (needs the weights, see `npattn llm --help`)
"""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from npattn.commands import InputError, require_file, require_seed

HELP = "train the weights of an experiment from nothing"


class Experiment(NamedTuple):
    """What the command needs to know of an experiment."""

    train: Any     # (seed=…, steps=…, **options of fit) -> FitResult
    steps: int
    metadata: Any  # FitResult -> dict to go with the weights
    verdict: Any   # (params, seed) -> a few words about held-out data
    suffix: str = ".npz"
    save: Any = None  # (path, params) where the file is no tree of this package


def _dates():
    from npattn.experiments import dates

    def verdict(params, seed):
        share = dates.exact_match(params, dates.held_out_batch())
        return f"{share:.1%} of 1000 dates of days not trained on are read right, every character"

    return Experiment(dates.train, dates.STEPS, lambda result: {}, verdict)


def _translation(name):
    from npattn.experiments import translation

    def metadata(result):
        return {"curves": translation.curves(result)}

    def verdict(params, seed):
        found = translation.evaluate(params)
        return f"BLEU {found['bleu']:.4f}, {found['exact']:.1%} exact, on pairs not trained on"

    recipe = getattr(translation, name)
    return Experiment(partial(translation.train, recipe), recipe.steps, metadata, verdict)


def _series():
    from npattn.experiments import series

    def verdict(params, seed):
        errors = series.results({seed: params})
        return f"squared errors on days not trained on\n{series.table(errors)}"

    return Experiment(series.train, series.STEPS, lambda result: {}, verdict)


def _digits():
    from npattn.experiments import digits

    try:
        digits.digits()
    except ImportError as error:
        raise InputError(error) from error

    def verdict(params, seed):
        return f"{digits.accuracy(params):.1%} of {digits.HELD_OUT} held-out digits are read right"

    return Experiment(digits.train, digits.STEPS, lambda result: {}, verdict)


def _lora():
    from npattn.commands.llm import load
    from npattn.experiments import lora
    from npattn.weights.adapters import save_updates

    weights = load(None, "smollm2")

    def verdict(updates, seed):
        before, after = (lora.count_right(weights, u, seed=seed) for u in (None, updates))
        return f"{after} of {lora.TESTED} new dates are right, {before} before"

    def save(path, updates):
        save_updates(path, updates, weights.config)

    return Experiment(
        partial(lora.train, weights), lora.STEPS, None, verdict, ".safetensors", save
    )


EXPERIMENTS = {
    "dates": _dates,
    "translation": partial(_translation, "TRANSFORMER"),
    "bahdanau": partial(_translation, "BAHDANAU"),
    "series": _series,
    "digits": _digits,
    "lora": _lora,
}


def configure(parser):
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE",
                        help="ends in .npz, or .safetensors for lora")
    parser.add_argument("--steps", type=int, default=None, help="fewer steps, for a quick look")
    parser.add_argument("--resume", action="store_true", help="go on from FILE.checkpoint")


def run(options):
    from npattn.training.checkpoints import save_tree

    experiment = EXPERIMENTS[options.experiment]()
    steps = experiment.steps if options.steps is None else options.steps
    require_file("--out", options.out, experiment.suffix)
    checkpoint = options.out.with_name(options.out.name + ".checkpoint")
    _require(options, steps, checkpoint)
    recipe = {"seed": options.seed, "steps": steps}
    try:
        result = experiment.train(
            **recipe, checkpoint=checkpoint, resume=options.resume, label=recipe, progress=True
        )
    except ValueError as error:  # a CheckpointError, for instance
        raise InputError(error) from error
    except KeyboardInterrupt as interrupt:  # with a hint for those who call `fit`
        raise KeyboardInterrupt(str(interrupt).replace("resume=True", "--resume")) from None
    if experiment.save is None:
        save_tree(options.out, result.params, {**recipe, **experiment.metadata(result)})
    else:
        experiment.save(options.out, result.params)
    checkpoint.unlink(missing_ok=True)
    print(experiment.verdict(result.params, options.seed))
    print(f"wrote {options.out}")
    return 0


def _require(options, steps, checkpoint):
    require_seed(options.seed)
    if steps < 20:
        raise InputError(f"--steps must be at least 20, got {steps}")
    if checkpoint.is_dir():
        raise InputError(f"--out: {checkpoint} is a folder; a run keeps its progress there")
    if options.resume and not checkpoint.is_file():
        raise InputError(f"--resume: there is no {checkpoint} to go on from")
    if not options.resume and checkpoint.exists():
        raise InputError(
            f"--out: {checkpoint} holds a run that has not ended; go on with --resume, "
            "or remove the file"
        )
