"""The training loop: gradients in, parameters out, and every step on record.

    for each step s:   loss, g = loss_and_grads(θ, batch, rng)
                       g clipped to a global norm,  η_s from the schedule
                       θ, state = update(θ, g, state, lr=η_s)

A step is a function of the parameters, the optimizer's state and the state of one random
generator. A checkpoint holds these three, so a run that was interrupted and resumed ends with
the same bits as one that was not.
Source: d2l 3.4 (the loop), 9.5 (clipping).
"""

import math
import os
import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from npattn.kernels.options import require_counts, require_flag
from npattn.memory import keep_freed_memory
from npattn.training.checkpoints import (
    CheckpointError,
    load_metadata,
    load_tree,
    save_tree,
)
from npattn.training.optimizers import (
    adam,
    clip_by_global_norm,
    init_adam,
    merge,
    select,
)
from npattn.training.schedules import constant
from npattn.trees import tree_items, tree_leaves, tree_map


class FitResult(NamedTuple):
    """What a run leaves behind. Both records are dicts of arrays and start with "step"."""

    params: tuple
    history: dict      # step, loss, each metric, norm (before clipping), lr: (steps,) each
    evaluations: dict  # step and what `evaluate` returned; empty without `evaluate`


class Run(NamedTuple):
    """A run between two steps: all that the next step depends on."""

    step: int       # steps taken
    params: tuple
    state: tuple    # the optimizer's
    rng: dict       # the state of the random generator


class Saved(NamedTuple):
    """The tree in a checkpoint; step, generator state and column names are its metadata."""

    params: tuple
    state: tuple
    history: np.ndarray      # (steps, columns)
    evaluations: np.ndarray  # (evaluations, columns)


def fit(
    params, loss_and_grads, batches, *, steps, rng, schedule=1e-3, optimizer=(init_adam, adam),
    clip=None, moves=None, evaluate=None, evaluate_every=250,
    checkpoint=None, checkpoint_every=250, resume=False, label=None, progress=None,
):
    """Train for `steps` steps, counted from 1.

    params          tree of float arrays to start from
    loss_and_grads  (params, batch, rng) -> loss, grads, dict of metrics such as accuracy
    batches         (rng) -> batch; called once a step, and chooses by `rng` alone
    rng             numpy.random.Generator for batches and dropout; a run advances it
    schedule        learning rate, or a function step -> learning rate
    optimizer       (init, update), such as (init_sgd, partial(sgd, momentum=0.9))
    clip            largest global norm of the gradients; None does not clip
    moves           path -> bool: which parameters learn; None means all. The others stay as
                    they are, bit for bit, and their gradients do not count in the norm
    evaluate        params -> dict of floats, every `evaluate_every` steps and at the last;
                    it must not draw from `rng`
    checkpoint      file for the run's state, written every `checkpoint_every` steps, at the last
                    and on Ctrl-C. A file of that name is replaced
    resume          go on from the file `checkpoint`, with the other arguments as they were
    label           what else makes this run, {"seed": 0} for instance, as a dict for JSON. It is
                    kept in the checkpoint, and only a run of the same label goes on from there
    progress        True for a progress bar (needs tqdm), or a function that takes the step's
                    row of the history, a dict

    Returns FitResult(params, history, evaluations).
    Raises FloatingPointError, naming step and parameters, as soon as the loss, a gradient or
    a metric is not finite; the last checkpoint stays. Ctrl-C raises KeyboardInterrupt after
    the last whole step has been saved. ValueError for options that cannot be,
    CheckpointError for a file that does not fit.
    """
    keep_freed_memory()  # a step makes and drops the same arrays as the one before
    _require_options(rng, steps, evaluate_every, checkpoint, checkpoint_every, resume)
    init, update = optimizer
    rate = schedule if callable(schedule) else partial(constant, lr=schedule)
    run, history, evaluations = _start(params, init, moves, rng), [], []
    if resume:
        run, history, evaluations = _load(checkpoint, run, steps, label)
        _restore(rng, run.rng, checkpoint)
    try:
        with _reporter(progress, run.step, steps) as report:
            for step in range(run.step + 1, steps + 1):
                loss, grads, metrics = loss_and_grads(run.params, batches(rng), rng)
                grads = select(grads, moves)
                grads, norm = clip_by_global_norm(grads, math.inf if clip is None else clip)
                lr = float(rate(step))
                _record(history, _row(step, loss, metrics, norm, lr), grads)
                moved, state = update(select(run.params, moves), grads, run.state, lr=lr)
                params = moved if moves is None else merge(run.params, moved)
                if evaluate and _due(step, evaluate_every, steps):
                    _record(evaluations, {"step": step, **_floats(evaluate(params))})
                run = Run(step, params, state, rng.bit_generator.state)
                if checkpoint and _due(step, checkpoint_every, steps):
                    _save(checkpoint, run, history, evaluations, label)
                report(history[-1])
    except KeyboardInterrupt:
        hint = "nothing is saved without a checkpoint"
        if checkpoint:
            _save(checkpoint, run, history, evaluations, label)
            hint = f"saved in {checkpoint}; call again with resume=True to go on"
        raise KeyboardInterrupt(f"stopped after step {run.step} of {steps}; {hint}") from None
    return FitResult(run.params, _columns(history), _columns(evaluations))


def _start(params, init, moves, rng):
    """The run before step 1, on arrays of its own."""
    # Saved arrays come back in C order, and matrix products may round by memory layout.
    params = tree_map(lambda p: np.array(p, order="C"), params)
    moving = select(params, moves)
    if not tree_leaves(moving):
        raise ValueError(f"moves selects none of {[path for path, _ in tree_items(params)]}")
    return Run(0, params, init(moving), rng.bit_generator.state)


def _due(step, every, steps):
    return step % every == 0 or step == steps


def _row(step, loss, metrics, norm, lr):
    row = {"step": step, "loss": float(loss), **_floats(metrics), "norm": norm, "lr": lr}
    if len(row) != 4 + len(metrics):
        raise ValueError(f"metrics must not be called step, loss, norm or lr, got {[*metrics]}")
    return row


def _floats(metrics):
    return {name: float(value) for name, value in metrics.items()}


def _record(rows, row, grads=()):
    """Append a row, unless the run went wrong: it is stopped here, before any update."""
    if rows and row.keys() != rows[-1].keys():
        raise ValueError(f"step {row['step']}: metrics were {[*rows[-1]]}, now are {[*row]}")
    wrong = [f"{name} is {value}" for name, value in row.items() if not math.isfinite(value)]
    if wrong:
        paths = [path or "params" for path, g in tree_items(grads) if not np.isfinite(g).all()]
        where = f"; not finite: the gradient of {', '.join(paths)}" if paths else ""
        raise FloatingPointError(
            f"step {row['step']}: {', '.join(wrong)}{where}. "
            "A smaller learning rate, a longer warm-up or clip=1.0 often helps"
        )
    rows.append(row)


def _require_options(rng, steps, evaluate_every, checkpoint, checkpoint_every, resume):
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng must be a numpy.random.Generator, got {type(rng).__name__}; "
            "numpy.random.default_rng(seed) makes one"
        )
    require_counts(
        1, steps=steps, evaluate_every=evaluate_every, checkpoint_every=checkpoint_every)
    require_flag("resume", resume)
    if resume and not checkpoint:
        raise ValueError("resume=True needs checkpoint=..., the file to go on from")
    if checkpoint and not Path(checkpoint).parent.is_dir():
        raise ValueError(f"checkpoint {checkpoint}: the folder does not exist; make it first")
    if checkpoint and Path(checkpoint).is_dir():
        raise ValueError(f"checkpoint {checkpoint} is a folder; name a file")
    if checkpoint and not os.access(Path(checkpoint).parent, os.W_OK):
        raise ValueError(f"checkpoint {checkpoint}: the folder cannot be written to")


def _save(path, run, history, evaluations, label):
    # A step is recorded before it is finished; after Ctrl-C in between, its row does not count.
    tables = [[row for row in rows if row["step"] <= run.step] for rows in (history, evaluations)]
    names = [[*rows[0]] if rows else [] for rows in tables]
    arrays = [np.array([[*row.values()] for row in rows], float) for rows in tables]
    shapes = [X.shape for X in arrays]
    metadata = dict(step=run.step, rng=run.rng, columns=names, shapes=shapes, label=label)
    save_tree(path, Saved(run.params, run.state, *arrays), metadata)


def _load(path, start, steps, label):
    """The run and both records from a checkpoint; `start` is what the run began with."""
    metadata = load_metadata(path)
    keys = {"step", "rng", "columns", "shapes", "label"}
    if not isinstance(metadata, dict) or metadata.keys() != keys:
        raise CheckpointError(f"{path} holds no training run; load_tree reads it")
    if metadata["label"] != label:
        raise ValueError(f"{path} is of another run: {metadata['label']} there, {label} here")
    step, rng, columns, shapes = (metadata[key] for key in ("step", "rng", "columns", "shapes"))
    if not _is_progress(step, rng, columns, shapes):
        raise CheckpointError(f"{path} is damaged: its metadata describe no training run")
    if step > steps:
        raise ValueError(f"{path} is at step {step}, beyond steps={steps}")
    if rng["bit_generator"] != start.rng["bit_generator"]:
        raise ValueError(
            f"rng is a {start.rng['bit_generator']}, the run in {path} used {rng['bit_generator']}"
        )
    # of the expected tables only the shapes count, so they take no memory
    like = Saved(start.params, start.state, *(np.broadcast_to(0.0, shape) for shape in shapes))
    saved, _ = load_tree(path, like)
    records = [
        [dict(zip(names, row, strict=True)) for row in table.tolist()]
        for names, table in zip(columns, saved[2:], strict=True)
    ]
    return Run(step, saved.params, saved.state, rng), *records


def _is_progress(step, rng, columns, shapes):
    """Whether these are the metadata of a run: a step, a generator, and two tables."""
    return (
        type(step) is int and step >= 0
        and isinstance(rng, dict) and isinstance(rng.get("bit_generator"), str)
        and _is_pair_of_lists(columns, str) and _is_pair_of_lists(shapes, int)
        and all(
            shape == [0] and not names
            or len(shape) == 2 and shape[0] >= 0 and shape[1] == len(names)
            for names, shape in zip(columns, shapes, strict=True)
        )
    )


def _is_pair_of_lists(value, kind):
    return (
        isinstance(value, list) and len(value) == 2
        and all(isinstance(part, list) for part in value)
        and all(type(item) is kind for part in value for item in part)
    )


def _restore(rng, state, path):
    """Set the generator back to where the checkpoint was written."""
    try:
        rng.bit_generator.state = state
    except Exception as error:  # NumPy has several, by the field that is wrong
        raise CheckpointError(
            f"{path} is damaged: its generator state cannot be read: {error!r}"
        ) from error


def _columns(rows):
    """Rows, dicts of one set of names, as a dict of arrays."""
    columns = {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}
    return {name: X.astype(int) if name == "step" else X for name, X in columns.items()}


@contextmanager
def _reporter(progress, start, steps):
    """What is called with each new row: the caller's function, a tqdm bar, or nothing."""
    bar = _tqdm(initial=start, total=steps) if progress is True else None
    if bar is None:
        yield progress if callable(progress) else lambda row: None
        return

    def report(row):
        shown = {name: f"{row[name]:.4g}" for name in row if name not in ("step", "norm", "lr")}
        bar.set_postfix(shown, refresh=False)
        bar.update()

    with bar:
        yield report


def _tqdm(**options):
    try:
        from tqdm import tqdm
    except ImportError:
        hint = "training goes on without a progress bar; pip install tqdm for one"
        warnings.warn(hint, stacklevel=2)
        return None
    return tqdm(**options)
