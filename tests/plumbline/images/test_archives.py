"""Archives are extracted whole; hostile ones are refused with one line, and nothing lands outside of the folder."""

import bz2
import gzip
import io
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plumbline.images import archives
from plumbline.images.archives import BoundedReader, extract
from plumbline.run.errors import UserError
from tests.conftest import write_data_set


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "bztar", "xztar"])
def test_what_was_packed_is_extracted(kind: str) -> None:
    write_data_set(Path("in"))
    extract(Path(shutil.make_archive("packed", kind, "in")), Path("out"))
    files = {path.relative_to("in"): path.read_bytes() for path in Path("in").rglob("*.png")}
    assert {path.relative_to("out"): path.read_bytes() for path in Path("out").rglob("*.png")} == files


def write_zip(entries: dict[str, bytes]) -> None:
    with zipfile.ZipFile("bad.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, contents in entries.items():
            packed.writestr(name, contents)


def write_tar(*members: tarfile.TarInfo) -> None:
    with tarfile.open("bad.tar", "w") as packed:
        for member in members:
            packed.addfile(member, io.BytesIO(b"x" * member.size))


def member(name: str, type_: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = type_, link, 1 if type_ == tarfile.REGTYPE else 0
    return info


def zip_link() -> None:
    info = zipfile.ZipInfo("ant/link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile("bad.zip", "w") as packed:
        packed.writestr(info, "/etc/passwd")


def zip_with_one_name_twice() -> None:
    with zipfile.ZipFile("bad.zip", "w") as packed, pytest.warns(UserWarning, match="Duplicate name"):
        packed.writestr("ant/1.png", b"a")
        packed.writestr("ant/1.png", b"b")


def zip_patched(old: bytes, new: bytes) -> Callable[[], None]:
    """Write a zip whose entry's name is replaced afterwards, byte by byte."""

    def write() -> None:
        write_zip({old.decode(): b"x"})
        Path("bad.zip").write_bytes(Path("bad.zip").read_bytes().replace(old, new))

    return write


def encrypted_zip() -> None:
    write_zip({"ant/1.png": b"x" * 40})
    contents = bytearray(Path("bad.zip").read_bytes())
    contents[6] |= 1  # the flag in the local header, and in the central directory
    contents[contents.index(b"PK\x01\x02") + 8] |= 1
    Path("bad.zip").write_bytes(contents)


KINDS = {".zip": "zip", ".gz": "gztar", ".bz2": "bztar", ".xz": "xztar"}


def packed(name: str) -> bytes:
    write_data_set(Path("in"))
    return Path(shutil.make_archive("whole", KINDS[Path(name).suffix], "in")).read_bytes()


def truncated(name: str) -> Callable[[], None]:
    def write() -> None:
        contents = packed(name)
        Path(name).write_bytes(contents[: len(contents) // 2])

    return write


def damaged(name: str) -> Callable[[], None]:
    """Write an archive of which a byte in the middle is another one."""

    def write() -> None:
        contents = bytearray(packed(name))
        contents[len(contents) // 2] ^= 0xFF
        Path(name).write_bytes(contents)

    return write


def zip_by(method: int) -> Callable[[], None]:
    """Write a zip that another method compresses, of which each byte unpacks to thousands."""

    def write() -> None:
        with zipfile.ZipFile("bad.zip", "w", method) as packed:
            packed.writestr("ant/1.png", bytes(10**6))

    return write


def zip_with_a_zero_byte_for_a_name() -> None:
    write_zip({"a.png": b"x"})
    Path("bad.zip").write_bytes(Path("bad.zip").read_bytes().replace(b"a.png", b"\0.png"))


def nameless_zip() -> None:
    empty = zipfile.ZipInfo("x")
    empty.filename = empty.orig_filename = ""
    with zipfile.ZipFile("bad.zip", "w") as packed:
        packed.writestr(empty, b"x")


def tar_with_pax_headers(**headers: str) -> Callable[[], None]:
    def write() -> None:
        info = member("ant/1.png")
        info.pax_headers = {key.replace("__", "."): value for key, value in headers.items()}
        with tarfile.open("bad.tar", "w", format=tarfile.PAX_FORMAT) as packed:
            packed.addfile(info, io.BytesIO(b"x"))

    return write


def tar_and_much_behind_it() -> None:
    write_tar(member("ant/1.png"))
    Path("bad.tar.bz2").write_bytes(bz2.compress(Path("bad.tar").read_bytes()) + bz2.compress(bytes(10**8)))


def tar_with_a_long_name_of_zeros() -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 10**8
    with gzip.open("bad.tar.gz", "wb") as packed:
        packed.write(info.tobuf(tarfile.GNU_FORMAT))
        packed.write(bytes(10**8))


HOSTILE = {
    "climbs out of a zip": ("bad.zip", lambda: write_zip({"ant/../../out.png": b"x"}), "climbs out"),
    "absolute in a zip": ("bad.zip", lambda: write_zip({"/tmp/plumbline-out.png": b"x"}), "absolute path"),
    "of Windows": ("bad.zip", zip_patched(b"ant/bac.png", b"C:\\back.png"), "absolute path, or one of Windows"),
    "climbs out of a tar": ("bad.tar", lambda: write_tar(member("ant/../../out.png")), "climbs out"),
    "absolute in a tar": ("bad.tar", lambda: write_tar(member("/tmp/plumbline-out.png")), "absolute path"),
    "link in a zip": ("bad.zip", zip_link, "is a link"),
    "link in a tar": ("bad.tar", lambda: write_tar(member("ant/a", tarfile.SYMTYPE, "/etc")), "is a link"),
    "hard link": ("bad.tar", lambda: write_tar(member("ant/a", tarfile.LNKTYPE, "/etc/passwd")), "is a link"),
    "device": ("bad.tar", lambda: write_tar(member("ant/a", tarfile.CHRTYPE)), "is neither a file nor a folder"),
    "ratio bomb": ("bad.zip", lambda: write_zip({f"ant/{i}.png": bytes(10**7) for i in range(5)}), "a bomb"),
    "not UTF-8 in a zip": ("bad.zip", zip_patched(b"ant/name.png", b"ant/n\xff\xfee.png"), "not UTF-8"),
    "not UTF-8 in a tar": ("bad.tar", lambda: write_tar(member("ant/n\udcff.png")), "not UTF-8"),
    "twice in a zip": ("bad.zip", zip_with_one_name_twice, "is there twice"),
    "twice in a tar": ("bad.tar", lambda: write_tar(member("ant/1"), member("ant/1")), "is there twice"),
    "in a file": ("bad.tar", lambda: write_tar(member("ant"), member("ant/1")), "lies in a file"),
    "encrypted": ("bad.zip", encrypted_zip, "is encrypted"),
    "bzip2 in a zip": ("bad.zip", zip_by(zipfile.ZIP_BZIP2), "by a method other than deflate"),
    "LZMA in a zip": ("bad.zip", zip_by(zipfile.ZIP_LZMA), "by a method other than deflate"),
    "no name in a zip": ("bad.zip", nameless_zip, "has no name"),
    "a zero byte for a name in a zip": ("bad.zip", zip_with_a_zero_byte_for_a_name, "has no name"),
    "a drive of Windows": ("bad.zip", lambda: write_zip({"C:evil.png": b"x"}), "one of Windows"),
    "deep": ("bad.zip", lambda: write_zip({"a/" * 1100 + "1.png": b"x"}), "has a name of 2,205 bytes"),
    "deep with short names": (
        "bad.zip",
        lambda: write_zip({"a/" * 60 + "1.png": b"x"}),
        "lies in more than 50 folders",
    ),
    "a long name": ("bad.tar", lambda: write_tar(member("ant/" + "n" * 256)), "a part of more than 255 bytes"),
    "negative size": ("bad.tar", tar_with_pax_headers(size="-1000"), "has a size below 0|is damaged"),
    "very negative size": ("bad.tar", tar_with_pax_headers(size="-1000000"), "has a size below 0|is damaged"),
    "sparse": ("bad.tar", tar_with_pax_headers(GNU__sparse__map="0,1", GNU__sparse__size="1000"), "is sparse"),
    "much behind a tar's end": ("bad.tar.bz2", tar_and_much_behind_it, "a bomb"),
    "a pax header of megabytes": ("bad.tar", tar_with_pax_headers(comment="x" * 2 * 10**6), "has a header of 2,0"),
    "a long name of megabytes": ("bad.tar.gz", tar_with_a_long_name_of_zeros, "has a header of 100,0"),
    "truncated zip": ("cut.zip", truncated("cut.zip"), "is neither a folder nor a whole .zip"),
    "truncated tar.gz": ("cut.tar.gz", truncated("cut.tar.gz"), "is damaged"),
    **{
        f"damaged {name}": (name, damaged(name), "is damaged|nor a whole")
        for name in ("bad.tar.gz", "bad.tar.bz2", "bad.tar.xz")
    },
    "no archive": ("text.zip", lambda: Path("text.zip").write_text("x"), "is neither a folder nor a whole .zip"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused_in_one_line_and_writes_nothing_outside(case: str) -> None:
    name, write, message = HOSTILE[case]
    write()
    before = set(Path("..").rglob("*"))
    with pytest.raises(UserError, match=message) as error:
        extract(Path(name), Path("out"))
    assert "\n" not in str(error.value)
    shutil.rmtree("out")
    assert set(Path("..").rglob("*")) == before
    assert not Path("/tmp/plumbline-out.png").exists()


def test_a_zip_that_says_less_than_it_unpacks_to_is_refused() -> None:
    write_zip({"ant/1.png": bytes(10**6), "bee/1.png": b"x"})
    contents = Path("bad.zip").read_bytes()
    Path("bad.zip").write_bytes(contents.replace((10**6).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    with pytest.raises(UserError, match="is damaged"):
        extract(Path("bad.zip"), Path("out"))


def test_a_total_above_the_limit_is_refused_whatever_the_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1000)
    write_zip({"ant/1.png": np.random.default_rng(0).bytes(2000)})
    with pytest.raises(UserError, match="unpacks to at least 2,000, a bomb"):
        extract(Path("bad.zip"), Path("out"))


def test_a_tar_of_a_tebibyte_is_read_to_its_end_marker_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    write_tar(member("ant/1.png"))
    os.truncate("bad.tar", 2**40)
    read, taken = BoundedReader.read, []

    def counted(reader: BoundedReader, size: int = -1) -> bytes:
        taken.append(size)
        assert len(taken) < 100
        return read(reader, size)

    monkeypatch.setattr(BoundedReader, "read", counted)
    extract(Path("bad.tar"), Path("out"))
    assert [path.name for path in Path("out").rglob("*.png")] == ["1.png"]
