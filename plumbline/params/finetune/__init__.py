"""The homework's fourth problem: fine-tuning."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from plumbline.run.fields import Count, Flag, Number, Section, Share, Text, TrainingPrecision, Whole


class Augment(Section):
    flip: Share
    smallest_crop: Annotated[Number, Field(gt=0, le=1)] | None
    policy: Literal["none", "randaugment", "trivialaugment"]
    mixup: Annotated[Number, Field(ge=0)]
    cutmix: Annotated[Number, Field(ge=0)]


class Finetune(Section):
    head: Literal["random", "probe"]
    epochs: Annotated[Whole, Field(ge=0)]
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
    precision: TrainingPrecision
    deterministic: Flag
    checkpoint_steps: Annotated[Whole, Field(ge=0)]
    processes: Annotated[Count, Field(le=1024)]
    cache_gib: Annotated[Number, Field(ge=0)]
    overfit_batches: Annotated[Whole, Field(ge=0)]

    @model_validator(mode="after")
    def something_is_fitted(self) -> "Finetune":
        if self.epochs == 0 and self.head == "random":
            raise ValueError("finetune.epochs is 0: should be at least 1 where finetune.head is random")
        return self

    @model_validator(mode="after")
    def warm_up_ends(self) -> "Finetune":
        if self.warmup_epochs and self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"finetune.warmup_epochs is {self.warmup_epochs}: should be less than finetune.epochs, {self.epochs}"
            )
        if self.warmup_epochs and self.schedule == "one_cycle":
            raise ValueError(
                f"finetune.warmup_epochs is {self.warmup_epochs}: should be 0 where finetune.schedule is one_cycle, "
                "which has a rise of its own"
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
