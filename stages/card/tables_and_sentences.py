"""The card's tables and sentences about the run, as Markdown; and the parameters that they print."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from plumbline.params.data import Data
from plumbline.params.evaluate import Evaluate
from plumbline.params.finetune import Finetune
from plumbline.params.weights import Weights
from plumbline.presentation.percent import percent
from plumbline.results.measures_file import Measure, Measures
from plumbline.results.tables import damaged
from plumbline.run.dotted_keys import flat, written
from plumbline.run.errors import one_line
from plumbline.run.fields import Seed, SomeSections

MEASURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "calibrated_loss": "log loss, nats",
    "calibrated_calibration_error": "calibration error",
    "probe_accuracy": "for comparison: a linear probe's accuracy",
    "majority_accuracy": "for comparison: the commonest class's accuracy",
}
FINDINGS = {
    "quarantined": "files not used",
    "conflicting_labels": "images under two classes",
    "duplicates": "images in two splits",
    "near_duplicates": "nearly the same pictures in two splits",
    "noted": "images used and noted as odd",
}
FILES = {
    "onnx": ("finetuned.onnx", "ONNX, float32"),
    "pt2": ("finetuned.pt2", "torch.export, float32"),
    "int8": ("int8/finetuned.onnx", "ONNX, int8"),
}
PRECISIONS = {16: "bfloat16", 32: "float32", 64: "float64"}  # by their bits
MOST_ROWS, MOST_NAMES = 100, 20
SPECIAL = re.compile(r"([\\`*_\[\]<>|~$&@])")  # characters with a meaning in Markdown


class Params(SomeSections):
    """The sections of params.yaml that the card prints."""

    seed: Seed
    data: Data
    weights: Weights
    finetune: Finetune
    evaluate: Evaluate


def text(value: object) -> str:
    """Return a value escaped for Markdown, in one line; an address does not become a link."""
    escaped = SPECIAL.sub(r"\\\1", one_line(str(value)))
    return escaped.replace("://", r":\//").replace("www.", r"www\.")


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table of at most MOST_ROWS rows, with every cell escaped."""
    more = [["...", f"and {len(rows) - MOST_ROWS} more"]] if len(rows) > MOST_ROWS else []
    cells = [[text(cell) for cell in row] for row in [*rows[:MOST_ROWS], *more]]
    return tabulate(cells, columns, tablefmt="pipe", disable_numparse=True)


def few(names: Sequence[str]) -> str:
    """Return the first names, separated by commas, and how many more there are."""
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return ", ".join(text(name) for name in names[:MOST_NAMES]) + more


def counts_table(manifest: pd.DataFrame, classes: list[str], splits: Sequence[str]) -> str:
    """Return how many images each class has in each split."""
    counts = pd.crosstab(manifest["class"], manifest["split"]).reindex(index=classes, columns=splits, fill_value=0)
    return table(["class", *splits], [[name, *(f"{count:,}" for count in row)] for name, row in counts.iterrows()])


def measures_table(measures: Measures, splits: Sequence[str]) -> str:
    """Return every measure on every split, with its interval."""
    rows = [
        [words, *(with_interval(measures.get((split, name))) for split in splits)]
        for name, words in MEASURES.items()
        if any((split, name) in measures for split in splits)
    ]
    return table(["", *(f"{split}, {measures[split, 'accuracy'].images:,} images" for split in splits)], rows)


def with_interval(measure: Measure | None) -> str:
    """Return a measure with its interval; empty text for None."""
    if measure is None:
        return ""
    if measure.low is None:
        return f"{measure.value:.3f}"
    return f"{measure.value:.3f} ({measure.low:.3f} to {measure.high:.3f})"


def files_table(exported: pd.DataFrame) -> str:
    """Return the files with the model, and how closely each matches torch; from plots/exported_files.csv."""
    rows = []
    for row in exported.itertuples():
        file, what = FILES.get(row.file, (row.file, ""))
        shown = f"{row.largest_difference:.3f}" if row.file == "int8" else f"{row.largest_difference:.0e}"
        rows.append([file, what, f"{row.bytes:,}", shown, percent(row.same_class)])
    return table(["file", "", "bytes", "largest difference from torch's probabilities", "same class"], rows)


def audit(prepare: dict[str, float]) -> str:
    """Return what the audit of the data found."""
    findings = [f"{prepare[key]:,} {words}" for key, words in FINDINGS.items() if prepare.get(key)]
    return "; ".join(findings) if findings else "nothing that is unusual"


def precision(finetune: dict[str, float]) -> str:
    """Return the precision in which the network was trained, by metrics/finetune.json."""
    bits = finetune["precision_bits"]
    if bits not in PRECISIONS:
        raise damaged("metrics/finetune.json", f"has {bits} for precision_bits, which is none of 16, 32 and 64")
    return PRECISIONS[bits]


def untested(splits: Sequence[str], settings: Params, prepare: dict[str, float], *, names_unknown: bool) -> list[str]:
    """Return what the result says nothing about; `names_unknown` of a model that can call an image unknown."""
    said = [
        f"Other images than those of this data set. The {splits[-1]} images come from the same source as those it was "
        "trained on; with another camera, place, season or preparation the accuracy may be another.",
        "Images that show none of the classes: the model names one all the same, often with a high probability."
        + (" How many it calls unknown was measured on those above alone." if names_unknown else ""),
        "Damaged, blurred, noisy or deliberately altered images.",
        "Groups of people or things within a class: the accuracy may differ between them.",
    ]
    if "test" not in splits:
        said.insert(0, "There is no test split. The temperature, and perhaps the epoch, were chosen on val, whose "
                       "accuracy is therefore optimistic.")  # fmt: skip
    if "groups" not in prepare:
        said.append(
            "Independence within the data: `data.groups` is not set, and pictures of one subject may lie on both sides "
            "of a split."
        )
    if prepare["near_duplicates"] and settings.data.near_duplicates == "keep":
        said.append(
            f"{prepare['near_duplicates']:,} nearly equal pictures in two splits were kept: they may flatter it."
        )
    return said


def recipe_table(settings: Params) -> str:
    """Return the parameters of the training, by their names in params.yaml."""
    chosen = {
        "seed": settings.seed,
        "weights": settings.weights.model_dump(),
        "finetune": settings.finetune.model_dump(),
    }
    return table(["parameter", "value"], [[key, written(value)] for key, value in flat(chosen).items()])


def data_set_name(root: str) -> str:
    """Return the data set's name: the last part of `data.root`."""
    return Path(root).name or root
