"""Turn SIGINT and SIGTERM into an exception that is raised where a run's state is whole: between two updates."""

import os
import signal
from types import FrameType, TracebackType

import torch

from stages.finetune.distributed import SINGLE_PROCESS, Distributed

CPU = torch.device("cpu")


class Interrupted(Exception):
    """The run was asked to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number  # what a shell reports for a program that the signal ended


class Interruption:
    """Notes a signal while its `with` block runs, and lets all processes that train together end at the same place.

    For one process alone, a second signal does what it would have done without; of several each gets the same signal
    from the terminal and from torchrun, which ends them for good if they take too long.
    """

    def __init__(self, distributed: Distributed = SINGLE_PROCESS, device: torch.device = CPU) -> None:
        self.distributed, self.device = distributed, device
        self.number: int | None = None
        self.before: dict[int, object] = {}
        self.parent = os.getppid()

    def __enter__(self) -> "Interruption":
        for number in (signal.SIGINT, signal.SIGTERM):
            self.before[number] = signal.signal(number, self.note)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.hand_back()

    def note(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal."""
        self.number = number
        if self.distributed.world_size == 1:
            self.hand_back()

    def hand_back(self) -> None:
        """Let signals do what they did before."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def check(self) -> None:
        """Raise Interrupted if a signal has come, where one process may end without the others: if there are none."""
        if self.number is not None and self.distributed.world_size == 1:
            raise Interrupted(self.number)

    def check_all_ranks(self) -> None:
        """Raise Interrupted in all processes if a signal has come to any, or what started one is gone."""
        if self.distributed.world_size > 1 and os.getppid() != self.parent:
            self.number = signal.SIGTERM
        if self.distributed.any(self.number is not None, self.device):
            raise Interrupted(self.number or signal.SIGTERM)
