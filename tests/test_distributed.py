"""Attention over Dask arrays is attention, whatever the chunks, and whoever dies on the way."""

import contextlib
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import alarm

from npattn import attention, attention_backward, cli, tiled_attention
from npattn.exercises import classroom
from npattn.kernels.masks import causal_mask, combine_masks, valid_lens_mask
from npattn.kernels.positional_masks import window_mask

WHY = 'attention over Dask arrays needs Dask: pip install "npattn[dask]"'
dask = pytest.importorskip("dask", reason=WHY)
pytest.importorskip("distributed", reason=WHY)

import dask.array as da  # noqa: E402
from distributed import wait  # noqa: E402

from npattn import distributed  # noqa: E402
from npattn.chunks import block_pairs  # noqa: E402
from npattn.cluster import connect  # noqa: E402

ROOT = Path(__file__).parents[1]
pytestmark = [  # Dask warns of its own; its threads do not always start
    pytest.mark.peers, pytest.mark.filterwarnings("default"), pytest.mark.again(120),
]


@pytest.fixture(autouse=True)
def scheduler():
    with dask.config.set(scheduler="synchronous"):
        yield


def chunked(X, *chunks):
    return da.from_array(X, chunks=(*chunks, -1))


def mask_of(shape, valid_lens=None, causal=False, offset=0, window=None):
    """The mask (..., Tq, Tk) of the options, for attention with the matrix."""
    *lead, Tq, Tk = shape
    lens = None if valid_lens is None else valid_lens_mask(valid_lens, Tk).reshape(
        lead[0], *(1,) * (len(lead) - 1), -1, Tk)
    return combine_masks(
        lens, causal_mask(Tq, Tk, offset=offset) if causal else None,
        None if window is None else window_mask(
            Tq, Tk, left=window - 1, right=window - 1, offset=offset))


def both(Q, K, V, dO, chunks, scale=None, **where):
    """O, dQ, dK and dV, by blocks and with the matrix; chunks of Q and of K."""
    lead = np.broadcast_shapes(Q.shape[:-2], K.shape[:-2])
    mask = mask_of((*lead, Q.shape[-2], K.shape[-2]), **where)
    O, whole = attention(Q, K, V, mask, scale=scale)
    expected = O, *attention_backward(dO, whole)
    O, cache = distributed.attention(
        chunked(Q, *chunks[0]), chunked(K, *chunks[1]), chunked(V, *chunks[1]), scale=scale,
        **where)
    found = O, *distributed.attention_backward(chunked(dO, *O.chunks[:-1]), cache)
    for X, like in zip(found, (cache.Q, cache.Q, cache.K, cache.V), strict=True):
        assert X.chunks[:-1] == like.chunks[:-1]
    return dask.compute(*found), expected


def assert_same(found, expected, tolerance=1e-12):
    for X, Y in zip(found, expected, strict=True):
        assert X.dtype == Y.dtype and X.shape == Y.shape
        np.testing.assert_allclose(X, Y, rtol=0.0, atol=tolerance * max(1.0, np.abs(Y).max()))


@pytest.fixture
def arrays(draw):
    """Q, K, V and dO: 2 sequences, 3 heads, 11 queries, 13 keys."""
    return (
        draw(2, 3, 11, 5), draw(2, 3, 13, 5), draw(2, 3, 13, 4), draw(2, 3, 11, 4))


CHUNKS = (1, (2, 1), (4, 4, 3)), (1, (2, 1), (5, 6, 2))


@pytest.mark.parametrize("where", [
    {}, {"causal": True}, {"causal": True, "offset": 2}, {"causal": True, "offset": -4},
    {"window": 1}, {"window": 3, "offset": 1}, {"causal": True, "window": 2},
    {"valid_lens": np.array([13, 4])}, {"valid_lens": np.array([0, 7], np.uint8), "causal": True},
    {"scale": -0.7},
], ids=str)
def test_it_is_attention(arrays, where):
    assert_same(*both(*arrays, CHUNKS, **where))


def test_each_query_may_have_its_own_length(arrays, rng):
    lens = rng.integers(0, 14, (2, 11))
    lens[0, :3] = 0
    assert_same(*both(*arrays, CHUNKS, valid_lens=lens, causal=True))


def test_dead_queries_get_zeros(arrays):
    found, _ = both(*arrays, CHUNKS, causal=True, offset=-5)
    assert not found[0][..., :5, :].any() and not found[1][..., :5, :].any()


def test_random_chunks_change_nothing():
    hypothesis = pytest.importorskip("hypothesis", reason="random chunkings need hypothesis")
    st = hypothesis.strategies

    @st.composite
    def case(draw):
        def cut(n):
            inner = sorted(draw(st.sets(st.integers(1, n - 1), max_size=4))) if n > 1 else []
            return tuple(int(b) - int(a) for a, b in zip([0, *inner], [*inner, n], strict=True))

        B, H, Tq, Tk = (draw(st.integers(1, n)) for n in (3, 3, 17, 17))
        shared = draw(st.booleans())
        rows, lead = cut(Tq), (cut(B), cut(H))
        keys = (lead[0], (1,) if shared else lead[1], cut(Tk))
        where = {
            "causal": draw(st.booleans()), "offset": draw(st.integers(-9, 9)),
            "window": draw(st.none() | st.integers(1, 9)),
            "valid_lens": draw(st.none() | st.lists(
                st.integers(0, Tk), min_size=B, max_size=B).map(np.array)),
        }
        return (B, H, Tq, Tk), (*lead, rows), keys, where, draw(st.sampled_from("fd"))

    @hypothesis.settings(max_examples=40, deadline=None, derandomize=True)
    @hypothesis.given(case())
    def check(drawn):
        (B, H, Tq, Tk), rows, keys, where, kind = drawn
        rng, G = np.random.default_rng(B * H * Tq + Tk), sum(keys[1])
        shapes = (B, H, Tq, 3), (B, G, Tk, 3), (B, G, Tk, 2), (B, H, Tq, 2)
        Q, K, V, dO = (rng.standard_normal(shape).astype(kind) for shape in shapes)
        found, expected = both(Q, K, V, dO, (rows, keys), **where)
        assert_same(found, expected, 1e-12 if kind == "d" else 1e-5)

    check()


def test_no_leading_axes_and_shared_ones(draw):
    assert_same(*both(draw(7, 3), draw(5, 3), draw(5, 2), draw(7, 2), (((3, 4),), ((2, 3),))))
    Q, K, V, dO = draw(4, 7, 3), draw(1, 5, 3), draw(1, 5, 2), draw(4, 7, 2)
    assert_same(*both(Q, K, V, dO, ((2, 3), (1, 2)), causal=True))


@pytest.mark.parametrize("size", [30.0, 3000.0])
def test_large_scores_lose_no_more_than_in_one_piece(arrays, size):
    Q, K, V, dO = (X.astype(np.float32) for X in arrays)
    (O, *_), _ = both(size * Q, K, np.ones_like(V), dO, CHUNKS, causal=True, offset=1)
    np.testing.assert_allclose(O, 1.0, rtol=0, atol=1e-6)
    exact = attention(*(X.astype(float) for X in (size * Q, K, V)))[0]
    by_blocks = both(size * Q, K, V, dO, CHUNKS)[0][0]
    whole = tiled_attention(size * Q, K, V)[0]
    assert np.abs(by_blocks - exact).max() <= 4 * np.abs(whole - exact).max() + 1e-5


def test_what_is_masked_cannot_leak(arrays):
    Q, K, V, dO = arrays
    expected = both(Q, K, V, dO, CHUNKS, valid_lens=np.array([9, 4]))[0]
    for broken in (np.nan, np.inf):
        for b, n in enumerate((9, 4)):
            K[b, :, n:], V[b, :, n:] = broken, broken
        assert_same(both(Q, K, V, dO, CHUNKS, valid_lens=np.array([9, 4]))[0], expected)


def test_a_nan_that_counts_reaches_those_who_may_attend_to_it(arrays):
    Q, K, V, dO = arrays
    K[0, 0, 6, 0] = np.nan
    (O, dQ, dK, dV), _ = both(Q, K, V, dO, CHUNKS, causal=True)
    for X in (O, dQ):
        assert np.isnan(X[0, 0, 6:]).all() and np.isfinite(X[0, 0, :6]).all()
    assert np.isfinite(O[0, 1:]).all() and np.isfinite(dV[1]).all() and np.isfinite(dK[1]).all()


def test_blocks_in_which_nobody_may_attend_are_not_computed():
    rows, keys = ((1, 1), (4,) * 8), (4,) * 8

    def count(lens=None, causal=False, offset=0, window=None):
        return len(list(block_pairs(rows, keys, lens, causal, offset, window)))

    assert count() == 2 * 64 and count(causal=True) == 2 * 36 and count(window=1) == 2 * 8
    assert count(causal=True, window=5) == 2 * 15 and count(lens=np.array([5, 0])) == 8 * 2
    assert count(causal=True, offset=-100) == 0


def test_no_block_holds_all_keys_or_a_matrix(arrays):
    Q, K, V, dO = (chunked(X, *CHUNKS[i > 0 and i < 3]) for i, X in enumerate(arrays))
    seen = []

    class Watch(dask.callbacks.Callback):
        def _posttask(self, key, result, *_):
            seen.extend(X for X in (result if isinstance(result, tuple) else (result,))
                        if isinstance(X, np.ndarray))

    O, cache = distributed.attention(Q, K, V, causal=True)
    with Watch():
        dask.persist(*distributed.attention_backward(dO, cache), optimize_graph=False)
    sizes = {X.shape[-2] for X in seen if X.ndim == 4 and X.base is None}
    assert seen and max(sizes - {11, 13}) <= 6


def test_float32_stays_float32(arrays):
    Q, K, V, dO = (X.astype(np.float32) for X in arrays)
    found, expected = both(Q, K, V, dO, CHUNKS, window=4)
    assert_same(found, expected, 1e-6)
    _, cache = distributed.attention(*(chunked(X, 1, 3, 4) for X in (Q, K, V)))
    assert {X.dtype for X in cache[:6]} == {X.compute().dtype for X in cache[:6]} == {Q.dtype}


def test_an_empty_sequence_is_no_error(draw):
    Q, K = chunked(draw(2, 4, 3), 1, 2), chunked(draw(2, 0, 3), 1, 2)
    assert not distributed.attention(Q, K, K)[0].compute().any()


ONE = np.ones((2, 8, 3))


@pytest.mark.parametrize("arrays, error, words", [
    ((ONE, chunked(ONE, 1, 4), chunked(ONE, 1, 4)), TypeError,
     r"Q must be a Dask array, got ndarray; da.from_array\(Q, chunks=...\) makes one"),
    ((chunked(ONE, 1, 4), da.ones((2, 8, 3), chunks=(1, 4, 1)), chunked(ONE, 1, 4)), ValueError,
     r"K must have its last axis in one chunk, got \(1, 1, 1\); K.rechunk\({-1: -1}\)"),
    ((chunked(ONE, 1, 4), chunked(ONE, 1, 4), chunked(ONE, 1, 2)), ValueError,
     r"V has the chunks \(2, 2, 2, 2\) along axis -2, K has \(4, 4\); V.rechunk\({-2: \(4, 4\)}\)"),
    ((chunked(ONE, 1, 4), chunked(ONE, 2, 4), chunked(ONE, 2, 4)), ValueError,
     r"K has the chunks \(2,\) along axis -3, Q has \(1, 1\); K.rechunk\({-3: \(1, 1\)}\)"),
    ((chunked(ONE, 1, 4), chunked(ONE, 1, 4), chunked(ONE.astype(np.float32), 1, 4)), TypeError,
     "V is float32 but K is float64; convert one"),
    ((chunked(ONE.astype(int), 1, 4), chunked(ONE, 1, 4), chunked(ONE, 1, 4)), TypeError,
     r"Q must be float32 or float64, got int64; convert it with Q.astype\(np.float32\)"),
    ((chunked(ONE, 1, 4), chunked(ONE[:, :, :2], 1, 4), chunked(ONE, 1, 4)), ValueError,
     "Dk is 3 in Q, 2 in K"),
    ((chunked(ONE, 1, 4)[:, da.arange(8, chunks=4) > 2], chunked(ONE, 1, 4), chunked(ONE, 1, 4)),
     ValueError, r"Q has chunks of unknown size.*call Q.compute_chunk_sizes\(\)"),
], ids=range(8))
def test_what_does_not_fit_is_named(arrays, error, words):
    with pytest.raises(error, match=words):
        distributed.attention(*arrays)


def test_an_upstream_gradient_that_does_not_fit_is_named():
    Q = chunked(ONE, 1, 4)
    O, cache = distributed.attention(Q, Q, Q)
    with pytest.raises(ValueError, match=r"O has the chunks .* dO has"):
        distributed.attention_backward(chunked(ONE, 1, 2), cache)
    with pytest.raises(TypeError, match="dO is float32 but O is float64"):
        distributed.attention_backward(O.astype(np.float32), cache)
    with pytest.raises(ValueError, match="valid_lens must be"):
        distributed.attention(Q, Q, Q, valid_lens=np.array([1, 2, 3]))
    with pytest.raises(ValueError, match="window must be at least 1"):
        distributed.attention(Q, Q, Q, window=0)


def test_without_dask_it_says_what_to_install():
    code = "import sys; sys.modules['dask'] = None; import npattn; import npattn.distributed"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = run.stderr.splitlines()[-1]
    assert 'npattn.distributed needs dask: pip install "npattn[dask]"' in last
    code = "import sys, npattn; sys.exit('dask' in sys.modules)"
    assert not subprocess.run([sys.executable, "-c", code]).returncode


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere", "tcp://127.0.0.1"])
def test_a_scheduler_that_is_not_there_is_named(address):
    with pytest.raises(ConnectionError, match=f"scheduler='{address}'; start one with `dask sch"):
        with connect(address, wait=2.0):
            pass


@contextlib.contextmanager
def two_workers():
    """Each in a process of its own that starts again when it is killed."""
    environment = dict(os.environ)
    try:
        with contextlib.ExitStack() as stack:
            yield started(stack, n_workers=2, threads_per_worker=1, memory_limit="1GiB")
    finally:  # Dask sets variables for its workers, also here: malloc's, for instance
        os.environ.clear()
        os.environ.update(environment)


def started(stack, attempts=3, **local):
    """The client of a new cluster.

    Dask gives its event loop 10 seconds, at times too few. Once its thread ended before it began,
    which only an alarm notices.
    """
    for attempt in range(attempts):
        try:
            with alarm(60):
                return stack.enter_context(connect(**local))
        except (AssertionError, TimeoutError):
            if attempt == attempts - 1:
                raise
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()  # the cluster that has no loop


@pytest.fixture(scope="module")
def cluster():
    with two_workers() as client:
        yield client


@pytest.fixture
def client(cluster):
    with dask.config.set(scheduler=cluster):
        yield cluster


def normal(*shape, chunks):
    return da.random.default_rng(3).standard_normal(shape, dtype=np.float32, chunks=chunks)


def test_a_worker_that_is_killed_changes_nothing():
    with two_workers() as client, dask.config.set(scheduler=client):
        check_that_a_killed_worker_changes_nothing(client)


def check_that_a_killed_worker_changes_nothing(client):
    Q, K, V, dO = (normal(2, 2048, 32, chunks=(-1, 256, -1)) for _ in range(4))

    def compute():
        O, cache = distributed.attention(Q, K, V, causal=True)
        return O, *distributed.attention_backward(dO, cache)

    expected = dask.compute(*compute(), scheduler="synchronous")
    results = client.compute(compute())
    pids = client.run(os.getpid)
    killed = None
    for _ in range(6000):
        done = client.run_on_scheduler(
            lambda dask_scheduler: sum(
                key.startswith("_attend_backward") and task.state == "memory"
                for key, task in list(dask_scheduler.tasks.items()) if isinstance(key, str)))
        if done > 3:
            killed = min(pids.values())
            os.kill(killed, signal.SIGKILL)
            break
        time.sleep(0.01)
    found = client.gather(results)
    assert killed and killed not in client.run(os.getpid).values()
    for X, Y in zip(found, expected, strict=True):
        assert np.array_equal(X, Y)


def test_the_example_runs_on_any_scheduler(client, capsys, monkeypatch):
    address = client.scheduler_info()["address"]
    script = ROOT / "notebooks" / "attention_on_dask.py"
    monkeypatch.setattr(sys, "argv", [
        str(script), "--scheduler", address, "--tokens", "512", "--chunk", "128", "--causal"])
    runpy.run_path(str(script), run_name="__main__")
    said = capsys.readouterr().out
    assert "100% Completed" in said and said.count("MiB of memory") == 2
    monkeypatch.setattr(sys, "argv", [str(script), "--scheduler", "tcp://127.0.0.1:9"])
    with pytest.raises(SystemExit, match="no Dask scheduler answers"):
        runpy.run_path(str(script), run_name="__main__")


def test_a_class_is_graded_on_a_cluster(client, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    right = "def softmax_backward(dP, P):\n    return P * (dP - (dP * P).sum(-1, keepdims=True))\n"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ann_1.py").write_text(right)
    (tmp_path / "in" / "bob_1.py").write_text("def softmax_backward(dP, P):\n    return P * dP\n")
    grade = ["exercise", "grade", str(tmp_path / "in"), "--scheduler"]
    table = tmp_path / "grades.json"
    address = client.scheduler_info()["address"]
    assert cli.main([*grade, address, "--json", str(table)]) == 0
    rows = {row["student"]: row["verdict"] for row in json.loads(table.read_text())}
    assert rows == {"ann": "right", "bob": "wrong"}
    assert cli.main([*grade, "tcp://127.0.0.1:9"]) == 2
    assert "start one with `dask scheduler`" in capsys.readouterr().err


def test_a_file_is_graded_where_it_is_not(tmp_path):
    path = tmp_path / "ann_1.py"
    each = classroom.Submission("ann", "softmax-backward", path)
    row = classroom.row_of(each, content=b"def softmax_backward(dP, P):\n    return P * dP\n")
    assert row["verdict"] == "wrong" and row["file"] == str(path)


@pytest.mark.long
def test_65536_tokens_fit_into_two_workers_of_one_gibibyte():
    run = subprocess.run(
        [sys.executable, ROOT / "notebooks" / "attention_on_dask.py"], check=True, text=True,
        capture_output=True)
    peaks = [float(line.split("at most ")[1].split(" MiB")[0])
             for line in run.stdout.splitlines() if "MiB of memory" in line]
    assert len(peaks) == 2 and max(peaks) < 1024


@pytest.mark.long
def test_two_workers_take_at_most_1_3_of_two_threads(client):
    Q, K, V = dask.persist(*(normal(4, 16384, 64, chunks=(-1, 4096, -1)) for _ in range(3)))
    q, k, v = dask.compute(Q, K, V)
    wait(distributed.attention(Q, K, V)[0].persist())
    ratios = []
    for _ in range(7):
        began = time.perf_counter()
        tiled_attention(q, k, v, threads=2)
        between = time.perf_counter()
        O = distributed.attention(Q, K, V)[0].persist()
        wait(O)
        ratios.append((time.perf_counter() - between) / (between - began))
    assert np.median(ratios) <= 1.3
