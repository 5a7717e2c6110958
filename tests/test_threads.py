"""One thread for BLAS: within every training, and not beyond."""

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
