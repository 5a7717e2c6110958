"""Formulas without TeX: as they can be read in a terminal."""

import re

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
SMALL = {"2": "²", "3": "³", "ᵀ": "ᵀ", "′": "′"}


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
        short = re.sub(r"\\(?:operatorname|mathrm|text|mathbf)\s*\{([^{}]*)\}", r"\1", short)
        short = re.sub(r"([_^])\{([^{}]*)\}", _script, short)
        if short == tex:
            break
        tex = short
    tex = re.sub(r"\\([A-Za-z]+)", lambda m: LETTERS.get(m[1], "" if m[1] in GONE else m[1]), tex)
    tex = re.sub(r"\^(.)", lambda m: SMALL.get(m[1], "^" + m[1]), tex)
    return re.sub(r"\s+", " ", tex.replace("{", "").replace("}", "").replace("\\", "")).strip()


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
    sign, text = match[1], re.sub(r"\s+", "", match[2])
    if sign == "_":
        return f"_{text}" if re.fullmatch(r"\\?\w+", text) else f"_({text})"
    return f"^{text}" if len(text) == 1 or text == "\\top" else f"^({text})"
