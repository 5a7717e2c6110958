"""Files that are whole or absent."""

import os
import uuid
from contextlib import suppress
from pathlib import Path


def replace_file(path, content):
    """Write bytes to a file in one step, so that nobody ever reads half. Returns the Path.

    The content is written beside the file, flushed to the disk, then put in its place in one
    move: a crash at any moment leaves what was there, or all of the new.
    Raises OSError, naming `path`, where that cannot be. Then the file is as it was.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):  # it has been moved, or was never made
            unfinished.unlink()
    return path
