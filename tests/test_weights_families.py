"""Small models of Hugging Face with random weights, saved to folders and read back."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from npattn.models.block import attention_weights
from npattn.models.language_model import language_model, language_model_backward
from npattn.trees import tree_leaves

pytest.importorskip("safetensors", reason='needs the extra: pip install "npattn[llm]"')
torch = pytest.importorskip("torch", reason="torch is the witness")
transformers = pytest.importorskip("transformers", reason="transformers is the witness")

from npattn.weights.arena import fill  # noqa: E402
from npattn.weights.chat import chat_of_folder, chat_text  # noqa: E402
from npattn.weights.folders import pooling_of  # noqa: E402
from npattn.weights.loading import language_plan  # noqa: E402
from npattn.weights.sources import WeightsError, open_source  # noqa: E402
from npattn.weights.vocabulary import tokenizer_from_folder  # noqa: E402

pytestmark = pytest.mark.llm

SIZES = dict(
    vocab_size=40, hidden_size=24, intermediate_size=20, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, head_dim=6, attn_implementation="eager",
)
LLAMA3 = dict(rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0,
              high_freq_factor=4.0, original_max_position_embeddings=16)
MODELS = {
    "GPT-2": lambda: transformers.GPT2Config(
        vocab_size=40, n_embd=24, n_layer=3, n_head=4, n_positions=32, attn_implementation="eager"),
    "Llama": lambda: transformers.LlamaConfig(**SIZES, tie_word_embeddings=False),
    "Llama 3": lambda: transformers.LlamaConfig(
        **SIZES, rope_parameters=LLAMA3, attention_bias=True),
    "Qwen 2": lambda: transformers.Qwen2Config(**SIZES),
    "Qwen 3": lambda: transformers.Qwen3Config(**SIZES, tie_word_embeddings=True),
    "GPT-2 without scale": lambda: transformers.GPT2Config(
        vocab_size=40, n_embd=24, n_layer=2, n_head=4, n_positions=32, n_inner=50,
        scale_attn_weights=False, tie_word_embeddings=False, attn_implementation="eager"),
    "Qwen 2 with windows behind the first blocks": lambda: transformers.Qwen2Config(
        **SIZES, use_sliding_window=True, sliding_window=2, max_window_layers=2),
    "Mistral": lambda: transformers.MistralConfig(**SIZES, sliding_window=4),
    "Qwen 2 with windows": lambda: transformers.Qwen2Config(
        **SIZES, use_sliding_window=True, sliding_window=3, max_window_layers=1),
    "Gemma": lambda: transformers.GemmaConfig(**SIZES),
    "Gemma 3": lambda: transformers.Gemma3TextConfig(
        **SIZES, sliding_window=4, query_pre_attn_scalar=9,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
    "Gemma 3, slower": lambda: transformers.Gemma3TextConfig(
        **SIZES, sliding_window=4, query_pre_attn_scalar=9, hidden_activation="gelu",
        rope_parameters={"full_attention": dict(rope_type="linear", factor=2.0, rope_theta=50.0),
                         "sliding_attention": dict(rope_type="linear", factor=3.0, rope_theta=9.0)},
        layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
}
DOUBLE = {"GPT-2", "GPT-2 without scale"}  # the others have cos and sin in float32


def saved(config, folder, shards="10GB"):
    """A model with random float64 parameters, and the folder it was saved to."""
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, dtype=torch.float64) * 0.3)
    model.save_pretrained(folder, max_shard_size=shards)
    return model


def loaded(folder):
    config, plan = language_plan(open_source(folder))
    return config, fill(plan, np.float64)


@pytest.mark.peers
@pytest.mark.parametrize("name", MODELS)
def test_values_weights_and_gradients_are_those_of_transformers(name, tmp_path, rng):
    model = saved(MODELS[name](), tmp_path)
    config, params = loaded(tmp_path)
    tokens = rng.integers(0, 40, (2, 9))
    logits, cache = language_model(tokens, params, config=config)
    there = model(torch.tensor(tokens), output_attentions=True)
    dlogits = rng.standard_normal(logits.shape)
    there.logits.backward(torch.tensor(dlogits))
    tolerance = 1e-12 if name in DOUBLE else 1e-6
    assert_allclose(logits, there.logits.detach().numpy(), atol=tolerance * 10)
    for here, other in zip(attention_weights(cache), there.attentions, strict=True):
        assert_allclose(here["self"], other.detach().numpy(), atol=tolerance)
    gradient = language_model_backward(dlogits, cache)
    E = model.get_input_embeddings().weight.grad.numpy()
    assert_allclose(gradient.embedding, E, atol=tolerance * np.abs(E).max() * 10)
    norms = sum(float((g * g).sum()) for g in tree_leaves(gradient))
    tied = {p.data_ptr(): p for p in model.parameters()}.values()
    assert_allclose(norms, sum(float((p.grad**2).sum()) for p in tied), rtol=tolerance * 10)


CHANGED = [
    ("Mistral", dict(use_sliding_window=False)), ("Llama", dict(hidden_activation="gelu")),
    ("Llama", dict(tie_word_embeddings=True)), ("Gemma", dict(hidden_activation="gelu")),
    ("Qwen 2 with windows behind the first blocks", dict(layer_types=None)),
    ("Gemma 3", dict(rope_parameters=None)), ("Gemma 3", "query_pre_attn_scalar"),
    ("Gemma 3", "sliding_window"), ("Mistral", "sliding_window"), ("Llama", "rms_norm_eps"),
    ("Gemma 3", dict(rope_parameters=None, rope_theta=50.0, rope_local_base_freq=9.0)),
    ("Gemma 3", dict(rope_parameters=None, rope_scaling=dict(rope_type="linear", factor=2.0))),
    ("Gemma 3", dict(layer_types=None, sliding_window_pattern=2)),
    ("Llama", dict(sliding_window=4, layer_types=["sliding_attention"] * 3)),
    ("Gemma", dict(hidden_activation="silu")),
    ("Gemma 3", dict(rope_parameters={
        "full_attention": dict(rope_type="linear", factor=2.0), "sliding_attention": None})),
    ("Llama", dict(rope_parameters=None, rope_theta=50.0,
                   rope_scaling=dict(type="linear", factor=2.0))),
]


@pytest.mark.peers
@pytest.mark.parametrize(("name", "changes"), CHANGED)  # a name alone: that setting is left out
def test_a_setting_means_what_it_means_to_transformers(name, changes, tmp_path, rng):
    saved(MODELS[name](), tmp_path)
    edit_config(tmp_path, **({changes: ...} if isinstance(changes, str) else changes))
    there = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, dtype=torch.float64, attn_implementation="eager")
    config, params = loaded(tmp_path)
    tokens = rng.integers(0, 40, (1, 12))
    with torch.no_grad():
        expected = there(torch.tensor(tokens)).logits.numpy()
    logits, _ = language_model(tokens, params, config=config)
    assert_allclose(logits, expected, atol=2e-6 * np.abs(expected).max())


@pytest.mark.peers
@pytest.mark.parametrize("kind, name, value", [
    ("Qwen3", "head_dim", 128), ("Gemma", "head_dim", 256), ("Mistral", "num_key_value_heads", 8),
])
def test_a_size_that_a_config_leaves_out_is_that_of_transformers(kind, name, value, tmp_path, rng):
    sizes = SIZES | {"num_attention_heads": 8, "num_hidden_layers": 1, name: value}
    model = saved(getattr(transformers, f"{kind}Config")(**sizes), tmp_path)
    edit_config(tmp_path, **{name: ...})
    config, params = loaded(tmp_path)
    tokens = rng.integers(0, 40, (1, 5))
    with torch.no_grad():
        expected = model(torch.tensor(tokens)).logits.numpy()
    assert_allclose(language_model(tokens, params, config=config)[0], expected,
                    atol=2e-6 * np.abs(expected).max())


def test_a_model_in_shards_reads_as_one(tmp_path):
    saved(MODELS["Llama"](), tmp_path / "one")
    saved(MODELS["Llama"](), tmp_path / "many", shards="10KB")
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 2
    for one, many in zip(tree_leaves(loaded(tmp_path / "one")[1]),
                         tree_leaves(loaded(tmp_path / "many")[1]), strict=True):
        assert (one == many).all()


def test_bfloat16_and_float16_widen_without_loss(tmp_path):
    for dtype in (torch.bfloat16, torch.float16):
        model = saved(MODELS["Llama"](), tmp_path / str(dtype)).to(dtype)
        model.save_pretrained(tmp_path / str(dtype))
        _, params = loaded(tmp_path / str(dtype))
        assert (params.norm == model.model.norm.weight.detach().float().numpy()).all()


def edit_config(folder, **changes):
    path = folder / "config.json"
    settings = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: value for k, value in settings.items() if value is not ...}))


@pytest.mark.parametrize("changes, words", [
    (dict(model_type="mamba"), "architecture 'mamba'; known are gpt2, llama"),
    (dict(num_hidden_layers=4), "no tensor layers.3.self_attn.q_proj.weight; it has layers.0"),
    (dict(intermediate_size=21), r"mlp.gate_proj.weight is \(20, 24\), the settings ask for \(21"),
    (dict(hidden_act="tanh"), "activation 'tanh'; known are silu"),
    (dict(rope_parameters=dict(rope_type="yarn", rope_theta=1e4)), "positions by 'yarn'"),
    (dict(hidden_size=None), "does not say hidden_size"),
    (dict(final_logit_softcapping=30.0), "has final_logit_softcapping=30.0, which is not known"),
    (dict(rope_parameters=dict(rope_type="default", partial_rotary_factor=0.5)),
     "has partial_rotary_factor=0.5, which is not known"),
    (dict(num_attention_heads="4"), "num_attention_heads must be a positive integer, got '4'"),
    (dict(num_key_value_heads=3), "num_key_value_heads must divide 4 heads, got 3"),
    (dict(head_dim=10**12), "q_proj.weight is .* the settings ask for"),
    (dict(hidden_act=["silu"]), "has the activation"),
    (dict(model_type="mistral", sliding_window=4, layer_types=3), "layer_types must hold"),
    (dict(hidden_size=0), "hidden_size must be a positive integer, got 0"),
    (dict(rms_norm_eps=-1e-5), "rms_norm_eps must be a number above 0, got -1e-05"),
    (dict(rope_parameters=[1]), r"rope_parameters must be an object, got \[1\]"),
    (dict(rope_parameters={"rope_type": "llama3"}), "does not say factor"),
    (dict(rope_parameters={"full_attention": dict(partial_rotary_factor=0.5)}),
     "has partial_rotary_factor=0.5, which is not known"),
    (dict(rope_parameters={"full_attention": {}}), "in another way in each kind of layers"),
    (dict(rope_scaling={"type": "linear", "factor": 2.0}), "has both rope_parameters and rope_sca"),
    (dict(rope_parameters=dict(rope_type="llama3", factor=0.5, low_freq_factor=1.0,
                               high_freq_factor=4.0, original_max_position_embeddings=9)),
     ": factor must be 1 or more"),
    (dict(num_hidden_layers=10**30, sliding_window=4), "no tensor layers.9*.self_attn.q_proj"),
    (dict(model_type="mistral", sliding_window=4, layer_types=["sliding_attention"]),
     "layer_types must hold"),
    (dict(model_type="mistral", sliding_window=4, layer_types=["chunked_attention"] * 3),
     "layer_types must hold"),
    (dict(is_causal=False), "has is_causal=False, which is not known here: its results would"),
    (dict(model_type="qwen2", use_sliding_window=False, layer_types=["sliding_attention"] * 3),
     "layer_types has sliding_attention, but no window is used"),
    (dict(model_type="mistral", sliding_window=0), "sliding_window must be a positive integer, g"),
    (dict(num_hidden_layers=2), "has the tensor layers.2.*, which a block of llama does not read"),
])
def test_what_does_not_fit_is_named(changes, words, tmp_path):
    saved(MODELS["Llama"](), tmp_path)
    edit_config(tmp_path, **changes)
    with pytest.raises(ValueError, match=words):
        loaded(tmp_path)


@pytest.mark.parametrize(("name", "changes", "words"), [
    ("Llama 3", dict(attention_bias=False), "self_attn.k_proj.bias, which a block of llama"),
    ("Llama 3", dict(attention_bias=...), "self_attn.k_proj.bias, which a block of llama"),
    ("Llama 3", dict(model_type="mistral"), "layers.0.self_attn.k_proj.bias, which a block of m"),
    ("Qwen 2", dict(model_type="llama"), "layers.0.self_attn.k_proj.bias, which a block of llama"),
    ("Qwen 3", dict(model_type="qwen2"), "self_attn.k_norm.weight, which a block of qwen2"),
    ("Gemma", dict(tie_word_embeddings=False), "no tensor lm_head.weight, but says tie_word"),
    ("Gemma 3", dict(rope_parameters=dict(rope_type="linear", factor=2.0)),
     "rope_parameters of gemma3_text must have full_attention or sliding_attention"),
    ("Gemma 3", dict(rope_parameters=None, rope_scaling={"full_attention": dict(factor=2.0)}),
     "turns positions in another way in each kind of layers"),
])
def test_what_transformers_would_leave_out_is_named(name, changes, words, tmp_path):
    saved(MODELS[name](), tmp_path)
    edit_config(tmp_path, **changes)
    with pytest.raises(WeightsError, match=words):
        loaded(tmp_path)


@pytest.mark.parametrize("setting", [
    "scale_attn_by_inverse_layer_idx", "add_cross_attention", "is_decoder"])
def test_what_makes_another_gpt2_of_it_is_named(setting, tmp_path):
    saved(MODELS["GPT-2"](), tmp_path)
    edit_config(tmp_path, **{setting: True})
    with pytest.raises(ValueError, match=f"has {setting}=True, which is not known here"):
        loaded(tmp_path)


def test_a_tensor_that_no_block_would_read_is_named(tmp_path):
    from safetensors.numpy import load_file, save_file

    saved(MODELS["Llama"](), tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["model.layers.1.self_attn.rotary_emb.inv_freq"] = np.ones(3)  # a buffer
    save_file(tensors, tmp_path / "model.safetensors")
    loaded(tmp_path)
    tensors["model.layers.1.self_attn.sinks"] = np.ones(4)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="has the tensor layers.1.self_attn.sinks, which a block"):
        loaded(tmp_path)


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("name, text, words", [
    ("config.json", f'{{"a": {DEEP}}}', "config.json is damaged: "),
    ("config.json", '{"text_config": 5}', "config.json: text_config must be an object, got 5"),
    ("model.safetensors.index.json", '{"weight_map": ["x"]}', "weight_map must be an object"),
    ("model.safetensors.index.json", '{"weight_map": {"a": 5}}', "names the shard 5, which is"),
    ("model.safetensors.index.json", '{"weight_map": {"a": "../x"}}', "names the shard ../x, "),
    ("model.safetensors.index.json", json.dumps({"weight_map": {"a": "x" * 300}}), "shard xxx"),
])
def test_a_damaged_json_is_named(name, text, words, tmp_path):
    saved(MODELS["Llama"](), tmp_path)
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(WeightsError) as caught:
        loaded(tmp_path)
    assert words in str(caught.value)


@pytest.mark.parametrize("modules", [[5], ["x"], [{"path": 5}]])
def test_modules_that_are_none_are_named(modules, tmp_path):
    (tmp_path / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    with pytest.raises(WeightsError, match="json must hold objects|has the module 5 behind"):
        pooling_of(tmp_path)


def test_a_missing_tensor_is_named(tmp_path):
    from safetensors.numpy import load_file, save_file

    saved(MODELS["Llama"](), tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="no tensor layers.1.mlp.up_proj.weight"):
        loaded(tmp_path)


def test_weights_that_are_no_floats_or_stand_twice_are_named(tmp_path):
    from safetensors.numpy import load_file, save_file

    saved(MODELS["Llama"](), tmp_path)
    file = tmp_path / "model.safetensors"
    tensors, name = load_file(file), "model.norm.weight"
    for changes, words in [
        ({name: np.ones(24, np.int8)}, "tensor model.norm.weight is of the type I8; known are F64"),
        ({name: np.ones(24, bool)}, "tensor model.norm.weight is of the type BOOL; known are F64"),
        ({"norm.weight": np.ones(24)}, "has the tensor norm.weight twice: as norm.weight in "),
    ]:
        save_file(tensors | changes, file)
        with pytest.raises(WeightsError, match=words):
            loaded(tmp_path)


def test_a_folder_in_place_of_the_settings_is_named(tmp_path):
    (tmp_path / "config.json").mkdir()
    with pytest.raises(WeightsError, match="config.json cannot be read: Is a directory"):
        open_source(tmp_path)


def test_a_file_that_is_cut_off_is_named(tmp_path):
    saved(MODELS["Llama"](), tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ValueError, match="model.safetensors is no .safetensors file, damaged"):
        loaded(tmp_path)


def test_pickled_files_are_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ValueError, match="neither model.safetensors nor .*may run code"):
        open_source(tmp_path)
    with pytest.raises(ValueError, match="pickled files"):
        open_source(tmp_path / "pytorch_model.bin")


TEMPLATES = [
    "{{ bos_token }}{% for m in messages %}{{ m.role | upper }}: {{ m['content'] | trim }}\n"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}",
    "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{{ m | tojson }}"
    "{% if loop.index == 2 %}{% break %}{% endif %}{% endfor %}{{ pad_token }}{{ eos_token }}",
    "{%- set day = strftime_now('%Y') -%}\n{{ day }}{{ messages[0] | tojson(indent=2) }}",
    "{% for m in messages %}\n  {% generation %}{{ m.content }}{% endgeneration %}\n{% endfor %}",
    "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}"
    "{{ ns.n }}{% if tools is defined and tools %}{{ tools }}{% endif %}{{ nothing }}",
]


@pytest.mark.parametrize("template", TEMPLATES)
def test_chat_templates_read_as_in_transformers(template, tmp_path):
    utils = pytest.importorskip("transformers.utils.chat_template_utils")
    messages = [{"role": "system", "content": "Be <kind> & brief."},
                {"role": "user", "content": " 你好 'x' "}, {"role": "user", "content": "b"}]
    tokens = {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False},
              "pad_token": "<pad>", "add_bos_token": True}
    settings = {"chat_template": template, **tokens}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    tokens["eos_token"] = "</s>"
    text, _ = utils.render_jinja_template(
        [messages], chat_template=template, add_generation_prompt=True, **tokens)
    assert chat_text(chat_of_folder(tmp_path), messages) == text[0]


@pytest.mark.parametrize("templates", [["a"], [None], [{"name": "other"}], [], 3, "", {}])
def test_a_folder_without_a_template_that_counts_has_none(templates, tmp_path):
    settings = json.dumps({"chat_template": templates})
    (tmp_path / "tokenizer_config.json").write_text(settings, encoding="utf-8")
    with pytest.raises(ValueError, match="these weights have no chat template"):
        chat_text(chat_of_folder(tmp_path), [])


@pytest.mark.parametrize("merges", ["x", [["a"]], [["a", "b"], ["<s>", "c"]]])
def test_a_damaged_tokenizer_is_named(merges, tmp_path):
    """The library may panic, which is no Exception."""
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "<s>": 5}}
    told = json.dumps({"version": "1.0", "model": model | {"merges": merges}})
    (tmp_path / "tokenizer.json").write_text(told, encoding="utf-8")
    with pytest.raises(WeightsError, match="tokenizer.json is no tokenizer or damaged: "):
        tokenizer_from_folder(tmp_path)


def test_generation_config_says_what_ends_an_answer(tmp_path):
    saved(MODELS["Llama"](), tmp_path)
    settings = {"eos_token_id": [2, 7]}
    (tmp_path / "generation_config.json").write_text(json.dumps(settings), encoding="utf-8")
    assert open_source(tmp_path).settings["eos_token_id"] == [2, 7]
    (tmp_path / "generation_config.json").write_text("{}", encoding="utf-8")
    assert open_source(tmp_path).settings["eos_token_id"] == 2
