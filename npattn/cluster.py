"""A Dask cluster: on this machine, or wherever a scheduler answers.

    with connect("tcp://192.168.0.7:8786") as client:           any scheduler
    with connect(n_workers=2, memory_limit="1GiB") as client:   workers on this machine
"""

from contextlib import contextmanager

WAIT = 10.0  # seconds for a scheduler to answer, and for a worker to be there


def require_dask(use):
    """Raises ImportError that says what to install, where Dask is missing."""
    try:
        import dask.array  # noqa: F401
        import distributed  # noqa: F401
    except ImportError as error:
        name = error.name.split(".")[0]
        raise ImportError(f'{use} needs {name}: pip install "npattn[dask]"') from error


@contextmanager
def connect(scheduler=None, wait=WAIT, **local):
    """A Dask client: of the scheduler at that address, or of workers on this machine.

    scheduler  "tcp://host:port", as `dask scheduler` prints it; None starts a LocalCluster
    wait       seconds for the scheduler to answer, and for its first worker
    local      options of LocalCluster, such as n_workers and memory_limit

    Raises ConnectionError that says what to start, where no scheduler or no worker is.
    """
    require_dask("connect")
    from distributed import Client, LocalCluster

    if scheduler is None:
        with LocalCluster(dashboard_address=":0", **local) as cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(scheduler, timeout=wait)
    except (OSError, ValueError, TypeError) as error:
        raise ConnectionError(
            f"no Dask scheduler answers at the address scheduler={scheduler!r}; start one with "
            '`dask scheduler`, and pass the address that it prints, such as "tcp://127.0.0.1:8786"'
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=wait)
        except TimeoutError as error:
            raise ConnectionError(
                f"scheduler={scheduler!r} has no worker; start some with `dask worker {scheduler}`"
            ) from error
        yield client
