"""A disk that is full, for the tests of stored results.

A limit of the process (RLIMIT_FSIZE) would also stop what the test run itself prints to a file.
"""

import errno
import io


def small_disk(size):
    """An `open` whose files take no byte beyond `size`: a part of what is written, then none."""

    class File(io.FileIO):
        def write(self, data):
            room = size - self.tell()
            if room <= 0:
                raise OSError(errno.EFBIG, "File too large")
            return super().write(data[:room])

    return lambda path, mode, buffering: File(path, mode.replace("b", ""))
