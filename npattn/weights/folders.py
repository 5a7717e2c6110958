"""Hugging Face folders: config.json, model.safetensors or its shards, tokenizer.json.

safetensors is a list of names, types and shapes, followed by the numbers: it cannot run code, and
its tensors are read from the mapped file one by one. Of several shards,
model.safetensors.index.json says which holds what.
"""

import json
import os
from pathlib import Path

from npattn.weights.sources import Source, WeightsError, bare, need

# what a config.json may leave out, since transformers has a default for it
GEMMA3 = {
    "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262208,
    "max_position_embeddings": 131072, "query_pre_attn_scalar": 256, "sliding_window": 4096,
}
LEFT_OUT = {
    "mistral": {"sliding_window": 4096, "num_key_value_heads": 8}, "qwen3": {"head_dim": 128},
    "gemma": {"head_dim": 256}, "gemma3": GEMMA3, "gemma3_text": GEMMA3,
}


def open_folder(path):
    """The Source of a folder, or of a .safetensors file with its config.json beside it.

    Raises WeightsError where a file is missing, damaged or cut off.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    settings = read_json(folder / "config.json")
    settings = {**settings, **_object(folder / "config.json", settings, "text_config")}
    settings = LEFT_OUT.get(str(settings.get("model_type")), {}) | settings
    if (folder / "generation_config.json").is_file():  # knows more tokens that end an answer
        told = read_json(folder / "generation_config.json")
        settings["eos_token_id"] = told.get("eos_token_id", settings.get("eos_token_id"))
    files = {}
    for file in [path] if path.is_file() else _files(folder):
        opened = _open(file)
        for name in opened.keys():
            if bare(name) in files:
                raise WeightsError(f"{path} has the tensor {bare(name)} twice: as {name} in {file} "
                                   f"and as {files[bare(name)][1]}")
            files[bare(name)] = opened, name
    shapes = {
        short: tuple(file.get_slice(name).get_shape()) for short, (file, name) in files.items()
    }

    def fetch(name):
        file, full = files[name]
        kind = file.get_slice(full).get_dtype()
        if kind not in ("F64", "F32", "F16", "BF16"):
            raise WeightsError(f"{path}: tensor {full} is of the type {kind}; known are F64, F32, "
                               "F16 and BF16")
        if kind == "BF16":
            need("ml_dtypes", "bfloat16")  # which makes NumPy know the type
        return file.get_tensor(full)

    from npattn.weights.chat import chat_of_folder
    from npattn.weights.vocabulary import tokenizer_from_folder

    return Source(
        path, settings, shapes, fetch, "halves",
        lambda: tokenizer_from_folder(folder), chat_of_folder(folder),
        gain_offset=1.0 if str(settings.get("model_type")).startswith("gemma") else 0.0,
    )


def pooling_of(folder):
    """How a model of sentence-transformers makes one vector of a text: "mean" or "cls"."""
    if (folder / "modules.json").is_file():
        modules = read_json(folder / "modules.json", list)
        if not all(isinstance(one, dict) for one in modules):
            raise WeightsError(f"{folder / 'modules.json'} must hold objects, got {modules!r}")
        names = [str(one.get("path") or "") for one in modules]
        more = [name for name in names if name and not name.endswith(("Pooling", "Normalize"))]
        if more:
            raise WeightsError(f"{folder} has the module {more[-1]} behind the encoder, which is "
                               "not known here: its vectors would be others")
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return "mean"
    told = read_json(path)
    chosen = [told["pooling_mode"]] if "pooling_mode" in told else [
        name for name, value in told.items() if name.startswith("pooling_mode_") and value is True]
    names = {"mean": "mean", "cls": "cls", "pooling_mode_mean_tokens": "mean",
             "pooling_mode_cls_token": "cls"}
    if len(chosen) != 1 or str(chosen[0]) not in names:
        raise WeightsError(f"{path} pools tokens by {chosen}; known are one of mean and cls")
    return names[chosen[0]]


def read_json(path, kind=dict):
    """The content of a JSON file, a dict or a list. WeightsError if it is missing or damaged."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"{path.parent} has no {path.name}") from None
    except OSError as error:  # a folder, or no permission
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # of brackets in brackets without end
        raise WeightsError(f"{path} is damaged: {error}") from error
    if not isinstance(content, kind):
        what = {dict: "JSON object", list: "JSON array"}[kind]
        raise WeightsError(f"{path} must hold one {what}, got a {type(content).__name__}")
    return content


def _object(path, content, name):
    """What a JSON object at `path` has under a name, which must be one, too; or {}."""
    found = content.get(name)
    if found is not None and not isinstance(found, dict):
        raise WeightsError(f"{path}: {name} must be an object, got {found!r}")
    return found or {}


def _files(folder):
    """The .safetensors files of a folder: all shards of its index, or the one file."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        if not (folder / "model.safetensors").is_file():
            raise WeightsError(f"{folder} has neither model.safetensors nor {index.name}; "
                               "pickled files (.bin, .pt) are not read, since they may run code")
        return [folder / "model.safetensors"]
    names = sorted(set(map(str, _object(index, read_json(index), "weight_map").values())))
    there = set(os.listdir(folder))
    for name in names:
        if name not in there or not (folder / name).is_file():
            raise WeightsError(f"{index} names the shard {name}, which is not in the folder")
    return [folder / name for name in names]


def _open(file):
    safe_open = need("safetensors", "a .safetensors file").safe_open
    try:
        return safe_open(str(file), framework="numpy")
    except Exception as error:  # SafetensorError is its own kind
        what = f"{file} is no .safetensors file, damaged or cut off"
        raise WeightsError(f"{what}: {error}") from error
