"""Limit the time that one image may take to decode, by ending the process that takes longer.

A decoder may run for hours within one call into C, which nothing else can interrupt. The thread that waits is C's too.
"""

import faulthandler
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TimeLimit:
    """How long one image may take, and a folder in which a process says that one took longer."""

    seconds: float
    folder: Path  # absolute, and of this run alone

    @contextmanager
    def for_image(self, offset: int) -> Iterator[None]:
        """End this process, if joblib started it, when the block takes too long over the image of this offset."""
        if multiprocessing.parent_process() is None:
            yield
            return
        path = self.folder / f"{offset}.slow"
        with path.open("w") as file:
            faulthandler.dump_traceback_later(self.seconds, exit=True, file=file)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()
                path.unlink()

    def passed(self) -> set[int]:
        """Return the offsets of the images that took too long, once all processes have ended; forget them."""
        paths = list(self.folder.glob("*.slow"))
        offsets = {int(path.stem) for path in paths if path.stat().st_size}
        for path in paths:
            path.unlink()
        return offsets
