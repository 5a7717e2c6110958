"""A text continued token by token: the prompt at once, then one token at a time.

    next_logits      the logits after the newest tokens, from a KVCache that they extend
    continue_tokens  yields one token after the other

The prompt's logits are needed at the last position only. With more than one thread it is read in
parts: a part may enter a block when the part before it, whose keys and values it reads, has left
that block. So each thread works on another part, in another block, also where NumPy has one thread.
Then each token is one row through all matrices (page `one_token`), as fast as memory can be read:
one thread of BLAS does that, and a second one only helps on a quiet machine.
"""

from functools import partial

import numpy as np

from npattn.kernels.floats import quiet
from npattn.kernels.options import require_counts, require_generator
from npattn.kernels.products import turned_like
from npattn.kernels.shapes import require_shapes
from npattn.kernels.tiling.threads import run, thread_count
from npattn.models.block import encoder_block
from npattn.models.kv_cache import KVCache
from npattn.models.language_model import embed_text, output_params
from npattn.models.normalize import normalize
from npattn.models.one_token import one_token
from npattn.models.projection import project
from npattn.models.sampling import require_options, sample

PART = 256  # tokens; half as many for each thread where a prompt is shorter, and never fewer


@quiet
def next_logits(tokens, params, cache, *, config):
    """The logits of the token that follows.

    tokens  (T,)  the newest tokens, integers
    params  LanguageModelParams
    cache   KVCache with the earlier tokens, which is extended by these
    config  LanguageModelConfig

    Returns logits (vocabulary,). Raises ValueError if the cache has no room, or for no token.
    """
    require_shapes("tokens:int T", tokens)
    T = len(tokens)
    if T < 1:
        raise ValueError("tokens must be at least one, got none")
    if not isinstance(cache, KVCache):
        raise TypeError(f"cache must be a KVCache, got {type(cache).__name__}")
    cache.require_room(T)
    X, _ = embed_text(tokens, params, config=config, offset=cache.length)
    cache.require_of(params, config)
    if T == 1 and cache.length > 0:
        X = one_token(X[0], params, cache, config=config)[None]
    else:
        X = _through_blocks(X, params, cache, config)
    cache.grow(T)
    X, _ = normalize(np.ascontiguousarray(X[-1:]), params.norm, **config.normalized())
    return project(X, output_params(params))[0][0]


def _through_blocks(X, params, cache, config):
    """The last rows of what the last block makes of X (T, width), or all of them."""
    T = len(X)
    threads = thread_count() if T >= PART else 1  # a shorter text has one part in any case
    count = max(threads, T // PART) if 1 < threads <= 2 * T // PART else 1
    starts = [T * n // count for n in range(count)]
    parts = [turned_like(X[start:stop], params.embedding.T)
             for start, stop in zip(starts, [*starts[1:], T], strict=True)]

    def job(i, n):
        past = cache.layer(i, ahead=starts[n])
        parts[n], _ = encoder_block(parts[n], params.blocks[i], past=past, options=config.blocks[i])

    places = [(i, n) for i in range(len(params.blocks)) for n in range(count)]
    if count > 1:
        run([(partial(job, i, n), (("block", i), ("part", n))) for i, n in places], threads)
    else:
        for i, n in places:
            job(i, n)
    return parts[-1]


def continue_tokens(
    tokens, params, *, config, limit, stop=(), rng=None, temperature=0.0, top_k=None, top_p=1.0,
    threads=1,
):  # fmt: skip
    """An iterator over up to `limit` tokens that continue a text, each an int.

    tokens   (T,)  the prompt, integers
    limit    how many tokens at most
    stop     tokens that end the text; the one that came is yielded
    threads  of BLAS for the single tokens; the prompt uses as many as BLAS has
    rng, temperature, top_k, top_p  as in `sample`

    Raises ValueError if the text would be longer than config.context.
    """
    require_options(temperature, top_k, top_p)
    require_shapes("tokens:int T", tokens)
    require_counts(0, limit=limit)
    require_counts(1, threads=threads)
    if len(tokens) + limit > config.context:
        raise ValueError(f"{len(tokens)} tokens and {limit} more do not fit the model's context of "
                         f"{config.context}: give a shorter text or a lower limit")
    if temperature:
        require_generator(rng)
    if not np.iterable(stop):
        raise TypeError(f"stop must hold tokens, such as (2,), got {stop!r}")
    cache = KVCache(config, len(tokens) + limit, params.embedding.dtype)
    draw = partial(sample, rng=rng, temperature=temperature, top_k=top_k, top_p=top_p)
    return _continued(tokens, params, cache, config, limit, stop, draw, threads)


def _continued(tokens, params, cache, config, limit, stop, draw, threads):
    from threadpoolctl import ThreadpoolController

    logits, libraries = next_logits(tokens, params, cache, config=config), ThreadpoolController()
    for n in range(limit):
        token = draw(logits)
        yield token
        if token in stop or n + 1 == limit:
            return
        with libraries.limit(limits=threads, user_api="blas"):
            logits = next_logits(np.array([token]), params, cache, config=config)
