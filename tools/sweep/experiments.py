"""Read the parameters and the accuracy of a sweep's experiments, from Git and DVC."""

import hashlib
import io
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import dvc.api
import numpy as np
import pandas as pd
from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.scm import RevError

from plumbline.results.intervals import clusters_within
from plumbline.results.measures_file import MEASURES, read_measures
from plumbline.results.predictions_file import PREDICTIONS
from plumbline.results.tables import read_table
from plumbline.run.dotted_keys import flat
from plumbline.run.errors import UserError
from tools.revision_files import file_at, lock_at
from tools.stale_results import stale_results

KINDS = ("branch_commit", "branch_base")  # DVC's words for an experiment's row; the others are commits
UNFINISHED = ("Queued", "Running", "Failed")  # DVC's words
NOT_EVALUATED = "not evaluated"  # the results there are those of another run


@dataclass(frozen=True)
class Experiment:
    """A finished experiment."""

    name: str
    rev: str  # its commit
    params: dict[str, Any]  # flat: section.key
    accuracy: float  # fraction right, on the sweep's split
    low: float  # the ends of its interval
    high: float
    images: int  # in that split
    image_set: str | None = None  # a hash of their paths and contents; None where it is unknown


class Answers(NamedTuple):
    """Which images of the split an experiment has right, bool (N,), and which belong together, as in `intervals`."""

    right: np.ndarray
    clusters: np.ndarray | None


@dataclass(frozen=True)
class Sweep:
    """The experiments on one commit."""

    split: str
    confidence: float  # of the intervals
    experiments: list[Experiment]
    unfinished: dict[str, str]  # the others' states, by their names; some have ended before `evaluate`
    answers: Answers | None = None  # of the best

    @property
    def best_first(self) -> list[Experiment]:
        """The experiments in the order of their accuracy; of equal ones, of their names."""
        return sorted(self.experiments, key=lambda experiment: (-experiment.accuracy, experiment.name))

    @property
    def on_other_images(self) -> list[Experiment]:
        """The experiments whose split has other images than that of the best, where both are known."""
        best, *others = self.best_first
        return [each for each in others if best.image_set and each.image_set not in (None, best.image_set)]


def read_sweep(revision: str, split: str) -> Sweep:
    """Read the experiments on a commit. Raises UserError where none is finished, or one cannot be read."""
    rows = [row for row in shown(revision) if row["typ"] in KINDS]
    unfinished = {name_of(row): row["State"].lower() for row in rows if row["State"] in UNFINISHED}
    finished = [row for row in rows if row["State"] not in UNFINISHED]
    params = {row["rev"]: flat(dvc.api.params_show(rev=row["rev"])) for row in finished}
    stale = {row["rev"] for row in finished if stale_results(lock_at(row["rev"]), params[row["rev"]])}
    unfinished |= {name_of(row): NOT_EVALUATED for row in finished if row["rev"] in stale}
    finished = [row for row in finished if row["rev"] not in stale]
    if not finished:
        waiting = f"; {len(unfinished)} are not: {stated(unfinished)}" if unfinished else ""
        raise UserError(f"no experiment on {revision} is finished{waiting}; `dvc exp show` lists them")
    read = [read_experiment(name_of(row), row["rev"], params[row["rev"]], split) for row in finished]
    confidence = {experiment.params["evaluate.confidence"] for experiment in read}
    if len(confidence) > 1:
        raise UserError(f"evaluate.confidence differs ({', '.join(map(str, sorted(confidence)))}): set it alike")
    sweep = Sweep(split, confidence.pop(), read, unfinished)
    return replace(sweep, answers=answers_at(sweep.best_first[0].rev, split))


def shown(revision: str) -> list[dict[str, Any]]:
    """Return the rows of `dvc exp show` for one commit."""
    try:
        return dvc.api.exp_show(revs=revision)
    except RevError:
        raise UserError(f"{revision} is no revision: name a commit, a branch or a tag") from None
    except NotDvcRepoError:
        raise UserError("this folder is in no repository of Git and DVC: run this in the project's") from None
    except DvcException as error:
        raise UserError(f"the experiments on {revision} cannot be read: {error}") from None


def name_of(row: dict[str, Any]) -> str:
    """Return an experiment's name; a queued one may have none but its commit's."""
    return row["Experiment"] or row["rev"]


def stated(unfinished: dict[str, str]) -> str:
    """Return the names with their states."""
    return ", ".join(f"{name} ({state})" for name, state in unfinished.items())


def read_experiment(name: str, rev: str, params: dict[str, Any], split: str) -> Experiment:
    """Read a finished experiment's accuracy on a split. Raises UserError if it has none there."""
    with file_at(MEASURES, rev, also="none") as file:
        try:
            measures = read_measures(io.TextIOWrapper(file, encoding="utf-8", newline=""))
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
    accuracy = measures.get((split, "accuracy"))
    if accuracy is None:
        raise UserError(f"{name} has no accuracy of {split} in {MEASURES}: its data has no {split} split")
    return Experiment(
        name, rev, params, accuracy.value, accuracy.low, accuracy.high, accuracy.images, image_set_at(rev, split)
    )


def image_set_at(rev: str, split: str) -> str | None:
    """Return a hash of an experiment's images in a split, their paths and contents; None as in `predictions_at`."""
    rows = predictions_at(rev, split, ("path", "sha256"))
    return None if rows is None else hashlib.sha256(repr(sorted(rows.to_numpy().tolist())).encode()).hexdigest()


def answers_at(rev: str, split: str) -> Answers | None:
    """Read an experiment's answers on a split; None as in `predictions_at`."""
    rows = predictions_at(rev, split, ("correct", "cluster"))
    if rows is None:
        return None
    return Answers(rows["correct"].to_numpy() == 1, clusters_within(rows["cluster"].to_numpy()))


def predictions_at(rev: str, split: str, columns: tuple[str, ...]) -> pd.DataFrame | None:
    """Read columns of a split's predictions; None where they are out of reach, or an older version wrote them."""
    try:
        with file_at(PREDICTIONS, rev, also="none") as file:
            table = read_table(io.TextIOWrapper(file, encoding="utf-8"), PREDICTIONS, ("split", *columns))
    except UserError:
        return None
    return table.loc[table["split"] == split, list(columns)]


def varying(experiments: list[Experiment]) -> list[str]:
    """Return the parameters that differ between experiments; one that is absent counts as null."""
    keys = dict.fromkeys(key for experiment in experiments for key in experiment.params)
    return [
        key
        for key in keys
        if any(experiment.params.get(key) != experiments[0].params.get(key) for experiment in experiments)
    ]
