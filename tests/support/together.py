"""Processes that train together, as torchrun starts them, without its own and torch's seconds of import."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from tests.support import forked

STAGE = "stages.finetune"
OUTPUTS = tuple(map(Path, ("models/finetuned.safetensors", "plots/history.csv", "metrics/finetune.json")))


def written() -> tuple[bytes, ...]:
    """Return every file that finetune has written and DVC holds."""
    return tuple(path.read_bytes() for path in OUTPUTS)


@dataclass(frozen=True)
class Trained:
    """What finetune has written."""

    history: pd.DataFrame  # plots/history.csv
    weights: dict[str, torch.Tensor]
    output: str  # what the first process printed


def train_together(processes: int) -> Trained:
    """Run finetune in the current folder in so many processes to their end."""
    output = start_and_finish(processes) if processes > 1 else forked.finish(forked.start(STAGE))
    return Trained(pd.read_csv("plots/history.csv"), load_file("models/finetuned.safetensors"), output)


def start_and_finish(processes: int, module: str = STAGE, statuses: Sequence[int] | None = None) -> str:
    """Run a module in several processes that find each other by a store of the test's own, on a port of its choice.

    They have to end with these statuses, by rank; with 0 if none are given.
    """
    Path("plots/history.csv").unlink(missing_ok=True)
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    place = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "WORLD_SIZE": str(processes),
    }
    ranks = [forked.start(module, RANK=str(i), LOCAL_RANK=str(i), **place) for i in range(processes)]
    first, *_ = [forked.finish(rank, status) for rank, status in zip(ranks, statuses or [0] * processes, strict=True)]
    return first
