"""Refuse a model and images that do not belong together."""

from pathlib import Path

from plumbline.data.prepared import read_resizing
from plumbline.model.description import Transform
from plumbline.model.model_file import Model
from plumbline.run.errors import UserError
from plumbline.training.splits import Split


def refuse_other_data(path: Path, model: Model, classes: list[str], splits: dict[str, Split]) -> None:
    """Raise UserError for a model, read from `path`, of other classes, or of images of another size."""
    if model.classes != classes:
        raise UserError(
            f"{path} knows the classes {', '.join(model.classes)}, data/prepared has {', '.join(classes)}: "
            "run `dvc repro`, which trains on the data that is there"
        )
    resize = next(iter(splits.values())).images.shape[1]
    if model.transform.resize != resize:
        raise UserError(
            f"{path} was trained on images of {model.transform.resize} pixels, data/prepared has {resize}: "
            "run `dvc repro`"
        )
    refuse_other_resizing(model.transform, f"{path} was trained with")


def refuse_other_resizing(transform: Transform, who: str) -> None:
    """Raise UserError if data/prepared was not made as a transform says; `who` is the subject of that sentence."""
    prepared = read_resizing()
    for key, value in prepared.items():
        if getattr(transform, key) != value:
            expected = getattr(transform, key)
            raise UserError(f"{who} image.{key}: {expected}, and data/prepared was made with {value}: run `dvc repro`")
