"""Build the documentation site: one folder that can be read without a server, or hosted as it is.

    python docs/build.py [FOLDER]        default: build/site; needs pip install -e '.[docs]'

The site has the README and the pages of docs/ in both languages, the notebooks with their outputs,
a gallery of all figures, the reading order, and the reference, which is taken from the docstrings.
Nothing in it uses a network. A warning of Sphinx or a link that leads nowhere ends the command with
an error, and the folder stays as it was.
"""

import os
import posixpath
import re
import shutil
import sys
import tempfile
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[1]
SITE = HERE / "site"
PAGES = (
    "README.md", "README.zh.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md", "notebooks/*.md",
    "notebooks/*.ipynb", "notebooks/solved/*.ipynb", "tests/battery/README.md",
)  # fmt: skip
FOLDERS = {  # the page that a link to a folder leads to
    "figures": "figures/index.md", "notebooks": "notebooks/README.md",
    "notebooks/solved": "notebooks/README.md",
}  # fmt: skip
LINK = re.compile(r"(!?)(\[(?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*\])\(([^)\s#:]+)(#[^)\s]*)?\)")


def main(folder="build/site"):
    """Build into `folder`; returns the number of pages."""
    sys.path.insert(0, str(SITE))
    import gallery
    import reference
    from sphinx.cmd.build import build_main

    folder = Path(folder)
    if folder.exists() and not (folder / "searchindex.js").is_file():
        if not folder.is_dir() or any(folder.iterdir()):
            raise SystemExit(f"{folder} is no site of an earlier build, and would be replaced: "
                             "name a new folder")
    with tempfile.TemporaryDirectory() as scratch:
        source, built = Path(scratch, "source"), Path(scratch, "site")
        (source / "reference").mkdir(parents=True)
        reference.write(source / "reference")
        shutil.copytree(ROOT / "figures", source / "figures")
        gallery.write(source / "figures")
        known = {*reference.modules()}
        for pattern in PAGES:
            for path in sorted(ROOT.glob(pattern)):
                _bring(path, source, known)
        _front(source)
        if build_main(["-q", "-W", "--keep-going", "-j", "2", "-c", str(SITE), "-d",
                       f"{scratch}/trees", str(source), str(built)]):  # fmt: skip
            raise SystemExit("Sphinx gave warnings: see above")
        shutil.copytree(
            source / "figures", built / "figures", dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("*.md"),
        )  # fmt: skip
        if faults := faulty_links(built):
            raise SystemExit("\n".join(faults))
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(built, folder, ignore=shutil.ignore_patterns(".buildinfo", ".doctrees"))
    return len([*folder.rglob("*.html")])


def _bring(path, source, modules):
    """Copy a page; links to code lead to the reference, links to figures into the gallery."""
    place = path.relative_to(ROOT).as_posix()
    target = source / ("index.md" if place == "README.md" else place)
    target.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding="utf-8")
    text = LINK.sub(lambda match: _relink(match, place, source, modules), text)
    target.write_text(text, encoding="utf-8")


def _relink(match, place, source, modules):
    picture, words, target, anchor = match.groups()
    path = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
    if not (ROOT / path).exists():
        raise SystemExit(f"{place}: {target} does not exist")
    if picture:
        return match[0]
    dotted = re.sub(r"(/__init__)?\.py$", "", path).replace("/", ".")
    scheme = ""
    if dotted in modules:
        path = f"reference/{dotted}.rst"
    elif path == "README.md":
        path = "index.md"
    elif (ROOT / path).is_dir():
        path = FOLDERS[path]
    elif path.startswith("figures/") and path.endswith(".png"):
        scheme, path, anchor = "gallery:", "figures/index.html", f"#{Path(path).stem}"
    elif path.startswith("figures/"):
        scheme = "site:"
    elif not re.search(r"\.(md|ipynb)$", path):  # another file: it can be downloaded
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, source / path)
    inside = posixpath.relpath(path, posixpath.dirname(place) or ".")
    return f"{words}({scheme}{inside}{anchor or ''})"


def _front(source):
    """The contents at the side of every page, and the reading order on a page of its own."""
    front = source / "index.md"
    text = front.read_text(encoding="utf-8")
    order = re.search(r"^## Where to start reading\n(.*?)^## ", text, re.S | re.M)[1]
    sections = re.search(r"^## Beside the text\n(.*?)^## ", text, re.S | re.M)[1]
    (source / "reading.md").write_text(
        f"# Reading order\n{order}\n## Beside the text\n{sections}", encoding="utf-8"
    )
    with open(source / "notebooks/README.md", "a", encoding="utf-8") as page:
        names = []
        for path in sorted((source / "notebooks").glob("*.ipynb")):
            names.append(path.stem)
            if (path.parent / "solved" / path.name).exists():
                names.append(f"{path.stem.partition('-')[0]}, solved <solved/{path.stem}>")
        page.write("\n".join(["\n```{toctree}", ":hidden:", "", *names, "```\n"]))
    contents = (SITE / "contents.md").read_text(encoding="utf-8")
    front.write_text(f"{text}\n{contents}", encoding="utf-8")


class _Page(HTMLParser):
    """The links of a page, its anchors, and what it would load."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors, self.loads = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors |= {given.get("id"), given.get("name")}
        if tag == "a":
            self.links += [given.get("href")]
        elif given.get("rel") not in ("index", "search", "next", "prev", "author"):
            self.loads += [given.get("src"), given.get("href"), given.get("data")]


def faulty_links(folder):
    """Each link inside `folder` that leads nowhere, and each thing that a page would fetch."""
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}
    faults = []
    for path, page in pages.items():
        here = path.relative_to(folder)
        faults += [f"{here} loads {u}" for u in filter(None, page.loads) if _is_remote(u)]
        for link in {*filter(None, page.links + page.loads)}:
            if re.match(r"[a-z]+:|//", link):
                continue
            name, _, anchor = unquote(link).partition("#")
            target = Path(os.path.normpath(path.parent / name.partition("?")[0])) if name else path
            known = pages[target].anchors if target in pages else {"", anchor}
            if not target.exists() or anchor and anchor not in known:
                faults.append(f"{here}: {link} leads nowhere")
    for sheet in folder.rglob("*.css"):
        for url in re.findall(r"url\([\"']?([^\"')]+)|@import", sheet.read_text(encoding="utf-8")):
            if _is_remote(url):
                faults.append(f"{sheet.relative_to(folder)} loads {url}")
    return faults


def _is_remote(url):
    return bool(re.match(r"(https?:)?//", url))


if __name__ == "__main__":
    begin = time.perf_counter()
    where = Path(sys.argv[1] if len(sys.argv) > 1 else "build/site")
    count = main(where)
    print(f"{count} pages in {time.perf_counter() - begin:.0f} s: {where / 'index.html'}")
