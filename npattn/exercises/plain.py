"""Formulas without TeX: as they can be read in a terminal."""

import itertools
import re
import textwrap
import unicodedata

WIDTH = 100
CLOSING = "，。；：、）》？！…"

LETTERS = {
    "alpha": "α", "beta": "β", "delta": "δ", "Delta": "Δ", "varepsilon": "ε", "epsilon": "ε",
    "eta": "η", "kappa": "κ", "lambda": "λ", "mu": "μ", "pi": "π", "phi": "φ", "varphi": "φ",
    "Phi": "Φ", "sigma": "σ", "theta": "θ", "partial": "∂", "sum": "Σ", "int": "∫", "odot": "⊙",
    "cdot": "·", "cdots": "…", "dots": "…", "ldots": "…", "top": "ᵀ", "infty": "∞", "le": "≤",
    "ge": "≥", "ne": "≠", "to": "→", "times": "×", "approx": "≈", "in": "∈", "pm": "±",
    "nabla": "∇", "prime": "′", "mid": "|", "lfloor": "⌊", "rfloor": "⌋", "colon": ":",
    "equiv": "≡", "ell": "l",
}
GONE = ("bigl", "bigr", "Bigl", "Bigr", "left", "right", "operatorname", "mathrm", "text",
        "mathbf", "tfrac", "displaystyle", "quad", "qquad", "mathbb", "underbrace", "limits")
SPACE = "\ue000"  # within words of a formula
SMALL = {"2": "²", "3": "³", "ᵀ": "ᵀ", "′": "′"}


def steps_in(derivation):
    """{1: the text of the step, ...}: a derivation is cut where **1.**, **2.**, … begin a line."""
    parts = re.split(r"^\*\*(\d+)\.\*\*", derivation, flags=re.M)
    return dict(zip(map(int, parts[1::2]), parts[2::2], strict=True))


def step_formulas(derivation):
    """{1: "dP = dO Vᵀ; dV = Pᵀ dO", ...}: the formulas of each step, which need no language."""
    found = {}
    for number, text in steps_in(derivation).items():
        displayed = re.findall(r"\$\$(.+?)\$\$", text, flags=re.S)
        inline = re.findall(r"(?<!\$)\$([^$]+)\$(?!\$)", text)
        formulas = [_formula(tex).rstrip(" .,;") for tex in [*inline, *displayed]]
        told = [each for each in formulas if re.search(r"[=→≤<>]", each)] or formulas
        found[number] = "; ".join(dict.fromkeys(told))
    return {number: text for number, text in found.items() if text}


def plain_page(text):
    """Markdown as plain text, paragraph by paragraph; code stays as it is."""
    pages = []
    for part in re.split(r"(```.*?```)", text, flags=re.S):
        if part.startswith("```"):
            code = part.split("\n", 1)[1].removesuffix("```")
            pages.append(textwrap.indent(code.rstrip(), "    "))
            continue
        for block in re.split(r"\n\s*\n", part.strip("\n")):
            if re.match(r" {4}\w", block):
                pages.append(re.sub(r"\$(.+?)\$", lambda m: _formula(m[1]), block))
            elif block.strip():
                pages += _block(block)
    return "\n\n".join(pages)


def _block(block):
    """A paragraph in lines; each displayed formula in lines of its own."""
    pieces = re.split(r"\$\$(.+?)\$\$", block, flags=re.S)
    for text, tex in itertools.zip_longest(pieces[::2], pieces[1::2]):
        items = re.split(r"\n(?=- )", text.strip())
        if text.strip():
            yield "\n".join(fill(plain(item).removeprefix("### ")) for item in items)
        if tex:
            yield textwrap.indent(_formula(tex), "    ")


def fill(text, deeper="", first=""):
    """One paragraph in lines of at most `WIDTH` columns, of which a Chinese character takes two.

    first, deeper  what the first line, and each other line, begins with
    """
    lines, line = [], first
    for word in re.findall(r"\s+|[^\s\u2e80-\u9fff\uff00-\uffef]+|.", text):
        if line.strip() and columns(line + word.rstrip()) > WIDTH and word not in CLOSING:
            lines.append(line.rstrip())
            line = deeper
        line += word if line.strip() or not word.isspace() else ""
    return "\n".join([*lines, line.rstrip()])


def columns(text):
    """How wide a text is in a terminal."""
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def plain(text):
    """Markdown with TeX as plain text: `$dS\\,K / \\sqrt d$` becomes `dS K / √d`."""
    text = re.sub(r"\$\$(.+?)\$\$", lambda m: " " + _formula(m[1]) + " ", text, flags=re.S)
    text = re.sub(r"\$(.+?)\$", lambda m: _formula(m[1]), text, flags=re.S)
    text = re.sub(r"(?<![\w*])\*{1,2}(?=\S)(.+?)(?<=\S)\*{1,2}(?![\w*])", r"\1", text)
    return re.sub(r" ([.,;:])", r"\1", re.sub(r"\s+", " ", text)).strip()


def _formula(tex):
    tex = re.sub(r"\\begin\{\w+\}|\\end\{\w+\}|\\[,;:! ]|~", " ", tex.replace("\\\\", "; "))
    tex = re.sub(r"(?<!\\)&", " ", tex)
    while True:
        short = re.sub(r"\\t?frac\s*(\{[^{}]*\}|\w|\\\w+)\s*(\{[^{}]*\}|\w|\\\w+)", _fraction, tex)
        short = re.sub(r"\\(?:hat|bar|tilde)\s*(\{[^{}]*\}|\w|\\\w+)", _hat, short)
        short = re.sub(r"\\sqrt\s*(\{[^{}]*\}|\w|\\\w+)", lambda m: "√" + _group(m[1]), short)
        short = re.sub(r"\\(?:operatorname|mathrm|text|mathbf)\s*\{([^{}]*)\}",
                       lambda m: m[1].replace(" ", SPACE), short)
        short = re.sub(r"([_^])\{([^{}]*)\}", _script, short)
        if short == tex:
            break
        tex = short
    tex = re.sub(r"\\([A-Za-z]+)", lambda m: LETTERS.get(m[1], "" if m[1] in GONE else m[1]), tex)
    tex = re.sub(r"\^(.)", lambda m: SMALL.get(m[1], "^" + m[1]), tex)
    tex = re.sub(r"[{}\\]", "", tex).replace(SPACE, " ")
    return re.sub(r"\s+", " ", tex).strip()


def _hat(match):
    return _bare(match[1]) + "\u0302"


def _bare(text):
    return text.strip("{}")


def _group(text):
    bare = _bare(text)
    return bare if re.fullmatch(r"\\?\w+", bare) else f"({bare})"


def _fraction(match):
    return f" {_group(match[1])}/{_group(match[2])} "


def _script(match):
    known = re.sub(r"\\([A-Za-z]+)", lambda m: LETTERS.get(m[1], m[0]), match[2])
    sign, text = match[1], re.sub(r"\s+", "", known)
    if sign == "_":
        return f"_{text}" if re.fullmatch(r"\\?\w+", text) else f"_({text})"
    return f"^{text}" if len(text) == 1 else f"^({text})"
