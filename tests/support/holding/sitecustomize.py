"""What a process that `tests.support.hold` watches imports as it starts: it waits before it opens a certain file.

HOLD_FOLDER/<process number> then says which process waits, and it goes on when HOLD_FOLDER/go exists.
"""

import os
import sys
import time
from pathlib import Path

FOLDER, NAME = Path(os.environ["HOLD_FOLDER"]), os.environ["HOLD_NAME"]


def hold(event: str, arguments: tuple) -> None:
    """Python calls this before it does what may be audited, the opening of a file among it."""
    if event == "open" and str(arguments[0]).endswith(NAME) and not (FOLDER / "go").exists():
        (FOLDER / str(os.getpid())).touch()
        while not (FOLDER / "go").exists():
            time.sleep(0.02)


sys.addaudithook(hold)
