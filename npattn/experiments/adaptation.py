"""Is cross-attention all that has to adapt? The dates model moves from English to Chinese.

    English model   all parameters, ENGLISH_STEPS steps on the English formats
    adapted model   a fresh table of source embeddings, STEPS steps on the Chinese formats;
                    besides the table moves what one of RULES selects

A source embedding belongs to its language, so the adapted model starts with a new one, random
even for the digits that both languages write. Target embedding and output layer serve both
languages and stay, unless everything moves. What is left of the English is measured with the
English table put back. As a control, a random model adapts under the same rules; for one seed
all see the same fresh table and the same batches.

`RESULTS` ships with the package; `npattn adapt` measures them again.
Source: Gheini, Ren and May 2021, "Cross-Attention is All You Need: Adapting Pretrained
Transformers for Machine Translation", settings src, src+xattn and src+body; the last of them
leaves target embedding and output layer as they are, "everything" here does not.
"""

import json
import math
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from npattn.datasets.dates import batches
from npattn.experiments.dates import (
    BATCH, CONFIG, PEAK, Reading, cross_attention, exact_match, held_out_batch, loss_and_grads,
)
from npattn.files import replace_file
from npattn.models.transformer import init_transformer
from npattn.training import fit, linear_warmup_linear_decay, one_blas_thread, select
from npattn.trees import tree_leaves

RESULTS = Path(__file__).with_name("adaptation.json")
ENGLISH_STEPS, STEPS, HELD_OUT = 1500, 600, 1000
EMBEDDING, CROSS_ATTENTION = "encode.embedding", "cross_attention"
RULES = {  # which parameters move, by path; to the cross-attention belongs its layer norm
    "embeddings": lambda path: path == EMBEDDING,
    "embeddings, cross-attention": lambda path: path == EMBEDDING or CROSS_ATTENTION in path,
    "everything": lambda path: True,
}
STARTS = "English model", "random model"
TEXT, ANSWER = "二〇二四年七月十八日", "2024-07-18"  # what the heatmaps read; a held-out day


class Run(NamedTuple):
    """One model and how well it reads: the shares of held-out dates without a wrong character."""

    seed: int
    start: str       # one of STARTS
    moves: str       # one of RULES, or "nothing"
    parameters: int  # how many numbers moved
    steps: int
    chinese: float
    english: float | None  # with the English source embeddings; None for a random model


class Results(NamedTuple):
    """What the experiment measured, over all seeds, and where the first seed's models look."""

    runs: list   # of Run
    heads: dict  # moves -> weights (H, 10, 10) of the adapted English model


def learn(params, formats, moves, rng, *, steps, progress=None):
    """The parameters after `steps` steps on dates in `formats`, moving what `moves` selects.

    params    TransformerParams for CONFIG
    formats   as in `npattn.datasets.dates.format_names`
    moves     path -> bool, or None for all
    rng       numpy.random.Generator
    progress  as `fit` takes it
    """
    schedule = partial(linear_warmup_linear_decay, peak=PEAK, warmup=steps // 20, total=steps)

    def next_batch(rng):
        return next(batches(rng, BATCH, formats=formats, count=1))

    with one_blas_thread():
        return fit(
            params, loss_and_grads, next_batch, steps=steps, rng=rng, schedule=schedule,
            moves=moves, progress=progress,
        ).params


def with_table(params, E):
    """The parameters with E (source_vocabulary, D) as the source embedding."""
    return params._replace(encode=params.encode._replace(embedding=E))


def adapt(seed, *, english_steps=ENGLISH_STEPS, steps=STEPS, held_out=HELD_OUT, progress=None):
    """Train the English model, then adapt it, and a random one, under each of RULES.

    seed      of all that is random but the held-out dates, which are always the same
    held_out  how many dates of days not trained on each Run is measured on, per language
    progress  as `fit` takes it

    Yields (Run, TransformerParams) as soon as each is measured; the first is the English model
    as it is, reading Chinese without ever having seen any.
    """
    english_rng, random_rng, fresh_rng = np.random.default_rng(seed).spawn(3)
    chinese_dates, english_dates = (held_out_batch(held_out, formats=f) for f in ("zh", "en"))

    def new(rng):
        return init_transformer(CONFIG, rng, dtype=np.float32)

    def measured(params, start, moves, rule, steps):
        moved = sum(leaf.size for leaf in tree_leaves(select(params, rule)))
        english = None
        if start == "English model":
            english = exact_match(with_table(params, parent.encode.embedding), english_dates)
        chinese = exact_match(params, chinese_dates)
        return Run(seed, start, moves, moved, steps, chinese, english), params

    parent = learn(
        new(english_rng), "en", None, english_rng, steps=english_steps, progress=progress
    )
    yield measured(parent, "English model", "nothing", lambda path: False, 0)
    fresh = new(fresh_rng).encode.embedding
    for start, params in zip(STARTS, (parent, new(random_rng)), strict=True):
        for moves, rule in RULES.items():
            adapted = learn(
                with_table(params, fresh), "zh", rule, np.random.default_rng(seed),
                steps=steps, progress=progress,
            )
            yield measured(adapted, start, moves, rule, steps)


def heads(params):
    """The cross-attention (H, 10, 10) of a model that reads TEXT and is told ANSWER."""
    return cross_attention(params, Reading(TEXT, ANSWER, math.nan))[0][0]


def save(path, results):
    """Write Results as JSON, weights to four decimals; the file is whole or as it was."""
    weights = {moves: np.round(P.astype(float), 4).tolist() for moves, P in results.heads.items()}
    content = {"runs": [run._asdict() for run in results.runs], "heads": weights}
    replace_file(path, (json.dumps(content, allow_nan=False) + "\n").encode())


def load(path=RESULTS):
    """The Results in `path`; the shipped ones unless another file is named."""
    content = json.loads(path.read_text(encoding="utf-8"))
    weights = {moves: np.array(P) for moves, P in content["heads"].items()}
    return Results([Run(**run) for run in content["runs"]], weights)


def table(runs):
    """The runs as lines of text: for each start and rule the mean, least and greatest share."""
    rows = [("start", "moves", "parameters", "steps", "Chinese", "English left")]
    groups = {}
    for run in runs:
        key = run.start, run.moves, f"{run.parameters:,}", str(run.steps)
        groups.setdefault(key, []).append(run)
    for key, group in groups.items():
        shares = zip(*((run.chinese, run.english) for run in group), strict=True)
        rows.append((*key, *map(_spread, shares)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = "<<>>>>"
    return "\n".join(
        "  ".join(f"{c:{side}{w}}" for c, side, w in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    )


def _spread(shares):
    if None in shares:
        return ""
    return f"{np.mean(shares):.1%} ({min(shares):.1%} – {max(shares):.1%})"


def adaptation(results=None):
    """The cross-attention before and after: a row for each model, reading one Chinese date.

    results  Results; None means those that ship

    Returns a matplotlib Figure.
    """
    from npattn.plots import head_grid

    before, *after = heads = (results or load()).heads
    axes = head_grid(
        np.stack([*heads.values()]), list(ANSWER), list(TEXT),
        row_titles=["before", *(f"moved: {moves}".replace(", ", ",\n") for moves in after)],
        title=f"{TEXT}  →  {ANSWER}", xlabel="character read", ylabel="character being written",
    )
    return axes[0, 0].figure
