"""The bench: what a ratio is, that all contenders do the same work, and what the command writes.

Nothing here asserts a speed: clocks are faked, sizes are tiny.
"""

import json
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from npattn.benchmarks import (
    attention, blas, contenders, growth, limits, llm, machine, memory, multihead, options, products,
    results, threads, timing, training,
)
from npattn.benchmarks.timing import Setting, Timing
from npattn.cli import main
from npattn.commands import bench
from npattn.models.language_model import LanguageModelConfig, init_language_model
from npattn.trees import tree_map

FAST = {"rounds": 3, "pause": 0.0}
TINY = (1, 2, 32, 8)
bridge = machine.import_bridge()
needs_torch = pytest.mark.skipif(bridge is None, reason="torch is not installed")


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when somebody sleeps; .slept lists how long."""
    clock = SimpleNamespace(now=0.0, slept=[])

    def sleep(seconds):
        clock.now += seconds
        clock.slept.append(seconds)

    clock.sleep, clock.perf_counter = sleep, lambda: clock.now
    monkeypatch.setattr(timing, "time", clock)
    return clock


@pytest.fixture
def tiny(monkeypatch):
    """Every table at sizes that take no time."""
    monkeypatch.setattr(bench, "QUICKLY", {"quick": True, **FAST})
    monkeypatch.setattr(timing, "ENOUGH", 0.0)
    for page in (attention, threads, limits, blas, options):
        monkeypatch.setattr(page, "QUICK", (TINY,))
    monkeypatch.setattr(blas, "has_avx512", lambda: False)  # no other process to measure in
    monkeypatch.setattr(multihead, "SIZES", multihead.SIZES[:2])
    monkeypatch.setattr(training, "BATCH", 2)
    monkeypatch.setattr(growth, "QUICK", (16, 32))
    monkeypatch.setattr("npattn.weights.installed.find_spec", lambda name: None)  # no large model


# ---- time ----


def test_a_slow_first_call_does_not_decide_how_often_a_task_is_repeated(clock):
    calls = []

    def starts_threads_first():
        calls.append(1)
        clock.now += 0.001 if len(calls) > 1 else 1.5

    timing.compare({"slow to start": starts_threads_first}, rounds=3, pause=0.4)
    assert len(calls) == 2 + 3 * 50


def test_contenders_take_turns_and_rest_before_each_turn(clock):
    order = []

    def contender(name, forward, backward=None):
        def second():
            clock.now += backward
            order.append(name.upper())

        def first():
            clock.now += forward
            order.append(name)
            return second if backward else 7.0  # a loss, say: no second half

        return first

    runs = {"a": contender("a", 0.5, 0.25), "b": contender("b", 0.3)}
    table = timing.compare(runs, rounds=20, pause=0.4)
    said = "".join(order)
    assert said[:6] == "aAaA" + "bb"  # two calls of each do not count
    rounds = [said[i : i + 3] for i in range(6, len(said), 3)]
    assert len(rounds) == 20 and {*rounds} == {"aAb", "baA"}
    assert clock.slept == 40 * [0.4]
    np.testing.assert_allclose(table["a"], [20 * [0.5], 20 * [0.25]])
    np.testing.assert_allclose(table["b"], [20 * [0.3], 20 * [0.0]])
    assert timing.ratio(table["b"], table["a"]) == pytest.approx(0.3 / 0.75)
    assert timing.ratio(table["b"], table["a"], "forward") == pytest.approx(0.6)


def test_a_short_task_is_repeated_and_its_time_is_that_of_one_call(clock):
    calls = []

    def run():
        clock.now += 0.001
        calls.append(1)

    table = timing.compare({"short": run}, rounds=3, pause=0.0)
    assert len(calls) == 2 + 3 * round(timing.ENOUGH / 0.001)
    np.testing.assert_allclose(table["short"].forward, 3 * [0.001])


def test_a_budget_ends_the_rounds_but_not_before_the_third(clock):
    def run():
        clock.now += 10.0

    assert len(timing.compare({"a": run}, rounds=9, pause=0.0, budget=1.0)["a"].forward) == 3
    assert len(timing.compare({"a": run}, rounds=9, pause=0.0, budget=55.0)["a"].forward) == 5


def test_a_ratio_is_the_median_of_the_ratios_of_each_round():
    # the machine slows down from round to round: medians of times would say 2 / 10
    slow, fast = Timing([1.0, 10.0, 100.0], [0.0] * 3), Timing([0.5, 2.0, 50.0], [0.0] * 3)
    assert timing.ratio(fast, slow) == 0.5
    assert slow.median() == 10.0
    assert Timing([1.0], [2.0]).both == [3.0]


def test_a_setting_gives_all_the_same_threads_and_gives_the_old_ones_back():
    def count():
        seen.append({lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"})

    seen, before = [], threadpool_info()
    Setting(1, bridge, **FAST).compare({"count": count})
    assert seen[-1] == {1}
    assert threadpool_info() == before


# ---- work ----


@pytest.mark.parametrize("causal", [False, True])
def test_all_contenders_have_the_same_gradients(causal):
    inputs, setting = contenders.draw_inputs(TINY, "float64"), Setting(2, bridge)
    runs = contenders.attention_contenders(inputs, setting, causal=causal)
    wanted = runs.pop("attention")()()
    assert {"tiled_attention", *(["torch", "torch math"] if bridge else [])} <= runs.keys()
    for name, run in runs.items():
        for got, want in zip(run()(), wanted, strict=True):
            got = np.asarray(got).swapaxes(1, 2) if name == "jax" else np.asarray(got)
            tolerance = 1e-5 if name == "jax" else 1e-12  # a softmax in float32
            np.testing.assert_allclose(got, want, rtol=0.0, atol=tolerance, err_msg=name)


def test_a_matrix_too_large_for_the_machine_is_not_tried(monkeypatch):
    inputs = contenders.draw_inputs(TINY, "float32")
    monkeypatch.setattr(contenders, "memory_bytes", lambda: 2 * 32 * 32 * 4 * 5)
    names = contenders.attention_contenders(inputs, Setting(1, bridge)).keys()
    assert "tiled_attention" in names
    assert not {"attention", "torch math"} & names


@needs_torch
def test_the_multi_head_contenders_have_the_same_gradients():
    runs = multihead.contenders(multihead.Size(2, 4, 6, 20, 5), bridge)
    dX, dK, dV, dparams = runs["npattn"]()()
    dx, dm, *_ = map(np.asarray, runs["torch"]()())
    np.testing.assert_allclose(dX, dx, rtol=0.0, atol=1e-5)
    np.testing.assert_allclose(dK + dV, dm, rtol=0.0, atol=1e-5)


@needs_torch
def test_the_torch_model_of_dates_learns_what_this_package_learns(monkeypatch):
    monkeypatch.setattr(training, "BATCH", 8)
    steps = training.contenders(bridge)
    losses = {name: [float(step()) for _ in range(5)] for name, step in steps.items()}
    np.testing.assert_allclose(losses["torch"], losses["npattn"], rtol=1e-5)
    assert losses["npattn"][-1] < losses["npattn"][0]


def test_models_that_differ_are_not_compared():
    with pytest.raises(ArithmeticError, match=r"0\.5\] of npattn, \[1\.0, 0\.51\] of torch"):
        training.require_agreement({"npattn": [1.0, 0.5], "torch": [1.0, 0.51]})


@pytest.mark.parametrize("length", [64, 100])  # 100: the last tile is a shorter one
def test_the_limit_does_the_products_and_exponentials_of_all_tiles(length, monkeypatch):
    counted, lock = {"product": 0, "exp": 0}, threading.Lock()
    product, exponential = limits._product, limits.exponential

    def count(what, number):
        with lock:
            counted[what] += number

    def counting_product(room, A, B):
        count("product", A.shape[0] * A.shape[1] * A.shape[2] * B.shape[2])
        return product(room, A, B)

    def counting_exponential(dtype):
        base = exponential(dtype)

        def exp(S, out):
            count("exp", S.size)
            return base.exp(S, out=out)

        return base._replace(exp=exp)

    monkeypatch.setattr(limits, "_product", counting_product)
    monkeypatch.setattr(limits, "exponential", counting_exponential)
    monkeypatch.setattr(limits, "tile_shape", lambda Tq, Tk, itemsize: (1, 32, 64))
    shape = (2, 3, length, 8)
    backward = limits.products_and_exponentials(contenders.draw_inputs(shape, "float32"), 2)()
    scores = 2 * 3 * length**2
    assert counted == {"product": 2 * scores * 8, "exp": scores}
    backward()
    assert counted == {"product": 7 * scores * 8, "exp": 2 * scores}


def test_the_limit_of_multi_head_calls_does_their_products_and_exponentials(monkeypatch):
    counted = []

    def count(A, B, room):
        counted.append(np.matmul(A, B, out=room).size * A.shape[-1])

    monkeypatch.setattr(multihead, "product", count)
    forward = multihead.products_and_exponentials(multihead.Size(3, 5, 7, 8, 2))
    backward = forward()
    X, M, scores = 15 * 64, 21 * 64, 3 * 5 * 7 * 8
    assert sorted(counted) == sorted([X, X, M, M, scores, scores])
    backward()
    assert sorted(counted) == sorted(3 * [X, X, M, M] + 6 * [scores])


@pytest.mark.skipif(not (memory.PROCESS / "clear_refs").exists(), reason="Linux tells, others not")
def test_memory_grows_with_the_matrix_where_there_is_one():
    shape, matrix = (1, 1, 2048, 8), 2048**2 * 4
    dense, tiled = (
        memory.extra_bytes(name, shape, "float32", 1) for name in ("attention", "tiled_attention")
    )
    assert 2 * matrix < dense < contenders.DENSE["attention"] * matrix
    assert tiled < matrix


def test_memory_names_the_contender_that_failed():
    with pytest.raises(ChildProcessError, match=r"nobody at \(1, 1, 8, 8\): KeyError: 'nobody'"):
        memory.extra_bytes("nobody", (1, 1, 8, 8), "float32", 1)


def test_memory_is_not_measured_where_the_system_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "PROCESS", tmp_path)
    assert memory.extra_bytes("attention", TINY, "float32", 1) is None


# ---- BLAS ----

HASWELL = {"name": "openblas", "version": "0.3.30", "kernels": "Haswell"}


@pytest.mark.parametrize(
    ("change", "avx512", "applies"),
    [
        ({}, True, True),
        ({"kernels": "Zen"}, True, True),
        ({"kernels": "SkylakeX"}, True, False),
        ({"name": "mkl"}, True, False),
        ({}, False, False),
    ],
)
def test_the_hint_is_for_older_kernels_on_newer_processors(change, avx512, applies):
    assert blas.hint_applies(HASWELL | change, avx512) is applies


def test_numpys_own_blas_is_named_and_scipys_is_not(monkeypatch):
    def library(place, kernels):
        return {
            "user_api": "blas", "internal_api": "openblas", "version": "0.3.30",
            "filepath": f"/lib/{place}.libs/libopenblas.so", "architecture": kernels,
        }

    found = [{"user_api": "openmp"}, library("scipy", "Zen"), library("numpy", "Haswell")]
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: found)
    assert machine.blas_of_numpy() == HASWELL
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: found[:1])
    assert machine.blas_of_numpy()["kernels"] is None


@pytest.mark.parametrize("already", [None, "Haswell"])
def test_the_hint_is_measured_in_two_processes_and_set_in_one(monkeypatch, already):
    environments = []

    def run(command, env, **options):
        assert command[:3] == [sys.executable, "-m", "npattn.benchmarks.blas"]
        assert json.loads(command[3]) == Setting(2, None, True)._asdict()
        environments.append(env.get(blas.VARIABLE))
        ours = 0.6 if environments[-1] == "SKYLAKEX" else 0.8
        rows = [
            {"shape": list(TINY), "dtype": dtype, "causal": False, "timings": {
                "tiled_attention": {"forward": [ours], "backward": [ours]},
                "torch": {"forward": [0.5], "backward": [1.5]},
            }}
            for dtype in attention.DTYPES
        ]
        return SimpleNamespace(returncode=0, stdout=json.dumps(rows), stderr="")

    monkeypatch.delenv(blas.VARIABLE, raising=False)
    if already:
        monkeypatch.setenv(blas.VARIABLE, already)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(blas, "blas_of_numpy", lambda: HASWELL)
    monkeypatch.setattr(blas, "has_avx512", lambda: True)
    rows = list(blas.measure(Setting(2, bridge, True)))
    assert environments == [already, "SKYLAKEX"]
    said = ", as OPENBLAS_CORETYPE=Haswell says" if already else ""
    assert blas.line(rows[0]) == f"openblas 0.3.30, Haswell kernels{said}"
    first, _ = blas.summary(rows)
    assert "float32: tiled_attention in 0.75 of its time; 0.60 of torch's instead of 0.80" in first
    json.dumps(rows)


def test_a_process_that_fails_says_why(monkeypatch):
    failed = SimpleNamespace(returncode=1, stdout="", stderr="no such core type")
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: failed)
    with pytest.raises(ChildProcessError, match="no such core type"):
        blas.in_a_process(Setting(1, None), {blas.VARIABLE: "SKYLAKEX"})


def test_the_process_prints_its_rows(tiny, capsys):
    blas.main(json.dumps(Setting(1, None, True, **FAST)._asdict()))
    rows = [*map(results.restored, json.loads(capsys.readouterr().out))]
    assert [row["dtype"] for row in rows] == ["float32", "float64"]
    assert all(len(row["timings"]["tiled_attention"].forward) == 3 for row in rows)


# ---- the command ----


@pytest.mark.sampled(2)
@pytest.mark.parametrize("with_torch", [pytest.param(True, marks=needs_torch), False])
def test_all_tables_in_terminal_and_file(with_torch, tiny, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("NPATTN_THREADS", "2")
    if not with_torch:
        monkeypatch.setitem(sys.modules, "npattn.torch_bridge", None)
        monkeypatch.delattr("npattn.torch_bridge", raising=False)
    monkeypatch.setitem(sys.modules, "jax", None)
    file = tmp_path / "bench.json"
    assert main(["bench", "--quick", "--json", str(file)]) == 0
    said = capsys.readouterr().out
    assert ("torch is not installed" in said) is not with_torch
    assert "jax is not installed" in said
    assert ("tiled_attention over torch, float32" in said) is with_torch
    assert "kernels" in said
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]

    content = results.load(file)
    assert content["setting"] == {"threads": 2, "quick": True, **FAST, "budget": 30.0}
    assert content["machine"]["numpy"] == np.__version__
    assert (content["machine"]["torch"] is not None) is with_torch
    assert [*content["tables"]] == list(bench.TABLES[:-1])  # without weights no row of llm
    counts = {name: len(rows) for name, rows in content["tables"].items()}
    assert counts == {
        "blas": 1, "attention": 4, "multihead": 2, "training": 4, "threads": 2, "limits": 3,
        "growth": 2, "options": 18,
    }
    for name, rows in content["tables"].items():
        for row in rows if name != "blas" else ():
            beside = with_torch and name not in ("threads", "limits", "options")
            assert ("torch" in row["timings"]) is beside
            for run in row["timings"].values():
                assert len(run.forward) == len(run.backward) == 3
                assert min(run.both) > 0.0


@pytest.mark.thorough
def test_only_one_table(tiny, capsys, tmp_path):
    assert main(["bench", "--quick", "--only", "limits", "--json", str(tmp_path / "x.json")]) == 0
    assert limits.HEADER in capsys.readouterr().out
    assert [*results.load(tmp_path / "x.json")["tables"]] == ["limits"]


def test_what_was_measured_before_ctrl_c_is_kept(tiny, monkeypatch, tmp_path):
    def measure(setting):
        yield next(whole(setting))
        raise KeyboardInterrupt

    whole = limits.measure
    monkeypatch.setattr(limits, "measure", measure)
    file = tmp_path / "x.json"
    assert main(["bench", "--quick", "--only", "limits", "--json", str(file)]) == 130
    assert len(results.load(file)["tables"]["limits"]) == 1


def test_one_thread_is_not_compared_with_itself(tiny, monkeypatch, capsys):
    monkeypatch.setenv("NPATTN_THREADS", "1")
    assert main(["bench", "--quick", "--only", "threads"]) == 0
    assert "there is only one thread to use" in capsys.readouterr().out


def test_a_number_of_threads_that_is_none_is_refused(monkeypatch, capsys):
    monkeypatch.setenv("NPATTN_THREADS", "abc")
    assert main(["bench", "--quick"]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1
    assert error.startswith("npattn bench: NPATTN_THREADS must be a positive integer, got 'abc'; ")


@pytest.mark.parametrize("path", ["nowhere/x.json", "x.txt"])
def test_a_file_that_cannot_be_written_is_refused_at_once(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "--json", path]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "--json" in captured.err


def test_a_file_stays_as_it_was_when_writing_fails(tmp_path):
    file = tmp_path / "x.json"
    results.save(file, Setting(1, None), {"growth": []})
    before = file.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        results.save(file, Setting(1, None), {"growth": [{"tokens": float("nan")}]})
    assert file.read_bytes() == before
    assert [*tmp_path.iterdir()] == [file]


# ---- the language model ----


def test_a_prompt_beside_its_products_and_torch():
    timings = {name: Timing([seconds], [0.0])
               for name, seconds in (("npattn", 0.5), ("torch", 0.8), ("products", 0.4))}
    rows = [{"what": "prefill 32", "timings": timings},
            {"what": "decode 8 after 32", "timings": {"npattn": timings["npattn"]}},
            {"what": "LIMIT of decode", "timings": {"npattn": timings["products"]}},
            {"what": "peak memory", "bytes": {"npattn": 3 * 2**20}}]
    assert list(llm.summary(rows)) == [
        "prefill 32: npattn 64.0, torch 40.0, products 80.0 tokens per second",
        "prefill 32 reaches 0.80 of what its matrix products alone allow, 0.50 of torch's time",
        "decode 8 after 32: npattn 16.0 tokens per second",
        "decode reaches 0.80 of what reading the weights once allows",
        "worst ratio to torch 0.62",
    ]
    assert llm.line(rows[0]).split()[-5:] == ["500", "ms", "800", "ms", "0.62"]
    assert llm.line(rows[3]) == "peak memory: npattn 3 MiB"


class Counted(np.ndarray):
    """A matrix that notes what it is multiplied with."""

    shapes: list = []

    def __matmul__(self, X):
        self.shapes.append((self.shape, X.shape))
        return self.view(np.ndarray) @ X


def test_the_products_of_a_prompt_are_those_of_its_blocks(monkeypatch, rng):
    monkeypatch.setattr(Counted, "shapes", [])
    config = LanguageModelConfig(vocabulary=9, width=6, num_blocks=2, num_heads=3, num_kv_heads=1,
                                 hidden=10, context=5)
    blocks = tree_map(lambda W: W.view(Counted), init_language_model(config, rng).blocks)
    work = llm.products(SimpleNamespace(config=config, params=SimpleNamespace(blocks=blocks)), 5)
    assert not Counted.shapes
    work()
    shapes = [(6, 6), (2, 6), (2, 6), (6, 6), (10, 6), (10, 6), (6, 10)]
    assert sorted(Counted.shapes) == sorted(2 * [(shape, (shape[1], 5)) for shape in shapes])


# ---- the figure ----


def grown(names):
    """Rows in which time and memory grow fourfold each time the length doubles."""
    return [
        {
            "tokens": 512 * 2**i,
            "timings": {name: Timing([4.0**i, 4.0**i], [4.0**i, 4.0**i]) for name in names},
            "bytes": {name: 4**i * 2**20 if i < 2 else None for name in names},
        }
        for i in range(3)
    ]


def test_growth_says_what_a_doubling_costs():
    assert list(growth.summary(grown(["attention"])[:2])) == [
        "attention, 512 → 1,024 tokens: time × 4.0, memory × 4.0"
    ]
    last = list(growth.summary(grown(["attention"])))
    assert last == ["attention, 1,024 → 2,048 tokens: time × 4.0"]
    assert list(growth.summary(grown(["attention"])[:1])) == []


@pytest.mark.parametrize(("found", "words"), [
    ({"tile": 80.0, "large": 100.0}, "0.80 of what large products run at; BLAS is not"),
    ({"tile": 48.0, "large": 60.0, "torch": 80.0}, "48 GF/s, 0.60 of torch's; BLAS is slow"),
    ({"tile": 48.0, "large": 100.0, "torch": 50.0}, "0.48 of what large products run at; BLAS is"),
])
def test_a_slow_blas_is_told_in_a_line(found, words, monkeypatch):
    monkeypatch.setattr(products, "has_avx512", lambda: False)
    text = products.verdict("float64", found)
    assert words in text
    assert ("MKL or a newer OpenBLAS" in text) == ("is slow, not" in text)
    monkeypatch.setattr(products, "hint_applies", lambda *about: True)
    assert ("OPENBLAS_CORETYPE=SKYLAKEX" in products.verdict("float64", found)) == (
        "is slow, not" in text
    )


def test_the_speed_of_a_product_counts_each_multiplication_and_addition(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(products.time, "perf_counter", lambda: float(next(now)))
    found = products.speeds("float32", rounds=2)
    assert found["large"] == 2e-9 * 1024**3
    _, queries, keys = products.tile_shape(4096, 4096, 4)
    assert found["tile"] == 2e-9 * queries * keys * 64
