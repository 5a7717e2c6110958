"""One thread for BLAS: within every training, and not beyond."""

import os
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from npattn.experiments import adaptation, dates, digits, series, translation
from npattn.kernels.tiling import blas_limit, threads
from npattn.kernels.tiling.blas_limit import BlasLimit
from npattn.training import one_blas_thread


def blas_threads():
    return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}


def test_blas_has_one_thread_in_the_block_and_gets_the_others_back():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with one_blas_thread(), one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == before


@pytest.mark.parametrize(("module", "train"), [
    (dates, dates.train),
    (series, series.train),
    (digits, digits.train),
    (translation, translation.train_transformer),
    (translation, translation.train_bahdanau),
    (adaptation, lambda: adaptation.learn(None, "en", None, None, steps=20)),
], ids=["dates", "series", "digits", "translation", "bahdanau", "adaptation"])
def test_every_experiment_trains_with_one_thread(module, train, monkeypatch):
    if module is digits:
        pytest.importorskip("sklearn", reason="the digits need scikit-learn")
    trained = []

    class Fitted(Exception):
        pass

    def fit(*args, **options):
        trained.append(blas_threads())
        raise Fitted

    monkeypatch.setattr(module, "fit", fit)
    with threadpool_limits(2, user_api="blas"), pytest.raises(Fitted):
        train()
    assert trained == [{1}]


def test_tiles_from_any_thread_limit_blas_and_give_it_back():
    code = """
        import threading
        from concurrent.futures import ThreadPoolExecutor
        import numpy as np
        from threadpoolctl import threadpool_info, threadpool_limits
        from npattn import tiled_attention, tiled_attention_backward

        def blas_threads():
            return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}

        def both():
            O, cache = tiled_attention(*arrays, threads=2)
            return O, *tiled_attention_backward(O, cache)

        arrays = np.random.default_rng(0).standard_normal((3, 2, 300, 8))
        assert blas_threads() == {2}, blas_threads()
        expected = both()
        with ThreadPoolExecutor(3) as pool:
            for found in pool.map(lambda _: both(), range(12)):
                assert all((a == b).all() for a, b in zip(found, expected, strict=True))
        assert blas_threads() == {2}, blas_threads()
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(1) as pool:
            pool.submit(both).result()
            assert blas_threads() == {1}
        assert blas_threads() == {2}, blas_threads()
        for threads in (2, 3, 4, 5):
            tiled_attention(*arrays, threads=threads)
        assert threading.active_count() < 12, threading.active_count()
        print("fine")
    """
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=env,
                         capture_output=True, text=True)
    assert run.stdout == "fine\n", run.stderr


class Library:
    """Stands for a BLAS library, with its own limit."""

    def __init__(self, num_threads):
        self.num_threads = num_threads

    def set_num_threads(self, count):
        self.num_threads = count


def test_each_library_gets_its_own_limit_back_when_the_last_holder_goes(monkeypatch):
    libraries, limit = [Library(3), Library(5)], BlasLimit()
    monkeypatch.setattr(blas_limit, "_blas", lambda: libraries)

    def counts():
        return [library.num_threads for library in libraries]

    first, second = limit.one(), limit.one()
    assert limit.threads() == 5
    first.__enter__()
    assert counts() == [1, 1]
    second.__enter__()
    assert counts() == [1, 1] and limit.threads() == 5
    first.__exit__(None, None, None)
    assert counts() == [1, 1] and limit.threads() == 5
    second.__exit__(None, None, None)
    assert counts() == [3, 5] and limit.threads() == 5
    libraries[0].num_threads = 2  # by the caller: it is asked again
    with limit.one():
        assert counts() == [1, 1]
        limit.after_fork()
        assert counts() == [2, 5] and not limit.holders


def test_all_cores_are_used_where_the_library_is_unknown(monkeypatch):
    monkeypatch.setattr(blas_limit, "_blas", lambda: [])
    for cores, expected in ((7, 7), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda n=cores: n)
        assert BlasLimit().threads() == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_process_has_no_holders_and_no_threads_of_its_parent():
    threads._pool()
    with blas_limit.blas_limit.one(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a fork beside threads
        child = os.fork()
        if not child:
            os._exit(len(blas_limit.blas_limit.holders) + threads._pool.cache_info().currsize)
        assert os.waitpid(child, 0)[1] == 0
        assert blas_limit.blas_limit.holders


def test_the_libraries_are_those_of_blas_and_threads_have_a_name():
    assert {library.user_api for library in blas_limit._blas.__wrapped__()} == {"blas"}
    with threads._pool.__wrapped__() as pool:
        assert pool.submit(lambda: threading.current_thread().name).result() == "npattn_0"


@pytest.mark.parametrize("count", [2, 3, 5])
def test_as_many_jobs_run_side_by_side_as_there_are_threads(count):
    together, names = threading.Barrier(count), []

    def job():
        together.wait(timeout=30)
        names.append(threading.current_thread().name.split("_")[0])

    threads.run([(job, ())] * count, count)
    assert sorted(names) == sorted([threading.current_thread().name] + ["npattn"] * (count - 1))


def test_there_are_no_more_threads_than_jobs_and_no_more_than_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(threads, "_cores", lambda count: asked.append(count) or [None])
    for jobs, most in ((3, 8), (8, 3), (0, 2)):
        threads.run([(lambda: None, ())] * jobs, most)
    assert asked == [3, 3, 0]


def test_each_thread_is_held_to_a_core_where_there_are_just_as_many(monkeypatch):
    held = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda *args: held.append(args), raising=False)
    for mine, count, expected in (
        ({5, 3}, 2, [3, 5]), ({5, 3}, 1, [None]), ({5, 3}, 3, [None] * 3), ({7}, 1, [None]),
        ({7}, 0, [None]),
    ):
        affinity = {0: mine, 1: {0, 1}}
        monkeypatch.setattr(os, "sched_getaffinity", affinity.__getitem__, raising=False)
        assert threads._cores(count) == expected
    with threads._held_to(7):
        assert held == [(0, {7})]
    assert held == [(0, {7})] * 2
    with threads._held_to(None):
        assert len(held) == 2


def test_jobs_that_have_waited_for_one_begin_when_it_is_done():
    meet = threading.Barrier(2)
    jobs = [(lambda: time.sleep(0.02), "ab"), *((lambda: meet.wait(5), place) for place in "ab")]
    threads.run(jobs, 2)


def test_where_no_further_thread_can_start_no_further_job_begins(monkeypatch):
    pool, begins, begun, started = threads._pool(), threading.Event(), [], []

    class Full:
        @staticmethod
        def submit(*args):
            if started:
                begins.wait(5)
                raise RuntimeError("can't start new thread")
            started.append(pool.submit(*args))
            return started[0]

    monkeypatch.setattr(threads, "_pool", Full)

    def job():
        begins.set()
        begun.append(None)
        time.sleep(0.01)

    with pytest.raises(RuntimeError, match="new thread"):
        threads.run([(job, ())] * 20, 3)
    assert len(begun) < 20 and started[0].done()
