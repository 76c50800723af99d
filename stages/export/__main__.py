"""Write the model for other people's programs, and compare each file with torch on every val image.

Reads models/finetuned.safetensors, data/prepared, and which val images belong together. Writes models/finetuned.onnx
and models/finetuned.pt2, which take pixels and give probabilities; models/int8, the ONNX file in eight bits, or
nothing; plots/exported_files.csv, how closely each file matches torch; metrics/export.json, the few numbers that DVC
shows; and the speed of each to metrics/timing. Nothing is written if a float32 file differs from torch by more than
export.tolerance, or calls other images unknown (of 1,000 or more, more than one in 1,000).
"""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import torch

from plumbline.audit.tables import read_clusters
from plumbline.checks.claims import log10_error
from plumbline.data.prepared import read_classes
from plumbline.model.model_file import Model, read_model
from plumbline.model.prediction_sets import relative_probabilities
from plumbline.params.evaluate import Evaluate
from plumbline.params.export import Export
from plumbline.results.intervals import clusters_within
from plumbline.run import params_file
from plumbline.run.errors import run
from plumbline.run.fields import SomeSections
from plumbline.run.hashes import sha256_of
from plumbline.run.outputs import whole_file, whole_folder, write_csv, write_json
from plumbline.run.paths import EXPORTED_FILES, FINETUNED
from plumbline.run.timing import timed
from plumbline.training.device_and_precision import Compute, make_repeatable
from plumbline.training.inference import logits_and_distances, logits_of
from plumbline.training.model_fits_data import refuse_other_data
from plumbline.training.splits import read_splits
from stages.export.agreement import Outputs, agreement_table, print_int8, refuse_other_models
from stages.export.from_pixels import INPUT, description, exported_program, val_description
from stages.export.int8 import int8_file, spread, with_val_distances
from stages.export.onnx_file import onnx_file
from stages.export.speed import speed
from stages.export.torch_file import torch_file

ONNX = Path("models/finetuned.onnx")
TORCH = Path("models/finetuned.pt2")
INT8 = Path("models/int8")
METRICS = Path("metrics/export.json")

Answer = Callable[[np.ndarray], list[np.ndarray]]  # from images, uint8 (N, resize, resize, 3), to what OUTPUTS names

PROCESSOR = torch.device("cpu")  # the files are made for processors; a GPU would round differently
BATCH = 16  # images


class Params(SomeSections):
    evaluate: Evaluate
    export: Export


def torch_answer(model: Model, precision: torch.dtype, keep: float) -> Answer:
    """Return the model in torch, as evaluate computes it, in the precision given."""
    compute = Compute(PROCESSOR, precision)
    network = compute.place(model.network_with_distance() or model.network())

    def answer(images: np.ndarray) -> list[np.ndarray]:
        pixels = torch.from_numpy(images)
        if not model.has_score:
            logits = logits_of(network, pixels, model.transform, compute)
            return [(logits / model.temperature).softmax(dim=1).numpy()]
        logits, distances = logits_and_distances(network, pixels, model.transform, compute)
        score = network.score
        judged = score.is_unknown(distances, keep), score.p_known(distances), distances
        return [each.numpy() for each in ((logits / model.temperature).softmax(dim=1), *judged)]

    return answer


def onnx_answer(contents: bytes) -> Answer:
    """Return an ONNX file's model."""
    session = onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {INPUT: images})


def torch_file_answer(contents: bytes) -> Answer:
    """Return a .pt2 file's model."""
    network = torch.export.load(io.BytesIO(contents)).module()

    def answer(images: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            result = network(torch.from_numpy(images))
        return [each.numpy() for each in (result if isinstance(result, tuple) else (result,))]

    return answer


def outputs(answer: Answer, images: np.ndarray) -> Outputs:
    """Return what a model says of all images, computed in batches."""
    batches = [answer(np.array(images[i : i + BATCH])) for i in range(0, len(images), BATCH)]
    return Outputs(*map(np.concatenate, zip(*batches, strict=True)))


def headline(table: pd.DataFrame) -> dict[str, float]:
    """Return what `dvc metrics` shows: each float32 file's difference from torch, and what eight bits cost."""
    metrics = {}
    for row in table.itertuples():
        if row.file == "int8":
            changes = ("accuracy_change", "accuracy_change_low", "accuracy_change_high")
            kept = ("largest_difference", "same_class", "accuracy", *changes)
            metrics |= {f"int8_{name}": getattr(row, name) for name in kept}
        else:
            metrics[f"{row.file}_log10_largest_difference"] = log10_error(row.largest_difference)
    return metrics


def main() -> None:
    settings = params_file.load(Params)
    export_settings = settings.export
    model, classes, splits = read_model(FINETUNED), read_classes(), read_splits()
    refuse_other_data(FINETUNED, model, classes, splits)
    make_repeatable(0)
    keep = settings.evaluate.unknown.keep
    about, val = description(model, sha256_of(FINETUNED), keep), splits["val"]
    images, labels = val.images.numpy(), val.labels.numpy()
    with timed("export") as measured:
        program = exported_program(model, keep)
        files = {"onnx": onnx_file(program, about), "pt2": torch_file(program, about)}
        answers = {"onnx": onnx_answer(files["onnx"]), "pt2": torch_file_answer(files["pt2"])}
        plain = torch_answer(model, torch.float32, keep)
        wanted = outputs(plain, images)
        outputs_by_file = {name: outputs(answer, images) for name, answer in answers.items()}
        refuse_other_models(outputs_by_file, wanted, export_settings.tolerance)
        timings = {"torch_float32": plain, "torch_bfloat16": torch_answer(model, torch.bfloat16, keep)}
        timings |= {"onnx_float32": answers["onnx"]}
        if export_settings.int8 != "none":
            few = spread(splits["train"].images.numpy(), export_settings.calibration_images)
            files["int8"] = int8_file(files["onnx"], export_settings.int8, few, about)
            if model.has_score:  # eight bits have other distances: they are judged beside their own of val
                int8_outputs = outputs(onnx_answer(files["int8"]), images)
                about_val = val_description(labels, relative_probabilities(int8_outputs.probabilities, labels))
                files["int8"] = with_val_distances(files["int8"], int8_outputs.distance, about | about_val)
            timings["onnx_int8"] = onnx_answer(files["int8"])
            outputs_by_file["int8"] = outputs(timings["onnx_int8"], images)
        for name, answer in timings.items():
            measured |= speed(name, answer, images)
    sizes = {name: len(contents) for name, contents in files.items()}
    clusters = clusters_within(read_clusters()["val"])
    table = agreement_table(sizes, outputs_by_file, wanted, labels, settings.evaluate.confidence, clusters)
    with whole_file(ONNX) as onnx_partial, whole_file(TORCH) as torch_partial, whole_folder(INT8) as folder:
        onnx_partial.write_bytes(files["onnx"])
        torch_partial.write_bytes(files["pt2"])
        if "int8" in files:
            (folder / ONNX.name).write_bytes(files["int8"])
    write_csv(EXPORTED_FILES, table)
    write_json(METRICS, headline(table))
    print_int8(table)
    for name in timings:
        print(f"      {name}: {measured[f'{name}_latency_ms']} ms, {measured[f'{name}_images_per_second']} images/s")


if __name__ == "__main__":
    run(main, takes_memory="image.crop")
