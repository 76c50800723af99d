"""Write the model card, models/CARD.md: the data, the recipe, the result with its intervals, and what is not tested.

Reads the model files' metadata, data/prepared, the metrics of prepare and finetune, plots/measures.csv and
plots/exported_files.csv. The header is for model hubs.
"""

import platform
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from plumbline.data.prepared import SPLITS, read_classes, read_manifest
from plumbline.model.description import PADDING, Description, read_description
from plumbline.model.timm_names import is_timm, timm_name
from plumbline.presentation.percent import percent
from plumbline.presentation.prediction_sets import prediction_sets
from plumbline.presentation.unknown_images import unknown_images
from plumbline.results.measures_file import read_measures
from plumbline.results.tables import damaged, read_metrics, read_table
from plumbline.run import params_file
from plumbline.run.errors import run
from plumbline.run.hashes import sha256_of
from plumbline.run.outputs import whole_file
from plumbline.run.paths import BACKBONE, EXPORTED_FILES, FINETUNED, PREPARED
from stages.card.hub_header import header
from stages.card.tables_and_sentences import (
    Params,
    audit,
    counts_table,
    data_set_name,
    few,
    files_table,
    measures_table,
    precision,
    recipe_table,
    table,
    text,
    untested,
)

CARD = Path("models/CARD.md")
STAGES = ("prepare", "finetune")
PACKAGES = ("torch", "torchvision", "onnx", "onnxruntime", "pillow")
STARTS = {"digits": "a network that knows the other eight digits", "none": "random weights",
          "imagenet": "torchvision's IMAGENET1K_V1 weights"}  # fmt: skip


def start(backbone: Description) -> str:
    """Return where the weights before fine-tuning come from."""
    source = STARTS.get(backbone.source, f"weights of {text(backbone.source)}")
    if backbone.source == "imagenet" and is_timm(backbone.architecture):
        source = f"timm's weights {timm_name(backbone.architecture)}.{text(backbone.parameters['weights']['tag'])}"
    return f"{source} (sha256 {backbone.sha256})" if backbone.sha256 else source


def provenance_table() -> str:
    """Return the hashes and the versions that identify the run."""
    hashes = [(f"sha256 of {path.name}", sha256_of(path)) for path in (FINETUNED, PREPARED / "manifest.csv")]
    versions = [("Python", platform.python_version()), *((name, version(name)) for name in PACKAGES)]
    return table(["", ""], [*hashes, *versions])


def card(settings: Params) -> str:
    """Return the card's text."""
    model, manifest, classes = read_description(FINETUNED), read_manifest(), read_classes()
    metrics = {stage: read_metrics(stage) for stage in STAGES}
    measures = read_measures()
    splits = [split for split in SPLITS if f"{split}_images" in metrics["prepare"]]
    if len(splits) < 2:
        raise damaged("metrics/prepare.json", "lacks train_images or val_images")
    name, data_set = f"{model.architecture} on {data_set_name(settings.data.root)}", data_set_name(settings.data.root)
    unknown_settings = settings.evaluate.unknown
    unknown = unknown_images(
        measures, splits[-1], unknown_settings.keep, unknown_settings.images, settings.weights.source
    )
    template = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,  # Markdown: `text` escapes what comes from outside
    )  # fmt: skip
    template.filters |= {"text": text, "percent": percent, "few": few}
    return template.get_template("card.md.jinja").render(
        header=header(name, data_set, measures, splits[1:]).strip(),
        name=name,
        model=model,
        measures=measures,
        accuracy=measures[splits[-1], "accuracy"],
        finetune=metrics["finetune"],
        precision=precision(metrics["finetune"]),
        judged=splits[-1],
        confidence=f"{settings.evaluate.confidence:.0%}",
        size=model.transform.resize,
        padding=PADDING,
        files=files_table(read_table(EXPORTED_FILES)),
        data_set=data_set,
        splits=splits,
        counts=counts_table(manifest, classes, splits),
        audit=audit(metrics["prepare"]),
        settings=settings,
        start=start(read_description(BACKBONE)),
        recipe=recipe_table(settings),
        results=measures_table(measures, splits),
        unknown=unknown,
        sets=prediction_sets(measures, splits[-1], settings.evaluate.coverage),
        untested=untested(splits, settings, metrics["prepare"], names_unknown=unknown is not None),
        provenance=provenance_table(),
    )


def main() -> None:
    settings = params_file.load(Params)
    contents = card(settings)
    with whole_file(CARD) as partial:
        partial.write_text(contents, encoding="utf-8")
    print(f"{CARD}: {len(contents.splitlines())} lines")


if __name__ == "__main__":
    run(main)
