"""Text that can be drawn: Chinese in a Chinese font, and a dollar as a dollar.

The default font keeps all it can draw; a CJK font is only its fallback, character by
character. Where cjk.otf beside this module (see OFL.txt: the characters of the dates and a few
more) has all that is asked for, it is taken, so that the first figures look the same everywhere;
otherwise an installed font comes first. What no font has is drawn as □, and one warning names it.
"""

import functools
import logging
import os
import warnings
from pathlib import Path

from matplotlib import font_manager, rcParams
from matplotlib.textpath import TextPath

CJK_FAMILIES = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN",
    "PingFang SC", "Hiragino Sans GB", "Heiti SC", "STHeiti",
    "Microsoft YaHei", "SimHei", "SimSun",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Arial Unicode MS",
    "Noto Sans CJK JP", "Noto Sans CJK TC", "Noto Serif CJK SC", "Noto Serif CJK JP",
)  # fmt: skip
CJK_FILES = ("cjk", "sourcehansans", "pingfang", "heiti", "msyh", "simhei", "wqy")
OWN_FILE = Path(__file__).with_name("cjk.otf")
OWN_FAMILY = "npattn CJK"
ADVICE = 'Some characters are in no installed font and are drawn as "□": {missing}.'
CJK_ADVICE = (
    ' For Chinese install a CJK font, for example with "apt install fonts-noto-cjk", or Noto Sans '
    "CJK SC from https://fonts.google.com/noto, and start Python again."
)


def drawable(texts):
    """The texts, with each character that no font has replaced by □, and none of it mathematics.

    Where they need it, CJK fonts join the families of the current style, as fallbacks.
    """
    characters = {c for text in texts for c in text if c != "\n"}
    missing = _missing(characters, rcParams["font.family"])
    own_is_enough = missing and not _missing(missing, [own_family()])
    for family in (own_family, cjk_family) if own_is_enough else (cjk_family, own_family):
        if missing and (name := family()) and (left := _missing(missing, [name])) != missing:
            rcParams["font.family"] = [*rcParams["font.family"], name]
            missing = left
    if missing:
        advise("".join(sorted(missing)))
    substitutes = str.maketrans(dict.fromkeys(missing, "□") | {"$": r"\$"})
    return [text.translate(substitutes) for text in texts]


def text_width(texts, size):
    """The width in inches of the widest line of the texts, drawn at `size` points."""
    families = tuple(rcParams["font.family"])
    lines = {line for text in texts for line in text.split("\n")}
    return max((_line_width(line, size, families) for line in lines), default=0.0)


@functools.lru_cache(maxsize=4096)
def _line_width(line, size, families):
    font = font_manager.FontProperties(family=families)
    outline = TextPath((0, 0), line + ".", size, prop=font)  # a blank alone has no outline
    return outline.vertices[:, 0].max() / 72


@functools.cache
def cjk_family():
    """The first of CJK_FAMILIES that is installed, or None."""
    for look in (lambda: None, _add_new_fonts):
        look()
        installed = {font.name for font in font_manager.fontManager.ttflist}
        for family in CJK_FAMILIES:
            if family in installed:
                logging.getLogger("matplotlib.font_manager").addFilter(
                    lambda record: family not in map(str, record.args or ())
                )  # of a weight that the family does not have: the nearest serves
                return family
    return None


@functools.cache
def own_family():
    """The family of cjk.otf, which matplotlib knows from now on."""
    font_manager.fontManager.addfont(str(OWN_FILE))
    return OWN_FAMILY


def _add_new_fonts():
    """matplotlib remembers its list of fonts across runs: read those installed since."""
    for path in font_manager.findSystemFonts():
        if any(name in os.path.basename(path).lower() for name in CJK_FILES):
            font_manager.fontManager.addfont(path)


def _missing(characters, families):
    """Those of the characters that no font of the families has."""
    paths = [font_manager.findfont(font_manager.FontProperties(family=f)) for f in families]
    fonts = [font_manager.get_font(path) for path in paths]
    return {c for c in characters if not any(font.get_char_index(ord(c)) for font in fonts)}


_warned = set()


def advise(missing):
    """Warn once in a process of each character, and where some are Chinese of what to install."""
    new = [c for c in missing if c not in _warned]
    _warned.update(new)
    if new:
        named = ", ".join(f"{c} (U+{ord(c):04X})" for c in new[:8])
        advice = CJK_ADVICE if any("\u2e80" <= c <= "\uffef" for c in new) else ""
        more = f" and {len(new) - 8} more" if len(new) > 8 else ""
        warnings.warn(ADVICE.format(missing=named + more) + advice, UserWarning, stacklevel=2)
