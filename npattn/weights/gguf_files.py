"""GGUF: one file with settings, vocabulary and tensors, most of them in blocks of a few bits.

    Q4_1   32 numbers share a scale d and an offset m:  x = d q + m,  q in 0 … 15
    Q8_0   32 numbers share a scale:                    x = d q,      q in −127 … 127
    …      F32, F16, BF16, Q4_0, Q5_0, Q4_K, Q6_K and whatever else the library `gguf` unpacks

The names are translated to those of Hugging Face. The converter has reordered the columns of
Llama's queries and keys to interleaved pairs, and has added 1 to Gemma's gains; other
architectures keep their halves.
Source: ggml, docs/gguf.md; llama.cpp, gguf-py, for names and quantized blocks.
"""

import re
import struct
from pathlib import Path

import numpy as np

from npattn.weights.sources import Source, WeightsError, need

ARCHITECTURES = {  # of GGUF -> of Hugging Face
    "llama": "llama", "mistral": "mistral", "qwen2": "qwen2", "qwen3": "qwen3",
    "gemma": "gemma", "gemma2": "gemma2", "gemma3": "gemma3_text", "gpt2": "gpt2",
}
SETTINGS = {
    "block_count": "num_hidden_layers",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "attention.layer_norm_epsilon": "layer_norm_epsilon",
    "attention.sliding_window": "sliding_window",
    "attention.causal": "is_causal",
    "rope.freq_base": "rope_theta",
    "rope.dimension_count": "rotary_dim",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
}
PLAIN = {  # settings of relatives, and the values with which they change nothing
    "attention.scale": (0.0,), "attention.clamp_kqv": (0.0,), "attention.max_alibi_bias": (0.0,),
    "logit_scale": (0.0, 1.0), "residual_scale": (0.0, 1.0), "embedding_scale": (0.0, 1.0),
    "rope.scaling.attn_factor": (0.0, 1.0), "use_parallel_residual": (False,),
}
LLAMA = {
    "token_embd": "embed_tokens", "output_norm": "norm", "output": "lm_head",
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
GEMMA = LLAMA | {  # with a norm behind each sublayer as well
    "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
GPT2 = {
    "token_embd": "wte", "position_embd": "wpe", "output_norm": "ln_f", "output": "lm_head",
    "attn_norm": "ln_1", "attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj",
}


def open_gguf(path):
    """The Source of a .gguf file. Raises WeightsError where it is none, damaged or cut off."""
    gguf = need("gguf", "a .gguf file")
    try:
        reader = _reader_class(gguf)(Path(path))
        fields = {name: field.contents() for name, field in reader.fields.items()}
    except Exception as error:  # the library raises a dozen kinds
        raise WeightsError(f"{path} is no .gguf file, damaged or cut off: {error}") from error
    kind = fields.get("general.architecture")
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise WeightsError(f"{path} has the architecture {kind!r}; known are {known}")
    for name, plain in PLAIN.items():
        if (value := fields.get(f"{kind}.{name}", plain[0])) not in plain:
            raise WeightsError(f"{path} has {name}={value}, which is not known here: its results "
                               "would be others")
    settings, tensors = _settings(fields, kind), {}
    for tensor in reader.tensors:
        if (name := _translated(tensor.name, kind)) in tensors:
            raise WeightsError(f"{path} has the tensor {name} twice: as {tensor.name} and as "
                               f"{tensors[name].name}")
        tensors[name] = tensor
    shapes = {name: tuple(t.shape[::-1].tolist()) for name, t in tensors.items()}

    def fetch(name):
        tensor = tensors[name]
        X = gguf.dequantize(tensor.data, tensor.tensor_type)
        # GPT-2 of Hugging Face has its matrices (in, out); the converter has turned them.
        return X.T if kind == "gpt2" and _is_conv1d(name) else X

    if kind == "gpt2":
        shapes = {n: s[::-1] if _is_conv1d(n) else s for n, s in shapes.items()}
    settings["vocab_size"] = len(fields.get("tokenizer.ggml.tokens") or ())
    settings["tie_word_embeddings"] = "lm_head.weight" not in shapes
    from npattn.weights.chat import chat_of_gguf
    from npattn.weights.vocabulary import tokenizer_from_gguf

    return Source(
        Path(path), settings, shapes, fetch,
        "interleaved" if kind in ("llama", "mistral") else "halves",
        lambda: tokenizer_from_gguf(path, fields), chat_of_gguf(fields),
    )


def _settings(fields, kind):
    settings = {
        SETTINGS[name.removeprefix(f"{kind}.")]: value
        for name, value in fields.items() if name.removeprefix(f"{kind}.") in SETTINGS
    }
    settings["model_type"] = ARCHITECTURES[kind]
    told = (f"{kind}.rope.scaling.factor", f"{kind}.rope.scale_linear")  # the second is older
    factor = next((fields[name] for name in told if fields.get(name)), None)
    linear = None if factor is None else "linear"
    rope_type = fields.get(f"{kind}.rope.scaling.type") or linear
    settings["rope_scaling"] = {"rope_type": rope_type, "factor": factor}
    if kind == "gemma3" and settings.get("num_hidden_layers") == 62:  # 27B: the file does not say
        width, heads = (settings.get(n, 1) for n in ("hidden_size", "num_attention_heads"))
        settings["query_pre_attn_scalar"] = width / heads
    ends = (fields.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom"))
    settings["eos_token_id"] = [token for token in ends if token is not None]
    settings["bos_token_id"] = fields.get("tokenizer.ggml.bos_token_id")
    return settings


def _translated(name, kind):
    """The tensor's name at Hugging Face; names that are not known stay."""
    table = GPT2 if kind == "gpt2" else GEMMA if kind in ("gemma2", "gemma3") else LLAMA
    block = re.fullmatch(r"blk\.(\d+)\.(.+)\.(weight|bias)", name)
    stem, end = (block[2], block[3]) if block else name.rpartition(".")[::2]
    if stem not in table:
        return name
    layers = "h" if kind == "gpt2" else "layers"
    return (f"{layers}.{block[1]}." if block else "") + f"{table[stem]}.{end}"


def _is_conv1d(name):
    return name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight"))


def _reader_class(gguf):
    """The library's reader, with each list read in one pass: a vocabulary ten times as fast."""
    kinds = gguf.GGUFValueType

    class Reader(gguf.GGUFReader):
        def _get_field_parts(self, start, raw_type):
            self.data = np.asarray(self.data)  # an array is sliced faster than a memmap
            if raw_type != kinds.ARRAY:
                return super()._get_field_parts(start, raw_type)
            kind = kinds(int(self._get(start, np.uint32)[0]))
            count, at = int(self._get(start + 4, np.uint64)[0]), start + 12
            if kind in self.gguf_scalar_to_np:
                parts = [self._get(at, self.gguf_scalar_to_np[kind], count)]
                cut, at = len(parts[0]) < count, at + parts[0].nbytes
            elif kind == kinds.STRING and self.byte_order != "S":
                parts, at = self._words(at, count)
                cut = at > len(self.data)
            else:
                return super()._get_field_parts(start, raw_type)
            if cut:
                raise ValueError("a list is cut off")
            return at - start, parts, list(range(len(parts))), [kinds.ARRAY, kind]

        def _words(self, at, count):
            """So many texts, each behind its length, and where the last one ends."""
            file, words = memoryview(self.data), []
            for _ in range(count):
                length, = struct.unpack_from("<Q", file, at)
                words.append(file[at + 8:at + 8 + length])
                at += 8 + length
            return words, at

    return Reader
