"""A doctor for anybody's attention code: is it right, and if not, which mistake is it?

    from npattn.doctor import doctor
    doctor("mine.py:attention")                 a Diagnosis: text, and HTML in a notebook
    doctor(my_function, mask="drop")

The code runs in a process of its own (npattn.strangers). It is called in the ways that its
signature allows, with many small cases; the reference (reference.py) is fitted to what comes back,
first with the conventions in which people differ, then with the mistakes of a catalogue.
"""

from npattn.doctor.diagnosis import Diagnosis, doctor

__all__ = ["Diagnosis", "doctor"]
