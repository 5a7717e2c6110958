"""What is wrong with an edited copy of npattn/gpt.py, and why.

    catalogue   edits of the file, each with the sentence that explains it
    probes      what the functions of such a file return for drawn arguments
    child       runs a file in a process of its own, with limits on time, memory and output
    judge       compares: first the whole gradient, then function by function
"""

from npattn.breaking.catalogue import CATALOGUE, REFERENCE
from npattn.breaking.judge import Verdict, check_file, judge_source

__all__ = ["CATALOGUE", "REFERENCE", "Verdict", "check_file", "judge_source"]
