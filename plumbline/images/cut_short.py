"""Find images of which the decoder, or an interrupted copy, has filled in a part.

Many decoders go on where a file's data end: libjpeg gives grey and no error. And where a download or a copy stopped,
the rest of a file may be zeros. Compressed data hold no long runs of zeros, with the exceptions named below.
"""

import re
import struct
import zlib

from PIL import Image

from plumbline.images.cut_short_jpeg import FILLER, ZERO_RUN, ZEROS, filled_in_jpeg, same_pixels

PNG_SIGNATURE = rb"\x89PNG\r\n\x1a\n"

# Of VP8 (lossy WebP), in bytes a macroblock. Flat areas become zeros: 873 bytes in one run, of 35,344 macroblocks.
VP8_ZEROS = 0.1

# TIFF's compressions in which zeros decode without an error; those of facsimile are 2, 3 and 4.
PACKBITS, JPEG_IN_TIFF, CCITT, DEFLATE = 32773, 7, (2, 3, 4), (8, 32946)
MOST_INFLATED, INFLATED_AT_ONCE = 2**30, 2**20  # bytes


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
    starts = (match.start() for match in re.finditer(PNG_SIGNATURE, contents))
    pngs = (contents[start:] for start in starts if struct.unpack_from(">II", contents, start + 16) == image.size)
    return next((reason for png in pngs if (reason := filled_in_png(png, image))), None)


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
