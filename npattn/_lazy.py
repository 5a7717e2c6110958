"""Imports that wait until they are needed: `import npattn` loads no page (PEP 562)."""

import importlib.machinery
import types


def imports_of(module, path):
    """{name: the module it is imported from} of a module in `path` that consists of imports.

    The module runs with an `__import__` that notes what it is asked for and imports nothing.
    """
    def note(source, namespace, local_names, names, level):
        noted.update(dict.fromkeys(names, source))
        return types.SimpleNamespace(**dict.fromkeys(names))

    noted = {}
    loader = importlib.machinery.PathFinder.find_spec(module, path).loader
    exec(loader.get_code(module), {"__builtins__": {"__import__": note}})
    return noted


def submodule(package, name):
    """The module `name` of `package`, for the `__getattr__` of the package."""
    path = f"{package}.{name}"
    try:
        if not name.startswith("_"):
            return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
    raise AttributeError(f"module {package!r} has no attribute {name!r}")
