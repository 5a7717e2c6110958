"""Hints: what cannot be seen from a signature. One table for the command, the header and Python.

    # npattn: mask=drop heads=4 layout=bthd causal=yes        in the file
    npattn doctor FILE.py:NAME --mask drop --heads 4          on the command line
    doctor("file.py:name", mask="drop", heads=4)              in Python

The command line and Python come before the header.
"""

import re
from typing import NamedTuple

HEADER = re.compile(r"^[ \t]*#[ \t]*npattn:[ \t]*(.*)$", re.MULTILINE | re.IGNORECASE)


class Hint(NamedTuple):
    """One thing that can be said. `values` are those it may have; () for a number or a text."""

    kind: type
    values: tuple
    words: str


HINTS = {
    "mask": Hint(str, ("keep", "drop", "add", "lens"),
                 "what True or 1 means in a mask: keep it or drop it; add: a float mask that is "
                 "added to the scores; lens: valid lengths"),
    "heads": Hint(int, (), "number of heads"),
    "kv_heads": Hint(int, (), "number of heads of keys and values, where they are fewer"),
    "layout": Hint(str, (), "axes of the arguments in their order, such as btd, bhtd, bthd, tbd, "
                            "htd, td: b items, h heads, t tokens, d features"),
    "causal": Hint(str, ("yes", "no"), "whether a query may attend to earlier keys only"),
    "corner": Hint(str, ("upper", "lower"), "where a causal mask begins if Tq is not Tk"),
    "scale": Hint(float, (), "factor of the scores in place of 1/√d"),
    "rotary": Hint(str, ("half", "pairs", "no"), "how rotary positions pair the features"),
    "width": Hint(int, (), "features of a token, where a class is built for one"),
    "length": Hint(int, (), "tokens, where the code takes one length only"),
    "dead": Hint(str, ("zero", "nan", "uniform"), "what a query without keys should give"),
    "backward": Hint(str, (), "name of the function that is the backward"),
}
YES = {"yes", "true", "1", "on"}
NO = {"no", "false", "0", "off", "none"}
OTHER = {"n_heads": "heads", "num_heads": "heads", "n_kv_heads": "kv_heads", "kv-heads": "kv_heads",
         "num_kv_heads": "kv_heads", "groups": "kv_heads", "dim": "width", "d_model": "width",
         "valid_lens": "lens", "additive": "add", "float": "add", "allow": "keep", "pad": "drop",
         "lengths": "lens", "len": "lens", "rope": "rotary"}


class HintError(ValueError):
    """A hint that cannot be meant, in one sentence."""


def read(name, value):
    """(name, value) as the doctor uses them. Raises HintError."""
    name = OTHER.get(name, name).replace("-", "_")
    if name not in HINTS:
        raise HintError(f"no hint is called {name!r}; there are {', '.join(HINTS)}")
    kind, values, _ = HINTS[name]
    text = str(value).lower()
    if text in YES | NO and "yes" in values:
        text = "yes" if text in YES else "no"
    text = OTHER.get(text, text)
    if values and text not in values:
        raise HintError(f"{name}={value}: it must be {' or '.join(values)}")
    if name == "layout" and (
            set(text) - set("bhtd") or len(set(text)) < len(text) or not {*"td"} <= {*text}):
        raise HintError(f"layout={value}: write the axes as letters of bhtd, such as bthd")
    try:
        found = kind(value) if kind is not str or name == "backward" else text
    except ValueError:
        raise HintError(f"{name}={value}: it must be a number") from None
    if kind is int and not 1 <= found <= 4096:
        raise HintError(f"{name}={value}: it must be from 1 to 4096")
    return name, found


def from_header(text):
    """(hints, notes): those of the file's header lines; a note tells of one that is not used."""
    found, notes = {}, []
    for line in HEADER.findall(text):
        for word in line.replace(",", " ").split():
            name, equals, value = word.partition("=")
            if not equals:
                value = "yes"
            try:
                name, value = read(name.lower(), value)
            except HintError as error:
                notes.append(f"the header's {word!r} is not used: {error}")
            else:
                found[name] = value
    return found, notes


def from_options(given):
    """Those that are given, by name; None is not given. Raises HintError."""
    return dict(read(name, value) for name, value in given.items() if value is not None)
