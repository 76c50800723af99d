"""Files that are no weights, damaged or hostile: one line that says what they are, and nothing in them runs."""

import io
import json
import pickle
import random
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save

from plumbline.run.errors import UserError
from stages.weights.tensor_names import weights_among
from stages.weights.weight_file import read_dictionaries


def refusal(path: Path) -> str:
    """Return the line with which a file is refused, where the network is one of few tensors."""
    with pytest.raises(UserError) as error:
        weights_among(read_dictionaries(path, "the source"), "alexnet", "the source")
    assert "\n" not in str(error.value) and len(str(error.value)) < 500
    return str(error.value)


def zipped(name: str, contents: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, contents)
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
    return buffer.getvalue()


def numpys() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 46830571\n"


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "weights"])
@pytest.mark.parametrize(
    ("contents", "kind"),
    [
        (b"", "is empty"),
        (POINTER, "is a Git LFS pointer"),
        (b"/annex/objects/MD5E-s1--abc.pth\n", "is a git-annex pointer"),
        (b"<!DOCTYPE html>\n<html><head><title>Sign in</title>", "is a web page"),
        (b"\n\n  <HTML>" + b"x" * 5000, "is a web page"),
        (b"\xef\xbb\xbf<html>", "is a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "is XML, perhaps a server's error"),
        (b'{"error": "Repository not found"}', "is JSON text, perhaps a server's error"),
        (b'[{"error": 404}]', "is JSON text"),
        (b"404: Not Found", "is text"),
        (zipped("photos/a.png", b"x"), "is a zip archive of something else \\(photos/a.png\\)"),
        (zipped("model/constants.pkl", b"x"), "is a TorchScript archive"),
        (zipped("m/data.pkl", b"\0" * 10**6, zipfile.ZIP_DEFLATED), "is a compressed zip archive"),
        (tarred(), "is a tar archive"),
        (b"\x1f\x8b\x08" + b"\0" * 50, "is a gzip archive"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "is an HDF5 file"),
        (numpys(), "is a numpy array"),
    ],
)
def test_a_file_of_another_kind_is_called_what_it_is(tmp_path: Path, name: str, contents: bytes, kind: str) -> None:
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(UserError, match=f"^the source {kind}.*a .safetensors file or one of torch.save is needed"):
        read_dictionaries(tmp_path / name, "the source")


def test_the_contents_decide_and_not_the_suffix(tmp_path: Path) -> None:
    tensors = torchvision.models.resnet18(num_classes=3).state_dict()
    (tmp_path / "a.pth").write_bytes(save(tensors))
    torch.save(tensors, tmp_path / "b.pt")
    (tmp_path / "b.pt").rename(tmp_path / "b.safetensors")
    torch.save(tensors, tmp_path / "c", _use_new_zipfile_serialization=False)
    for name in ("a.pth", "b.safetensors", "c"):
        found, classes = weights_among(read_dictionaries(tmp_path / name, name), "resnet18", name)
        assert classes == 3 and torch.equal(found["conv1.weight"], tensors["conv1.weight"])


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


# Opcodes of pickle's protocol, by hand: each a program that a well-behaved writer never makes.
PICKLES = {
    "nothing": b"\x80\x02.",
    "an empty stack": b"\x80\x02s.",
    "a memo that is not there": b"\x80\x02h\x09.",
    "a mark that is not there": b"\x80\x02u.",
    "an unhashable key": b"\x80\x02}]]s.",
    "a cut number": b"\x80\x02J\x01.",
    "a text that is no UTF-8": b"\x80\x02X\x02\x00\x00\x00\xff\xfe.",
    "a text longer than the file": b"\x80\x02X\xff\xff\xff\x7fa.",
    "a storage that is none": b"\x80\x02(X\x01\x00\x00\x00aX\x01\x00\x00\x00bt\x51.",
    "a number as storage": b"\x80\x02K\x01Q.",
    "a global in two lines": b"\x80\x02cos\nsystem\n.",
    "a call without arguments": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
    "a call with wrong arguments": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x02K\x03K\x04K\x05K\x06tR.",
    "a state for a number": b"\x80\x02K\x01}b.",
    "an unknown protocol": b"\x80\x63}.",
    "a huge integer": b"\x80\x02\x8a\xff" + b"\x7f" * 255 + b".",
    "a deep list": b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".",
    "a list that holds itself": b"\x80\x02]q\x00h\x00a.",
    "a dictionary that holds itself": b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.",
}


@pytest.mark.parametrize("program", PICKLES.values(), ids=PICKLES.keys())
@pytest.mark.parametrize("form", ["bare", "legacy", "zip"])
def test_a_malformed_pickle_is_one_line(tmp_path: Path, program: bytes, form: str) -> None:
    legacy = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    contents = {"bare": program, "legacy": legacy + program, "zip": zipped("a/data.pkl", program)}[form]
    (tmp_path / "a.pth").write_bytes(contents)
    assert "the source" in refusal(tmp_path / "a.pth")


def test_what_could_run_code_is_told_from_what_is_damaged(tmp_path: Path) -> None:
    torch.save({"conv1.weight": Malicious(tmp_path / "ran")}, tmp_path / "a.pth")
    assert "holds more than tensors, and loading it could run its code" in refusal(tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Malicious(tmp_path / "ran"), 2))
    assert "holds more than tensors, and loading it could run its code" in refusal(tmp_path / "b.pth")
    (tmp_path / "c.pth").write_bytes(b"\x80\x02s.")
    assert "is damaged, or no file of torch.save" in refusal(tmp_path / "c.pth")
    assert not (tmp_path / "ran").exists()


def resnet18_with(key: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
    return torchvision.models.resnet18(num_classes=3).state_dict() | {key: value}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.empty(64, 3, 7, 7, device="meta"), "conv1.weight has a shape and no values"),
        (torch.zeros(64, 3, 7, 7).to_sparse(), "conv1.weight is sparse or nested"),
        (torch.zeros(1).expand(64, 3, 7, 7), "conv1.weight claims 9408 values, of which the file holds fewer"),
        (torch.zeros(1).expand(10**6, 10**6), "claims 1000000000000 values"),
        (torch.zeros(64, 3, 7, 7, dtype=torch.int8), "conv1.weight is of torch.int8, which is not supported"),
        (torch.zeros(64, 3, 7, 7, dtype=torch.complex64), "conv1.weight is of torch.complex64, which is not supported"),
        (torch.zeros(64, 3, 7, 7, dtype=torch.float8_e4m3fn), "conv1.weight is of torch.float8_e4m3fn, which is not"),
        (torch.zeros(()), "conv1.weight has the shape \\(\\)"),
    ],
)
def test_a_tensor_that_is_no_plain_array_of_numbers_is_named(tmp_path: Path, value: torch.Tensor, message: str) -> None:
    torch.save(resnet18_with("conv1.weight", value), tmp_path / "a.pth")
    with pytest.raises(UserError, match=message):
        weights_among(read_dictionaries(tmp_path / "a.pth", "the source"), "resnet18", "the source")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_bytes_changed_at_random_are_one_line_or_weights(tmp_path: Path, kind: str) -> None:
    generator = random.Random(0)
    tensors = {f"layer.{i}": torch.ones(2, i + 1) for i in range(4)}
    path = tmp_path / "a.pth"
    if kind == "safetensors":
        path.write_bytes(save(tensors))
    else:
        torch.save({"model": tensors, "epoch": 3}, path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    for _ in range(300):
        changed = bytearray(whole)
        for _ in range(generator.randint(1, 8)):
            changed[generator.randrange(len(changed))] = generator.randrange(256)
        path.write_bytes(changed[: generator.randrange(len(changed))] if generator.random() < 0.2 else changed)
        refusal(path)  # of other names than AlexNet's, in any case


def test_a_safetensors_header_that_lies_is_one_line(tmp_path: Path) -> None:
    for header in (
        {"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 10**30]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
    ):
        text = json.dumps(header).encode()
        (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 4)
        assert "is not a whole safetensors file" in refusal(tmp_path / "a.safetensors")
