"""SmolLM2-135M against transformers + torch: tokens, logits, weights. Skips without it."""

import numpy as np
import pytest

from npattn.models.block import attention_weights
from npattn.models.continuation import continue_tokens
from npattn.models.language_model import language_model
from npattn.weights import chat_text, find_weights, load_language_model

pytestmark = pytest.mark.llm

PROMPTS = [
    "The capital of France is", "Once upon a time, there was a", "Water boils at a temperature of",
    "The animal didn't cross the street because it was too", "My favourite colour is",
    "In 1969, the first man", "Roses are red, violets are", "To be or not to be,",
    "def fibonacci(n):\n", "import numpy as np\n\nx = np.", "for i in range(10):\n    print(",
    "SELECT name FROM", "<html>\n<body>\n", "class Stack:\n    def __init__(self):",
    "你好，世界", "今天天气很好，我们", "中国的首都是", "一二三四五",
]
CHATS = ["What is the capital of Japan?", "Write one line of Python that prints the date."]


@pytest.fixture(scope="module")
def weights():
    try:
        return load_language_model(find_weights("smollm2"))
    except (FileNotFoundError, ImportError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def peer(weights):
    torch = pytest.importorskip("torch", reason="torch is the witness")
    pytest.importorskip("transformers", reason="transformers is the witness")
    from npattn.benchmarks.llm_peer import smollm2_in_transformers

    return smollm2_in_transformers(torch, weights)


def texts(weights):
    chats = [chat_text(weights.source.chat, [{"role": "user", "content": c}]) for c in CHATS]
    return PROMPTS + chats


@pytest.mark.peers
def test_logits_and_weights_are_those_of_transformers(weights, peer):
    import torch

    for text in texts(weights)[::3]:
        tokens = weights.encode(text)
        logits, cache = language_model(tokens, weights.params, config=weights.config)
        with torch.no_grad():
            there = peer(torch.tensor(tokens)[None], output_attentions=True)
        assert np.abs(logits - there.logits[0].numpy()).max() < 1e-3
        for here, other in zip(attention_weights(cache), there.attentions, strict=True):
            assert np.abs(here["self"] - other[0].numpy()).max() < 1e-5


@pytest.mark.peers
def test_twenty_continuations_are_those_of_transformers_token_for_token(weights, peer):
    import torch

    for text in texts(weights):
        tokens = weights.encode(text)
        found = list(continue_tokens(tokens, weights.params, config=weights.config, limit=32))
        whole = torch.tensor([*tokens, *found])[None]
        with torch.no_grad():
            logits = peer(whole).logits[0, len(tokens) - 1:-1].numpy()
        two = np.sort(logits, axis=-1)[:, -2:]
        close = two[:, 1] - two[:, 0] < 1e-3
        assert ((logits.argmax(axis=-1) == found) | close).all(), text


def test_the_answer_to_the_first_question(weights):
    found = continue_tokens(
        weights.encode(PROMPTS[0]), weights.params, config=weights.config, limit=2
    )
    assert weights.decode(found) == " Paris."


def test_the_tokenizer_splits_as_that_of_the_model_does(weights):
    tokens = weights.encode("In 2024, 你好!\n\n\tdef f(x):")
    assert weights.decode(tokens) == "In 2024, 你好!\n\n\tdef f(x):"
    assert [weights.decode([t]) for t in tokens[1:6]] == [" ", "2", "0", "2", "4"]
