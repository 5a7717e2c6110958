"""One thread for BLAS: within every training, and not beyond."""

import os
import subprocess
import sys
import textwrap

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from npattn.experiments import adaptation, dates, digits, series, translation
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
