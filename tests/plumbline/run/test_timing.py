"""Timings go to a file of their own."""

import json
from pathlib import Path

import pytest

from plumbline.run.timing import timed
from tests.conftest import Workspace


def test_seconds_rate_and_memory_are_written(workspace: Workspace) -> None:
    with timed("stage", images=10):
        pass
    timing = json.loads(Path("metrics/timing/stage.json").read_text())
    assert timing.keys() == {"seconds", "images_per_second", "peak_memory_mib"}
    assert 10 < timing["peak_memory_mib"] < 100_000


def test_a_block_that_fails_leaves_no_timing(workspace: Workspace) -> None:
    with pytest.raises(RuntimeError), timed("stage"):
        raise RuntimeError
    assert not Path("metrics").exists()
