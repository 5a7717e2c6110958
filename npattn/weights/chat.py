"""Chat templates: Jinja texts that arrange a conversation for a model.

They come with the weights, so they run in the sandbox of jinja2. They may use what Hugging Face
gives them: break and continue, tojson, strftime_now, raise_exception, and every special token by
its name in a folder, such as bos_token.
Source: transformers, "Chat templates".
"""

import json
from datetime import datetime
from functools import partial
from pathlib import Path

from npattn.weights.sources import WeightsError, need

SPECIAL = {  # tokens by their names in GGUF -> in a folder
    "bos": "bos", "eos": "eos", "unknown": "unk", "padding": "pad", "cls": "cls", "mask": "mask",
    "separator": "sep", "seperator": "sep",  # the specification's word, and the one that is written
}


def chat_of_gguf(fields):
    """The chat template of a GGUF file and its special tokens, called as in a folder.

    An id outside the vocabulary names no token, and is left out.
    """
    tokens = dict(enumerate(fields.get("tokenizer.ggml.tokens") or []))
    ids = ((new, fields.get(f"tokenizer.ggml.{name}_token_id")) for name, new in SPECIAL.items())
    chat = {f"{new}_token": tokens[i] for new, i in ids if i in tokens}
    return {"template": fields.get("tokenizer.chat_template"), **chat}


def chat_of_folder(folder):
    """The chat template of a folder, from tokenizer_config.json or its own file, and its tokens."""
    from npattn.weights.folders import read_json

    path = Path(folder) / "tokenizer_config.json"
    settings = read_json(path) if path.is_file() else {}
    template = settings.get("chat_template")
    own = Path(folder) / "chat_template.jinja"
    if own.is_file():
        template = own.read_text(encoding="utf-8")
    if isinstance(template, list):  # several, by name
        named = {t.get("name"): t.get("template") for t in template if isinstance(t, dict)}
        template = named.get("default")
    tokens = {n: t.get("content") if isinstance(t, dict) else t for n, t in settings.items()
              if n.endswith("_token")}
    tokens = {name: token for name, token in tokens.items() if isinstance(token, str)}
    return {"template": template, **tokens}


def chat_text(chat, messages):
    """The text that a conversation becomes, up to where the model answers.

    chat      `source.chat`
    messages  [{"role": "user", "content": "…"}, …]

    The special tokens stand in the text: `weights.encode(text, special=False)`.
    Raises WeightsError if there is no template or it refuses the messages.
    """
    need("jinja2", "a chat template")
    if not isinstance(chat.get("template"), str) or not chat["template"]:
        raise WeightsError("these weights have no chat template; ask without --chat")
    tokens = {name: token for name, token in chat.items() if name != "template"}
    try:
        template = _house().from_string(chat["template"])
        return template.render(messages=messages, add_generation_prompt=True, **tokens)
    except Exception as error:  # a template can raise whatever Python can
        raise WeightsError(f"the chat template fails: {error}") from error


def _house():
    """The sandbox in which templates run."""
    from jinja2 import TemplateError
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """{% generation %} … {% endgeneration %}, around what the model has said: left as it is."""

        tags = {"generation"}

        def parse(self, parser):
            next(parser.stream)
            return parser.parse_statements(["name:endgeneration"], drop_needle=True)

    def refuse(message):
        raise TemplateError(message)

    house = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    house.globals |= {
        "raise_exception": refuse,
        "strftime_now": lambda form: datetime.now().strftime(form),
    }
    house.filters["tojson"] = partial(json.dumps, ensure_ascii=False)
    return house
