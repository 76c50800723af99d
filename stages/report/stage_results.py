"""Read what the other stages wrote: their metrics, tables and derivations."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from plumbline.audit.tables import read_images, read_quarantine
from plumbline.data.prepared import SPLITS, read_classes, read_manifest
from plumbline.results.measures_file import MEASURES, Measures, read_measures
from plumbline.results.predictions_file import read_predictions
from plumbline.results.tables import damaged, read_metrics, read_table
from plumbline.run.paths import GALLERY

CHECK_STAGES = ("backprop", "convolution", "weight_decay")
MEASURING_STAGES = (*CHECK_STAGES, "prepare", "curvature", "finetune")


@dataclass(frozen=True)
class Results:
    """Tables and metrics, by the names of their files; derivations by their stage."""

    metrics: dict[str, dict[str, Any]]
    measures: Measures
    derivations: dict[str, dict[str, Any]]
    classes: list[str]
    manifest: pd.DataFrame
    images: pd.DataFrame
    quarantine: pd.DataFrame
    history: pd.DataFrame
    predictions: pd.DataFrame
    per_class: pd.DataFrame
    label_doubts: pd.DataFrame
    slices: pd.DataFrame
    reliability: pd.DataFrame
    cost_ratio: pd.DataFrame
    network_layers: pd.DataFrame
    gallery: pd.DataFrame

    @property
    def splits(self) -> list[str]:
        """The splits of this data set, train first."""
        return [split for split in SPLITS if (split, "accuracy") in self.measures]


def read_json(path: Path) -> Any:
    """Return what a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_results() -> Results:
    """Read everything that the page shows, except the figures."""
    names = ("history", "per_class", "label_doubts", "slices", "reliability", "cost_ratio", "network_layers")
    measures = read_measures()
    if ("val", "accuracy") not in measures:
        raise damaged(MEASURES, "has no accuracy of val")
    return Results(
        metrics={stage: read_metrics(stage) for stage in MEASURING_STAGES},
        measures=measures,
        derivations={stage: read_json(Path("data/derivations") / f"{stage}.json") for stage in CHECK_STAGES},
        classes=read_classes(),
        manifest=read_manifest(),
        images=read_images(),
        quarantine=read_quarantine(),
        predictions=read_predictions(),
        gallery=read_table(GALLERY / "gallery.csv"),
        **{name: read_table(Path("plots") / f"{name}.csv") for name in names},
    )
