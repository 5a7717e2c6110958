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

from npattn.doctor.diagnosis import Diagnosis, doctor

__all__ = ["Diagnosis", "doctor"]


class _Callable(ModuleType):
    """This module, which can be called like the function of its name."""

    def __call__(self, *args, **hints):
        return doctor(*args, **hints)


sys.modules[__name__].__class__ = _Callable
