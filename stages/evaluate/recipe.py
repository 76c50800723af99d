"""What the evaluation reads of the recipe that a model file carries: section `finetune` of the parameters."""

from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError

from plumbline.model.description import Description
from plumbline.run.errors import UserError
from plumbline.run.fields import Flag, Number, Section, Whole


class Augment(Section):
    model_config = ConfigDict(extra="ignore")

    mixup: Number
    cutmix: Number


class Recipe(Section):
    """The keys that the caveats depend on; the file has others too."""

    model_config = ConfigDict(extra="ignore")

    head: str
    optimiser: str
    lr: Number
    schedule: str
    warmup_epochs: Whole
    momentum: Number
    weight_decay: Number
    clip_norm: Number | None
    freeze: str | None
    freeze_statistics: Flag
    first_layer_lr: Number
    class_weights: str
    label_smoothing: Number
    sampler: str
    augment: Augment
    keep: str
    patience: Whole | None


def recipe_of(path: Path, model: Description) -> dict[str, Any]:
    """Return the recipe of a model that was read from `path`. Raises UserError for one that is not complete."""
    try:
        return Recipe.model_validate(model.parameters.get("finetune")).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(["finetune", *map(str, first["loc"])])
        raise UserError(
            f"{path} does not say how it was trained ({key}: {first['msg']}): an older version wrote it, or another "
            "program; `dvc repro` makes it anew"
        ) from None
