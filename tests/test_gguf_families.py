"""Models of transformers written as .gguf by the names of the library gguf, and read back."""

import numpy as np
import pytest

gguf = pytest.importorskip("gguf", reason='needs the extra: pip install "npattn[llm]"')
torch = pytest.importorskip("torch", reason="torch is the witness")
transformers = pytest.importorskip("transformers", reason="transformers is the witness")

from gguf_files import written  # noqa: E402
from npattn.models.language_model import language_model  # noqa: E402
from npattn.weights import load_language_model  # noqa: E402
from test_weights_families import LLAMA3, MODELS, SIZES, saved  # noqa: E402

pytestmark = pytest.mark.llm

BOTH_BASES = {"full_attention": dict(rope_type="linear", factor=8.0, rope_theta=1e4),
              "sliding_attention": dict(rope_type="default", rope_theta=1e4)}
CASES = {name: MODELS[name] for name in ("GPT-2", "Llama", "Llama 3", "Qwen 2", "Qwen 3", "Gemma")}
CASES |= {
    "Llama, slower": lambda: transformers.LlamaConfig(
        **SIZES, attention_bias=True, mlp_bias=True,
        rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=100.0)),
    "Gemma 3": lambda: transformers.Gemma3TextConfig(
        **SIZES, sliding_window=4, query_pre_attn_scalar=6, rope_parameters=BOTH_BASES),
}
NAMES = {"gpt2": "GPT2", "llama": "LLAMA", "qwen2": "QWEN2", "qwen3": "QWEN3", "gemma": "GEMMA",
         "gemma3_text": "GEMMA3"}


def write(path, model):
    """The file that llama.cpp's converter would make of a small model, in float32."""
    config = model.config
    kind = config.model_type
    arch = getattr(gguf.MODEL_ARCH, NAMES[kind])
    table = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    hidden = 4 * config.hidden_size if kind == "gpt2" else config.intermediate_size
    words = [f"t{i}" for i in range(config.vocab_size - 1)]
    with written(path, gguf.MODEL_ARCH_NAMES[arch], [*words, "t1t2"], ["t1 t2"],
                 blocks=config.num_hidden_layers, context=config.max_position_embeddings,
                 width=config.hidden_size, hidden=hidden,
                 heads=config.num_attention_heads) as writer:
        if kind == "gpt2":
            writer.add_layer_norm_eps(config.layer_norm_epsilon)
        else:
            _write_llama(writer, config)
        for name, tensor in model.state_dict().items():
            if name == "lm_head.weight" and config.tie_word_embeddings:
                continue
            X = converted(name, tensor.float().numpy(), config)
            new = table.get_name(name, try_suffixes=(".weight", ".bias"))
            writer.add_tensor(new, np.ascontiguousarray(X))


def _write_llama(writer, config):
    rope = config.rope_parameters.get("full_attention", config.rope_parameters)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_key_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope.get("rope_type") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if rope.get("rope_type") == "llama3":  # three speeds: kept, between, divided
        plain = rope["rope_theta"] ** (-np.arange(0, config.head_dim, 2) / config.head_dim)
        turns = LLAMA3["original_max_position_embeddings"] * plain / (2 * np.pi)
        share = np.clip((turns - 1.0) / (4.0 - 1.0), 0.0, 1.0)
        factors = 1.0 / (share + (1.0 - share) / rope["factor"])
        writer.add_tensor("rope_freqs.weight", factors.astype(np.float32))
    if config.model_type == "gemma3_text":
        writer.add_sliding_window(config.sliding_window)


def converted(name, X, config):
    """A tensor as the converter stores it."""
    if config.model_type == "gpt2":
        is_conv1d = name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
        return X.T if is_conv1d else X
    if config.model_type.startswith("gemma"):
        return X + 1 if name.endswith("norm.weight") else X
    for part, heads in (("q_proj", config.num_attention_heads),
                        ("k_proj", config.num_key_value_heads)):
        if config.model_type == "llama" and part in name:  # halves become neighbours
            halves = X.reshape(heads, 2, len(X) // heads // 2, *X.shape[1:])
            return halves.swapaxes(1, 2).reshape(X.shape)
    return X


@pytest.mark.parametrize("name", CASES)
def test_logits_are_those_of_transformers(name, tmp_path, rng):
    model = saved(CASES[name](), tmp_path / "folder")
    write(tmp_path / "model.gguf", model)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.float().double())
        tokens = rng.integers(1, 40, (2, 14))
        expected = model(torch.tensor(tokens)).logits.numpy()
    weights = load_language_model(tmp_path / "model.gguf", dtype=np.float64)
    logits, _ = language_model(tokens, weights.params, config=weights.config)
    # the others keep cos and sin in float32, and Gemma the factor of its embedding
    limit = 1e-12 if name == "GPT-2" else 2e-6
    assert np.abs(logits - expected).max() < limit * np.abs(expected).max()
