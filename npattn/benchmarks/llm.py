"""SmolLM2-135M, beside transformers + torch (sdpa) with the same weights in float32.

Prefill reads a prompt and gives the logits after it; decode adds 8 tokens to a text, one after the
other, by the cache; a LoRA step is forward and backward of 8 texts of 64 tokens at rank 8, without
the optimizer. For each token decode reads every weight once, so memory is its limit: LIMIT is the
time of 8 matrix–vector products with as many bytes as the weights have, in rows of 16,384 numbers.
A prompt's LIMIT is BLAS: the matrix products of the blocks alone, in the shapes that they have.
Peak memory is that of a process that loads and writes 8 tokens. Freed memory stays with it.

    python -m npattn.benchmarks.llm npattn|torch      prints that process's peak, in bytes
"""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np

from npattn.benchmarks.machine import import_bridge
from npattn.benchmarks.tables import beside, heading
from npattn.benchmarks.timing import ratio
from npattn.memory import keep_freed_memory
from npattn.models.adapting import adapted, frozen, init_updates
from npattn.models.continuation import next_logits
from npattn.models.kv_cache import TILE, KVCache
from npattn.models.language_model import language_model, language_model_backward
from npattn.models.language_proof import prove_gradient
from npattn.trees import tree_leaves
from npattn.weights import find_weights, load_language_model

TITLE = "SmolLM2-135M, float32; the ratio to transformers + torch"
HEADER = heading("what", "npattn", "torch")
ROW = 2**14  # long rows: with 256 numbers to a row the same bytes take 1.3 times as long
PREFILL, DECODE, LORA = (32, 256, 1024), (32, 512), (8, 64)
TOKENS = 8  # of decode: a single one behind a pause finds the processor's caches cold
STATUS = Path("/proc/self/status")


def measure(setting):
    """Yields a row for each kind of work; nothing, and a line that says why, without weights."""
    try:
        weights = load_language_model(find_weights("smollm2"))
    except (FileNotFoundError, ImportError) as error:
        print(error)
        return
    keep_freed_memory()
    peer = _peer(weights, setting.bridge)
    for T in PREFILL[:2] if setting.quick else PREFILL:
        contenders = prefill(weights, peer, setting.bridge, T)
        yield _row(setting, f"prefill {T}", contenders | {"products": products(weights, T)})
    for T in DECODE[:1] if setting.quick else DECODE:
        yield _row(setting, f"decode {TOKENS} after {T}", decode(weights, peer, setting.bridge, T))
    yield _row(setting, "LoRA step {} × {}".format(*LORA), lora(weights, peer, setting.bridge))
    tokens = _tokens(32)
    yield _row(setting, "proof, 32 tokens", {"npattn": lambda: void(
        prove_gradient(tokens, weights.params, config=weights.config))})
    block = weights.params.embedding.base  # of all weights
    rows, ones = block[:block.size // ROW * ROW].reshape(-1, ROW), np.ones(ROW, block.dtype)
    yield _row(setting, "LIMIT of decode", {"npattn": lambda: [rows @ ones for _ in range(TOKENS)]})
    names = ["npattn"] if peer is None else ["npattn", "torch"]
    if STATUS.exists():
        yield {"what": "peak memory", "bytes": {name: peak(name) for name in names}}


def line(row):
    """What was done, milliseconds of each contender, and the ratio to torch."""
    if "bytes" in row:
        return row["what"] + ": " + ", ".join(
            f"{name} {size / 2**20:,.0f} MiB" for name, size in row["bytes"].items())
    return beside(
        row["what"], {name: t for name, t in row["timings"].items() if name != "products"})


def summary(rows):
    """Tokens per second, and how much of what memory allows decode reaches."""
    found = {row["what"]: row["timings"] for row in rows if "timings" in row}
    for what, timings in found.items():
        kind, *_, count = what.split()
        tokens = {"prefill": int(count)} if kind == "prefill" else {"decode": TOKENS}
        if kind in tokens:
            rates = (f"{name} {tokens[kind] / timing.median():,.1f}"
                     for name, timing in timings.items())
            yield f"{what}: {', '.join(rates)} tokens per second"
        if "products" in timings:
            share = timings["products"].median() / timings["npattn"].median()
            yield f"{what} reaches {share:.2f} of what its matrix products alone allow" + (
                f", {ratio(timings['products'], timings['torch']):.2f} of torch's time"
                if "torch" in timings else "")
    if "LIMIT of decode" in found and (first := f"decode {TOKENS} after {DECODE[0]}") in found:
        share = found["LIMIT of decode"]["npattn"].median() / found[first]["npattn"].median()
        yield f"decode reaches {share:.2f} of what reading the weights once allows"
    ratios = [ratio(t["npattn"], t["torch"]) for t in found.values() if "torch" in t]
    if ratios:
        yield f"worst ratio to torch {max(ratios):.2f}"


def prefill(weights, peer, bridge, T):
    """Contenders that read a prompt of T tokens."""
    tokens = _tokens(T)

    def ours():
        next_logits(tokens, weights.params, KVCache(weights.config, T), config=weights.config)

    def theirs():
        with bridge.torch.no_grad():
            peer(bridge.torch.tensor(tokens)[None], logits_to_keep=1, use_cache=True)

    return _named(ours, theirs, peer)


def products(weights, T):
    """The matrix products of a prompt of T tokens, of ones: all layers of the blocks, and per head
    of keys the tiles of a `KVCache`, scores and values."""
    config, blocks = weights.config, weights.params.blocks
    maps = [W for W in tree_leaves(blocks) if W.ndim == 2]
    X = np.ones((max(len(W) for W in maps), T), maps[0].dtype)
    G, D, rows = config.key_heads, config.width_of_head(config.width), min(T, TILE)
    Q = np.ones((config.num_heads // G * rows, D), X.dtype)
    K = np.ones((G, T, D), X.dtype)

    def work():
        for W in maps:
            W.T @ X[:len(W)]
        for K_head in [*K] * len(blocks):
            for end in range(rows, T + 1, rows):
                Q @ K_head[:end].T @ K_head[:end]

    return work


def decode(weights, peer, bridge, T):
    """Contenders that add TOKENS tokens to a text of T."""
    tokens, cache = _tokens(T), KVCache(weights.config, T + TOKENS)
    next_logits(tokens, weights.params, cache, config=weights.config)

    def ours():
        cache.length = T  # the same tokens again
        for i in range(TOKENS):
            next_logits(tokens[i:i + 1], weights.params, cache, config=weights.config)

    if peer is None:
        return {"npattn": ours}
    torch = bridge.torch
    with torch.no_grad():
        past = peer(torch.tensor(tokens)[None], use_cache=True).past_key_values

    def theirs():
        with torch.no_grad():
            for i in range(TOKENS):
                peer(torch.tensor(tokens[i:i + 1])[None], cache=past, use_cache=True)
        past.crop(-TOKENS)

    return _named(ours, theirs, peer)


def lora(weights, peer, bridge):
    """Contenders that compute the gradient of the updates, rank 8 on queries and values."""
    tokens = _tokens(LORA[0] * LORA[1]).reshape(LORA)
    updates = init_updates(weights.params, 8, np.random.default_rng(0))
    model = adapted(frozen(weights.params), updates)

    def ours():
        logits, cache = language_model(tokens, model, config=weights.config, frozen=True)
        return lambda: void(language_model_backward(logits, cache))

    if peer is None:
        return {"npattn": ours}
    learned = _add_lora(bridge.torch, peer)

    def theirs():
        logits = peer(bridge.torch.tensor(tokens), use_cache=False).logits
        return lambda: void(bridge.torch.autograd.grad(logits, learned, logits.detach()))

    return _named(ours, theirs, peer)


def void(_):
    """None, whatever came: a contender that returns something callable has a second half."""


def peak(name):
    """The peak resident memory, in bytes, of a process that loads the model and writes 8 tokens."""
    child = subprocess.run(
        [sys.executable, "-m", "npattn.benchmarks.llm", name], capture_output=True, text=True)
    if child.returncode:
        raise ChildProcessError(f"{name}: {child.stderr.strip().splitlines()[-1:]}")
    return int(child.stdout.splitlines()[-1])


def main(name):
    """Do that in this process, and print the bytes."""
    weights = load_language_model(find_weights("smollm2"))
    if name == "npattn":
        from npattn.models.continuation import continue_tokens

        list(continue_tokens(_tokens(32), weights.params, config=weights.config, limit=8))
    else:
        bridge = import_bridge()
        peer = _peer(weights, bridge)
        del weights
        with bridge.torch.no_grad():
            peer.generate(bridge.torch.tensor(_tokens(32))[None], max_new_tokens=8, do_sample=False)
    lines = STATUS.read_text().splitlines()
    print(next(int(row.split()[1]) * 1024 for row in lines if row.startswith("VmHWM")))


def _peer(weights, bridge):
    if bridge is None:
        return None
    try:
        from npattn.benchmarks.llm_peer import smollm2_in_transformers

        return smollm2_in_transformers(bridge.torch, weights, "sdpa").requires_grad_(False)
    except ImportError:
        print("transformers is not installed, nothing is compared with it")
        return None


def _add_lora(torch, peer, rank=8):
    """Hooks that add an update to queries and values, as peft does; returns what learns."""
    learned = []
    for layer in peer.model.layers:
        for module in (layer.self_attn.q_proj, layer.self_attn.v_proj):
            A = torch.randn(rank, module.in_features).requires_grad_()
            B = torch.zeros(module.out_features, rank).requires_grad_()
            learned += [A, B]
            module.register_forward_hook(partial(_hook, A, B))
    return learned


def _hook(A, B, module, inputs, output):
    return output + inputs[0] @ A.T @ B.T


def _named(ours, theirs, peer):
    return {"npattn": ours} if peer is None else {"npattn": ours, "torch": theirs}


def _row(setting, what, contenders):
    return {"what": what, "timings": setting.compare(contenders)}


def _tokens(T):
    return np.random.default_rng(0).integers(0, 49152, T)


if __name__ == "__main__":
    main(*sys.argv[1:])
