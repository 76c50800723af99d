"""Turn SIGINT and SIGTERM into an exception that is raised where a run's state is whole: between two updates."""

import signal
from types import FrameType, TracebackType


class Interrupted(Exception):
    """The run was asked to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number  # what a shell reports for a program that the signal ended


class Interruption:
    """Notes a signal while its `with` block runs. A second one does what it would have done without."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.before: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        for number in (signal.SIGINT, signal.SIGTERM):
            self.before[number] = signal.signal(number, self.note)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.hand_back()

    def note(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal."""
        self.number = number
        self.hand_back()

    def hand_back(self) -> None:
        """Let signals do what they did before."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self.number is not None:
            raise Interrupted(self.number)
