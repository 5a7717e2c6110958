"""How many threads BLAS may use while a small model is trained: one."""


def one_blas_thread():
    """Holds BLAS to one thread, as a context: `with one_blas_thread(): fit(…)`.

    Small matrices gain nothing from more; and the sums of a product, and so the trained weights,
    would depend on the machine's number of cores.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="blas")
