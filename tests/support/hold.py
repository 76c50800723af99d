"""Hold a process, or one of those that it starts, where it opens a certain file, until the test lets it go on.

What a test wants to interrupt is then under way for as long as the test needs, however fast the machine is.
"""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.forked import Forked
from tests.support.python_path import python_path

SITECUSTOMIZE = Path(__file__).parent / "holding"
SECONDS = 600  # after which nobody will get there, however busy the machine is


@dataclass(frozen=True)
class Hold:
    """Holds whoever opens a file whose path ends with `name`, after `skip` times. The folder must not exist."""

    folder: Path
    name: str
    skip: int = 0

    def environment(self) -> dict[str, str]:
        """Return the environment for the processes that may be held."""
        self.folder.mkdir()
        own = {"HOLD_FOLDER": str(self.folder), "HOLD_NAME": self.name, "HOLD_SKIP": str(self.skip)}
        return own | python_path(SITECUSTOMIZE)

    def wait(self, process: subprocess.Popen | Forked) -> int:
        """Wait until one is held, and return its process number; fail if `process` ends before."""
        end = time.monotonic() + SECONDS
        while not (held := [path for path in self.folder.iterdir() if path.name.isdigit()]):
            assert is_running(process), "it ended before it was held"
            assert time.monotonic() < end, "nobody was held"
            time.sleep(0.02)
        return int(held[0].name)

    def release(self) -> None:
        """Let go on who is held, and hold nobody any more."""
        (self.folder / "go").touch()


def is_running(process: subprocess.Popen | Forked) -> bool:
    return process.is_running() if isinstance(process, Forked) else process.poll() is None
