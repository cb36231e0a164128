"""A disk that is full, and a folder that is closed, for the tests of stored results.

A limit of the process (RLIMIT_FSIZE) would also stop what the test run itself prints to a file.
"""

import contextlib
import errno
import io
import os
from pathlib import Path


def small_disk(size):
    """An `open` whose files take no byte beyond `size`: a part of what is written, then none."""

    class File(io.FileIO):
        def write(self, data):
            room = size - self.tell()
            if room <= 0:
                raise OSError(errno.EFBIG, "File too large")
            return super().write(data[:room])

    return lambda path, mode, buffering: File(path, mode.replace("b", ""))


@contextlib.contextmanager
def read_only(folder):
    """As a user who may not write to the folder, nor to what is in it."""
    for path in (folder, *Path(folder).iterdir()):
        os.chmod(path, 0o555)
    user = os.geteuid()
    if user == 0:  # root may write everywhere
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        os.chmod(folder, 0o755)
