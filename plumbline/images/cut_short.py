"""Find images of which the decoder, or an interrupted copy, has filled in a part.

Many decoders go on where a file's data end: libjpeg gives grey and no error. And where a download or a copy stopped,
the rest of a file may be zeros. Compressed data hold no long runs of zeros, with the exceptions named below.
"""

import io
import re
import struct
import zlib
from dataclasses import dataclass, field

from PIL import Image

from plumbline.images.strips import strips

ZEROS = bytes(64)
ZERO_RUN = re.compile(rb"\0{64,}")
PNG_SIGNATURE = rb"\x89PNG\r\n\x1a\n"
FILLER = b"\x55" * 256  # any bytes without a marker, that decode to something
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # of JPEG, but for those within a scan
GREY, NEAR_GREY = 128, 3  # brightness, of 255
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
LOOSE = 32  # bytes: less than a run of zeros, more than the decoder reads ahead

# Of VP8 (lossy WebP), in bytes a macroblock. Flat areas become zeros: 873 bytes in one run, of 35,344 macroblocks.
VP8_ZEROS = 0.1

# TIFF's compressions in which zeros decode without an error; those of facsimile are 2, 3 and 4.
PACKBITS, JPEG_IN_TIFF, CCITT, DEFLATE = 32773, 7, (2, 3, 4), (8, 32946)
MOST_INFLATED, INFLATED_AT_ONCE = 2**30, 2**20  # bytes


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


def filled_in(contents: bytes, image: Image.Image) -> str | None:
    """Return `truncated` or `damaged` for a decoded image of which the file does not hold everything, else None."""
    check = {
        "JPEG": filled_in_jpeg,
        "MPO": filled_in_jpeg,
        "PNG": filled_in_png,
        "WEBP": filled_in_webp,
        "AVIF": filled_in_avif,
        "TIFF": filled_in_tiff,
        "QOI": lambda contents, _: "truncated" if ZEROS in contents else None,
        "PCX": filled_in_pcx,
        "ICO": filled_in_icon,
        "ICNS": filled_in_icon,
    }.get(image.format or "")
    try:
        return check(contents, image) if check else None
    except (struct.error, IndexError):  # a structure that only the decoder understands
        return None


def ends_early(contents: bytes) -> bool:
    """Return whether a file that cannot be decoded is shorter than it says, or ends in zeros."""
    try:
        if contents[:4] == b"RIFF":
            return struct.unpack_from("<I", contents, 4)[0] + 8 > len(contents) or contents.endswith(ZEROS)
        if contents[:4] in (b"II*\0", b"MM\0*"):
            offset = struct.unpack_from("<I" if contents[:1] == b"I" else ">I", contents, 4)[0]
            return offset >= len(contents) or contents.endswith(ZEROS)
        if contents[4:8] == b"ftyp":
            position = 0
            while 8 <= (size := struct.unpack_from(">I", contents, position)[0]) <= len(contents) - position:
                position += size
                if position == len(contents):
                    return contents.endswith(ZEROS)
            return size > 1
    except struct.error:
        return True
    return contents.endswith(ZEROS)


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
    while (found := MARKER.search(contents, position)) and contents[found.end() - 1] != 0xD9:
        marker, position = contents[found.end() - 1], found.end()
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


def filled_in_png(contents: bytes, _: Image.Image) -> str | None:
    """Return `truncated` or `damaged` where the checksum of pixels is wrong, which Pillow does not compare."""
    position = 8
    while position + 12 <= len(contents):
        length, kind = struct.unpack_from(">I4s", contents, position)
        end = position + 8 + length
        if kind == b"IDAT" and struct.unpack_from(">I", contents, end)[0] != zlib.crc32(contents[position + 4 : end]):
            return "truncated" if contents[:end].endswith(ZEROS) else "damaged"
        if kind == b"IEND":
            return None
        position = end + 4
    return None


def filled_in_webp(contents: bytes, image: Image.Image) -> str | None:
    """Return `truncated` where the compressed pixels hold more zeros than flat areas become; of an animation, those of
    the first frame. Transparency may not be compressed: then zeros are transparent pixels.
    """
    blocks = -(-image.width // 16) * -(-image.height // 16)
    allowed = {b"VP8L": len(ZEROS), b"ALPH": len(ZEROS), b"VP8 ": len(ZEROS) + int(VP8_ZEROS * blocks)}
    position, end = 12, len(contents)
    while position + 8 <= end:
        kind, length = struct.unpack_from("<4sI", contents, position)
        position += 8
        if kind == b"ANMF":  # a frame: its chunks follow 16 bytes about it
            position, end = position + 16, min(end, position + length)
            continue
        data = contents[position : position + length]
        compressed = kind != b"ALPH" or data[0] & 3 == 1
        if kind in allowed and compressed and bytes(allowed[kind]) in data:
            return "truncated"
        position += length + length % 2
    return None


def filled_in_avif(contents: bytes, _: Image.Image) -> str | None:
    """Return `truncated` where the data hold a run of zeros. EXIF, which stands among them, may be padded with some."""
    start = contents.find(b"mdat")
    if start < 4 or b"Exif" in contents:
        return None
    size = struct.unpack_from(">I", contents, start - 4)[0]
    end = start - 4 + size if size > 1 else None  # 0: to the end; 1: the size follows, of 64 bits
    return "truncated" if ZEROS in contents[start:end] else None


def filled_in_pcx(contents: bytes, image: Image.Image) -> str | None:
    """Return `truncated` where a run of zeros stands for pixels: the format writes one as a number and one zero."""
    if contents[2] != 1 or ZEROS not in contents[128:]:
        return None
    end = len(contents) - 769 if contents[-769] == 12 else len(contents)  # the palette of 256 colours follows
    other = ZERO_RUN.sub(lambda run: b"\0" + FILLER[:1] * (len(run[0]) - 1), contents[128:end])  # it may end in a zero
    return None if same_pixels(contents[:128] + other + contents[end:], image) else "truncated"


def filled_in_icon(contents: bytes, image: Image.Image) -> str | None:
    """Return what `filled_in_png` says of the PNG files of this size within an icon."""
    starts = (found.start() for found in re.finditer(PNG_SIGNATURE, contents))
    own = (contents[start:] for start in starts if struct.unpack_from(">II", contents, start + 16) == image.size)
    return next((reason for png in own if (reason := filled_in_png(png, image))), None)


def filled_in_tiff(contents: bytes, image: Image.Image) -> str | None:
    """Return `truncated` where a strip or tile holds zeros for compressed data."""
    tags = image.tag_v2  # read already: the first directory
    compression = tags.get(259)
    if compression not in (PACKBITS, JPEG_IN_TIFF, *CCITT, *DEFLATE):
        return None
    offsets, lengths = tags.get(273) or tags.get(324) or (), tags.get(279) or tags.get(325) or ()
    strips = (contents[offset : offset + length] for offset, length in zip(offsets, lengths, strict=False))
    doubtful = (strip for strip in strips if ZEROS in strip)
    return "truncated" if any(compression not in DEFLATE or not inflates(strip) for strip in doubtful) else None


def inflates(strip: bytes) -> bool:
    """Return whether deflated bytes, of which libtiff does not compare the checksum, are whole."""
    inflater = zlib.decompressobj()
    try:
        for _ in range(MOST_INFLATED // INFLATED_AT_ONCE):
            inflater.decompress(strip, INFLATED_AT_ONCE)
            strip = inflater.unconsumed_tail
            if not strip:
                break
    except zlib.error:
        return False
    return True
