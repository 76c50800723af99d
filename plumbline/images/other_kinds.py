"""Name the kind of a file that is whole, and not an image that can be decoded: camera raw, HEIC, PDF, video, TIFF."""

import struct

HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")

# The place of the first bytes, the bytes, the kind.
SIGNATURES = (
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "PostScript"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"v/1\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"gimp xcf", "a GIMP image"),
    (0, b"8BPS\0\2", "a large Photoshop document"),
    (0, b"BPG\xfb", "BPG"),
    (128, b"DICM", "DICOM"),
    (0, b"FUJIFILMCCD-RAW", "a camera raw file"),
    (0, b"IIRO", "a camera raw file"),
    (0, b"IIRS", "a camera raw file"),
    (0, b"MMOR", "a camera raw file"),
    (0, b"IIU\0", "a camera raw file"),
    (0, b"\0MRM", "a camera raw file"),
    (0, b"FOVb", "a camera raw file"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (8, b"AVI ", "an AVI video"),
    (0, b"\0\0\1\xba", "an MPEG video"),
    (0, b"FLV\1", "a Flash video"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media video"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x89HDF\r\n", "HDF5"),
    (0, b"PK\3\4", "a zip archive or an office document"),
    (0, b"7z\xbc\xaf", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
)

RAW_PHOTOMETRIC = (32803, 34892)  # a colour filter array, linear raw (TIFF/EP; DNG specification)
DNG_VERSION, SUBFILE_TYPE, SUB_DIRECTORIES = 50706, 254, 330
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS, SAMPLES, LENGTHS = 256, 257, 258, 259, 262, 273, 277, 279


def other_kind(contents: bytes) -> str | None:
    """Return what a file is that no decoder recognises, in words, or None if it is not known."""
    if contents[4:8] == b"ftyp":
        brand = contents[8:12]
        if brand in HEIC_BRANDS:
            return "HEIC, which Pillow does not decode"
        if brand == b"crx ":
            return "a camera raw file"
        return None if brand in AVIF_BRANDS else "an MP4 or QuickTime video"
    if contents.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, for which `git lfs pull` fetches the file"
    start = contents[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start:
        return "an SVG drawing"
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    return next((kind for at, signature, kind in SIGNATURES if contents[at : at + len(signature)] == signature), None)


def unsupported_tiff(contents: bytes, *, readable: bool) -> str | None:
    """Return the kind of a TIFF of whose first directory no image can be made, or None.

    A camera raw file is a TIFF whose first directory often is a preview, which is `readable`. Of other TIFFs this tells
    the kind of those that are whole and cannot be read.
    """
    try:
        tags = first_directory(contents)
    except struct.error:
        return None
    if (
        contents[8:11] == b"CR\2"
        or DNG_VERSION in tags
        or tags.get(PHOTOMETRIC) in RAW_PHOTOMETRIC
        or (tags.get(SUBFILE_TYPE) == 1 and SUB_DIRECTORIES in tags)
    ):
        return "a camera raw file"
    if readable or not {WIDTH, HEIGHT, OFFSETS, LENGTHS} <= tags.keys():
        return None
    if 0 in (tags[WIDTH], tags[HEIGHT]) or max(tags[OFFSETS], tags[OFFSETS] + tags[LENGTHS]) > len(contents):
        return None
    known = {BITS: "bits", SAMPLES: "bands", COMPRESSION: "compression", PHOTOMETRIC: "photometric interpretation"}
    return "TIFF with " + ", ".join(f"{name} {tags[tag]}" for tag, name in known.items() if tag in tags)


def first_directory(contents: bytes) -> dict[int, int]:
    """Return the first value of each tag of whole numbers in a TIFF's first directory. Raises struct.error.

    Source: TIFF 6.0, section 2.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(contents[:4])
    if order is None:
        return {}
    start = struct.unpack_from(f"{order}I", contents, 4)[0]
    tags = {}
    for entry in range(struct.unpack_from(f"{order}H", contents, start)[0]):
        place = start + 2 + 12 * entry
        tag, kind, count = struct.unpack_from(f"{order}HHI", contents, place)
        form = {1: "B", 3: "H", 4: "I"}.get(kind)
        if form and count:
            size = struct.calcsize(form) * count
            where = place + 8 if size <= 4 else struct.unpack_from(f"{order}I", contents, place + 8)[0]
            tags[tag] = struct.unpack_from(f"{order}{form}", contents, where)[0]
    return tags
