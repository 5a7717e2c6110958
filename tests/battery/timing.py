"""What a check costs beside torch's, on the same functions: ratios of processor time.

    cd tests && python -m battery.timing

torch checks the same two halves, put into an autograd.Function. "full" is gradcheck beside torch's
slow mode; "quick" and "fast" are gradcheck(quick=True) and torch's fast mode in forwards of f.
"""

import statistics
import time
import warnings

import numpy as np
from npattn import gradcheck
from npattn.benchmarks.machine import machine

from battery.entry import Shelf, normal
from battery.peers import by_torch, by_torch_fast

ROUNDS = 5


def functions():
    shelf = Shelf("timing")

    def attention(Q, K, V):
        S = Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1])
        E = np.exp(S - S.max(-1, keepdims=True).real)
        A = E / E.sum(-1, keepdims=True)
        return A @ V, (Q, K, V, A)

    def attention_backward(dO, cache):
        Q, K, V, A = cache
        dA = dO @ V.swapaxes(-1, -2)
        dS = A * (dA - (dA * A).sum(-1, keepdims=True)) / np.sqrt(Q.shape[-1])
        return dS @ K, dS.swapaxes(-1, -2) @ Q, A.swapaxes(-1, -2) @ dO

    for size in ((2, 5, 4), (2, 2, 8, 8), (2, 4, 16, 16)):
        arrays = [normal(seed, *size) for seed in range(3)]
        shelf.add(f"attention {size}", attention, attention_backward, *arrays, wrong={})

    def dense(X, W1, b1, W2):
        H = np.tanh(X @ W1 + b1)
        return H @ W2, (X, W1, H, W2)

    def dense_backward(dY, cache):
        X, W1, H, W2 = cache
        dZ = (dY @ W2.T) * (1 - H * H)
        return dZ @ W1.T, X.T @ dZ, dZ.sum(0), H.T @ dY

    arrays = [normal(s, *size) for s, size in enumerate([(8, 10), (10, 20), (20,), (20, 10)])]
    shelf.add("two dense layers", dense, dense_backward, *arrays, wrong={})

    def norm(X, gain, bias):
        Z = X - X.mean(-1, keepdims=True)
        r = 1 / np.sqrt((Z * Z).mean(-1, keepdims=True) + 1e-5)
        return Z * r * gain + bias, (Z * r, r, gain)

    def norm_backward(dY, cache):
        H, r, gain = cache
        dH = dY * gain
        dX = r * (dH - dH.mean(-1, keepdims=True) - H * (dH * H).mean(-1, keepdims=True))
        return dX, (dY * H).sum((0, 1)), dY.sum((0, 1))

    shelf.add("layer norm", norm, norm_backward, normal(0, 4, 8, 12), normal(1, 12),
              normal(2, 12), wrong={})
    return shelf


def processor_time(action):
    start = time.process_time()
    action()
    return time.process_time() - start


def measure(entry):
    """Medians of (full / slow, quick in forwards, fast in forwards), taken in turn."""
    def forwards():
        for _ in range(20):
            entry.f(*entry.inputs)

    def npattn(**options):
        assert gradcheck(entry.f, entry.backward, *entry.inputs, **options).ok

    rows = []
    for _ in range(ROUNDS):
        forward = processor_time(forwards) / 20
        full, slow = processor_time(npattn), processor_time(lambda: by_torch(entry))
        quick = processor_time(lambda: npattn(quick=True))
        fast = processor_time(lambda: by_torch_fast(entry))
        rows.append((full / slow, quick / forward, fast / forward))
    return [statistics.median(column) for column in zip(*rows)]


def main():
    warnings.simplefilter("ignore")
    print(f"{machine()['processor']}, medians of {ROUNDS}")
    print(f"{'function':26} {'full / slow':>12} {'quick':>8} {'torch fast':>11}")
    for entry in functions():
        ratio, quick, fast = measure(entry)
        print(f"{entry.name:26} {ratio:12.2f} {quick:8.0f} {fast:11.0f}", flush=True)


if __name__ == "__main__":
    main()
