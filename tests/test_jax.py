"""JAX's dot_product_attention, forward and backward, on a grid of its options.

JAX lays out (B, T, N, D), gives a query without keys the average of all values, and means by
`key_value_seq_lengths` and `query_seq_lengths` what is padded. Compared is what both define alike:
rows that may attend to something. JAX's softmax is float32 inside, so the two agree to 1e-6.
"""

import itertools

import numpy as np
import pytest

from npattn import (
    attend,
    attend_backward,
    causal_mask,
    combine_masks,
    dot_scores,
    dot_scores_backward,
    valid_lens_mask,
    window_mask,
)
from npattn.kernels.score_bias import add_bias, add_bias_backward

jax = pytest.importorskip("jax", reason="jax is not installed")

pytestmark = pytest.mark.peers

B, T, S, D = 2, 5, 7, 4
NEAR = 1e-6  # of the largest entry
GRID = list(itertools.product(
    [(4, 4), (4, 2), (4, 1)],                       # query heads, key heads
    [None, (2, 0), (0, 3), (1, 2), 2],              # window
    [False, True],                                  # causal
    [None, np.array([7, 4], np.int32)],             # lengths of the keys
    [None, np.array([5, 3], np.int32)],             # lengths of the queries
))


@pytest.fixture(autouse=True, scope="module")
def _double():
    with jax.enable_x64(True):
        yield


def allowed(window, causal, key_lens, query_lens):
    """The mask (B, 1, T, S), from builders of npattn alone."""
    left, right = window if isinstance(window, tuple) else (window, window)
    queries = None if query_lens is None else valid_lens_mask(query_lens, T)[:, 0, :, None]
    keys = None if key_lens is None else valid_lens_mask(key_lens, S)
    mask = combine_masks(
        window_mask(T, S, left=left, right=right), causal_mask(T, S) if causal else None,
        keys, queries,
    )
    return np.broadcast_to(mask, (B, T, S))[:, None]


def fold(X, G):
    """(B, T, N, D) to (B, G, N / G · T, D): the heads of a group behind each other."""
    X = X.swapaxes(1, 2)
    return X.reshape(B, G, -1, X.shape[-1])


def unfold(X, N):
    """And back."""
    return X.reshape(B, N, -1, X.shape[-1]).swapaxes(1, 2)


def assert_near(name, found, expected):
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=NEAR * max(1.0, np.abs(expected).max()), err_msg=name
    )


@pytest.mark.parametrize("case", range(len(GRID)))
def test_outputs_and_gradients_are_those_of_jax(case):
    (N, G), window, causal, key_lens, query_lens = GRID[case]
    rng = np.random.default_rng(case)
    Q, dO = rng.standard_normal((2, B, T, N, D))
    K, V = rng.standard_normal((2, B, S, G, D))
    bias = rng.standard_normal((1, N, T, S))
    mask = np.broadcast_to(allowed(window, causal, key_lens, query_lens), (B, N, T, S))
    dO = dO * mask.any(axis=-1).swapaxes(1, 2)[..., None]

    def there(Q, K, V, bias):
        return jax.nn.dot_product_attention(
            Q, K, V, bias, is_causal=causal, local_window_size=window,
            query_seq_lengths=query_lens, key_value_seq_lengths=key_lens,
        )

    expected, vjp = jax.vjp(there, Q, K, V, bias)
    scores, scored = dot_scores(fold(Q, G), fold(K, G))
    wide = np.broadcast_to(bias, (B, N, T, S)).reshape(scores.shape)
    biased_scores, added = add_bias(scores, wide)
    O, attended = attend(biased_scores, fold(V, G), mask.reshape(scores.shape))
    alive = mask.any(axis=-1).swapaxes(1, 2)
    assert_near("O", unfold(O, N)[alive], np.asarray(expected)[alive])

    dY, dV = attend_backward(fold(dO, G), attended)
    dS, dbias = add_bias_backward(dY, added)
    dQ, dK = dot_scores_backward(dS, scored)
    dbias = dbias.reshape(B, N, T, S).sum(axis=0, keepdims=True)
    found = unfold(dQ, N), unfold(dK, G), unfold(dV, G), dbias
    for name, here, jaxs in zip(("dQ", "dK", "dV", "dbias"), found, vjp(dO), strict=True):
        assert_near(name, here, np.asarray(jaxs))
