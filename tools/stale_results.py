"""Tell results that `evaluate` wrote for another model, other data or other parameters than those beside them.

`dvc exp run ... finetune` ends before `evaluate`, and keeps the results of the commit before. dvc.lock shows it: it has
the hashes of what each stage has read and written, and the parameters of each. What it lacks, as in an older revision
or in a folder without it, is not judged.
"""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from plumbline.run.dotted_keys import flat
from plumbline.run.errors import UserError
from plumbline.run.params_file import PATH
from plumbline.run.paths import FINETUNED, PREPARED

LOCK = Path("dvc.lock")
EVALUATE = "evaluate"
WRITTEN_BY = {"finetune": (FINETUNED, "another model"), "prepare": (PREPARED, "other data")}


def refuse_stale(name: str, lock: str | None, params: dict[str, Any]) -> None:
    """Raise UserError where a revision's results are stale, given the text of its dvc.lock and its flat parameters."""
    if of := stale_results(lock, params):
        raise UserError(
            f"{name} has not been evaluated, its results are those of {of}: run `dvc repro {EVALUATE}` there, or the "
            f"experiment again as `dvc exp run ... {EVALUATE}`"
        )


def stale_results(lock: str | None, params: dict[str, Any]) -> str:
    """Return of what else a revision's results are, in words; empty where they are its own, or dvc.lock is None.

    Of the flat parameters `params` those count that dvc.lock has with another value.
    """
    stages = stages_in(lock) if lock else {}
    if EVALUATE not in stages:
        return "an earlier run" if stages.keys() & WRITTEN_BY.keys() else ""
    found = []
    for stage, (path, words) in WRITTEN_BY.items():
        written, read = hash_of(path, stages, stage, "outs"), hash_of(path, stages, EVALUATE, "deps")
        if written and read and written != read:
            found.append(words)
    recorded = {key: value for stage in (*WRITTEN_BY, EVALUATE) for key, value in params_of(stages, stage).items()}
    changed = [key for key, value in recorded.items() if params.get(key, value) != value]
    if changed:
        found.append(f"other parameters ({', '.join(changed)})")
    return " and ".join(found)


def stages_in(lock: str) -> dict[str, Any]:
    """Return what dvc.lock has of each stage. Raises UserError for a damaged file."""
    try:
        contents = YAML(typ="safe", pure=True).load(lock)
    except YAMLError:
        raise UserError(f"{LOCK} is damaged: `git checkout {LOCK}` restores it, `dvc repro` writes it anew") from None
    return contents.get("stages") or {} if isinstance(contents, dict) else {}


def hash_of(path: Path, stages: dict[str, Any], stage: str, side: str) -> str | None:
    """Return the hash that a stage has recorded of a path among its `deps` or its `outs`; None where there is none."""
    entries = stages.get(stage, {}).get(side, [])
    return next((entry.get("md5") for entry in entries if entry["path"] == path.as_posix()), None)


def params_of(stages: dict[str, Any], stage: str) -> dict[str, Any]:
    """Return the parameters that a stage ran with, flat."""
    return flat(stages.get(stage, {}).get("params", {}).get(str(PATH), {}))
