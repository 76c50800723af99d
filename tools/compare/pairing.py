"""Pair the predictions of revisions image by image. Refuses revisions of other images or other classes."""

from dataclasses import replace

from plumbline.run.errors import UserError
from tools.compare.revisions import Revision


def paired(revisions: list[Revision]) -> list[Revision]:
    """Return the revisions with their images in one order, class by class. Raises UserError for other images."""
    first = revisions[0].predictions
    for other in revisions[1:]:
        refuse_other_images(revisions[0], other)
    order = first.sort_values(["actual", "path"], kind="stable").index
    return [replace(own, predictions=own.predictions.loc[order]) for own in revisions]


def refuse_other_images(a: Revision, b: Revision) -> None:
    """Raise UserError unless both have the same images under the same classes."""
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
    replaced = ours.index[(ours["sha256"] != theirs["sha256"]).to_numpy()]
    if len(replaced):
        raise UserError(
            f"{a.name} and {b.name} cannot be compared: {len(replaced)} images, {replaced[0]} the first, are other "
            f"files in {b.name}, under the same names"
        )
    wrong = ours.index[(ours["actual"] != theirs["actual"]).to_numpy()]
    if len(wrong):
        path = wrong[0]
        raise UserError(
            f"{a.name} and {b.name} cannot be compared: {path} is {ours['actual'][path]} in {a.name}, "
            f"{theirs['actual'][path]} in {b.name}"
        )
