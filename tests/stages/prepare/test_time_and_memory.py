"""What one image may cost: its time is limited, its memory follows from its pixels, its size is looked at first."""

import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from joblib import parallel_config
from PIL import Image

from stages.prepare import __main__ as prepare
from stages.prepare import parallel_decoding
from stages.prepare.parallel_decoding import BYTES_PER_PIXEL, workers_in_memory
from tests.conftest import PROJECT, Workspace, write_data_set
from tests.stages.prepare.conftest import COMMAND, leftovers, manifest, quarantine, run

SIDE = 6000  # pixels
MEASURE = """
import resource, sys
from pathlib import Path
from stages.prepare.decoding import Limits, examine
contents, limits = Path(sys.argv[1]).read_bytes(), Limits(256, 10**8, 4)
examine(Path(sys.argv[2]).read_bytes(), limits)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
examine(contents, limits)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def jpeg_of_many_scans(side: int, scans: int) -> bytes:
    """Return a grey progressive JPEG that ends in so many empty scans; for each, libjpeg goes over all blocks.

    It takes 13 ms a scan of 10 bytes at 9,999 pixels a side, on one core of an AMD EPYC. Source of the form: ITU-T
    T.81, B.2 and G.
    """

    def segment(marker: int, body: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body

    one_code = bytes([1] + [0] * 15) + b"\0"  # one code of one bit, for the value 0
    frame = segment(0xDB, b"\0" + b"\1" * 64) + segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    tables = segment(0xC4, b"\x00" + one_code) + segment(0xC4, b"\x10" + one_code)
    first, further = segment(0xDA, b"\1\1\0\0\0\0"), segment(0xDA, b"\1\1\0\1\1\0")
    return b"\xff\xd8" + frame + tables + first + further * scans + b"\xff\xd9"


@pytest.mark.medium
def test_a_jpeg_that_would_take_an_hour_is_set_aside_and_all_others_are_used(workspace: Workspace) -> None:
    workspace.set(
        data__root="images", data__seconds_per_image=8.0, data__max_unusable=0.2, image__resize=32, image__crop=24
    )
    write_data_set(Path("images"))
    hostile = jpeg_of_many_scans(side=9_999, scans=300_000)
    for name in ("train/ant/00.jpg", "val/bee/9.jpg"):  # the first and the last
        Path("images", name).write_bytes(hostile)
    done = run(COMMAND)
    assert done.returncode == 0, done.stderr
    assert quarantine() == {"train/ant/00.jpg": "too slow", "val/bee/9.jpg": "too slow"}
    assert "decoding it takes more than 8 s, data.seconds_per_image" in done.stdout
    assert len(manifest()) == 12
    assert leftovers() == set()


def picture(kind: str, side: int) -> bytes:
    steps = np.arange(side, dtype=np.uint16) + np.zeros((side, 1), dtype=np.uint16)
    turned = Image.Exif()
    turned[274] = 6
    image, options = {
        "16 bits": (lambda: Image.fromarray(steps), {"format": "PNG"}),
        "32 bits": (lambda: Image.fromarray(steps.astype(np.int32)), {"format": "TIFF"}),
        "floats": (lambda: Image.fromarray(steps.astype(np.float32)), {"format": "TIFF"}),
        "transparent": (lambda: Image.new("LA", (side, side), (9, 40)), {"format": "PNG"}),
        "transparent and turned": (lambda: Image.new("RGBA", (side, side)), {"format": "PNG", "exif": turned}),
        "a grey JPEG": (lambda: Image.new("RGB", (side, side), (128,) * 3), {"format": "JPEG", "progressive": True}),
        "JPEG 2000": (lambda: Image.new("RGB", (side, side)), {"format": "JPEG2000"}),
        "WebP": (lambda: Image.new("RGB", (side, side)), {"format": "WEBP"}),
    }[kind]
    buffer = io.BytesIO()
    image().save(buffer, **options)
    return buffer.getvalue()


COMPUTED = ("16 bits", "32 bits", "floats", "transparent", "transparent and turned", "a grey JPEG")


@pytest.mark.medium
@pytest.mark.parametrize(
    ("kind", "most"),
    [
        *((kind, 14) for kind in COMPUTED),  # of Pillow's 4 bytes a pixel, three images
        ("JPEG 2000", BYTES_PER_PIXEL),  # what their decoders take
        ("WebP", BYTES_PER_PIXEL),
    ],
)
def test_decoding_takes_no_more_bytes_a_pixel(kind: str, most: int, tmp_path: Path) -> None:
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(picture(kind, SIDE))
    small.write_bytes(picture(kind, 64))  # loads what is loaded once
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, large, small], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert int(measured.stdout) < most * SIDE**2


def test_there_are_no_more_workers_than_memory_holds_but_always_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_decoding, "cpu_count", lambda: 64)
    monkeypatch.setattr(parallel_decoding, "CONTAINER_MEMORY", Path("/nowhere"))
    memory = type(psutil.virtual_memory())(*[10 * BYTES_PER_PIXEL * 10**6] * len(psutil.virtual_memory()))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert workers_in_memory(10**6) == 10
    assert workers_in_memory(10**8) == 2  # one would be this process itself
    assert workers_in_memory(1) == 64


def test_a_file_of_a_tebibyte_is_not_read_for_its_hash(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.set(data__root="images", image__resize=32, image__crop=24)
    root = write_data_set(Path("images"))
    prepare.main()  # so that there is a cache, in which files are looked up by their hashes
    with (root / "train/ant/huge.png").open("wb") as file:
        os.truncate(file.fileno(), 2**40)
    read = []
    monkeypatch.setattr(parallel_decoding, "sha256_of", lambda path: read.append(path.name) or "0" * 64)
    with parallel_config(backend="threading"):
        prepare.main()
    assert "0.png" in read
    assert "huge.png" not in read
    assert quarantine() == {"train/ant/huge.png": "too large"}
