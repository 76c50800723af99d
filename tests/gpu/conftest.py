"""What the tests of a GPU share. Those that can also run on the processor, so that their own code is tried everywhere."""

import pytest
import torch

from tests.stages.finetune.conftest import eleven, ready

__all__ = ["eleven", "ready"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a GPU that torch sees: `make test-gpu` on a machine that has one")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What computes; for the processor a GPU is hidden."""
    if request.param == "cpu":
        hide_gpu(monkeypatch)
    return request.param


def hide_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch see no GPU, in the test and in the processes that it starts."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
