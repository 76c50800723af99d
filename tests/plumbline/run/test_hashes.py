"""The hash is sha256's."""

from pathlib import Path

from plumbline.run.hashes import sha256_of


def test_the_hash_of_abc_is_the_standards(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
