"""Go over an image in strips, so that what is computed with its pixels takes little memory beside it."""

from collections.abc import Iterator

from PIL import Image

PIXELS = 2**20  # of a strip, about


def strips(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Yield the boxes, as Pillow's crop takes them, of strips over the whole width, from top to bottom."""
    rows = max(1, PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield 0, top, image.width, min(top + rows, image.height)
