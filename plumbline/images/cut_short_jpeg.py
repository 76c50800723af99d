"""Find JPEGs of which the decoder, or an interrupted copy, has filled in a part.

libjpeg gives grey and no error where the data end. Source of the format: ITU-T T.81.
"""

import io
import re
import struct
from dataclasses import dataclass, field

from PIL import Image

from plumbline.images.strips import strips

ZEROS = bytes(64)
ZERO_RUN = re.compile(rb"\0{64,}")
FILLER = b"\x55" * 256  # any bytes without a marker, that decode to something
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # but for those within a scan
GREY, NEAR_GREY = 128, 3  # brightness, of 255
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
LOOSE = 32  # bytes: less than a run of zeros, more than the decoder reads ahead


@dataclass(frozen=True)
class Scan:
    """One scan of a JPEG: a pass over some components and coefficients (ITU-T T.81, B.2.3)."""

    start: int  # of its entropy-coded bytes in the file
    end: int
    components: bytes
    coefficients: range
    low_bit: int  # 0 where the coefficients are complete


@dataclass
class Jpeg:
    """What the markers of a JPEG say."""

    marker: int | None = None  # of the frame: the kind of coding
    frame: bytes = b""  # its segment
    interval: int = 0  # between restart markers, in units of the scan
    scans: list[Scan] = field(default_factory=list)

    @property
    def components(self) -> bytes:
        """Return their names."""
        return self.frame[6::3]


def filled_in_jpeg(contents: bytes, image: Image.Image) -> str | None:
    """Return `truncated` where libjpeg had too few data.

    Where it has enough, it does not read bytes that are put before the end marker; where it has not, the pixels change.
    To decode twice takes time, so this is tried only where the last pixel is grey, as those that are filled in are,
    or with several scans, where the pixels do not show it. Before a restart marker that does not come, libjpeg skips
    such bytes; the markers are counted.
    """
    jpeg = structure_of(contents)
    if jpeg.marker not in (0xC0, 0xC1, 0xC2) or not jpeg.scans:  # an arithmetic coder leaves out zeros at the end
        return None
    several, last = len(jpeg.scans) > 1, jpeg.scans[-1]
    if not complete(jpeg):
        return "truncated"
    if several or grey_corner(image):
        if not several and lacks_restarts(contents, jpeg):
            return "truncated"
        longer = contents[: last.end] + FILLER + contents[last.end :]
        if not same_pixels(longer, image):
            return "truncated"
    if not several and ZEROS in contents[last.start : last.end] and zeros_for_data(contents, last, image):
        return "truncated"
    return None


def structure_of(contents: bytes) -> Jpeg:
    """Return what a JPEG's markers say, to the end marker or the end. Raises struct.error or IndexError."""
    jpeg = Jpeg()
    position = 2
    while (match := MARKER.search(contents, position)) and contents[match.end() - 1] != 0xD9:
        marker, position = contents[match.end() - 1], match.end()
        if marker in (0x01, 0xD8):
            continue
        length = struct.unpack_from(">H", contents, position)[0]
        segment = contents[position + 2 : position + length]
        position += length
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            jpeg.marker, jpeg.frame = marker, segment
        if marker == 0xDD:
            jpeg.interval = struct.unpack(">H", segment)[0]
        if marker == 0xDA:
            named = segment[1 : 1 + 2 * segment[0] : 2]
            first, last, bits = segment[1 + 2 * segment[0] :]
            after = MARKER.search(contents, position)
            end = after.start() if after else len(contents)
            while contents[end - 1] == 0xFF:  # fill bytes before a marker
                end -= 1
            jpeg.scans.append(Scan(position, end, named, range(first, last + 1), bits & 15))
            position = end
    return jpeg


def complete(jpeg: Jpeg) -> bool:
    """Return whether the scans give all components, and for a progressive JPEG all bits of all coefficients."""
    bits = {(name, k): scan.low_bit for scan in jpeg.scans for name in scan.components for k in scan.coefficients}
    coefficients = range(64) if jpeg.marker == 0xC2 else range(1)
    return all(bits.get((name, k)) == 0 for name in jpeg.components for k in coefficients)


def grey_corner(image: Image.Image) -> bool:
    """Return whether the last pixel, at the bottom right, is as bright as one that libjpeg has filled in.

    Only about, because its colour may be interpolated with that of a block that is there.
    """
    pixel = image.crop((image.width - 1, image.height - 1, image.width, image.height))
    brightness = pixel.getchannel("K") if image.mode == "CMYK" else pixel.convert("L")
    return abs(brightness.getpixel((0, 0)) - GREY) <= NEAR_GREY


def lacks_restarts(contents: bytes, jpeg: Jpeg) -> bool:
    """Return whether the only scan has fewer restart markers than the image's size asks for.

    Source: ITU-T T.81, B.2.2 to B.2.4.4.
    """
    if not jpeg.interval:
        return False
    height, width = struct.unpack_from(">HH", jpeg.frame, 1)
    sampling = jpeg.frame[7::3] if len(jpeg.components) > 1 else b"\x11"
    across, down = max(s >> 4 for s in sampling), max(s & 15 for s in sampling)
    units = -(-width // (8 * across)) * -(-height // (8 * down))
    scan = jpeg.scans[0]
    return len(RESTART.findall(contents, scan.start, scan.end)) < -(-units // jpeg.interval) - 1


def same_pixels(contents: bytes, image: Image.Image) -> bool:
    """Return whether the bytes decode to the image's pixels."""
    try:
        with Image.open(io.BytesIO(contents), formats=["PCX" if image.format == "PCX" else "JPEG"]) as other:
            return (other.mode, other.size) == (image.mode, image.size) and all(
                other.crop(box).tobytes() == image.crop(box).tobytes() for box in strips(image)
            )
    except OSError:
        return False


def zeros_for_data(contents: bytes, scan: Scan, image: Image.Image) -> bool:
    """Return whether runs of zeros in a JPEG's only scan stand for data that are lost.

    An encoder may write zeros for flat areas. Then it writes no more than it needs.
    """
    data = contents[scan.start : scan.end]
    other = ZERO_RUN.sub(lambda run: b"\x55" * len(run[0]), data)
    if same_pixels(contents[: scan.start] + other + contents[scan.end :], image):
        return False
    try:
        with Image.open(io.BytesIO(contents[: scan.end - LOOSE]), formats=["JPEG"]) as shorter:
            shorter.load()
    except OSError:  # truncated: the last bytes were needed
        return False
    return True
