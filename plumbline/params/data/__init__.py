"""Where the images come from, and what is done with bad ones."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from plumbline.run.fields import Count, Flag, Number, Place, Section, Share, Text, Whole

Policy = Literal["drop", "keep", "fail"]


class Columns(Section):
    """What the columns of a table of labels are called; None: as usual."""

    path: Text | None
    label: Text | None
    split: Text | None
    group: Text | None


class Data(Section):
    root: Place
    labels: Text | None
    labels_in_root: Text | None
    columns: Columns
    corrections: Text | None
    classes: Annotated[list[Text], Field(min_length=2)] | None
    exclude: list[Text]
    val_share: Annotated[Number, Field(gt=0, lt=1)]
    test_share: Annotated[Number, Field(ge=0, lt=1)]
    carve: Flag
    split_seed: Annotated[Whole, Field(ge=0)]
    fold: Annotated[Whole, Field(ge=0)] | None
    folds: Annotated[Count, Field(ge=3)]
    groups: Text | None
    undecodable: Literal["drop", "fail"]
    max_unusable: Share
    conflicts: Policy
    duplicates: Policy
    near_duplicates: Policy
    near_distance: Annotated[Whole, Field(ge=0, le=16)] | None
    max_pixels: Annotated[Count, Field(le=178_956_970)]  # Pillow's own limit
    seconds_per_image: Annotated[Number, Field(gt=0, le=86_400)]
    min_side: Count
    value_range: Literal["auto"] | Annotated[list[Number], Field(min_length=2, max_length=2)]
    cache_gib: Annotated[Number, Field(ge=0)]
    executor: Literal["loky", "dask"]
    scheduler: Text | None

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

    @field_validator("corrections")
    @classmethod
    def corrections_are_in_the_project(cls, value: str | None) -> str | None:
        if value is not None and Path(value).is_absolute():  # dvc.yaml's dependency begins with ./
            raise ValueError("should be a path relative to the project, where Git can keep it, such as corrections.csv")
        return value

    @field_validator("value_range")
    @classmethod
    def value_range_rises(cls, value: str | list[float]) -> str | list[float]:
        if value != "auto" and not value[0] < value[1]:
            raise ValueError("should be auto, or the value of black and the larger one of white")
        return value

    @field_validator("scheduler")
    @classmethod
    def scheduler_is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"(tcp|tls)://[^\s/]+:\d{1,5}", value):
            raise ValueError("should be null or an address such as tcp://10.0.0.1:8786")
        return value

    @model_validator(mode="after")
    def labels_come_from_one_place(self) -> "Data":
        if self.labels is not None and self.labels_in_root is not None:
            raise ValueError(
                f"data.labels and data.labels_in_root are {self.labels} and {self.labels_in_root}: "
                "one of them should be null"
            )
        return self

    @model_validator(mode="after")
    def scheduler_is_dasks(self) -> "Data":
        if (self.executor == "dask") != (self.scheduler is not None):
            wish = "null" if self.executor == "loky" else "its address, such as tcp://10.0.0.1:8786"
            raise ValueError(
                f"data.executor is {self.executor} and data.scheduler is {self.scheduler}: "
                f"with {self.executor} it should be {wish}"
            )
        return self

    @model_validator(mode="after")
    def train_keeps_something(self) -> "Data":
        if self.val_share + self.test_share >= 1:
            raise ValueError(
                f"data.val_share and data.test_share are {self.val_share} and {self.test_share}: "
                "should leave something of 1 for train"
            )
        return self

    @model_validator(mode="after")
    def fold_is_one_of_the_folds(self) -> "Data":
        if self.fold is None:
            return self
        if self.fold >= self.folds:
            raise ValueError(
                f"data.fold is {self.fold}: should be null or less than data.folds, {self.folds}; they count from 0"
            )
        if self.val_share + 1 / self.folds >= 1:
            raise ValueError(
                f"data.val_share and data.folds are {self.val_share} and {self.folds}: "
                "should leave something of 1 for train beside val and one fold"
            )
        return self
