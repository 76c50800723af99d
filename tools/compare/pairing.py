"""Pair the predictions of revisions image by image, and judge all of them by the same labels, those of the last one.

Refuses revisions of other images, but for those that corrections (data.corrections) have excluded or brought back.
"""

from dataclasses import replace

import pandas as pd

from plumbline.run.errors import UserError
from tools.compare.revisions import Revision

OWN_LABEL = "own_label"  # the column with the labels by which a revision was evaluated


def paired(revisions: list[Revision]) -> list[Revision]:
    """Return the revisions with their images in one order, class by class. Raises UserError for other images."""
    left_out = uncommon(revisions)
    first, *others = revisions = [
        replace(revision, predictions=revision.predictions.drop(index=left_out, errors="ignore"), left_out=left_out)
        for revision in revisions
    ]
    for other in others:
        refuse_other_images(first, other)
    labels = revisions[-1].predictions["actual"]
    order = labels.rename_axis("path").to_frame().sort_values(["actual", "path"], kind="stable").index
    return [judged_by(labels[order], revision, revisions[-1].name) for revision in revisions]


def uncommon(revisions: list[Revision]) -> list[str]:
    """Return the images that not all have, because corrections have excluded them or brought them back."""
    corrected = frozenset[str]().union(*(revision.corrected for revision in revisions))
    hashes = pd.concat([revision.predictions["sha256"] for revision in revisions])
    counts = hashes.groupby(level=0).size()
    lacking = hashes[hashes.index.map(counts) < len(revisions)]
    return lacking.index[lacking.isin(corrected)].unique().to_list()


def judged_by(labels: pd.Series, revision: Revision, whose: str) -> Revision:
    """Return a revision with its answers judged by these labels, in their order; `loss` and `squared_error` are not.

    Raises UserError for a label that is no class of the revision's, as where a class has another name.
    """
    predictions = revision.predictions.loc[labels.index]
    other = labels[~labels.isin({*predictions["actual"], *predictions["predicted"]})]
    if len(other):
        raise UserError(
            f"{revision.name} and {whose} cannot be compared: {other.index[0]} is "
            f"{predictions['actual'][other.index[0]]} in {revision.name}, {other.iloc[0]} in {whose}, which "
            f"is no class of {revision.name}'s"
        )
    judged = predictions.assign(**{OWN_LABEL: predictions["actual"], "actual": labels})
    correct = judged["correct"].where(judged[OWN_LABEL] == labels, (judged["predicted"] == labels).astype(int))
    return replace(revision, predictions=judged.assign(correct=correct))


def relabelled(revisions: list[Revision]) -> list[str]:
    """Return the images whose labels differ between the revisions."""
    tables = [revision.predictions for revision in revisions if OWN_LABEL in revision.predictions]
    return list(dict.fromkeys(path for table in tables for path in table.index[table[OWN_LABEL] != table["actual"]]))


def refuse_other_images(a: Revision, b: Revision) -> None:
    """Raise UserError unless both have the same images."""
    ours, theirs = a.predictions, b.predictions
    for one, other, paths in (
        (a, b, ours.index.difference(theirs.index)),
        (b, a, theirs.index.difference(ours.index)),
    ):
        if len(paths):
            raise UserError(
                f"{a.name} and {b.name} cannot be compared: {len(paths)} images of {one.name}'s, "
                f"{paths[0]} the first, are not among {other.name}'s"
            )
    replaced = ours.index[(ours["sha256"] != theirs["sha256"].reindex(ours.index)).to_numpy()]
    if len(replaced):
        raise UserError(
            f"{a.name} and {b.name} cannot be compared: {len(replaced)} images, {replaced[0]} the first, are other "
            f"files in {b.name}, under the same names"
        )
