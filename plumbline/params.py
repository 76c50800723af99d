"""The typed schema of params.yaml: one class a section.

Every stage loads the whole file through `load`, so that a mistake anywhere in it ends the first stage
that runs, before any work; a stage then uses its own sections alone, and dvc.yaml names those.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from plumbline.errors import UserError
from plumbline.params_errors import first_mistake, where

PATH = Path("params.yaml")


def _number(value: Any) -> Any:
    """Let `1e-3` through, which YAML 1.1 reads as text, and keep `true` from being read as 1."""
    if isinstance(value, bool):
        raise ValueError("should be a number")
    if isinstance(value, str) and not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", value):
        raise ValueError("should be a number")
    return value


Whole = Annotated[int, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1)]
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Share = Annotated[Number, Field(ge=0, le=1)]
Flag = Annotated[bool, Field(strict=True)]
Text = Annotated[str, Field(strict=True, min_length=1)]
Pixels = Annotated[int, Field(strict=True, ge=1, le=4096)]
Precision = Literal["auto", "float32", "bfloat16"]
Rgb = Annotated[list[Number], Field(min_length=3, max_length=3)]
PositiveRgb = Annotated[list[Annotated[Number, Field(gt=0)]], Field(min_length=3, max_length=3)]


class Section(BaseModel):
    """What all sections have in common: no unknown key, no key left out, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Policy = Literal["drop", "keep", "fail"]


class Data(Section):
    root: Text
    classes: Annotated[list[Text], Field(min_length=2)] | None
    exclude: list[Text]
    val_share: Annotated[Number, Field(gt=0, lt=1)]
    test_share: Annotated[Number, Field(ge=0, lt=1)]
    carve: Flag
    split_seed: Annotated[Whole, Field(ge=0)]
    groups: Text | None
    undecodable: Literal["drop", "fail"]
    max_unusable: Share
    conflicts: Policy
    duplicates: Policy
    near_duplicates: Policy
    near_distance: Annotated[Whole, Field(ge=0, le=16)]
    max_pixels: Annotated[Count, Field(le=178_956_970)]  # Pillow's own limit
    min_side: Count
    cache_gib: Annotated[Number, Field(ge=0)]

    @field_validator("groups")
    @classmethod
    def groups_has_one_group(cls, value: str | None) -> str | None:
        try:
            groups = 1 if value is None else re.compile(value).groups
        except re.error as error:
            raise ValueError(f"should be a regular expression ({error})") from None
        if groups != 1:
            raise ValueError(f"should have one group in parentheses, and has {groups}")
        return value

    @model_validator(mode="after")
    def train_keeps_something(self) -> "Data":
        if self.val_share + self.test_share >= 1:
            raise ValueError(
                f"data.val_share and data.test_share are {self.val_share} and {self.test_share}: "
                "should leave something of 1 for train"
            )
        return self


class Image(Section):
    resize: Pixels
    crop: Pixels
    mean: Rgb
    std: PositiveRgb

    @model_validator(mode="after")
    def crop_fits(self) -> "Image":
        if self.crop > self.resize:
            raise ValueError(f"image.crop is {self.crop}: should be at most image.resize, {self.resize}")
        return self


class Digits(Section):
    # The smaller class, 8, has 174 images; some must be left for test.
    train_images_per_class: Annotated[Count, Field(le=120)]
    val_images_per_class: Annotated[Count, Field(le=50)]


class Backprop(Section):
    trials: Annotated[Count, Field(le=10_000)]
    samples: Count
    inputs: Count
    hidden: Count
    outputs: Count


class Convolution(Section):
    height: Pixels
    width: Pixels
    input_channels: Count
    kernel: Count
    output_channels: Count

    @model_validator(mode="after")
    def kernel_fits(self) -> "Convolution":
        if self.kernel > min(self.height, self.width):
            raise ValueError(
                f"convolution.kernel is {self.kernel}: should be at most the image's height and width, "
                f"{self.height} and {self.width}"
            )
        return self


class WeightDecay(Section):
    alpha: Annotated[Number, Field(gt=0)]
    lambda_: Annotated[Number, Field(gt=0)]
    steps: Annotated[Count, Field(le=100_000)]


class Pretraining(Section):
    epochs: Count
    image_size: Annotated[Pixels, Field(ge=32)]
    batch_size: Annotated[Count, Field(ge=2)]  # batch normalisation needs two
    lr: Annotated[Number, Field(gt=0)]
    precision: Precision


class Weights(Section):
    architecture: Text
    source: Text
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None
    pretraining: Pretraining


class Curvature(Section):
    images: Annotated[Count, Field(ge=2)]  # batch normalisation needs two
    batches: Count
    steps: Annotated[Count, Field(le=100)]


class Augment(Section):
    flip: Share
    smallest_crop: Annotated[Number, Field(gt=0, le=1)] | None
    policy: Literal["none", "randaugment", "trivialaugment"]
    mixup: Annotated[Number, Field(ge=0)]
    cutmix: Annotated[Number, Field(ge=0)]


class Finetune(Section):
    epochs: Count
    batch_size: Count
    accumulate: Count
    optimiser: Literal["sgd", "adam", "adamw"]
    lr: Annotated[Number, Field(gt=0)]
    first_layer_lr: Annotated[Number, Field(gt=0, le=1)]
    schedule: Literal["constant", "cosine", "one_cycle", "step"]
    warmup_epochs: Annotated[Whole, Field(ge=0)]
    step_epochs: Count
    step_factor: Annotated[Number, Field(gt=0, le=1)]
    momentum: Annotated[Number, Field(ge=0, lt=1)]
    weight_decay: Annotated[Number, Field(ge=0)]
    decay_vectors: Flag
    clip_norm: Annotated[Number, Field(gt=0)] | None
    freeze: Text | None
    thaw_epoch: Count | None
    freeze_statistics: Flag
    sampler: Literal["shuffle", "balanced"]
    class_weights: Literal["none", "balanced"]
    label_smoothing: Annotated[Number, Field(ge=0, lt=1)]
    augment: Augment
    ema: Annotated[Number, Field(gt=0, lt=1)] | None
    keep: Literal["last", "best"]
    patience: Count | None
    seeds: Annotated[Count, Field(le=100)]
    precision: Precision
    checkpoint_steps: Annotated[Whole, Field(ge=0)]
    cache_gib: Annotated[Number, Field(ge=0)]
    overfit_batches: Annotated[Whole, Field(ge=0)]

    @model_validator(mode="after")
    def warm_up_ends(self) -> "Finetune":
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"finetune.warmup_epochs is {self.warmup_epochs}: should be less than finetune.epochs, {self.epochs}"
            )
        return self

    @model_validator(mode="after")
    def what_thaws_was_frozen(self) -> "Finetune":
        if self.thaw_epoch is not None and self.freeze is None:
            raise ValueError(f"finetune.thaw_epoch is {self.thaw_epoch}: should be null where finetune.freeze is null")
        if self.thaw_epoch is not None and self.thaw_epoch >= self.epochs:
            raise ValueError(
                f"finetune.thaw_epoch is {self.thaw_epoch}: should be less than finetune.epochs, {self.epochs}"
            )
        return self


class Threshold(Section):
    aim: Literal["accuracy", "f1", "recall", "cost"]
    minimum_recall: Share
    false_positive_cost: Annotated[Number, Field(ge=0)]
    false_negative_cost: Annotated[Number, Field(ge=0)]


class Evaluate(Section):
    confidence: Annotated[Number, Field(gt=0, lt=1)]
    resamples: Annotated[Count, Field(ge=100, le=100_000)]
    calibration_bins: Count
    positive: Text | None
    threshold: Threshold
    folds: Annotated[Count, Field(ge=2)]
    doubts: Annotated[Whole, Field(ge=0)]


class Params(Section):
    """The whole of params.yaml."""

    seed: Annotated[Whole, Field(ge=0, lt=2**63)]
    data: Data
    image: Image
    digits: Digits
    backprop: Backprop
    convolution: Convolution
    weight_decay: WeightDecay
    weights: Weights
    curvature: Curvature
    finetune: Finetune
    evaluate: Evaluate


def load(path: Path = PATH) -> Params:
    """Read and check params.yaml.

    Raises UserError with one line: the key, its value, and what would be right.
    """
    try:
        # The parser that DVC itself uses: what a stage reads is what DVC compares.
        contents = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is not here: run from the project's root, as `dvc repro` does") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: save it as UTF-8") from None
    except YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {where(error)}") from None
    if not isinstance(contents, dict):
        raise UserError(f"{path} should hold one section a stage, and holds {type(contents).__name__}")
    try:
        return Params.model_validate(contents)
    except ValidationError as error:
        raise UserError(f"{path}: {first_mistake(error, Params)}") from None
