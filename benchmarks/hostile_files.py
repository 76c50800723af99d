"""Read files that are damaged or made to do harm: is each used, or refused in one line, in little memory and time?

    python -m benchmarks.hostile_files [KIND [CASES]]

makes whole files of every form, changes each at random, with a fixed seed, and reads it as the stages do.
KIND is images, archives, weights or models; without it each has its turn, in a process of its own, so that the system
measures its memory. An exception that is not the user's line, a process that ends, or anything written outside of the
folder for an archive's contents is a fault: the file is kept, and the command fails.
"""

import io
import json
import random
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from plumbline.images.archives import extract
from plumbline.images.decoded import known_formats
from plumbline.images.unreadable import Unreadable
from plumbline.run.errors import UserError
from stages.prepare.decoding import Limits, examine

CASES = {"images": 100_000, "archives": 10_000, "weights": 1_000, "models": 1_000}
SEED = 0
KEPT = Path("hostile_files_kept")
LIMITS = Limits(size=32, max_pixels=2 * 10**6, min_side=1)
MOST_SECONDS = 60.0  # of one case, as data.seconds_per_image
MOST_MEMORY = 2**29  # bytes, beside what is there once every whole file was read
NETWORK = "shufflenet_v2_x0_5"  # one of the smallest
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F")
VARIANTS = {
    "JPEG": ({}, {"progressive": True}, {"restart_marker_blocks": 1}),
    "TIFF": tuple({"compression": c} for c in (None, "packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg")),
    "WEBP": ({}, {"lossless": True}),
    "PNG": ({}, {"optimize": True}),
}
NUMBERS = (b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\x80", b"\0\0\1\0")


def whole_images() -> dict[str, bytes]:
    """Return an image in every format and mode that Pillow writes and this project reads."""
    noise = np.random.default_rng(SEED).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    found = {}
    for name in sorted(known_formats()):
        for mode in MODES if name in Image.SAVE else ():
            for i, options in enumerate(VARIANTS.get(name, ({},))):
                if options.get("compression") == "jpeg" and mode not in ("L", "RGB"):
                    continue
                picture = Image.fromarray(noise).convert("L" if mode == "I;16" else mode).convert(mode)
                picture = picture.resize((32, 32), Image.Resampling.NEAREST)  # what icons need
                buffer = io.BytesIO()
                try:
                    picture.save(buffer, name, **options)
                except (OSError, ValueError):  # a mode that the format does not have, or no writer
                    continue
                try:
                    examine(buffer.getvalue(), LIMITS)
                except Unreadable:  # what Pillow writes and does not read: ICNS with a palette
                    continue
                found[f"{name} {mode} {i}"] = buffer.getvalue()
    return found


def whole_archives() -> dict[str, bytes]:
    """Return an archive of each form, with class folders."""
    contents = {f"{name}/{i}.png": bytes([i]) * 300 for name in ("ant", "bee") for i in range(3)}
    found = {}
    for name, method in (("zip", zipfile.ZIP_DEFLATED), ("zip, stored", zipfile.ZIP_STORED)):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for path, data in contents.items():
                archive.writestr(path, data)
        found[name] = buffer.getvalue()
    for form, number in (("pax", tarfile.PAX_FORMAT), ("GNU", tarfile.GNU_FORMAT), ("USTAR", tarfile.USTAR_FORMAT)):
        for packing in ("", "gz", "bz2", "xz"):
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode=f"w:{packing}", format=number) as archive:
                for path, data in contents.items():
                    entry = tarfile.TarInfo(path)
                    entry.size = len(data)
                    archive.addfile(entry, io.BytesIO(data))
            found[f"tar.{packing} {form}"] = buffer.getvalue()
    return found


def whole_weights() -> dict[str, bytes]:
    """Return weights as safetensors, and in both forms of torch.save."""
    import torch  # these take seconds to import, which the images do without
    from safetensors.torch import save

    from plumbline.model.networks import build_network

    tensors = build_network(NETWORK, 2).state_dict()
    found = {"safetensors": save(tensors)}
    for name, zipped in (("torch.save", True), ("torch.save, old", False)):
        buffer = io.BytesIO()
        torch.save({"epoch": 3, "state_dict": tensors}, buffer, _use_new_zipfile_serialization=zipped)
        found[name] = buffer.getvalue()
    return found


def whole_models() -> dict[str, bytes]:
    """Return a model file."""
    from plumbline.model.description import Transform
    from plumbline.model.model_file import Model, write_model
    from plumbline.model.networks import build_network

    model = Model(
        architecture=NETWORK, classes=["ant", "bee"], transform=Transform(40, 32, [0.5] * 3, [0.5] * 3), parameters={},
        source="none", sha256="", tensors=build_network(NETWORK, 2).state_dict(),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.safetensors")
        write_model(path, model)
        return {"model": path.read_bytes()}


def changed(contents: bytes, other: bytes, chance: random.Random) -> bytes:
    """Return the bytes with one to four changes: of bits, bytes, numbers; parts cut, doubled or from another file."""
    data = bytearray(contents)
    for _ in range(chance.randint(1, 4)):
        # Half of the changes are near the beginning, where headers stand.
        at = chance.randrange(min(len(data), 400) if chance.random() < 0.5 else len(data)) if data else 0
        size = chance.randint(1, 64)
        match chance.randrange(8):
            case 0 if data:
                data[at] ^= 1 << chance.randrange(8)
            case 1 if data:
                data[at] = chance.randrange(256)
            case 2:
                data[at : at + 4] = chance.choice(NUMBERS)
            case 3:
                del data[at:]
            case 4:
                del data[at : at + size]
            case 5:
                data[at:at] = data[at : at + size] * chance.randint(1, 20)
            case 6:
                data[at : at + size] = other[at : at + size]
            case 7:
                data[at : at + size] = chance.randbytes(size)
    return bytes(data)


def reader(kind: str, folder: Path) -> Callable[[bytes], None]:
    """Return what reads a case. It raises Unreadable or UserError for one that is refused."""
    if kind == "images":
        return lambda contents: examine(contents, LIMITS)
    path = folder / "case"

    def unpack() -> None:
        try:
            extract(path, folder / "out")
        finally:
            shutil.rmtree(folder / "out", ignore_errors=True)
            assert [found.name for found in folder.iterdir()] == ["case"], "it has written outside"

    def load() -> None:
        from stages.weights.tensor_names import weights_among
        from stages.weights.weight_file import read_dictionaries

        weights_among(read_dictionaries(path, "case"), NETWORK, "case")

    def classify() -> None:
        from plumbline import Classifier

        Classifier.load(path)

    read = {"archives": unpack, "weights": load, "models": classify}[kind]

    def written_and_read(contents: bytes) -> None:
        path.write_bytes(contents)
        read()

    return written_and_read


def cases(wholes: dict[str, bytes], count: int) -> Iterator[tuple[str, bytes]]:
    """Yield so many cases, of each form in turn, with the form's name."""
    chance, names = random.Random(SEED), list(wholes)
    for i in range(count):
        name = names[i % len(names)]
        yield name, changed(wholes[name], wholes[chance.choice(names)], chance)


def tried(kind: str, count: int) -> dict[str, object]:
    """Read so many cases of a kind, and return how many were used and refused, the faults, the time and the memory."""
    outcomes: Counter[str] = Counter()
    faults, slowest = [], 0.0
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of writing a format that it will drop, as well
        wholes = globals()[f"whole_{kind}"]()
        read = reader(kind, Path(name))
        for contents in wholes.values():
            read(contents)
        before = memory()
        for i, (form, contents) in enumerate(cases(wholes, count)):
            (KEPT / f"{kind}-now").write_bytes(contents)  # what a process that is ended leaves
            start = time.perf_counter()
            try:
                read(contents)
                outcomes["used"] += 1
            except (Unreadable, UserError) as error:
                outcomes["refused"] += 1
                if "\n" in str(error) and isinstance(error, UserError):
                    faults.append(f"{form}, case {i}: several lines")
            except Exception as error:
                faults.append(f"{form}, case {i}: {type(error).__name__}: {error}"[:300])
                (KEPT / f"{kind}-{i}").write_bytes(contents)
            seconds = time.perf_counter() - start
            slowest = max(slowest, seconds)
            if seconds > MOST_SECONDS:
                faults.append(f"{form}, case {i}: {seconds:.0f} s")
                (KEPT / f"{kind}-{i}").write_bytes(contents)
    (KEPT / f"{kind}-now").unlink()
    grown = memory() - before
    if grown > MOST_MEMORY:
        faults.append(f"{grown >> 20} MiB of memory")
    return {"forms": len(wholes), "cases": count, **outcomes, "slowest": slowest, "MiB": grown >> 20, "faults": faults}


def memory() -> int:
    """Return the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    KEPT.mkdir(exist_ok=True)
    if len(sys.argv) == 3:
        print(json.dumps(tried(sys.argv[1], int(sys.argv[2]))))
        return
    failed = False
    for kind in sys.argv[1:] or CASES:
        command = [sys.executable, "-m", "benchmarks.hostile_files", kind, str(CASES[kind])]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        found = json.loads(done.stdout) if done.returncode == 0 else {"faults": [f"it ended with {done.returncode}"]}
        print(kind, ", ".join(f"{key} {value}" for key, value in found.items() if key != "faults"))
        for fault in found["faults"]:
            failed = True
            print(f"    fault: {fault}")
    if failed:
        sys.exit(f"the files are in {KEPT}")
    shutil.rmtree(KEPT)


if __name__ == "__main__":
    main()
