"""The whole pipeline on a GPU, and what it says of the images beside what the processor says.

The stages run in this process, one after another: torch is imported once.
"""

import contextlib
import json
import math
import shutil
import sys
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from stages.evaluate import __main__ as evaluate
from tests.conftest import PROJECT
from tests.gpu.conftest import hide_gpu
from tests.support.pipeline import STAGES
from tests.support.projects import TINY, change_params
from tools.predict import __main__ as predict

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # a machine with a GPU may have another torch, with warnings of its own
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny parameters in which every stage has run on the GPU, in dvc.yaml's order."""
    folder = tmp_path_factory.mktemp("tiny")
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(PROJECT / name, folder)
    change_params(folder, TINY)
    with contextlib.chdir(folder):
        for stage in STAGES:
            import_module(f"stages.{stage}.__main__").main()
    return folder


def test_every_stage_runs_and_gives_finite_numbers(tiny: Path) -> None:
    for path in (tiny / "metrics").glob("*.json"):
        assert all(math.isfinite(value) for value in json.loads(path.read_text()).values()), path
    assert json.loads((tiny / "metrics/timing/finetune.json").read_text())["peak_gpu_memory_mib"] > 0


def test_evaluate_says_what_the_processor_says_to_1e_3(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(tiny, tmp_path / "copy"))
    monkeypatch.chdir(copy)
    hide_gpu(monkeypatch)
    evaluate.main()
    gpu, processor = (
        pd.read_csv(folder / "plots/predictions.csv").set_index(["split", "path"]) for folder in (tiny, copy)
    )
    assert (gpu["probability"] - processor["probability"]).abs().max() <= 1e-3
    certain = processor["probability"] > 0.5 + 1e-3
    assert (gpu["predicted"] == processor["predicted"])[certain].all()


def test_predict_says_what_the_processor_says_to_1e_3(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny)
    tables = []
    for output in (tmp_path / "gpu.csv", tmp_path / "processor.csv"):
        monkeypatch.setattr(sys, "argv", ["predict", "data/digits", "--output", str(output)])
        predict.main()
        tables.append(pd.read_csv(output))
        hide_gpu(monkeypatch)
    probabilities = [table.select_dtypes("float") for table in tables]
    assert len(tables[0]) > 100
    assert (probabilities[0] - probabilities[1]).abs().max().max() <= 1e-3
