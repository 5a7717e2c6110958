"""The settings of the documentation site, which docs/build.py builds."""

import inspect
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import docstrings  # noqa: E402
import reference  # noqa: E402
from words import BothLanguages  # noqa: E402

from npattn import __version__  # noqa: E402

project, author, copyright = "npattn", "the authors of npattn", "the authors of npattn, MIT licence"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "mathml"]
html_math_renderer = "mathml"
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_url_schemes = {"https": None, "site": "{{path}}", "gallery": "{{path}}#{{fragment}}"}
suppress_warnings = ["mystnb.unknown_mime_type"]

add_module_names = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_mock_imports = reference.absent()

html_theme = "furo"
html_title = f"npattn {version}"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_search_summary = False  # it would fetch pages, which a folder without a server refuses
html_search_language = "en"
exclude_patterns = ["**/.ipynb_checkpoints"]


def _plain(app, what, name, thing, options, lines):
    """Docstrings as they are, and the fields of a NamedTuple with their shapes."""
    lines[:] = docstrings.as_rst(lines)
    if _is_named_tuple(thing):
        lines += docstrings.fields(thing)


def _skip(app, what, name, thing, skip, options):
    """The fields of a NamedTuple are shown as they stand in the source."""
    return True if type(thing).__name__ == "_tuplegetter" else None


def _is_named_tuple(thing):
    return inspect.isclass(thing) and issubclass(thing, tuple) and hasattr(thing, "_fields")


def setup(app):
    app.add_search_language(BothLanguages)
    app.connect("autodoc-process-docstring", _plain)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
