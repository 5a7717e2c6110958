"""A doctor for anybody's attention code: is it right, and if not, which mistake is it?

    from npattn import doctor
    doctor("mine.py:attention")                 a Diagnosis: text, and HTML in a notebook
    doctor(my_function, mask="drop")

The code runs in a process of its own (npattn.strangers). It is called in the ways that its
signature allows, with many small cases; the reference (reference.py) is fitted to what comes back,
first with the conventions in which people differ, then with the mistakes of a catalogue.
"""

import sys
from types import ModuleType

__all__ = ["Diagnosis", "doctor"]


class _Callable(ModuleType):
    """This module, which can be called like the function of its name.

    What it exports is imported when it is asked for: the command line needs the hints alone.
    """

    def __call__(self, *args, **hints):
        return self.doctor(*args, **hints)

    def __getattr__(self, name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from npattn.doctor import diagnosis

        return getattr(diagnosis, name)


sys.modules[__name__].__class__ = _Callable
