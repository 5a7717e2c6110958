"""Attention over a sequence that two small workers share, forward and backward.

    python notebooks/attention_on_dask.py                                 two workers on this machine
    python notebooks/attention_on_dask.py --scheduler tcp://HOST:8786     any Dask cluster

Needs `pip install "npattn[dask]"`, also on the workers. Prints Dask's own progress, the time, and
how much memory each worker took at most, and received from others.
"""

import argparse
import os
import resource
import sys
import time

import numpy as np

from npattn.cluster import connect


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scheduler", metavar="ADDRESS", help="such as tcp://127.0.0.1:8786")
    parser.add_argument("--tokens", type=int, default=65_536)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--chunk", type=int, default=4096, help="tokens to a block")
    parser.add_argument("--causal", action="store_true")
    options = parser.parse_args()
    local = {} if options.scheduler else {
        "n_workers": 2, "threads_per_worker": 1, "memory_limit": "1GiB"}
    try:
        with connect(options.scheduler, **local) as client:
            run(client, options)
    except ConnectionError as error:
        sys.exit(str(error))


def run(client, options):
    import dask
    import dask.array as da
    from distributed import progress, wait

    from npattn.distributed import attention, attention_backward

    rng, shape = da.random.default_rng(0), (options.heads, options.tokens, 64)
    Q, K, V, dO = (
        rng.standard_normal(shape, dtype=np.float32, chunks=(-1, options.chunk, -1))
        for _ in range(4))
    matrix = options.heads * options.tokens**2 * 4 / 2**30
    print(f"{options.heads} heads of 64, {options.tokens} tokens: the weights would need "
          f"{matrix:.3g} GiB, each of Q, K, V and dO has {Q.nbytes / 2**20:.3g} MiB")
    began = time.perf_counter()
    O, cache = attention(Q, K, V, causal=options.causal)
    results = dask.persist(O, *attention_backward(dO, cache))
    progress(results, notebook=False)
    wait(results)
    print(f"\nforward and backward took {time.perf_counter() - began:.1f} s")
    for address, (peak, received) in sorted(client.run(figures).items()):
        print(f"{address}: at most {peak:.0f} MiB of memory, {received:.0f} MiB received")


def figures(dask_worker):
    """MiB that this worker's process held at most, and MiB that other workers sent to it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return peak, sum(entry["total"] for entry in dask_worker.transfer_incoming_log) / 2**20


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
