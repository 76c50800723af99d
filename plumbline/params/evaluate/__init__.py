"""How the model is measured."""

from typing import Annotated, Literal

from pydantic import Field

from plumbline.run.fields import Count, Number, Section, Share, Text, Whole


class Threshold(Section):
    aim: Literal[
        "accuracy", "f1", "recall", "cost", "promised_recall", "promised_precision", "promised_accuracy", "abstain"
    ]
    minimum_recall: Share
    promised: Annotated[Number, Field(gt=0, lt=1)]
    false_positive_cost: Annotated[Number, Field(ge=0)]
    false_negative_cost: Annotated[Number, Field(ge=0)]
    abstaining_cost: Annotated[Number, Field(gt=0, lt=1)]


class Unknown(Section):
    keep: Annotated[Number, Field(gt=0, lt=1)]
    images: Text | None


class Evaluate(Section):
    confidence: Annotated[Number, Field(gt=0, lt=1)]
    sampling: Literal["classes", "images"]
    resamples: Annotated[Count, Field(ge=100, le=100_000)]
    calibration_bins: Count
    positive: Text | None
    threshold: Threshold
    coverage: Annotated[Number, Field(gt=0, lt=1)]
    unknown: Unknown
    folds: Annotated[Count, Field(ge=2)]
    doubts: Annotated[Whole, Field(ge=0)]
