"""Killed at any moment, or on a full disk: outputs are whole or absent, and the next run is as if nothing had been."""

import functools
import random
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Workspace, write_image
from tests.stages.prepare.conftest import (
    AUDIT,
    COMMAND,
    PREPARED,
    STAGE,
    environment,
    leftovers,
    prepared,
    run,
    run_stage,
    start_afresh,
)
from tests.support.forked import start
from tests.support.hold import Hold

IMAGES = 48
SIZE = 96  # pixels
PIXELS = IMAGES * SIZE * SIZE * 3  # bytes that all of them have when they are prepared


@functools.cache
def run_to_the_end() -> tuple[dict[str, bytes], float]:
    """Run in the current directory, and return what that writes, and how many seconds it takes; it hangs on no folder."""
    assert run_stage()[0] == 0  # the first may wait for the forking server's imports
    start_afresh()
    begin = time.monotonic()
    assert run_stage()[0] == 0
    seconds = time.monotonic() - begin
    expected = prepared()
    start_afresh()
    return expected, seconds


@pytest.fixture
def undisturbed(workspace: Workspace) -> tuple[dict[str, bytes], float]:
    """What an undisturbed run writes, and how many seconds it takes, in a workspace with nothing but the images."""
    workspace.set(data__root="images", image__resize=SIZE, image__crop=SIZE)
    for i in range(IMAGES):
        write_image(Path(f"images/{'ant' if i % 2 else 'bee'}/{i}.png"), seed=i, size=(160, 120))
    return run_to_the_end()


@pytest.mark.slow
def test_killed_at_six_random_moments_it_leaves_whole_outputs_or_none(undisturbed: tuple) -> None:
    expected, seconds = undisturbed
    moments = random.Random(0)
    for attempt in range(6):
        start_afresh()
        if attempt % 2:  # by hand, on top of an earlier output
            assert run_stage()[0] == 0
        stage = start(STAGE)
        time.sleep(moments.uniform(0.2, 1) * seconds)
        stage.kill()
        for folder in (PREPARED, AUDIT):
            whole = {name: value for name, value in expected.items() if name.startswith(f"{folder.name}/")}
            assert not folder.exists() or whole.items() <= prepared().items()
        assert run_stage()[0] == 0
        assert prepared() == expected
        assert leftovers() == set()


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1000, PIXELS // 2], ids=["no file at all", "not the pixels"])
def test_with_files_limited_in_size_it_says_so_and_leaves_nothing(undisturbed: tuple, limit: int) -> None:
    expected, _ = undisturbed
    done = run(COMMAND, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "File too large; nothing was left half-written" in done.stderr
    assert not PREPARED.exists()
    assert leftovers() == set()
    assert run_stage()[0] == 0
    assert prepared() == expected


def small_disk(folder: str, size: int) -> list[str]:
    """Return the command for a run with a disk of `size` bytes at `folder`, which says what is left there."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    script = f'mount -t tmpfs -o size={size} tmpfs {folder} && "$@"; status=$?; find data; exit $status'
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", *COMMAND]


def machine_allows_small_disks() -> bool:
    done = run(["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
    return done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [PIXELS // 10, PIXELS * 9 // 10], ids=["not one array", "not all arrays"])
def test_on_a_full_disk_it_says_so_and_leaves_nothing(undisturbed: tuple, size: int) -> None:
    expected, _ = undisturbed
    if machine_allows_small_disks():
        done = run(small_disk("data", size))
        assert "No space left on device; nothing was left half-written" in done.stderr
        assert done.stdout.splitlines() == ["data"]
    else:
        done = run(COMMAND, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2)))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert run_stage()[0] == 0
    assert prepared() == expected


@pytest.mark.slow
def test_a_full_disk_below_the_cache_is_no_harm(undisturbed: tuple) -> None:
    expected, _ = undisturbed
    command = small_disk(".cache", PIXELS // 8) if machine_allows_small_disks() else COMMAND
    assert run(command).returncode == 0
    assert prepared() == expected


@pytest.mark.slow
def test_of_an_interrupted_run_what_was_decoded_is_not_decoded_again(undisturbed: tuple, tmp_path: Path) -> None:
    expected, _ = undisturbed
    hold = Hold(tmp_path / "hold", f"bee/{IMAGES - 2}.png")
    own = environment() | hold.environment()
    with subprocess.Popen(COMMAND, env=own, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as stage:
        hold.wait(stage)
        while not any(path.stat().st_size for path in Path(".cache").rglob("*.facts")):
            assert stage.poll() is None
            time.sleep(0.005)
        stage.send_signal(signal.SIGINT)
        hold.release()
    assert stage.returncode == 130
    assert leftovers() == set()
    (facts,) = Path(".cache").rglob("*.facts")
    assert facts.read_bytes().count(b"\n") >= 1
    assert run_stage()[0] == 0
    assert prepared() == expected
