"""Tokens of the usual tokenizers as words that people can read."""

_PLAIN = [*range(33, 127), *range(161, 173), *range(174, 256)]
BYTES = {  # the characters that GPT-2 writes for bytes; those that are blank start at Ā
    **{chr(b): b for b in _PLAIN},
    **{chr(256 + n): b for n, b in enumerate(b for b in range(256) if b not in _PLAIN)},
}


def readable(tokens):
    """Tokens as words: bytes in the spelling of GPT-2, ▁ and ## of other tokenizers undone.

    A blank in front is shown as ␣; what goes on the word before starts with ….
    """
    tokens = [str(token) for token in tokens]
    spelled = [token for token in tokens if token and all(c in BYTES for c in token)]
    if any(c > "\xff" for token in spelled for c in token) and _is_text(spelled):
        return [_from_bytes(token) if token in spelled else token for token in tokens]
    return [_from_piece(token) for token in tokens]


def _is_text(tokens):
    """Whether byte-level tokens are what they look like: a mark of a blank, or UTF-8 in a row."""
    if any(token[0] in "ĠĊ" for token in tokens):
        return True
    try:
        bytes(BYTES[c] for token in tokens for c in token).decode()
    except UnicodeDecodeError:
        return False
    return True


def _from_bytes(token):
    text = bytes(BYTES[c] for c in token).decode(errors="backslashreplace")
    return "␣" * (len(text) - len(text.lstrip(" "))) + text.lstrip(" ")


def _from_piece(token):
    if token.startswith("▁"):
        return "␣" * (len(token) - len(token.lstrip("▁"))) + token.lstrip("▁")
    if len(token) > 2 and token.startswith("##") and token[2] not in "# ":
        return "…" + token[2:]
    return token
