"""Turn SIGINT and SIGTERM into a request that the training loop answers between two steps."""

import signal
from types import FrameType, TracebackType


class Interrupted(Exception):
    """The run was asked to end, and has saved its state."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number


class Interruption:
    """Notes a signal while its `with` block runs. A second one ends the process at once."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.before: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        for number in (signal.SIGINT, signal.SIGTERM):
            self.before[number] = signal.signal(number, self.note)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.restore()

    def note(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal; from now on signals do what they did before."""
        self.number = number
        self.restore()

    def restore(self) -> None:
        """Hand the signals back."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}
