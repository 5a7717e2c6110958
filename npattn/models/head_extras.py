"""What may come between the projections of multi-head attention and the attention itself.

    Q, K = qk_norm(Q, K)                each only where it is asked for, in this order
    Q, K = rotary(Q), rotary(K)         positions, behind those of the past
    K, V = [past.K, K], [past.V, V]     the keys and values of earlier positions
    mask = mask and window              of positions
    K, V = [K, k], [V, v], [K, 0]…      a learned key and value for each head, a key and value of 0

Q is (..., H, Tq, D), K and V (..., G, Tk, D). The learned key is torch's add_bias_kv, the key of 0
its add_zero_attn; both may always be attended to.
Source: the pages qk_norm, rotary, key_value_cache, positional_masks; torch.nn.MultiheadAttention.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from npattn.kernels.embedding import normal
from npattn.kernels.floats import quiet
from npattn.kernels.key_value_cache import KeysValues, append_keys_values
from npattn.kernels.masks import combine_masks
from npattn.kernels.options import require_choice, require_eps, require_flag
from npattn.kernels.positional_masks import window_mask
from npattn.kernels.qk_norm import (
    QKNormCache, QKNormParams, init_qk_norm, qk_norm, qk_norm_backward,
)
from npattn.kernels.rotary import rotary, rotary_backward
from npattn.kernels.rotary_pairings import PAIRINGS
from npattn.kernels.rotary_speeds import rotary_speeds
from npattn.kernels.rotary_table import RotaryTable, rotary_table
from npattn.kernels.shapes import Shape, require_shapes
from npattn.models.kernel_choice import window_sides
from npattn.models.kv_cache import Past


class Rotary(NamedTuple):
    """How queries and keys are turned. rotary="halves" stands for Rotary("halves")."""

    pairing: str = "interleaved"            # or "halves", as in `rotary`
    base: float = 10000.0                   # as in `rotary_speeds`
    width: int | None = None                # columns of a head that turn; None means all
    speeds: tuple[float, ...] | None = None  # radians per position, instead of base and width


class HeadExtras(NamedTuple):
    """What prepare_heads learns. The gradient has the same type."""

    qk_norm: QKNormParams | None    # (D,) each
    extra_key: np.ndarray | None    # (G · D,)
    extra_value: np.ndarray | None  # (G · D,)


class PreparedCache(NamedTuple):
    """What prepare_heads_backward reads, and what else was prepared."""

    params: HeadExtras | None
    normed: QKNormCache | None
    turned: tuple[Any, Any] | None
    past: int               # positions before the new ones
    new: int                # keys that are new
    mask: np.ndarray | None
    window: int | tuple | None  # where it is not in the mask
    present: KeysValues     # to hand to the next call as its past
    laid_out: Past | None   # the past where it is a layer of a KVCache, still without K and V
    shapes: tuple           # of Q, K and V as they are returned

    @property
    def placed(self):
        """What `chosen_attention` is told of positions."""
        return dict(window=self.window, offset=self.past, laid_out=self.laid_out)


def init_head_extras(
    head_width, key_width, rng, *, qk_norm=False, extra_key=False, dtype=np.float64
):
    """Gains of 1; keys and values that are normal with variance 1 / head_width."""
    def drawn():
        return normal(head_width**-0.5, (key_width,), rng, dtype) if extra_key else None

    return HeadExtras(init_qk_norm(head_width, dtype=dtype) if qk_norm else None, drawn(), drawn())


@quiet
def prepare_heads(
    Q, K, V, params=None, mask=None, *, qk_eps=1e-6, turn=None, past=None, window=None,
    zero_key=False,
):
    """Queries, keys and values as the attention is to have them.

    Q, K, V   (..., H, Tq, D), (..., G, Tk, D), (..., G, Tk, Dv)
    params    HeadExtras, or None
    mask      bool or None, with a head axis
    qk_eps    of the norm of queries and keys
    turn      None, "interleaved", "halves", or a `Rotary`
    past      KeysValues of earlier positions, from the cache's `present`; counts as a constant.
              Or a layer of a KVCache, which joins K and V to those it has by itself
    window    w, the keys with |j − i| < w; or (left, right), as in `window_mask`; None for all
    zero_key  whether there is one more key of 0 with a value of 0

    Returns (Q, K, V) and the cache, which has the mask, the window, and `present`.
    Where there is a key behind the others, the window becomes a part of the mask.
    """
    require_shapes("Q ... H Tq D", Q)
    require_shapes("K ... G Tk D, V ... G Tk Dv", K, V)
    require_flag("zero_key", zero_key)
    require_eps(qk_eps=qk_eps)
    _require_past(past)
    extras = params or HeadExtras(None, None, None)
    normed = turned = None
    if isinstance(past, Past) and (zero_key or extras.extra_key is not None):
        raise ValueError("a KVCache attends without a key behind the others; hand over KeysValues "
                         "as past")
    laid_out, past = (past, None) if isinstance(past, Past) else (None, past)
    Tp, new = 0 if past is None else past.K.shape[-2], K.shape[-2]
    Tp = Tp if laid_out is None else laid_out.length
    if extras.qk_norm is not None:
        (Q, K), normed = qk_norm(Q, K, extras.qk_norm, eps=qk_eps)
    if turn is not None:
        (Q, turned_q), (K, turned_k) = _turn(Q, turn, Tp), _turn(K, turn, Tp)
        turned = turned_q, turned_k
    present = KeysValues(K, V)
    if past is not None:
        present, _ = append_keys_values(past, K, V)
        K, V = present
    if window is not None and (zero_key or extras.extra_key is not None):
        left, right = window_sides(window)
        allowed = window_mask(Q.shape[-2], K.shape[-2], left=left, right=right, offset=Tp)
        mask, window = combine_masks(mask, allowed), None
    if extras.extra_key is not None:
        K, V = _append(K, extras.extra_key), _append(V, extras.extra_value)
    if zero_key:
        K, V = _append(K), _append(V)
    mask = _with_columns(mask, Tp + new, K.shape[-2])
    return (Q, K, V), PreparedCache(
        params, normed, turned, Tp, new, mask, window, present, laid_out,
        (Q.shape, K.shape, V.shape),
    )


@quiet
def prepare_heads_backward(dQKV, cache: PreparedCache):
    """dQ, dK, dV and dparams from dQKV = (dQ, dK, dV): the forward's steps, undone in reverse."""
    dQ, dK, dV = dQKV
    for name, dX, shape in zip("QKV", dQKV, cache.shapes):
        require_shapes(f"d{name} =... H T D, {name} ... H T D", dX, Shape(shape))
    params, end = cache.params, cache.past + cache.new
    dnorm, dextra = None, (None, None)
    if params is not None and params.extra_key is not None:
        rows = (dX[..., end, :] for dX in (dK, dV))
        dextra = tuple(row.sum(axis=tuple(range(row.ndim - 2))).reshape(-1) for row in rows)
    dK, dV = dK[..., cache.past:end, :], dV[..., cache.past:end, :]
    if cache.turned is not None:
        dQ, dK = rotary_backward(dQ, cache.turned[0]), rotary_backward(dK, cache.turned[1])
    if cache.normed is not None:
        dQ, dK, dnorm = qk_norm_backward((dQ, dK), cache.normed)
    return dQ, dK, dV, None if params is None else HeadExtras(dnorm, *dextra)


def _require_past(past):
    if past is not None and not isinstance(past, KeysValues | Past):
        raise TypeError("past must be KeysValues, or a layer of a KVCache, cache.layer(i); "
                        f"got {type(past).__name__}")
    if isinstance(past, KeysValues):
        require_shapes("past.K ... Tp D, past.V ... Tp Dv", *past)


def require_rotary(rotary):
    """None, a pairing, or a `Rotary`. Raises ValueError or TypeError otherwise."""
    if rotary is not None:
        rotary = _named(rotary)
        require_choice("rotary", rotary.pairing, PAIRINGS)


def _named(how):
    if isinstance(how, str):
        return Rotary(how)
    if not isinstance(how, Rotary):
        raise TypeError(f'rotary must be "interleaved", "halves" or a Rotary, got {how!r}')
    return how


def turns_of(how, first, D, dtype, *, T=1, by_column=False):
    """The RotaryTable of T positions from `first` on, for heads D wide; and the pairing."""
    how = _named(how)
    speeds = None if how.speeds is None else tuple(how.speeds)
    width = D if how.width is None else how.width
    return _table(speeds, width, how.base, first, T, dtype, by_column), how.pairing


def _turn(X, how, offset):
    *_, T, D = X.shape
    by_column = X.strides[-1] > X.strides[-2]  # the table lies in memory as X does: a third faster
    table, pairing = turns_of(how, offset, D, X.real.dtype, T=T, by_column=by_column)
    return rotary(X, table=table, pairing=pairing)


@lru_cache(8)
def _table(speeds, width, base, first, T, dtype, by_column):
    """The RotaryTable of positions first … first + T − 1, made once for all blocks of a model."""
    speeds = rotary_speeds(width, base=base) if speeds is None else speeds
    table = rotary_table(np.arange(first, first + T), speeds, dtype=dtype)
    if by_column:
        table = RotaryTable(*map(np.asfortranarray, table))
    for part in table:
        part.flags.writeable = False
    return table


def _append(X, row=None):
    """X (..., G, T, D) and behind it one row for each head, from (G · D,), or of 0."""
    G, _, D = X.shape[-3:]
    if row is not None and row.shape != (G * D,):
        raise ValueError(f"the extra key and value of G = {G} heads, {D} wide, must be (G · D,) = "
                         f"({G * D},), got {row.shape}")
    row = np.zeros((G, 1, D), X.dtype) if row is None else row.reshape(G, 1, D)
    return np.concatenate([X, np.broadcast_to(row, (*X.shape[:-2], 1, D))], axis=-2)


def _with_columns(mask, Tk, columns):
    """The mask over Tk keys with True for those behind them."""
    if mask is None or columns == Tk:
        return mask
    full = np.broadcast_to(mask, (*mask.shape[:-1], Tk))
    return np.concatenate([full, np.ones((*full.shape[:-1], columns - Tk), bool)], axis=-1)
