"""Small .gguf files that the tests write: every kind of block, two layouts, tokenizers, damage."""

import struct

import numpy as np
import pytest
from numpy.testing import assert_allclose

gguf = pytest.importorskip("gguf", reason='needs the extra: pip install "npattn[llm]"')
pytest.importorskip("tokenizers", reason='needs the extra: pip install "npattn[llm]"')

from gguf_files import written  # noqa: E402
from npattn.kernels.rotary_pairings import pairing_order  # noqa: E402
from npattn.models.language_model import language_model  # noqa: E402
from npattn.weights import chat_text, load_language_model, open_source  # noqa: E402
from npattn.weights.chat import chat_of_gguf  # noqa: E402
from npattn.weights.gguf_files import GPT2, LLAMA  # noqa: E402
from npattn.weights.sources import WeightsError  # noqa: E402

pytestmark = pytest.mark.llm

D, F, H, G, V = 256, 512, 4, 2, 270
BYTES = ["!", '"', "Ġ", "a", "b", "c", "ab", "abc", "Ġa"]
TOKENS = BYTES + [f"<{i}>" for i in range(V - len(BYTES) - 2)] + ["<|im_start|>", "<|im_end|>"]
SHAPES = {
    "attn_norm": (D,), "ffn_norm": (D,), "attn_q": (D, D), "attn_k": (D // 2, D),
    "attn_v": (D // 2, D), "attn_output": (D, D), "ffn_gate": (F, D), "ffn_up": (F, D),
    "ffn_down": (D, F),
}


def blocks_of(kind, rng, shape):
    """Random bytes of that kind of block whose scales are small numbers, and what they mean."""
    kind = getattr(gguf.GGMLQuantizationType, kind)
    X = rng.standard_normal(shape).astype(np.float32)
    try:
        data = gguf.quantize(X, kind)
    except NotImplementedError:  # the library only reads these: scales are float16, kept small
        size, width = gguf.GGML_QUANT_SIZES[kind]
        data = rng.integers(0, 256, (shape[0], shape[1] // size, width), dtype=np.uint8)
        for at in {"Q4_K": (0, 2), "Q6_K": (width - 2,)}[kind.name]:
            data[..., at:at + 2] = np.frombuffer(np.float16(0.01).tobytes(), np.uint8)
        data = data.reshape(shape[0], -1)
    return data, kind, gguf.dequantize(data, kind)


def write(path, rng, kind="F32", architecture="llama", change=None, model="gpt2", pre="smollm",
          rotary=None, more=(), told=None):
    """A .gguf file with one block, less the piece `change`, and the matrices in it as floats."""
    shapes = {"token_embd": (V, D), "output_norm": (D,)}
    shapes |= {f"blk.0.{name}": shape for name, shape in SHAPES.items()}
    shapes.pop(change, None)
    turn = "<|im_start|>{{ m['content'] }}<|im_end|>"
    meant, merges = {}, None if change == "merges" else ["a b", "ab c", "Ġ a"]
    with written(path, architecture, TOKENS, merges, blocks=1, context=64, width=D, hidden=F,
                 heads=H, model=model, pre=pre) as writer:
        writer.add_head_count_kv(G)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_freq_base(1e4)
        writer.add_token_types([1] * (V - 2) + [3, 3])
        writer.add_bos_token_id(V - 2)
        writer.add_eos_token_id(V - 1)
        writer.add_eot_token_id(V - 3)
        writer.add_chat_template("{% for m in messages %}" + turn + "{% endfor %}")
        if rotary is not None:
            writer.add_rope_dimension_count(rotary)
        for name, value in (told or {}).items():
            (writer.add_bool if isinstance(value, bool) else writer.add_float32)(name, value)
        for name in more:
            writer.add_tensor(name, np.ones(D, np.float32))
        for name, shape in shapes.items():
            data, raw, meant[name] = blocks_of(kind if len(shape) > 1 else "F32", rng, shape)
            writer.add_tensor(f"{name}.weight", data, raw_dtype=raw)
    return meant


@pytest.mark.parametrize(
    "kind", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q4_K", "Q6_K"]
)
def test_every_kind_of_block_is_read(kind, tmp_path, rng):
    meant = write(tmp_path / "x.gguf", rng, kind)
    weights = load_language_model(tmp_path / "x.gguf")
    assert (weights.params.embedding == meant["token_embd"]).all()
    assert (weights.params.blocks[0].feed_forward.output.W.T == meant["blk.0.ffn_down"]).all()
    assert weights.config.head_width == D // H and weights.config.num_kv_heads == G
    logits, _ = language_model(np.array([3, 4, 5]), weights.params, config=weights.config)
    assert np.isfinite(logits).all()


def test_a_scale_that_is_inf_is_read_without_a_warning(tmp_path, rng):
    meant = write(tmp_path / "x.gguf", rng, "Q8_0")
    scale = np.float16(np.inf).tobytes()
    file = (tmp_path / "x.gguf").read_bytes()
    row = gguf.quantize(meant["token_embd"][:1], gguf.GGMLQuantizationType.Q8_0).tobytes()
    at = file.index(row[2:])
    (tmp_path / "x.gguf").write_bytes(file[:at - 2] + scale + file[at:])
    with np.errstate(all="raise"):
        E = load_language_model(tmp_path / "x.gguf").params.embedding
    assert not np.isfinite(E[0, :32]).any() and (E[1:] == meant["token_embd"][1:]).all()


@pytest.mark.parametrize("name, value", [
    ("attention.scale", 0.25), ("attention.clamp_kqv", 8.0), ("attention.max_alibi_bias", 8.0),
    ("logit_scale", 2.0), ("residual_scale", 0.5), ("embedding_scale", 12.0),
    ("rope.scaling.attn_factor", 1.5), ("use_parallel_residual", True), ("attention.causal", False),
])
def test_a_setting_of_another_model_is_named(name, value, tmp_path, rng):
    write(tmp_path / "x.gguf", rng, told={f"llama.{name}": value})
    name = name.replace("attention.causal", "is_causal")
    with pytest.raises(WeightsError, match=f"has {name}={value}, which is not known here"):
        load_language_model(tmp_path / "x.gguf")
    write(tmp_path / "x.gguf", rng, told={"llama.logit_scale": 1.0, "llama.attention.scale": 0.0})
    load_language_model(tmp_path / "x.gguf")


@pytest.mark.parametrize("name", ["rope.scaling.factor", "rope.scale_linear"])
def test_a_factor_without_a_kind_scales_positions_linearly(name, tmp_path, rng):
    write(tmp_path / "x.gguf", rng, told={f"llama.{name}": 2.0})
    speeds = load_language_model(tmp_path / "x.gguf").config.rotary.speeds
    assert_allclose(speeds[:2], [0.5, 0.5 * 1e4 ** (-2 / (D // H))])


def test_a_tensor_that_stands_twice_is_named(tmp_path, rng):
    write(tmp_path / "x.gguf", rng, more=("norm.weight",))
    with pytest.raises(WeightsError, match="the tensor norm.weight twice: as .*norm.weight and as"):
        load_language_model(tmp_path / "x.gguf")


def test_columns_are_reordered_where_the_file_has_halves(tmp_path, rng):
    meant = write(tmp_path / "x.gguf", rng, architecture="qwen2")
    halves = load_language_model(tmp_path / "x.gguf").params.blocks[0].attention.query.W.T
    order = pairing_order(D // H, "interleaved", num_heads=H)
    assert (halves == meant["blk.0.attn_q"][order]).all()
    meant = write(tmp_path / "y.gguf", rng, architecture="llama")
    pairs = load_language_model(tmp_path / "y.gguf").params.blocks[0].attention.query.W.T
    assert (pairs == meant["blk.0.attn_q"]).all()


def test_all_parameters_lie_in_one_block_of_memory(tmp_path, rng):
    write(tmp_path / "x.gguf", rng)
    params = load_language_model(tmp_path / "x.gguf").params
    E, W = params.embedding, params.blocks[0].feed_forward.hidden.W
    assert E.base is not None and np.shares_memory(E.base, W)
    assert W.flags.f_contiguous and W.shape == (D, F)


def test_the_tokenizer_merges_and_keeps_special_tokens_whole(tmp_path, rng):
    write(tmp_path / "x.gguf", rng)
    weights = load_language_model(tmp_path / "x.gguf")
    ids = weights.encode("abc ab<|im_end|>")
    assert [TOKENS[i] for i in ids] == ["abc", "Ġ", "ab", "<|im_end|>"]
    assert weights.decode(ids) == "abc ab<|im_end|>"
    text = chat_text(weights.source.chat, [{"role": "user", "content": "ab"}])
    assert text == "<|im_start|>ab<|im_end|>"


def test_a_text_begins_once(tmp_path, rng):
    """Llama 3 begins each text with a token of its own, and so does its chat template."""
    for pre, begins in (("llama-bpe", True), ("smaug-bpe", False), ("smollm", False)):
        write(tmp_path / "x.gguf", rng, pre=pre)
        weights = load_language_model(tmp_path / "x.gguf")
        begin = TOKENS[V - 2]
        assert [TOKENS[i] for i in weights.encode("ab")] == [begin] * begins + ["ab"]
        assert [TOKENS[i] for i in weights.encode(begin + "ab", special=False)] == [begin, "ab"]
        assert weights.source.settings["eos_token_id"] == [V - 1, V - 3]


def test_words_that_are_tokens_stay_whole_with_llama_3_alone(tmp_path, rng):
    for pre, whole in (("llama-bpe", True), ("smaug-bpe", False)):
        write(tmp_path / "x.gguf", rng, pre=pre)
        assert load_language_model(tmp_path / "x.gguf").tokenizer.model.ignore_merges == whole


def test_templates_know_every_special_token_of_the_file():
    names = "bos", "eos", "unknown", "padding", "seperator", "cls", "mask"
    fields = {f"tokenizer.ggml.{name}_token_id": i for i, name in enumerate(names)}
    fields["tokenizer.ggml.tokens"] = ["<s>", "</s>", "<unk>", "<pad>", "<sep>", "<cls>", "<mask>"]
    names = "bos", "eos", "unk", "pad", "sep", "cls", "mask"
    fields["tokenizer.chat_template"] = "".join(f"{{{{ {name}_token }}}}" for name in names)
    assert chat_text(chat_of_gguf(fields), []) == "<s></s><unk><pad><sep><cls><mask>"
    fields["tokenizer.ggml.separator_token_id"] = fields.pop("tokenizer.ggml.seperator_token_id")
    fields["tokenizer.ggml.padding_token_id"] = 7  # there are seven tokens
    assert chat_text(chat_of_gguf(fields), []) == "<s></s><unk><sep><cls><mask>"
    assert set(chat_of_gguf({})) == {"template"}


def test_a_template_cannot_reach_the_machine():
    for template in ("{{ messages.__class__.__mro__ }}", "{{ raise_exception('no') }}", "{% if",
                     "{{ 'a' + 1 }}", "{{ 1 / 0 }}"):
        with pytest.raises(ValueError, match="the chat template fails"):
            chat_text({"template": template}, [])
    for template in (None, "", 5):
        with pytest.raises(ValueError, match="no chat template"):
            chat_text({"template": template}, [])


def test_damage_is_named(tmp_path, rng):
    path = tmp_path / "x.gguf"
    write(path, rng)
    whole = path.read_bytes()
    for cut in (3, 100, len(whole) // 2, len(whole) - 70):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="x.gguf is no .gguf file, damaged or cut off"):
            load_language_model(path)
    path.write_bytes(b"PK" + whole[2:])
    with pytest.raises(ValueError, match="magic invalid"):
        open_source(path)
    with pytest.raises(FileNotFoundError):
        open_source(tmp_path / "none.gguf")


def test_a_damaged_vocabulary_is_named_at_once(tmp_path, rng):
    path = tmp_path / "x.gguf"
    write(path, rng)
    whole = path.read_bytes()
    kinds = struct.pack("<IIQ", 9, 5, V)  # an array of int32
    for old, new, words in (
        (b"a b", b"a~b", "x.gguf has a vocabulary that is damaged"),
        (b"ab c", b"ab ~", "x.gguf has a vocabulary that is damaged"),
        (kinds, kinds[:8] + struct.pack("<Q", 2**40), "no .gguf file, damaged or cut off"),
        (kinds, kinds[:8] + struct.pack("<Q", V - 1), "x.gguf is no .gguf file|is damaged"),
    ):
        assert whole.count(old) >= 1
        path.write_bytes(whole.replace(old, new))
        with pytest.raises(WeightsError, match=words):
            load_language_model(path)


def test_what_does_not_fit_is_named(tmp_path, rng):
    path = tmp_path / "x.gguf"
    write(path, rng, architecture="mamba")
    with pytest.raises(ValueError, match="architecture 'mamba'; known are llama"):
        load_language_model(path)
    write(path, rng, change="blk.0.ffn_up")
    with pytest.raises(ValueError, match="no tensor layers.0.mlp.up_proj.weight"):
        load_language_model(path)
    write(path, rng, change="merges")
    with pytest.raises(ValueError, match="has no field tokenizer.ggml.merges"):
        load_language_model(path)
    write(path, rng, rotary=32)
    with pytest.raises(ValueError, match="turns 32 of 64 columns of a head"):
        load_language_model(path)
    write(path, rng, more=["blk.0.attn_sinks.weight"])
    with pytest.raises(ValueError, match="has the tensor blk.0.attn_sinks.weight, which a block"):
        load_language_model(path)
    write(path, rng, pre="tekken")
    with pytest.raises(ValueError, match="pattern 'tekken'"):
        load_language_model(path)
    write(path, rng, model="t5")
    with pytest.raises(ValueError, match="tokenizer of the kind 't5'"):
        load_language_model(path)


def test_names_are_translated_both_ways_without_loss():
    for table in (LLAMA, GPT2):
        assert len(set(table.values())) == len(table)


def test_sentencepiece_merges_by_score(tmp_path):
    from npattn.weights.vocabulary import tokenizer_from_gguf

    tokens = ["<unk>", "<s>", "▁", "a", "b", "ab", "▁ab", "<0x63>"]
    fields = {
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [0.0, 0.0, -9.0, -8.0, -7.0, -1.0, -2.0, 0.0],
        "tokenizer.ggml.token_type": [2, 3, 1, 1, 1, 1, 1, 6],
        "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.unknown_token_id": 0,
    }
    tokenizer = tokenizer_from_gguf("x", fields)
    assert tokenizer.encode("ab abc").tokens == ["<s>", "▁ab", "▁ab", "<0x63>"]
    assert tokenizer.decode([6, 6, 7]) == "ab abc"
    assert_allclose(len(tokenizer.get_vocab()), len(tokens))
