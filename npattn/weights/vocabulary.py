"""Tokenizers, built by the library `tokenizers`: from tokenizer.json, or from GGUF's vocabulary.

    byte pairs    "gpt2" in GGUF: text in bytes, a pattern that cuts words, then merges by rank
    SentencePiece "llama" in GGUF: merges by the score of what they make, bytes for what is unknown

Source: Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units"; the
patterns are those of the models' own tokenizer.json.
"""

from pathlib import Path

from npattn.weights.sources import WeightsError, need

CONTROL, USER = 3, 4  # kinds of tokens in GGUF
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = "llama3", "llama-bpe", "llama-v3"  # take words that are tokens whole, and begin with BOS
PATTERNS = {  # the pattern that cuts words; None is that of GPT-2
    "default": None, "gpt-2": None, "gpt2": None, "smollm": None,
    "llama3": _LLAMA3, "llama-bpe": _LLAMA3, "llama-v3": _LLAMA3, "smaug-bpe": _LLAMA3,
    "qwen2": _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}"),
}


def tokenizer_from_folder(folder):
    """The tokenizer that tokenizer.json in `folder` describes."""
    tokenizers = need("tokenizers", "a tokenizer")
    path = Path(folder) / "tokenizer.json"
    if not path.is_file():
        raise WeightsError(f"{folder} has no tokenizer.json")
    tokenizer = _built(lambda: tokenizers.Tokenizer.from_file(str(path)),
                       f"{path} is no tokenizer or damaged")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


class _Fields(dict):
    """The fields of a GGUF file."""

    def __init__(self, fields, path):
        super().__init__(fields)
        self.path = path

    def __missing__(self, name):
        raise WeightsError(f"{self.path} has no field {name}")


def tokenizer_from_gguf(path, fields):
    """The tokenizer of a GGUF file, from its vocabulary and merges or scores."""
    need("tokenizers", "a tokenizer")
    words = f"{path} has a vocabulary that is damaged"
    return _built(lambda: _from_fields(path, _Fields(fields, path)), words)


def _built(build, words):
    """What `build()` returns. WeightsError, with these words, for whatever the library raises."""
    try:
        return build()
    except (WeightsError, KeyboardInterrupt):
        raise
    except BaseException as error:  # bare Exceptions, and panics of Rust, which are none
        raise WeightsError(f"{words}: {error}") from error


def _from_fields(path, fields):
    kind = fields.get("tokenizer.ggml.model")
    if kind not in ("gpt2", "llama"):
        raise WeightsError(f"{path} has a tokenizer of the kind {kind!r}; known are gpt2, llama")
    tokens = fields["tokenizer.ggml.tokens"]
    kinds = fields.get("tokenizer.ggml.token_type") or [1] * len(tokens)
    make = _byte_pairs if kind == "gpt2" else _sentencepiece
    tokenizer = make(path, fields, {token: i for i, token in enumerate(tokens)})
    from tokenizers import AddedToken, processors

    special = [AddedToken(t, special=True, normalized=False)
               for t, k in zip(tokens, kinds, strict=True) if k == CONTROL]
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens([AddedToken(t, normalized=False)
                          for t, k in zip(tokens, kinds, strict=True) if k == USER])
    begins = kind == "llama" or fields.get("tokenizer.ggml.pre") in LLAMA3
    if fields.get("tokenizer.ggml.add_bos_token", begins):
        bos = fields["tokenizer.ggml.bos_token_id"]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{tokens[bos]} $A", special_tokens=[(tokens[bos], bos)]
        )
    return tokenizer


def _byte_pairs(path, fields, vocabulary):
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    name = fields.get("tokenizer.ggml.pre", "default")
    if name not in PATTERNS:
        raise WeightsError(
            f"{path} cuts words by the pattern {name!r}; known are {', '.join(PATTERNS)}"
        )
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=name in LLAMA3))
    own = PATTERNS[name] is None
    steps = [] if own else [pre_tokenizers.Split(Regex(PATTERNS[name]), "isolated")]
    if name == "smollm":
        steps = [pre_tokenizers.Digits(individual_digits=True)]
    prefix = bool(fields.get("tokenizer.ggml.add_space_prefix", False))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=own))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    if name == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentencepiece(path, fields, vocabulary):
    from tokenizers import Tokenizer, decoders, models, normalizers

    scores = fields["tokenizer.ggml.scores"]
    merges = sorted(
        (-scores[i], piece[:cut], piece[cut:])
        for piece, i in vocabulary.items() for cut in range(1, len(piece))
        if piece[:cut] in vocabulary and piece[cut:] in vocabulary
    )
    tokens = fields["tokenizer.ggml.tokens"]
    unknown = tokens[fields.get("tokenizer.ggml.unknown_token_id", 0)]
    tokenizer = Tokenizer(models.BPE(
        vocabulary, [(left, right) for _, left, right in merges],
        unk_token=unknown, fuse_unk=True, byte_fallback=True,
    ))
    prefix = fields.get("tokenizer.ggml.add_space_prefix", True)
    spaces = [normalizers.Prepend("▁")] if prefix else []
    tokenizer.normalizer = normalizers.Sequence([*spaces, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", 1, 0)] if prefix else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    return tokenizer
