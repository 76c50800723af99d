"""Model files: whole, described, the same bytes for the same model, and nothing else is read."""

import hashlib
import json
import os
import pickle
import random
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import safetensors
import torch
from safetensors.torch import save_file

from plumbline.model.description import Transform, read_description
from plumbline.model.model_file import Model, read_model, write_model
from plumbline.run.errors import UserError, one_line


def small_model() -> Model:
    return Model(
        architecture="resnet18",
        classes=["Ameise", "蜂", '"quoted"'],
        transform=Transform(256, 224, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        parameters={"seed": 0, "finetune": {"lr": 0.001}},
        source="digits",
        sha256="ab" * 32,
        tensors={"b": torch.arange(6.0).view(2, 3).t(), "a": torch.tensor(3)},
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    model, path = small_model(), tmp_path / "m.safetensors"
    write_model(path, model)
    again = read_model(path)
    assert again.classes == model.classes
    assert (again.transform, again.parameters, again.sha256) == (model.transform, model.parameters, model.sha256)
    assert again.tensors.keys() == model.tensors.keys()
    assert all(torch.equal(again.tensors[key], model.tensors[key]) for key in model.tensors)


def test_its_description_is_read_without_its_weights(tmp_path: Path) -> None:
    model, path = small_model(), tmp_path / "m.safetensors"
    write_model(path, model)
    described = read_description(path)
    assert {**asdict(described), "tensors": None} == {**asdict(replace(model, tensors={})), "tensors": None}
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="is not a whole safetensors file"):
        read_description(path)


def test_the_safetensors_library_reads_it_with_its_metadata(tmp_path: Path) -> None:
    write_model(tmp_path / "m.safetensors", small_model())
    with safetensors.safe_open(tmp_path / "m.safetensors", "np") as file:
        assert json.loads(file.metadata()["plumbline"])["classes"][1] == "蜂"
        assert file.get_tensor("b").tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    code = "from tests.plumbline.model.test_model_file import *; write_model(Path(sys.argv[1]), small_model())"
    hashes = set()
    for i in range(3):  # the library's own order is random: three agree by chance once in 520,000
        path = tmp_path / f"{i}.safetensors"
        subprocess.run([sys.executable, "-c", code, path], check=True)
        hashes.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(hashes) == 1


def test_a_file_that_is_absent_truncated_foreign_or_a_pickle_is_refused_in_one_line(tmp_path: Path) -> None:
    whole = tmp_path / "whole.safetensors"
    write_model(whole, small_model())
    truncated, foreign, disguised = (tmp_path / f"{name}.safetensors" for name in ("truncated", "foreign", "disguised"))
    truncated.write_bytes(whole.read_bytes()[:-1])
    save_file({"a": torch.zeros(1)}, foreign)
    frozen = tmp_path / "frozen.safetensors"
    write_model(frozen, replace(small_model(), temperature=0.0))

    class Malicious:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "ran",)

    disguised.write_bytes(pickle.dumps(Malicious()))
    for path, message in (
        (tmp_path / "none.safetensors", "there is no model file"),
        (truncated, "not a whole safetensors file"),
        (foreign, "lacks Plumbline's metadata"),
        (disguised, "not a whole safetensors file"),
        (frozen, "the temperature is 0.0"),
    ):
        with pytest.raises(UserError, match=message) as error:
            read_model(path)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


def test_a_file_with_one_entry_a_field_is_read_as_before(tmp_path: Path) -> None:
    model, path = small_model(), tmp_path / "m.safetensors"
    write_model(path, model)
    metadata = {
        "architecture": "resnet18",
        "classes": json.dumps(model.classes, ensure_ascii=False),
        "transform": json.dumps(asdict(model.transform)),
        "parameters": json.dumps(model.parameters),
        "source": "digits",
        "sha256": "ab" * 32,
        "temperature": "1.0",
    }
    save_file({key: value.contiguous() for key, value in model.tensors.items()}, tmp_path / "old.safetensors", metadata)
    assert asdict(read_description(tmp_path / "old.safetensors")) == asdict(read_description(path))
    for key, text in (("temperature", "warm"), ("classes", "["), ("parameters", "1")):
        save_file({"a": torch.ones(1)}, tmp_path / "bad.safetensors", metadata | {key: text})
        with pytest.raises(UserError, match="lacks Plumbline's metadata"):
            read_description(tmp_path / "bad.safetensors")


@pytest.mark.parametrize(
    ("contents", "kind"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "is a Git LFS pointer"),
        (b"<!doctype html><title>Sign in</title>", "is a web page"),
        (b'{"message": "Not Found"}', "is JSON text"),
    ],
)
def test_a_model_file_that_is_something_else_is_called_what_it_is(tmp_path: Path, contents: bytes, kind: str) -> None:
    (tmp_path / "m.safetensors").write_bytes(contents)
    for read in (read_model, read_description):
        with pytest.raises(UserError, match=f"m.safetensors {kind}"):
            read(tmp_path / "m.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "classes", "message"),
    [
        ("vit_h_14", ["a", "b"], "the weights hold a, which vit_h_14 lacks"),
        ("resnet18", [str(i) for i in range(100_000)], "the weights hold a, which resnet18 lacks"),
    ],
)
def test_a_small_file_that_names_a_large_network_takes_no_memory(
    tmp_path: Path, architecture: str, classes: list[str], message: str
) -> None:
    path = tmp_path / "m.safetensors"
    write_model(path, replace(small_model(), architecture=architecture, classes=classes))
    code = """
import resource, sys
from plumbline import Classifier
from plumbline.run.errors import UserError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    Classifier.load(sys.argv[1])
except UserError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True)
    line, mebibytes = done.stdout.splitlines()
    assert message in line
    assert int(mebibytes) < 200  # vit_h_14 takes 2,400, and a ResNet18's head of 100,000 classes 200


def test_bytes_changed_at_random_are_one_line_or_a_model(tmp_path: Path) -> None:
    generator, path = random.Random(0), tmp_path / "m.safetensors"
    write_model(path, small_model())
    whole = path.read_bytes()
    for _ in range(1000):
        changed = bytearray(whole)
        for _ in range(generator.randint(1, 8)):
            changed[generator.randrange(len(changed))] = generator.randrange(256)
        path.write_bytes(changed[: generator.randrange(len(changed))] if generator.random() < 0.2 else changed)
        for read in (read_model, read_description):
            try:
                read(path)
            except UserError as error:
                assert "\n" not in one_line(str(error))


def test_a_file_of_a_tebibyte_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_model(path, small_model())
    os.truncate(path, 2**40)
    for read in (read_model, read_description):
        with pytest.raises(UserError, match="has 1,024 GiB, more than the 8 of any model"):
            read(path)
