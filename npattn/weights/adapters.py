"""Updates on disk, in the layout of peft: adapter_model.safetensors, adapter_config.json beside it.

    base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight    (r, Din)
    base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight    (Dout, r)

peft adds α/r · B A x, or α/√r · B A x with use_rslora; here α = r, so the factor is 1, and another
one is multiplied into B when a file is read. The queries' columns stand in halves there, as in
every file of Hugging Face.
"""

import json
from pathlib import Path

import numpy as np

from npattn.files import replace_files
from npattn.kernels.lora import LoRAParams
from npattn.kernels.rotary_pairings import pairing_order
from npattn.models.adapting import BlockUpdates
from npattn.weights.folders import read_json
from npattn.weights.sources import WeightsError, need

MAPS = {"query": "q_proj", "value": "v_proj"}


def save_updates(path, updates, config):
    """Write updates so that peft reads them. The same updates give the same bytes."""
    need("safetensors", "a .safetensors file")
    from safetensors.numpy import save

    tensors, rank = {}, updates[0].query.A.shape[1]
    ranks = {MAPS[name]: update.A.shape[1] for name, update in updates[0]._asdict().items()}
    for i, block in enumerate(updates):
        for name, (A, B) in block._asdict().items():
            B = B[:, _order(name, "halves", config)] * B.dtype.type(A.shape[1] / rank)
            tensors[_name(i, name, "A")] = np.ascontiguousarray(A.T)
            tensors[_name(i, name, "B")] = np.ascontiguousarray(B.T)
    settings = dict(
        peft_type="LORA", task_type="CAUSAL_LM", r=rank, lora_alpha=rank, lora_dropout=0.0,
        rank_pattern={name: r for name, r in ranks.items() if r != rank},
        bias="none", target_modules=sorted(MAPS.values()), inference_mode=True,
        base_model_name_or_path=None, fan_in_fan_out=False,
    )
    path = Path(path)
    told = json.dumps(settings, indent=2).encode()
    replace_files({path.with_name("adapter_config.json"): told,
                   path: save(tensors, {"format": "pt"})})


def load_updates(path, config):
    """The updates in a .safetensors file of peft: a tuple of BlockUpdates.

    Raises WeightsError if it is damaged, adapts other maps, or is of another model.
    """
    safe_open = need("safetensors", "a .safetensors file").safe_open
    settings = read_json(Path(path).with_name("adapter_config.json"))
    if settings.get("peft_type", "LORA") != "LORA":
        raise WeightsError(f"{path} is of the kind {settings['peft_type']!r}; known is LORA")
    for name in ("alpha_pattern", "use_dora", "use_qalora"):
        if settings.get(name):
            raise WeightsError(f"{path}: {name} in its adapter_config.json is not known here: the "
                               "updates would have another size")
    try:
        with safe_open(str(path), framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except Exception as error:  # SafetensorError is its own kind
        what = f"{path} is no .safetensors file, damaged or cut off"
        raise WeightsError(f"{what}: {error}") from error
    wanted = {_name(i, name, part) for i in range(config.num_blocks) for name in MAPS
              for part in "AB"}
    if wanted != tensors.keys():
        odd = sorted(wanted ^ tensors.keys())[0]
        raise WeightsError(f"{path} must adapt the queries and values of {config.num_blocks} "
                           f"blocks; {odd} is {'missing' if odd in wanted else 'not among them'}")

    alpha = settings.get("lora_alpha")
    if alpha is not None and (isinstance(alpha, bool) or not isinstance(alpha, int | float)):
        raise WeightsError(f"{path}: lora_alpha must be a number, got {alpha!r}")

    def update(i, name):
        A, B = (tensors[_name(i, name, part)].T for part in "AB")
        r = A.shape[-1] if A.ndim else 0  # may be another in each map
        _require_fit(path, name, config, A, B, r)
        scale = (r if alpha is None else alpha) / (r**0.5 if settings.get("use_rslora") else r)
        return LoRAParams(A, (B * np.float32(scale))[:, _order(name, "interleaved", config)])

    return tuple(BlockUpdates(update(i, "query"), update(i, "value"))
                 for i in range(config.num_blocks))


def _require_fit(path, name, config, A, B, r):
    heads = config.num_heads if name == "query" else config.key_heads
    wide = heads * config.width_of_head(config.width)
    if r < 1 or A.shape != (config.width, r) or B.shape != (r, wide):
        raise WeightsError(f"{path}: lora_A {A.shape[::-1]} and lora_B {B.shape[::-1]} of the "
                           f"{name} must be (r, {config.width}) and ({wide}, r): it was made for "
                           "another model")


def _name(i, name, part):
    return f"base_model.model.model.layers.{i}.self_attn.{MAPS[name]}.lora_{part}.weight"


def _order(name, to, config):
    if name != "query" or config.rotary is None:
        return slice(None)
    return pairing_order(config.width_of_head(config.width), to, num_heads=config.num_heads)
