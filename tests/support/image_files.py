"""Image files in memory."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def encoded(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def sixteen_bit_png(pixels: np.ndarray, *, filtered: bool = False) -> bytes:
    """Return a PNG of uint16 (height, width, 2 to 4), which Pillow does not write; filtered with Sub, or not at all.

    Source: PNG specification, 4.4, 7.2, 9.2.
    """

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    colour = {2: 4, 3: 2, 4: 6}[pixels.shape[2]]
    stored = pixels.astype(">u2").view(np.uint8)  # (height, width, 2 bytes a channel)
    if filtered:
        stored = np.diff(stored, axis=1, prepend=np.zeros_like(stored[:, :1]))  # each byte, modulo 256
    rows = b"".join(bytes([filtered]) + row.tobytes() for row in stored)
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return a picture of random pixels."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))
