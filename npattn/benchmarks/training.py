"""One training step of the dates model, beside an equal torch model.

Forward, cross-entropy, backward and Adam on one batch, the same parameters, learning rate and
precision on both sides, torch's own modules and defaults. This package packs the texts, as it does
when it trains, and once computes their padding instead, as torch's modules do. All run with one
thread, which is what this package trains with, and with all. Before anything is timed they take
three steps, and their losses must agree. Freed memory stays with the process, as `train` asks.
"""

import math
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np

from npattn.benchmarks.tables import beside, heading
from npattn.benchmarks.timing import same_threads
from npattn.datasets.dates import batches
from npattn.experiments.dates import BATCH, CONFIG, loss_and_grads
from npattn.kernels.masks import causal_mask
from npattn.kernels.positions import sinusoidal_positions
from npattn.memory import keep_freed_memory
from npattn.models.transformer import init_transformer
from npattn.training import adam, init_adam

LR, STEPS, AGREED = 1e-3, 3, 1e-4
TITLE = "one training step of the dates model; the ratio to torch"
HEADER = heading("threads, texts", "npattn", "torch")


def contenders(bridge=None, *, packed=CONFIG.packed, seed=0):
    """Functions that take one step and return its loss: name → function."""
    keep_freed_memory()
    rng = np.random.default_rng(seed)
    params = init_transformer(CONFIG, rng, dtype=np.float32)
    batch = next(batches(rng, BATCH, count=1))
    steps = {"npattn": _step(params, batch, replace(CONFIG, packed=packed))}
    if bridge is not None:
        steps["torch"] = _torch_step(params, batch, bridge)
    return steps


def measure(setting):
    """Yields two rows for one thread, with texts packed and padded, and two for all."""
    for threads, packed in product(sorted({1, setting.threads}), (True, False)):
        make = partial(contenders, setting.bridge, packed=packed)
        with same_threads(threads, setting.bridge):
            losses = {
                name: [float(step()) for _ in range(STEPS)] for name, step in make().items()
            }
        require_agreement(losses)
        timings = setting._replace(threads=threads).compare(make())
        yield {"threads": threads, "packed": packed, "losses": losses, "timings": timings}


def require_agreement(losses):
    """Raises ArithmeticError unless all contenders had the same losses."""
    wanted = losses["npattn"]
    for name, found in losses.items():
        if not np.allclose(found, wanted, rtol=AGREED, atol=0.0):
            raise ArithmeticError(
                f"the models differ, and their times cannot be compared: "
                f"losses {wanted} of npattn, {found} of {name}"
            )


def line(row):
    """How many threads, milliseconds of a step of each contender, and the ratio to torch."""
    return beside(f"{row['threads']}, {'packed' if row['packed'] else 'padded'}", row["timings"])


def summary(rows):
    """That the losses agree, where there are two to compare."""
    if "torch" in rows[0]["losses"]:
        yield f"the losses of the first {STEPS} steps agree"


def _step(params, batch, config):
    state = init_adam(params)

    def step():
        nonlocal params, state
        loss, grads, _ = loss_and_grads(params, batch, config=config)
        params, state = adam(params, grads, state, lr=LR)
        return loss

    return step


def _torch_step(params, batch, bridge):
    torch, nn = bridge.torch, bridge.torch.nn
    D, H, F = CONFIG.width, CONFIG.num_heads, CONFIG.hidden
    block = dict(dropout=0.0, batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(D, H, F, **block), CONFIG.encoder_blocks, nn.LayerNorm(D),
        enable_nested_tensor=False,
    )
    decoder = nn.TransformerDecoder(
        nn.TransformerDecoderLayer(D, H, F, **block), CONFIG.decoder_blocks, nn.LayerNorm(D)
    )
    read = nn.Embedding(CONFIG.source_vocabulary, D)
    spoken = nn.Embedding(CONFIG.target_vocabulary, D)
    output = nn.Linear(D, CONFIG.target_vocabulary)
    model = nn.ModuleList([read, encoder, spoken, decoder, output])
    for module, tree in zip(model, (*params.encode, *params.decode), strict=True):
        bridge.export_module(tree, module)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)

    source, target, wanted = map(bridge.to_torch, (batch.source, batch.target_in, batch.target_out))
    Ts, Tt, factor = source.shape[1], target.shape[1], math.sqrt(D)
    source_positions, target_positions = (
        bridge.to_torch(sinusoidal_positions(T, D, dtype=np.float32)) for T in (Ts, Tt)
    )
    padding = bridge.to_key_padding_mask(batch.source_mask)
    future = bridge.to_attn_mask(causal_mask(Tt), (BATCH, H, Tt, Tt))

    def step():
        optimizer.zero_grad()
        M = encoder(read(source) * factor + source_positions, src_key_padding_mask=padding)
        Y = decoder(
            spoken(target) * factor + target_positions, M, tgt_mask=future, tgt_is_causal=True,
            memory_key_padding_mask=padding,
        )
        loss = nn.functional.cross_entropy(output(Y).flatten(0, 1), wanted.flatten())
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
