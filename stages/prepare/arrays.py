"""Put decoded pixels in their final order, without ever holding more than one image."""

from pathlib import Path

import numpy as np

from stages.prepare.pixel_cache import Place


def write_array(path: Path, pixels: list[Place], size: int) -> None:
    """Write images as a .npy file, uint8 (len(pixels), size, size, 3).

    Plain reads and writes: pages of a memory map would count as memory in use.
    """
    with path.open("wb") as target:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(pixels), size, size, 3)}
        np.lib.format.write_array_header_1_0(target, header)
        image = bytearray(size**2 * 3)  # one for all: memory that is new each time costs more than the copy
        for place in pixels:
            place.read_into(image)
            target.write(image)
