"""What a process that `tests.support.hold` watches imports as it starts: it waits before it opens a certain file.

HOLD_FOLDER/<process number> then says which process waits, and it goes on when HOLD_FOLDER/go exists. The first HOLD_SKIP
times each process opens it at once.
"""

import os
import sys
import time
from pathlib import Path

FOLDER, NAME = Path(os.environ["HOLD_FOLDER"]), os.environ["HOLD_NAME"]
left = [None] * int(os.environ["HOLD_SKIP"])


def hold(event: str, arguments: tuple) -> None:
    """Python calls this before it does what may be audited, the opening of a file among it."""
    if event != "open" or not str(arguments[0]).endswith(NAME):
        return
    if left:
        left.pop()
    elif not (FOLDER / "go").exists():
        (FOLDER / str(os.getpid())).touch()
        while not (FOLDER / "go").exists():
            time.sleep(0.02)


sys.addaudithook(hold)
