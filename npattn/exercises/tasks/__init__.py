"""The exercises, one module each; `npattn.exercises` says how one is written."""
