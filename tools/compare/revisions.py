"""Read a revision's predictions, measures and parameters, from Git and DVC's cache or remote."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import dvc.api
import pandas as pd

from plumbline.results.measures_file import MEASURES, Measures, read_measures
from plumbline.results.predictions_file import COLUMNS, PREDICTIONS
from plumbline.results.tables import read_table
from plumbline.run.dotted_keys import flat
from plumbline.run.errors import UserError
from plumbline.run.paths import AUDIT
from tools.revision_files import file_at, lock_at
from tools.stale_results import refuse_stale

CORRECTIONS = AUDIT / "corrections.csv"
WORKSPACE = "workspace"
SEED = "seed"  # the parameter that says which run of a recipe this is


@dataclass(frozen=True)
class Revision:
    """One commit, branch, tag or experiment, or the workspace."""

    name: str
    predictions: pd.DataFrame  # one row an image, with its path as the index
    measures: Measures  # empty for a revision of before plots/measures.csv
    params: dict[str, Any]  # flat: section.key
    corrected: frozenset[str] = frozenset()  # hashes of the images that it has corrected
    left_out: Sequence[str] = ()  # images that are not compared


def read_revision(name: str) -> Revision:
    """Read a revision, with all its splits. Raises UserError for one that is unknown, or has no results of its own."""
    rev = None if name == WORKSPACE else name
    with file_at(PREDICTIONS, rev, also=WORKSPACE) as file:
        text = file.read().decode("utf-8")
        params = dvc.api.params_show(rev=rev)
    params = flat(params)
    refuse_stale(name, lock_at(rev), params)
    corrected = corrected_at(rev) if params.get("data.corrections") else frozenset()
    return Revision(name, predictions_of(text, name), measures_at(rev), params, corrected)


def corrected_at(rev: str | None) -> frozenset[str]:
    """Return the hashes of the images that a revision has corrected; none where its audit is out of reach."""
    try:
        with file_at(CORRECTIONS, rev, also=WORKSPACE) as file:
            table = pd.read_csv(file, dtype=str)
            return frozenset(table["sha256"][table["status"] == "applied"])
    except (UserError, ValueError, KeyError):
        return frozenset()


def measures_at(rev: str | None) -> Measures:
    """Return a revision's measures; none for one of before plots/measures.csv, or whose table has another form."""
    try:
        with file_at(MEASURES, rev, also=WORKSPACE) as file:
            return read_measures(io.StringIO(file.read().decode("utf-8"), newline=""))
    except (UserError, ValueError):
        return {}


def predictions_of(text: str, name: str) -> pd.DataFrame:
    """Return the rows, with the path as the index."""
    table = read_table(io.StringIO(text), f"{name}'s {PREDICTIONS}")
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise UserError(
            f"{name}'s {PREDICTIONS} has no column {missing[0]}: an older version wrote it, run `dvc repro` there"
        )
    return table.set_index("path")


def in_split(revisions: list[Revision], wish: str | None) -> tuple[str, list[Revision]]:
    """Return the revisions with the predictions of one split, and its name: the one given, else val, else test."""
    known = [set(revision.predictions["split"]) for revision in revisions]
    split = wish or ("val" if all("val" in splits for splits in known) else "test")
    for revision, splits in zip(revisions, known, strict=True):
        if split not in splits:
            raise UserError(f"{revision.name} has no images in {split}: it has {', '.join(sorted(splits))}")
    return split, [
        replace(revision, predictions=revision.predictions[revision.predictions["split"] == split])
        for revision in revisions
    ]


def differing_params(revisions: list[Revision]) -> dict[str, list[Any]]:
    """Return the parameters that differ between revisions, with the value in each; None where it is absent."""
    keys = dict.fromkeys(key for revision in revisions for key in revision.params)
    values = {key: [revision.params.get(key) for revision in revisions] for key in keys}
    return {key: row for key, row in values.items() if any(value != row[0] for value in row)}
