"""The cache saves decoding and nothing else depends on it: it may be full, damaged, or deleted."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from joblib import parallel_config

from stages.prepare import __main__ as prepare
from stages.prepare import decoding
from stages.prepare.decoding import Limits, examine
from stages.prepare.pixel_cache import MAX_SEGMENTS, PixelCache
from tests.conftest import PROJECT, Workspace, write_data_set, write_image
from tests.stages.prepare.conftest import prepared

CACHE = Path(".cache/prepare")
AUDIT_TABLES = {f"audit/{name}.csv" for name in ("images", "quarantine", "counts", "shares", "clusters", "pixels")}


@pytest.fixture
def root(ready: Workspace) -> Iterator[Path]:
    """A data set; decoding stays in this process, in threads, so that it can be counted."""
    with parallel_config(backend="threading"):
        yield write_data_set(Path("images"))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is decoded, file by file."""
    calls = []
    examine = decoding.examine
    monkeypatch.setattr(
        decoding, "examine", lambda contents, limits: calls.append(contents) or examine(contents, limits)
    )
    return calls


def test_after_one_added_image_only_that_one_is_decoded(root: Path, decoded: list[bytes]) -> None:
    prepare.main()
    assert len(decoded) == 12
    added = write_image(root / "val/bee/added.png", seed=900)
    prepare.main()
    assert decoded[12:] == [added.read_bytes()]
    from_cache = prepared()
    shutil.rmtree(CACHE)
    prepare.main()
    assert prepared() == from_cache


def test_another_size_or_limit_is_decoded_anew(ready: Workspace, root: Path, decoded: list[bytes]) -> None:
    prepare.main()
    ready.set(image__resize=40)
    prepare.main()
    assert len(decoded) == 24
    ready.set(data__min_side=5)
    prepare.main()
    assert len(decoded) == 36


def test_without_a_cache_nothing_is_kept(ready: Workspace, root: Path) -> None:
    ready.set(data__cache_gib=0)
    prepare.main()
    assert not CACHE.exists()
    names = {"train.npy", "val.npy", "manifest.csv", "classes.json"}
    assert set(prepared()) == {f"prepared/{name}" for name in names} | AUDIT_TABLES


def test_a_damaged_cache_is_no_harm(root: Path, decoded: list[bytes]) -> None:
    prepare.main()
    expected = prepared()
    for path in CACHE.rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged" * 9)
    prepare.main()
    assert prepared() == expected


@pytest.mark.parametrize("suffix", [".pixels", ".facts"])
@pytest.mark.parametrize("position", [0, 70, 1000, 20_000])
def test_one_flipped_bit_costs_at_most_the_image_that_it_is_in(
    root: Path, decoded: list[bytes], suffix: str, position: int
) -> None:
    prepare.main()
    expected = prepared()
    (path,) = CACHE.rglob(f"*{suffix}")
    contents = bytearray(path.read_bytes())
    contents[position % len(contents)] ^= 4
    path.write_bytes(contents)
    prepare.main()
    assert len(decoded) in (12, 13)
    assert prepared() == expected


def test_what_a_killed_run_had_written_is_used_and_what_it_had_not_is_decoded(root: Path, decoded: list[bytes]) -> None:
    prepare.main()
    expected = prepared()
    (facts,) = CACHE.rglob("*.facts")
    lines = facts.read_bytes().splitlines(keepends=True)
    facts.write_bytes(b"".join(lines[:5]) + lines[5][:200])
    prepare.main()
    assert len(decoded) == 12 + 7
    assert prepared() == expected


def fill(folder: Path, limit: int, rows: int, seed: int = 0) -> None:
    """Use the cache in a run of its own that adds this many images of 48 KiB."""
    limits = Limits(128, 10**8, 1)
    with PixelCache(folder, "key", 128 * 128 * 3, limit) as cache:
        segment = cache.new_segment(rows, folder)
        for row in range(rows):
            path = write_image(folder / "image.png", seed=1000 * seed + row)
            facts, pixels = examine(path.read_bytes(), limits)
            segment.add(facts, row, len(pixels))


def held(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in (".pixels", ".facts"))


def test_the_cache_stays_below_its_limit_and_the_longest_unused_makes_way(tmp_path: Path) -> None:
    fill(tmp_path, 10**6, 8)
    (first,) = tmp_path.rglob("*.pixels")
    fill(tmp_path, 10**6, 8, seed=1)
    assert first.exists()
    os.utime(first, (0, 0))
    fill(tmp_path, 10**6, 8, seed=2)
    assert not first.exists()
    assert 10**6 / 2 < held(tmp_path) <= 10**6
    fill(tmp_path, 10**5, 4, seed=3)
    assert held(tmp_path) == 0


def test_of_many_small_segments_some_make_way(tmp_path: Path) -> None:
    for seed in range(MAX_SEGMENTS + 3):
        fill(tmp_path, 10**9, 2 if seed == 0 else 1, seed)
    sizes = sorted(path.stat().st_size for path in tmp_path.rglob("*.pixels"))
    assert len(sizes) == MAX_SEGMENTS
    assert sizes[-1] == 2 * 128 * 128 * 3  # the largest stays


def test_what_another_run_is_writing_to_does_not_make_way(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from stages.prepare.pixel_cache import PixelCache
with PixelCache(Path({str(tmp_path)!r}), "key", 1000, 10**9) as cache:
    print(cache.new_segment(5, Path()).path, flush=True)
    sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        theirs = Path(other.stdout.readline().strip())
        fill(tmp_path, 1, 1)
        assert list(tmp_path.rglob("*.pixels")) == [theirs]
        other.stdin.write("\n")
    fill(tmp_path, 1, 1)
    assert list(tmp_path.rglob("*.pixels")) == []


def test_a_cache_that_cannot_be_written_is_no_harm(root: Path) -> None:
    prepare.main()
    expected = prepared()
    shutil.rmtree(".cache")
    Path(".cache").write_text("a file where the folder should be")
    prepare.main()
    assert prepared() == expected


def test_experiments_in_temporary_folders_share_the_cache(
    ready: Workspace, root: Path, decoded: list[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    prepare.main()
    monkeypatch.setenv("DVC_ROOT", str(ready.folder))
    shutil.copytree(ready.folder, tmp_path / "experiment", ignore=shutil.ignore_patterns(".cache"))
    monkeypatch.chdir(tmp_path / "experiment")
    prepare.main()
    assert len(decoded) == 12


def test_a_change_of_any_module_that_decodes_is_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(PROJECT / "plumbline" / "images", tmp_path / "plumbline" / "images")
    monkeypatch.setattr(decoding, "PROJECT", tmp_path)
    versions = {decoding.decoder_version.__wrapped__()}
    modules = sorted((tmp_path / "plumbline" / "images").glob("*.py"))
    for module in modules:
        module.write_text(module.read_text() + "\n# Other pixels.\n")
        versions.add(decoding.decoder_version.__wrapped__())
    assert len(versions) == 1 + len(modules)
