"""The learning curves of notebook 04: seven recipes for the dates model, from nothing to the end.

    python notebooks/recipes.py

trains each for 4000 steps and writes recipes.npz beside this file. The recipes differ in where
layer norm stands and in how large the entries of an embedding are when training begins: 1/8 as
drawn, 1 if that is multiplied by √D = 8, or 8 if it is drawn with variance 1 and then multiplied
by √D, as in d2l. "pre-norm, 1" is the shipped recipe. A position has entries of about 0.7; the last
recipe has eight times larger ones, to go with embeddings of size 8.
"""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np

from npattn.datasets.dates import BOS, EOS, batches, decode_target
from npattn.experiments import dates
from npattn.kernels.losses import cross_entropy, cross_entropy_backward
from npattn.kernels.positions import sinusoidal_positions
from npattn.models.search import greedy_decode
from npattn.models.transformer import init_transformer, transformer, transformer_backward
from npattn.training.loop import fit
from npattn.training.schedules import linear_warmup_linear_decay

FILE = Path(__file__).with_name("recipes.npz")
SIZES = {"1/8": (False, 1), "1": (True, 1), "8": (True, 8)}  # × √D or not; drawn so much larger
RECIPES = {
    f"{norm}-norm, {size}": (norm, *SIZES[size], 1) for norm in ("pre", "post") for size in SIZES
}
RECIPES["post-norm, 8, positions too"] = ("post", *SIZES["8"], 8)


def train(recipe, steps=dates.STEPS, seed=0, every=250):
    """Loss of every step, and every so often the share of 300 held-out dates read exactly."""
    norm, scaled, larger, positions = RECIPES[recipe]
    config = replace(dates.CONFIG, norm=norm, scale_embeddings=scaled)
    rng, unseen = np.random.default_rng(seed), dates.held_out_batch(300, seed=1)
    params = init_transformer(config, rng, dtype=np.float32)
    params = type(params)(*(
        half._replace(embedding=half.embedding * np.float32(larger)) for half in params
    ))

    def loss_and_grads(params, batch, rng):
        logits, cache = transformer(
            batch.source, batch.target_in, params, batch.source_mask, config=config
        )
        loss, loss_cache = cross_entropy(logits, batch.target_out)
        return loss, transformer_backward(cross_entropy_backward(1.0, loss_cache), cache), {}

    def evaluate(params):
        answers = greedy_decode(
            unseen.source, params, unseen.source_mask, config=config, bos=BOS, eos=EOS,
            max_len=dates.MAX_LEN,
        )
        pairs = zip(answers, unseen.target_out, strict=True)
        return {"exact": np.mean([decode_target(a.ids) == decode_target(b) for a, b in pairs])}

    def enlarged(*args, **options):
        return positions * sinusoidal_positions(*args, **options)

    place = "npattn.models.transformer.sinusoidal_positions"
    with dates.one_blas_thread(), mock.patch(place, enlarged):
        return fit(
            params, loss_and_grads, lambda rng: next(batches(rng, dates.BATCH, count=1)),
            steps=steps, rng=rng,
            schedule=partial(
                linear_warmup_linear_decay, peak=dates.PEAK, warmup=steps // 20, total=steps
            ),
            evaluate=evaluate, evaluate_every=every,
        )


def main():
    curves = {}
    for recipe in RECIPES:
        result = train(recipe)
        curves[f"{recipe}/loss"] = result.history["loss"].astype(np.float32)
        curves[f"{recipe}/exact"] = result.evaluations["exact"].astype(np.float32)
        print(f"{recipe}: reads {result.evaluations['exact'][-1]:.1%} of the unseen dates")
    np.savez_compressed(FILE, **curves)


if __name__ == "__main__":
    sys.exit(main())
