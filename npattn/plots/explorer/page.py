"""The text of the page, from its parts and what it shows.

Labels can hold any text: they travel as JSON without a "<", and the scripts only show them as text.
"""

import html
import json
from pathlib import Path

from npattn.files import replace_file
from npattn.plots.explorer.source import source_lines

HERE = Path(__file__).parent
SCRIPTS = [
    f"{part}.js" for part in
    ("arithmetic", "expressions", "formulas", "engine", "matrices", "details", "lines", "editing")
]
LANGUAGES = "en", "zh"
HEIGHT = 980  # pixels of the frame in a notebook


class Explorer:
    """One call as a page. A notebook shows it in a frame; `save` writes it to a file."""

    def __init__(self, call, given, mask, sizes, labels, title, lang):
        words = words_in(lang)
        self.content = {
            "call": call, "given": given, "mask": mask, "sizes": sizes, "labels": labels,
            "title": words[f"title {call}"] if title is None else str(title), "words": words,
            "source": source_lines(call),
        }
        self.lang = lang

    @property
    def html(self):
        """The whole page. The same call gives the same text."""
        words = self.content["words"]
        page = _part("page.html").replace("{lang}", {"zh": "zh-CN"}.get(self.lang, self.lang))
        for name, text in words.items():
            page = page.replace("{word " + name + "}", html.escape(text))
        page = page.replace("{style}", _part("page.css"))
        page = page.replace("{script}", "\n\n".join(map(_part, SCRIPTS)))
        content = json.dumps(self.content, ensure_ascii=False).replace("<", r"\u003c")
        return page.replace("{data}", content)

    def save(self, path):
        """Write the page to an .html file, which is replaced in one step. Returns the Path.

        Raises ValueError if the suffix is another one.
        """
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"path must end in .html, got {path.name!r}")
        return replace_file(path, self.html.encode(errors="backslashreplace"))

    def _repr_html_(self):
        return (
            f'<iframe sandbox="allow-scripts" style="width: 100%; height: {HEIGHT}px; border: 0" '
            f'title="{html.escape(self.content["title"])}" srcdoc="{html.escape(self.html)}">'
            "</iframe>"
        )


def words_in(lang):
    """Every word of the page in one language. Raises ValueError for one that it has not."""
    if lang not in LANGUAGES:
        raise ValueError(f"lang must be one of {', '.join(LANGUAGES)}, got {lang!r}")
    table = json.loads(_part("words.json"))
    return {name: texts[LANGUAGES.index(lang)] for name, texts in table.items()}


def _part(name):
    return (HERE / name).read_text(encoding="utf-8").strip()
