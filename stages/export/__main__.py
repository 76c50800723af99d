"""Write the model for other people's programs, and hold each file against torch on every val image.

Reads models/finetuned.safetensors and data/prepared. Writes models/finetuned.onnx and models/finetuned.pt2, which take
pixels and give probabilities; models/int8, the ONNX file in eight bits, or nothing; metrics/export.json; and to
metrics/timing, how fast each is. Nothing is written if a float32 file is further from torch than export.tolerance.
"""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from plumbline.checks.claims import Checks, log10_error
from plumbline.data.prepared import read_classes
from plumbline.model.model_file import Model, read_model
from plumbline.params.evaluate import Evaluate
from plumbline.params.export import Export
from plumbline.run import params_file
from plumbline.run.errors import run
from plumbline.run.fields import SomeSections
from plumbline.run.hashes import sha256_of
from plumbline.run.outputs import whole_file, whole_folder, write_json
from plumbline.run.timing import timed
from plumbline.training.arithmetic import Arithmetic, make_repeatable
from plumbline.training.inference import logits_of
from plumbline.training.same_data import refuse_other_data
from plumbline.training.splits import Split, read_splits
from stages.export.agreement import accuracy_change, agreement
from stages.export.from_pixels import INPUT, description, exported_program
from stages.export.int8 import int8_file, spread
from stages.export.onnx_file import onnx_file
from stages.export.speed import speed
from stages.export.torch_file import torch_file

MODEL = Path("models/finetuned.safetensors")
ONNX = Path("models/finetuned.onnx")
TORCH = Path("models/finetuned.pt2")
INT8 = Path("models/int8")
METRICS = Path("metrics/export.json")

Answer = Callable[[np.ndarray], np.ndarray]  # images, uint8 (N, resize, resize, 3); probabilities (N, classes)

PROCESSOR = torch.device("cpu")  # what the files are made for; a GPU would round otherwise
BATCH = 16  # images


class Params(SomeSections):
    evaluate: Evaluate
    export: Export


def torch_answer(model: Model, precision: torch.dtype) -> Answer:
    """Return the model as it is evaluated, but for the precision."""
    arithmetic = Arithmetic(PROCESSOR, precision)
    network = arithmetic.place(model.network())

    def answer(images: np.ndarray) -> np.ndarray:
        logits = logits_of(network, torch.from_numpy(images), model.transform, arithmetic)
        return (logits / model.temperature).softmax(dim=1).numpy()

    return answer


def onnx_answer(contents: bytes) -> Answer:
    """Return an ONNX file's model."""
    session = onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {INPUT: images})[0]


def torch_file_answer(contents: bytes) -> Answer:
    """Return a .pt2 file's model."""
    network = torch.export.load(io.BytesIO(contents)).module()

    def answer(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(images)).numpy()

    return answer


def probabilities(answer: Answer, images: np.ndarray) -> np.ndarray:
    """Return what a model says of all images, in batches."""
    return np.concatenate([answer(np.array(images[i : i + BATCH])) for i in range(0, len(images), BATCH)])


def held_against_torch(answers: dict[str, Answer], val: np.ndarray, wanted: np.ndarray, limit: float) -> dict:
    """Return how far each float32 file is from torch. Raises UserError for one that is further than the limit."""
    checks, found = Checks(), {}
    for name, answer in answers.items():
        own = agreement(probabilities(answer, val), wanted)
        claim = f"{name}: {own.same_class:.1%} of {len(val)} val images in torch's class, probabilities as torch's"
        checks.expect_error(own.largest_difference, limit, claim)
        found |= {
            f"{name}_log10_largest_difference": log10_error(own.largest_difference),
            f"{name}_same_class": own.same_class,
        }
    checks.end()
    return found


def int8_metrics(answer: Answer, val: Split, wanted: np.ndarray, confidence: float) -> dict[str, float]:
    """Return what eight bits cost, on val."""
    found = probabilities(answer, val.images.numpy())
    own, labels = agreement(found, wanted), val.labels.numpy()
    before, after = wanted.argmax(axis=1) == labels, found.argmax(axis=1) == labels
    change, low, high = accuracy_change(before, after, confidence)
    print(
        f"      int8: {own.same_class:.1%} in torch's class, largest difference {own.largest_difference:.3f}; accuracy "
        f"{after.mean():.3f} for {before.mean():.3f}, change {change:+.3f} [{low:+.3f}, {high:+.3f}]"
    )
    return {
        "int8_largest_difference": own.largest_difference,
        "int8_same_class": own.same_class,
        "int8_accuracy": float(after.mean()),
        "int8_accuracy_change": change,
        "int8_accuracy_change_low": low,
        "int8_accuracy_change_high": high,
    }


def main() -> None:
    settings = params_file.load(Params)
    own = settings.export
    model, classes, splits = read_model(MODEL), read_classes(), read_splits()
    refuse_other_data(MODEL, model, classes, splits)
    make_repeatable(0)
    about, val = description(model, sha256_of(MODEL)), splits["val"]
    images = val.images.numpy()
    with timed("export") as measured:
        program = exported_program(model)
        files = {"onnx": onnx_file(program, about), "pt2": torch_file(program, about)}
        answers = {"onnx": onnx_answer(files["onnx"]), "pt2": torch_file_answer(files["pt2"])}
        plain = torch_answer(model, torch.float32)
        wanted = probabilities(plain, images)
        metrics = {"val_images": len(images)} | held_against_torch(answers, images, wanted, own.tolerance)
        timings = {"torch_float32": plain, "torch_bfloat16": torch_answer(model, torch.bfloat16)}
        timings |= {"onnx_float32": answers["onnx"]}
        if own.int8 != "none":
            few = spread(splits["train"].images.numpy(), own.calibration_images)
            files["int8"] = int8_file(files["onnx"], own.int8, few, about)
            timings["onnx_int8"] = onnx_answer(files["int8"])
            metrics |= int8_metrics(timings["onnx_int8"], val, wanted, settings.evaluate.confidence)
        for name, answer in timings.items():
            measured |= speed(name, answer, images)
    metrics |= {f"{name}_bytes": len(contents) for name, contents in files.items()}
    with whole_file(ONNX) as onnx_partial, whole_file(TORCH) as torch_partial, whole_folder(INT8) as folder:
        onnx_partial.write_bytes(files["onnx"])
        torch_partial.write_bytes(files["pt2"])
        if "int8" in files:
            (folder / ONNX.name).write_bytes(files["int8"])
    write_json(METRICS, metrics)
    for name in timings:
        print(f"      {name}: {measured[f'{name}_latency_ms']} ms, {measured[f'{name}_images_per_second']} images/s")


if __name__ == "__main__":
    run(main)
