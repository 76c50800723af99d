"""A repository with experiments that ended before `evaluate`, on a pipeline of three short stages."""

from pathlib import Path

from tests.conftest import PROJECT
from tests.support.projects import change_params, commit_all, run_in

STAGE = """\
import sys, yaml
params = yaml.safe_load(open("params.yaml"))
lr, folds = params["finetune"]["lr"], params["data"]["folds"]
if sys.argv[1] == "prepare":
    print(folds, file=open("data/prepared", "w"))
if sys.argv[1] == "finetune":
    print(lr, file=open("models/finetuned.safetensors", "w"))
if sys.argv[1] == "evaluate":
    right = {"0.001": 21, "0.01": 24}[open("models/finetuned.safetensors").read().strip()]
    row = f"val,accuracy,{right / 24},{right / 24 - 0.1},{min(right / 24 + 0.1, 1)},24"
    print("split,measure,value,low,high,images", row, sep="\\n", file=open("plots/measures.csv", "w"))
    rows = [f"val,{i:02},ant,{'ant' if i < right else 'bee'},0.8,{int(i < right)},1,1,{folds:02},{i}" for i in range(24)]
    header = "split,path,actual,predicted,probability,correct,loss,squared_error,sha256,cluster"
    print(header, *rows, sep="\\n", file=open("plots/predictions.csv", "w"))
"""
PIPELINE = """\
stages:
  prepare:
    cmd: python stage.py prepare
    params: [data.folds]
    outs: [data/prepared]
  finetune:
    cmd: python stage.py finetune
    deps: [data/prepared]
    params: [finetune.lr]
    outs: [models/finetuned.safetensors]
  evaluate:
    cmd: python stage.py evaluate
    deps: [data/prepared, models/finetuned.safetensors]
    params: [seed]
    plots:
    - plots/measures.csv: {cache: false}
    - plots/predictions.csv: {cache: false}
"""
# The stage that each experiment ended with, and what it changed.
EXPERIMENTS = {
    "whole": ("evaluate", "finetune.lr=0.01"),
    "other_images": ("evaluate", "data.folds=3"),
    "model": ("finetune", "finetune.lr=0.01"),
    "data": ("prepare", "data.folds=4"),
    "parameters": ("prepare", "finetune.lr=0.01"),
}


def make_repository(folder: Path) -> Path:
    """Run the pipeline, commit its results, and run the experiments; the last one stays in the workspace."""
    for name in ("data", "models", "plots"):
        (folder / name).mkdir(parents=True)
        (folder / name / ".gitkeep").touch()
    run_in(folder, "git", "init", "--quiet", "--initial-branch=main")
    run_in(folder, "dvc", "init", "--quiet")
    (folder / "params.yaml").write_text((PROJECT / "params.yaml").read_text())
    change_params(folder, {})
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "stage.py").write_text(STAGE)
    run_in(folder, "dvc", "repro", "--quiet")
    commit_all(folder, "A run")
    for name, (stage, change) in EXPERIMENTS.items():
        run_in(folder, "git", "checkout", "--quiet", "--force", ".")
        run_in(folder, "dvc", "exp", "run", "--quiet", "--name", name, "-S", change, stage)
    return folder
