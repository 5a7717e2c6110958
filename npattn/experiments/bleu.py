"""BLEU, where experiments look for it: `npattn.bleu`."""

from npattn.bleu import bleu, precision  # noqa: F401
