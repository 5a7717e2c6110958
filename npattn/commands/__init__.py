"""The commands of `npattn`, one module each.

A command module has HELP (one line), configure(parser), and run(options) -> exit code. It imports
what it needs inside `run`, so that `npattn --help` answers at once.
"""


class InputError(Exception):
    """What the user asked for cannot be done: one line that says what to change. Exit code 2."""
