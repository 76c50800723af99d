"""Read the folds of one recipe or two, and join their test predictions. Refuses folds that do not make one whole."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from plumbline.results.intervals import Sampling
from plumbline.run.dotted_keys import flat
from plumbline.run.errors import UserError
from plumbline.run.params_file import PATH
from plumbline.run.paths import PREDICTIONS
from tools.compare.revisions import Revision, differing_params, predictions_of, read_revision
from tools.stale_results import LOCK, refuse_stale

FOLD, FOLDS = "data.fold", "data.folds"


@dataclass(frozen=True)
class Pooled:
    """All images of a data set, each judged by the one model that was neither trained nor chosen by it."""

    revisions: list[Revision]  # by fold
    predictions: pd.DataFrame  # one row an image, sorted by path, the index, with its fold
    ratio: float  # test images of a fold for each image that its model was trained on
    sampling: Sampling  # how the images came


def read_fold(name: str) -> Revision:
    """Read a commit, branch, tag or experiment, or the workspace in a folder."""
    folder = Path(name)
    if not (folder / PREDICTIONS).is_file():
        return read_revision(name)
    try:
        params = YAML(typ="safe", pure=True).load((folder / PATH).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise UserError(f"{folder / PATH} cannot be read: {error}") from None
    params, lock = flat(params), folder / LOCK
    refuse_stale(name, lock.read_text(encoding="utf-8") if lock.exists() else None, params)
    return Revision(name, predictions_of((folder / PREDICTIONS).read_text(encoding="utf-8"), name), {}, params)


def recipes_of(revisions: list[Revision]) -> list[list[Revision]]:
    """Return the revisions grouped by all parameters but the fold. Raises UserError for more than two groups."""
    groups: list[list[Revision]] = []
    for revision in revisions:
        alike = [group for group in groups if set(differing_params([group[0], revision])) <= {FOLD}]
        if alike:
            alike[0].append(revision)
        else:
            groups.append([revision])
    if len(groups) > 2:
        keys = [key for key in differing_params(revisions) if key != FOLD]
        raise UserError(
            f"{groups[0][0].name}, {groups[1][0].name} and {groups[2][0].name} are three recipes, which differ in "
            f"{', '.join(keys)}: give all folds of one or of two"
        )
    return groups


def pool(recipe: list[Revision]) -> Pooled:
    """Return a recipe's predictions on the test images of all its folds.

    Raises UserError if a fold is missing or given twice, if an image is test in two folds, or in none.
    """
    by_fold = one_of_each_fold(recipe)
    tests = [
        revision.predictions[revision.predictions["split"] == "test"].assign(fold=fold)
        for fold, revision in by_fold.items()
    ]
    for revision, test in zip(by_fold.values(), tests, strict=True):
        if test.empty:
            raise UserError(f"{revision.name} has no test images: it is no fold, run `dvc repro` there")
    pooled = pd.concat(tests).sort_index()
    refuse_overlaps(pooled, by_fold)
    for revision in by_fold.values():
        refuse_other_images(revision, pooled)
    if "cluster" in pooled:  # each run numbers its clusters anew, and none is in two folds
        pooled = pooled.assign(cluster=pooled.groupby(["fold", "cluster"]).ngroup())
    trained_on = sum((revision.predictions["split"] == "train").sum() for revision in by_fold.values())
    sampling = recipe[0].params.get("evaluate.sampling", "images")
    return Pooled(list(by_fold.values()), pooled, len(pooled) / trained_on, sampling)


def one_of_each_fold(recipe: list[Revision]) -> dict[int, Revision]:
    """Return the revisions by their folds, in order. Raises UserError if one is missing or given twice."""
    by_fold: dict[int, Revision] = {}
    for revision in recipe:
        fold = revision.params.get(FOLD)
        if fold is None:
            raise UserError(
                f"{revision.name} is no fold, for its {FOLD} is null: run it with -S {FOLD}=0,1,2 and so on"
            )
        if fold in by_fold:
            raise UserError(
                f"{by_fold[fold].name} and {revision.name} are both fold {fold} of one recipe: give one of them"
            )
        by_fold[fold] = revision
    folds = recipe[0].params[FOLDS]
    missing = [str(fold) for fold in range(folds) if fold not in by_fold]
    if missing:
        raise UserError(
            f"of the recipe of {recipe[0].name} {len(missing)} of {folds} folds are missing: give {', '.join(missing)} "
            f"too, which -S {FOLD}={','.join(missing)} runs"
        )
    return dict(sorted(by_fold.items()))


def refuse_overlaps(pooled: pd.DataFrame, by_fold: dict[int, Revision]) -> None:
    """Raise UserError if an image is test in two folds."""
    twice = pooled.index[pooled.index.duplicated()]
    if len(twice):
        first, second = (by_fold[fold].name for fold in pooled.loc[twice[0], "fold"].iloc[:2])
        raise UserError(
            f"{len(twice)} images, {twice[0]} the first, are test in two folds, {first} and {second}: run the folds "
            "again on the same images"
        )


def refuse_other_images(revision: Revision, pooled: pd.DataFrame) -> None:
    """Raise UserError if a run had an image that is test in no fold, or lacked one, or had another file or label."""
    for paths, what in (
        (revision.predictions.index.difference(pooled.index), "are test in no fold"),
        (pooled.index.difference(revision.predictions.index), f"are not among {revision.name}'s"),
    ):
        if len(paths):
            raise UserError(
                f"{len(paths)} images, {paths[0]} the first, {what}: run the folds again on the same images"
            )
    same = revision.predictions.loc[pooled.index]
    other = pooled.index[((same["sha256"] != pooled["sha256"]) | (same["actual"] != pooled["actual"])).to_numpy()]
    if len(other):
        raise UserError(
            f"{len(other)} images, {other[0]} the first, are another file or of another class in {revision.name}: run "
            "the folds again on the same images"
        )
