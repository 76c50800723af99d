"""Keep Python from showing warnings while any thread decodes, and put its filters back when the last one is done."""

import threading
import warnings
from contextlib import ExitStack


class NoWarnings:
    """A context in which no warning is shown, for several threads at once.

    Python's filters are the whole process's. If each thread put back what it found, one that comes while another is
    within would put back that nothing is shown: here the last to leave puts back what the first found.
    """

    def __init__(self) -> None:
        self.lock, self.within, self.undo = threading.Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        with self.lock:
            if not self.within:
                self.undo.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            self.within += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.within -= 1
            if not self.within:
                self.undo.close()


NO_WARNINGS = NoWarnings()  # one for the process, as its filters are
