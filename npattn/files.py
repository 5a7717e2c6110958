"""Files that are whole or absent."""

import os
import uuid
from pathlib import Path


def replace_file(path, content):
    """Write bytes to a file in one step, so that nobody ever reads half. Returns the Path.

    An existing file is replaced; where writing fails it stays as it was.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path
