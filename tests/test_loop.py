"""The training loop: it learns, it resumes bit for bit, it stops where numbers go wrong."""

import json
import sys
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest

from npattn.training import loop
from npattn.training.checkpoints import CheckpointError, load_metadata, save_tree
from npattn.training.loop import fit
from npattn.training.optimizers import adam, global_norm, init_adam, init_sgd, sgd
from npattn.training.schedules import linear_warmup_linear_decay
from npattn.trees import tree_items, tree_leaves


class Layer(NamedTuple):
    W: np.ndarray
    b: np.ndarray | None


class Model(NamedTuple):
    encoder: Layer
    cross: Layer


SOLUTION = np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.25]])
START = Model(
    Layer(np.array([[0.3, 0.1, 0.0], [0.2, 0.9, 0.4], [0.0, -0.3, 1.1]]), None),
    Layer(np.zeros((3, 2)), np.zeros(2)),
)


def batches(rng):
    X = rng.normal(size=(8, 3))
    return X, X @ SOLUTION


def loss_and_grads(params, batch, rng):
    """Two linear layers, half the squared error; a little noise stands for dropout."""
    X, Y = batch
    X = X + 1e-3 * rng.normal(size=X.shape)
    (A, _), (W, b) = params
    H = X @ A
    E = H @ W + b - Y
    dE = E / len(E)
    grads = Model(Layer(X.T @ (dE @ W.T), None), Layer(H.T @ dE, dE.sum(axis=0)))
    return 0.5 * (E * dE).sum(), grads, {"accuracy": (abs(E) < 0.1).mean()}


def train(steps=20, seed=5, **options):
    options = {"rng": np.random.default_rng(seed), "schedule": 0.02} | options
    return fit(START, loss_and_grads, batches, steps=steps, **options)


def evaluate(params):
    return {"distance": float(np.linalg.norm(params.encoder.W @ params.cross.W - SOLUTION))}


def assert_same(one, other):
    """Bit for bit: parameters, history and evaluations."""
    for X, Y in zip(tree_leaves(one.params), tree_leaves(other.params), strict=True):
        assert X.tobytes() == Y.tobytes() and X.dtype == Y.dtype
    for mine, theirs in zip(one[1:], other[1:], strict=True):
        assert [*mine] == [*theirs]
        for name in mine:
            np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name, strict=True)


def interrupt_at(step, error=KeyboardInterrupt):
    def progress(row):
        if row["step"] == step:
            raise error

    return progress


def test_least_squares_converges():
    schedule = partial(linear_warmup_linear_decay, peak=0.05, warmup=20, total=600)
    result = train(600, schedule=schedule, clip=5.0, evaluate=evaluate, evaluate_every=200)
    assert result.history["loss"][0] > 1.0
    assert result.history["loss"][-1] < 1e-4
    assert result.history["accuracy"][-1] == 1.0
    assert result.evaluations["distance"][-1] < 1e-2


def test_one_step_by_hand():
    params = np.array([1.0, 2.0])
    result = fit(
        params,
        lambda params, batch, rng: (7.0, batch * params, {}),
        lambda rng: 2.0,
        steps=1,
        rng=np.random.default_rng(0),
        schedule=0.25,
        optimizer=(init_sgd, sgd),
    )
    np.testing.assert_array_equal(result.params, [0.5, 1.0])
    np.testing.assert_array_equal(params, [1.0, 2.0])
    assert {name: X.tolist() for name, X in result.history.items()} == {
        "step": [1], "loss": [7.0], "norm": [20**0.5], "lr": [0.25]
    }
    assert result.evaluations == {}


def test_history_has_a_row_for_each_step():
    schedule = partial(linear_warmup_linear_decay, peak=1e-2, warmup=4, total=20)
    history = train(schedule=schedule, clip=0.5).history
    assert [*history] == ["step", "loss", "accuracy", "norm", "lr"]
    np.testing.assert_array_equal(history["step"], np.arange(1, 21))
    np.testing.assert_array_equal(history["lr"], [schedule(step) for step in range(1, 21)])
    assert history["norm"].max() > 0.5  # as it was before clipping
    assert {X.shape for X in history.values()} == {(20,)}


def test_evaluations_come_at_their_steps_and_at_the_last():
    result = train(11, evaluate=evaluate, evaluate_every=4)
    np.testing.assert_array_equal(result.evaluations["step"], [4, 8, 11])
    assert result.evaluations["distance"][-1] == evaluate(result.params)["distance"]


def test_clip_bounds_what_the_optimizer_sees():
    norms = []

    def update(params, grads, state, *, lr):
        norms.append(global_norm(grads))
        return adam(params, grads, state, lr=lr)

    train(optimizer=(init_adam, update), clip=0.5)
    assert max(norms) == pytest.approx(0.5, rel=1e-14)


def test_the_start_is_not_written_to():
    for X in tree_leaves(START):
        X.flags.writeable = False
    result = train()
    assert not START.cross.W.any() and result.params.cross.W.all()


def test_only_what_moves_moves():
    result = train(clip=0.5, moves=lambda path: path.startswith("cross"))
    assert result.params.encoder.W.tobytes() == START.encoder.W.tobytes()
    assert result.params.encoder.b is None
    assert (result.params.cross.W != START.cross.W).all()


def test_what_does_not_move_does_not_count():
    def poisoned(params, batch, rng):
        loss, grads, metrics = loss_and_grads(params, batch, rng)
        return loss, grads._replace(encoder=Layer(np.full((3, 3), np.nan), None)), metrics

    def moves(path):
        return path.startswith("cross")

    options = {"steps": 20, "schedule": 0.02, "clip": 0.5, "moves": moves}
    clean = fit(START, loss_and_grads, batches, rng=np.random.default_rng(1), **options)
    other = fit(START, poisoned, batches, rng=np.random.default_rng(1), **options)
    assert_same(clean, other)


def test_moves_must_choose_something():
    with pytest.raises(ValueError, match=r"moves selects none of .*'cross.W'"):
        train(moves=lambda path: "decoder" in path)


@pytest.mark.parametrize("options", [
    {},
    {"optimizer": (init_sgd, partial(sgd, momentum=0.9)), "clip": 1.0},
    {"moves": lambda path: path != "encoder.W", "evaluate": evaluate, "evaluate_every": 3},
])
@pytest.mark.parametrize("stop", [1, 7, 10, 19])
def test_interrupted_and_resumed_is_bit_identical(tmp_path, options, stop):
    path = tmp_path / "run.npz"
    whole = train(**options)
    with pytest.raises(KeyboardInterrupt, match=f"step {stop} of 20; saved in .*resume=True"):
        train(checkpoint=path, checkpoint_every=100, progress=interrupt_at(stop), **options)
    assert load_metadata(path)["step"] == stop
    # the seed of the second rng does not matter: its state comes from the file
    assert_same(train(seed=99, checkpoint=path, resume=True, **options), whole)


@pytest.mark.parametrize("generator", ["PCG64", "MT19937", "Philox", "SFC64", "PCG64DXSM"])
def test_resume_restores_every_kind_of_generator(tmp_path, generator):
    path = tmp_path / "run.npz"

    def rng(seed):
        return np.random.Generator(getattr(np.random, generator)(seed))

    whole = train(rng=rng(5))
    with pytest.raises(KeyboardInterrupt):
        train(rng=rng(5), checkpoint=path, progress=interrupt_at(6))
    assert_same(train(rng=rng(6), checkpoint=path, resume=True), whole)


def test_after_an_error_the_run_resumes_from_the_last_checkpoint(tmp_path):
    path = tmp_path / "run.npz"
    options = {"checkpoint": path, "checkpoint_every": 4, "evaluate": evaluate, "evaluate_every": 3}
    whole = train(evaluate=evaluate, evaluate_every=3)
    with pytest.raises(RuntimeError):
        train(progress=interrupt_at(10, RuntimeError), **options)
    assert load_metadata(path)["step"] == 8
    assert_same(train(resume=True, **options), whole)


@pytest.mark.parametrize("place", ["loss", "batches", "update", "evaluate"])
def test_an_interrupt_within_a_step_undoes_the_step(tmp_path, place):
    path = tmp_path / "run.npz"
    calls = dict.fromkeys(["loss", "batches", "update", "evaluate"], 0)

    def after(name, function):
        def wrapped(*arguments, **options):
            result = function(*arguments, **options)
            calls[name] += 1
            if name == place and calls[name] == 5:
                raise KeyboardInterrupt
            return result

        return wrapped

    def start(steps=20, **options):
        return fit(
            START,
            after("loss", loss_and_grads),
            after("batches", batches),
            optimizer=(init_adam, after("update", adam)),
            evaluate=after("evaluate", evaluate),
            steps=steps, rng=np.random.default_rng(5), evaluate_every=1, schedule=0.02, **options,
        )

    with pytest.raises(KeyboardInterrupt, match="stopped after step 4 of 20"):
        start(checkpoint=path)
    assert_same(start(checkpoint=path, resume=True), train(evaluate=evaluate, evaluate_every=1))


def test_an_interrupt_before_the_first_step_is_saved_as_well(tmp_path):
    path = tmp_path / "run.npz"

    def impatient(rng):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="stopped after step 0 of 3"):
        fit(START, loss_and_grads, impatient, steps=3, rng=np.random.default_rng(5),
            checkpoint=path, schedule=0.02)
    assert_same(train(3, seed=8, checkpoint=path, resume=True), train(3))


def test_an_interrupt_without_a_checkpoint_says_so():
    with pytest.raises(KeyboardInterrupt, match="nothing is saved without a checkpoint"):
        train(progress=interrupt_at(3))


def test_an_interrupt_while_saving_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"

    def crash(*_):
        raise KeyboardInterrupt

    def pull_the_plug(row):
        if row["step"] == 6:
            monkeypatch.setattr("os.replace", crash)

    with pytest.raises(KeyboardInterrupt):
        train(checkpoint=path, checkpoint_every=4, progress=pull_the_plug)
    monkeypatch.undo()
    assert [*tmp_path.iterdir()] == [path] and load_metadata(path)["step"] == 4
    assert_same(train(checkpoint=path, resume=True), train())


def test_a_finished_run_resumes_to_itself_and_can_be_prolonged(tmp_path):
    path = tmp_path / "run.npz"
    first = train(12, checkpoint=path)
    assert_same(train(12, checkpoint=path, resume=True), first)
    assert_same(train(20, checkpoint=path, resume=True), train(20))


def test_only_a_run_of_the_same_label_goes_on(tmp_path):
    path, label = tmp_path / "run.npz", {"seed": 5, "data": ["small"]}
    train(6, checkpoint=path, label=label)
    for other in (None, {**label, "seed": 6}):
        with pytest.raises(ValueError, match=r"of another run: {.*'seed': 5} there, .* here"):
            train(checkpoint=path, resume=True, label=other)
    assert_same(train(checkpoint=path, resume=True, label=label), train())


def test_layout_of_the_start_does_not_reach_the_matrix_products():
    fortran = START._replace(encoder=Layer(np.asfortranarray(START.encoder.W), None))

    def watched(params, batch, rng):
        assert all(X.flags.c_contiguous for X in tree_leaves(params))
        return loss_and_grads(params, batch, rng)

    rng = np.random.default_rng(5)
    assert_same(fit(fortran, watched, batches, steps=9, rng=rng, schedule=0.02), train(9))


def test_resume_refuses_what_does_not_fit(tmp_path):
    path = tmp_path / "run.npz"
    train(6, checkpoint=path)
    with pytest.raises(ValueError, match="is at step 6, beyond steps=5"):
        train(5, checkpoint=path, resume=True)
    with pytest.raises(CheckpointError, match="state.m.encoder.W is not expected"):
        train(9, checkpoint=path, resume=True, moves=lambda path: path.startswith("cross"))
    with pytest.raises(CheckpointError, match="state.v.cross.W|state.m.cross.W"):
        train(9, checkpoint=path, resume=True, optimizer=(init_sgd, sgd))
    with pytest.raises(ValueError, match="rng is a MT19937, the run in .* used PCG64"):
        rng = np.random.Generator(np.random.MT19937(1))
        train(9, checkpoint=path, resume=True, rng=rng)
    save_tree(path, START)
    with pytest.raises(CheckpointError, match="holds no training run"):
        train(9, checkpoint=path, resume=True)
    with pytest.raises(FileNotFoundError):
        train(9, checkpoint=tmp_path / "other.npz", resume=True)


@pytest.mark.parametrize("change", [
    {"step": "3"}, {"step": -1}, {"step": None}, {"step": True}, {"rng": None}, {"rng": {}},
    {"rng": {"bit_generator": "PCG64"}},
    {"rng": {"bit_generator": "PCG64", "state": {"state": "x"}}},
    {"columns": None}, {"columns": [["loss"]]}, {"columns": [[1], []]}, {"columns": 7},
    {"shapes": None}, {"shapes": [[6], [0]]}, {"shapes": [[6, -1], [0]]}, {"shapes": [["6"], [0]]},
    {"shapes": [[10**15, 4], [0]]},
], ids=str)
def test_a_damaged_checkpoint_that_is_well_formed_is_refused(tmp_path, change):
    path = tmp_path / "run.npz"
    train(6, checkpoint=path)
    metadata = load_metadata(path)
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files if key != "__metadata__"}
    text = json.dumps({"format": 1, "metadata": {**metadata, **change}})
    np.savez(path, __metadata__=np.array(text), **arrays)
    with pytest.raises(CheckpointError, match="run.npz (is damaged|does not fit)"):
        train(9, checkpoint=path, resume=True)


def test_a_folder_in_the_place_of_the_checkpoint_is_seen_before_the_first_step(tmp_path):
    (tmp_path / "run.npz").mkdir()
    with pytest.raises(ValueError, match="run.npz is a folder; name a file"):
        train(6, checkpoint=tmp_path / "run.npz")


@pytest.mark.parametrize("options, error, message", [
    ({"rng": 5}, TypeError, "rng must be a numpy.random.Generator, got int"),
    ({"steps": 0}, ValueError, "steps must be at least 1, got 0"),
    ({"checkpoint_every": 0}, ValueError, "checkpoint_every must be at least 1, got 0"),
    ({"resume": True}, ValueError, "resume=True needs checkpoint"),
    ({"checkpoint": "no/such/folder/run.npz"}, ValueError, "the folder does not exist"),
    ({"clip": 0.0}, ValueError, "max_norm must be positive"),
    ({"schedule": -1.0}, ValueError, "lr must be at least 0, got -1.0"),
])
def test_impossible_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        train(**options)


def spoiled(step, change):
    """loss_and_grads whose result is changed at one step."""
    count = iter(range(1, 1000))

    def wrapped(params, batch, rng):
        result = loss_and_grads(params, batch, rng)
        return change(*result) if next(count) == step else result

    return wrapped


@pytest.mark.parametrize("change, message", [
    (lambda loss, grads, metrics: (np.nan, grads, metrics), "step 6: loss is nan. A smaller"),
    (
        lambda loss, grads, metrics: (
            loss, grads._replace(cross=Layer(grads.cross.W, np.array([0.0, np.inf]))), metrics
        ),
        "step 6: norm is inf; not finite: the gradient of cross.b. A smaller",
    ),
    (lambda loss, grads, metrics: (loss, grads, {"accuracy": np.nan}), "step 6: accuracy is nan"),
])
def test_what_is_not_finite_stops_the_run(tmp_path, change, message):
    path = tmp_path / "run.npz"
    with pytest.raises(FloatingPointError, match=message):
        fit(START, spoiled(6, change), batches, steps=20, rng=np.random.default_rng(5),
            checkpoint=path, checkpoint_every=2, clip=1.0, schedule=0.02)
    assert load_metadata(path)["step"] == 4
    assert_same(train(5, checkpoint=path, clip=1.0, resume=True), train(5, clip=1.0))


def test_an_evaluation_that_is_not_finite_stops_the_run():
    with pytest.raises(FloatingPointError, match="step 5: distance is nan"):
        train(evaluate=lambda params: {"distance": np.nan}, evaluate_every=5)


@pytest.mark.parametrize("metrics, message", [
    ({"loss": 1.0}, "metrics must not be called step, loss, norm or lr"),
    ({"precision": 1.0}, "step 3: metrics were .*'accuracy'.* now are .*'precision'"),
])
def test_metrics_keep_their_names(metrics, message):
    changed = spoiled(3, lambda loss, grads, _: (loss, grads, metrics))
    with pytest.raises(ValueError, match=message):
        fit(START, changed, batches, steps=5, rng=np.random.default_rng(5))


def test_progress_is_told_each_row():
    rows = []
    result = train(5, progress=rows.append)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["loss"] for row in rows] == result.history["loss"].tolist()


def test_the_bar_shows_loss_and_accuracy(capsys):
    pytest.importorskip("tqdm", reason="the bar is drawn by tqdm")
    assert_same(train(progress=True), train())
    shown = capsys.readouterr().err
    assert "20/20" in shown and "loss=" in shown and "accuracy=" in shown
    assert "norm=" not in shown


def test_the_bar_starts_where_the_run_does(tmp_path, monkeypatch):
    seen = {}

    def bar(**options):
        seen.update(options)

    monkeypatch.setattr(loop, "_tqdm", bar)
    train(12, checkpoint=tmp_path / "run.npz")
    train(checkpoint=tmp_path / "run.npz", resume=True, progress=True)
    assert seen == {"initial": 12, "total": 20}


def test_without_tqdm_training_goes_on_and_says_how_to_get_a_bar(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.warns(UserWarning, match="pip install tqdm"):
        result = train(progress=True)
    assert_same(result, train())


def test_a_checkpoint_is_named_by_paths(tmp_path):
    path = tmp_path / "run.npz"
    result = train(3, checkpoint=path)
    with np.load(path) as file:
        for name, X in tree_items(result.params, "params"):
            np.testing.assert_array_equal(file[name], X)
        np.testing.assert_array_equal(file["history"][:, 1], result.history["loss"])
    assert load_metadata(path)["columns"][0] == ["step", "loss", "accuracy", "norm", "lr"]
