"""Whole files of every form that strangers may send, made here, so that a changed one is nearly whole."""

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from plumbline.images.decoded import known_formats
from plumbline.images.unreadable import Unreadable
from stages.prepare.decoding import Limits, examine

SEED = 0
LIMITS = Limits(size=32, max_pixels=2 * 10**6, min_side=1)
NETWORK = "shufflenet_v2_x0_5"  # one of the smallest
VAL_IMAGES = 24
TENSORS = "model, its tensors"  # the form of which tensors are changed, and no bytes
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F")
VARIANTS = {
    "JPEG": ({}, {"progressive": True}, {"restart_marker_blocks": 1}),
    "TIFF": tuple({"compression": c} for c in (None, "packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg")),
    "WEBP": ({}, {"lossless": True}),
    "PNG": ({}, {"optimize": True}),
}
PACKINGS = {"": bytes, "gz": partial(gzip.compress, mtime=0), "bz2": bz2.compress, "xz": lzma.compress}


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
    """Return an archive of each form, with class folders; its dates are fixed."""
    contents = {f"{name}/{i}.png": bytes([i]) * 300 for name in ("ant", "bee") for i in range(3)}
    found = {}
    for name, method in (("zip", zipfile.ZIP_DEFLATED), ("zip, stored", zipfile.ZIP_STORED)):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for path, data in contents.items():
                archive.writestr(zipfile.ZipInfo(path), data, method)
        found[name] = buffer.getvalue()
    for form, number in (("pax", tarfile.PAX_FORMAT), ("GNU", tarfile.GNU_FORMAT), ("USTAR", tarfile.USTAR_FORMAT)):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=number) as archive:
            for path, data in contents.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        for packing, packed in PACKINGS.items():
            found[f"tar.{packing} {form}"] = packed(buffer.getvalue())
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
    """Return a model file, with a score of unknown images and what is kept of val; once more for its tensors."""
    import torch

    from plumbline.model.description import Transform
    from plumbline.model.model_file import Model, write_model
    from plumbline.model.networks import build_network
    from plumbline.training.splits import Split
    from stages.finetune.finished_model import finished

    model = Model(
        architecture=NETWORK, classes=["ant", "bee"], transform=Transform(40, 32, [0.5] * 3, [0.5] * 3), parameters={},
        source="none", sha256="", tensors=build_network(NETWORK, 2).state_dict(),
    )  # fmt: skip
    noise = torch.from_numpy(np.random.default_rng(SEED).integers(0, 256, (VAL_IMAGES, 40, 40, 3), dtype=np.uint8))
    images = Split(noise, torch.arange(VAL_IMAGES) % 2, [""] * VAL_IMAGES, [""] * VAL_IMAGES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.safetensors")
        write_model(path, finished(model, images, images))
        return dict.fromkeys(("model", TENSORS), path.read_bytes())
