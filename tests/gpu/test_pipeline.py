"""The whole pipeline on a GPU, and what it says of the images beside what the processor says."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import PROJECT, TINY, change_params
from tests.support.pipeline import STAGES

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

CODE = ("stages", "plumbline", "tools", "params.yaml", "dvc.yaml")
HIDDEN = {"CUDA_VISIBLE_DEVICES": ""}


def run_module(folder: Path, *command: str, environment: dict[str, str] | None = None) -> None:
    """Run one of the project's modules in a copy of the project."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with tiny parameters, in which every stage has run on the GPU, in dvc.yaml's order."""
    folder = tmp_path_factory.mktemp("tiny") / "project"
    folder.mkdir()
    for name in CODE:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, folder / name)
    change_params(folder, TINY)
    for stage in STAGES:
        run_module(folder, f"stages.{stage}")
    return folder


def test_every_stage_runs_and_gives_finite_numbers(tiny: Path) -> None:
    for path in (tiny / "metrics").glob("*.json"):
        assert all(math.isfinite(value) for value in json.loads(path.read_text()).values()), path
    assert json.loads((tiny / "metrics/timing/finetune.json").read_text())["peak_gpu_memory_mib"] > 0


def test_evaluate_says_what_the_processor_says_to_1e_3(tiny: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny, tmp_path / "copy"))
    run_module(copy, "stages.evaluate", environment=HIDDEN)
    gpu, processor = (
        pd.read_csv(folder / "plots/predictions.csv").set_index(["split", "path"]) for folder in (tiny, copy)
    )
    assert (gpu["probability"] - processor["probability"]).abs().max() <= 1e-3
    certain = processor["probability"] > 0.5 + 1e-3
    assert (gpu["predicted"] == processor["predicted"])[certain].all()


def test_predict_says_what_the_processor_says_to_1e_3(tiny: Path, tmp_path: Path) -> None:
    tables = []
    for environment in ({}, HIDDEN):
        output = tmp_path / f"{len(tables)}.csv"
        command = ("tools.predict", "data/digits", "--output", str(output))
        run_module(tiny, *command, environment=environment)
        tables.append(pd.read_csv(output))
    probabilities = [table.select_dtypes("float") for table in tables]
    assert len(tables[0]) > 100
    assert (probabilities[0] - probabilities[1]).abs().max().max() <= 1e-3
