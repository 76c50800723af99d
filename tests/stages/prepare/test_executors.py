"""Every executor writes the same bytes. One that cannot work gives an error of one line, and leaves nothing.

Every stage here is a process of its own, and so are Dask's scheduler and its workers.
"""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import joblib
import pytest
from joblib import parallel_config

from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from stages.prepare.decoding import Limits, Unusable, decoder_version
from stages.prepare.executors import read_on_worker, refuse_what_is_not_shared
from stages.prepare.folder_structure import Candidate
from stages.prepare.pixel_cache import PixelCache
from tests.conftest import PROJECT, Workspace, write_image
from tests.stages.prepare.conftest import COMMAND, PREPARED, environment, leftovers, prepared, run_stage, start_afresh
from tests.support.corpus import FAULTS, USABLE
from tests.support.dask_cluster import Cluster, cluster, wait_until
from tests.support.hold import Hold

IMAGES = 60
DIFFERENT = 10  # pictures of each class
NOWHERE = "tcp://127.0.0.1:9"  # the discard port, at which nothing listens


@pytest.fixture
def photographs(workspace: Workspace) -> Workspace:
    """A workspace with images, and some files that are none."""
    workspace.set(data__root="images", image__resize=64, image__crop=48)
    for class_name in ("ant", "bee"):
        for i in range(IMAGES // 2):
            path = Path(f"images/{class_name}/{i:03}.png")
            if i < DIFFERENT:
                write_image(path, seed=i + DIFFERENT * (class_name == "bee"), size=(80, 60))
            else:  # another file, and sooner written
                path.write_bytes((path.parent / f"{i % DIFFERENT:03}.png").read_bytes() + i.to_bytes(2, "big"))
    for name in ("empty.jpg", "text.jpg", "cut.png"):
        (Path("images/ant") / name).write_bytes(FAULTS[name][0])
    Path("images/ant/broken-link.png").symlink_to("nowhere.png")
    return workspace


@pytest.fixture
def expected(photographs: Workspace) -> dict[str, bytes]:
    """What is written without Dask. Nothing is left of it."""
    written = written_here()
    start_afresh()
    return written


@pytest.fixture
def hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hold:
    """Holds whoever reads an image in the middle, so that there is work left until it is released."""
    hold = Hold(tmp_path / "hold", "bee/015.png")
    for name, value in hold.environment().items():
        monkeypatch.setenv(name, value)
    return hold


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path / "dask") as running:
        yield running


def everything() -> dict[str, bytes]:
    """All that the stage writes and DVC holds, by name."""
    return prepared() | {"metrics": Path("metrics/prepare.json").read_bytes()}


def written_here() -> dict[str, bytes]:
    """Run the stage in this process, in threads, which start faster than processes; return what it wrote."""
    with parallel_config(backend="threading"):
        prepare.main()
    return everything()


def use(workspace: Workspace, address: str) -> None:
    workspace.set(data__executor="dask", data__scheduler=address)


def refused(workspace: Workspace, address: str) -> str:
    """Run the stage on a cluster that cannot do it; return the one line, after which nothing is left."""
    use(workspace, address)
    done = subprocess.run(COMMAND, env=environment(), capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 1, done.stderr
    return only_line(done.stderr)


def only_line(stderr: str) -> str:
    """Return the line with the error, which nothing may follow or precede but the progress bar."""
    *progress, line = stderr.replace("\r", "\n").strip().splitlines()
    assert all(text.startswith("decoding") or not text.strip() for text in progress), stderr
    assert line.startswith("error: ")
    assert leftovers() == set()
    assert not PREPARED.exists()
    return line


def begun(stage: subprocess.Popen, hold: Hold) -> int:
    """Wait until the stage has read some images and is held; return the process number of the worker that waits."""
    worker = hold.wait(stage)
    wait_until(lambda: any(path.stat().st_size for path in Path(".cache/prepare").rglob("*.facts")))
    return worker


def start() -> subprocess.Popen:
    return subprocess.Popen(COMMAND, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_every_executor_writes_the_same_bytes_for_good_and_broken_files(photographs: Workspace, dask: Cluster) -> None:
    photographs.set(data__max_unusable=1.0)
    for name, (contents, *_) in (USABLE | FAULTS).items():
        (Path("images/bee") / name).write_bytes(contents)
    assert run_stage()[0] == 0
    own = everything()
    start_afresh()
    use(photographs, dask.address)
    status, _, errors = run_stage()
    assert status == 0, errors
    assert everything() == own
    write_image(Path("images/bee/added.png"), seed=900)
    assert run_stage()[0] == 0  # all others are in the cache, found by hashes that the workers take
    with_added = everything()
    photographs.set(data__executor="loky", data__scheduler=None)
    start_afresh()
    assert written_here() == with_added
    assert with_added != own


@pytest.mark.slow
def test_a_worker_that_is_killed_halfway_changes_nothing(
    photographs: Workspace, expected: dict[str, bytes], hold: Hold, dask: Cluster
) -> None:
    use(photographs, dask.address)
    with start() as stage:
        at_work = begun(stage, hold)
        (killed,) = (worker for worker in dask.workers if worker.pid == at_work)
        killed.kill()
        killed.wait()
        hold.release()
        assert stage.wait() == 0, stage.stderr.read()
    assert everything() == expected
    assert leftovers() == set()
    (other,) = (worker for worker in dask.workers if worker is not killed)
    assert other.poll() is None


@pytest.mark.slow
def test_a_scheduler_that_is_lost_halfway_is_one_line_and_the_next_run_goes_on(
    photographs: Workspace, expected: dict[str, bytes], hold: Hold, dask: Cluster
) -> None:
    use(photographs, dask.address)
    with start() as stage:
        begun(stage, hold)
        dask.scheduler.kill()
        assert stage.wait(timeout=600) == 1
        assert f"data.scheduler: {dask.address} was lost" in only_line(stage.stderr.read())
    photographs.set(data__executor="loky", data__scheduler=None)
    assert written_here() == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("configuration", "killed", "message"),
    [
        ({"allowed_failures": "0"}, 1, "each worker that was to read some of the images was ended from outside"),
        ({"no_workers_timeout": "1s"}, 2, "has lost all its workers: start some"),
    ],
    ids=["more failures than Dask allows", "no worker left"],
)
def test_work_that_dask_gives_up_is_one_line_and_the_next_run_goes_on(
    photographs: Workspace,
    expected: dict[str, bytes],
    hold: Hold,
    tmp_path: Path,
    configuration: dict,
    killed: int,
    message: str,
) -> None:
    with cluster(tmp_path / "dask", **configuration) as strict:
        use(photographs, strict.address)
        with start() as stage:
            at_work = begun(stage, hold)
            for worker in sorted(strict.workers, key=lambda worker: worker.pid != at_work)[:killed]:
                worker.kill()
            assert stage.wait(timeout=600) == 1
            assert message in only_line(stage.stderr.read())
    photographs.set(data__executor="loky", data__scheduler=None)
    assert written_here() == expected


def test_the_workaround_is_for_this_version_of_joblib() -> None:
    # With another one: does joblib hear of a batch that Dask has given up, without `pass_failures_to_joblib`? The test
    # above, run without it, waits for ever if not.
    assert joblib.__version__ == "1.6.0"


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_half_written_and_the_workers_free_for_the_next_run(
    photographs: Workspace, expected: dict[str, bytes], hold: Hold, dask: Cluster
) -> None:
    use(photographs, dask.address)
    with start() as stage:
        begun(stage, hold)
        stage.send_signal(signal.SIGINT)
        hold.release()
        assert stage.wait(timeout=600) == 130
    assert leftovers() == set()
    assert not PREPARED.exists()
    assert run_stage()[0] == 0
    assert everything() == expected


@pytest.mark.slow
def test_a_scheduler_that_is_not_there_is_one_line(photographs: Workspace) -> None:
    assert f"data.scheduler: {NOWHERE} does not answer within 10 s: start `python -m dask" in refused(
        photographs, NOWHERE
    )


@pytest.mark.slow
def test_a_cluster_without_workers_is_one_line(photographs: Workspace, tmp_path: Path) -> None:
    with cluster(tmp_path / "dask", workers=0) as idle:
        assert f"data.scheduler: {idle.address} has no worker: start some" in refused(photographs, idle.address)


@pytest.mark.slow
def test_a_cluster_that_was_started_elsewhere_is_one_line(photographs: Workspace, tmp_path: Path) -> None:
    with cluster(tmp_path / "dask", project=tmp_path) as stranger:
        line = refused(photographs, stranger.address)
    assert "cannot run this project (No module named 'stages'): install requirements.txt" in line


@pytest.mark.slow
def test_workers_with_other_code_are_one_line(photographs: Workspace, tmp_path: Path) -> None:
    for package in ("plumbline", "stages"):
        shutil.copytree(PROJECT / package, tmp_path / "other" / package)
    with (tmp_path / "other/plumbline/images/decoded.py").open("a") as images:
        images.write("\n# Other pixels.\n")
    with cluster(tmp_path / "dask", project=tmp_path / "other") as older:
        assert "has another version of this project's code, or of Pillow" in refused(photographs, older.address)


@pytest.mark.slow
def test_workers_that_do_not_see_the_files_are_one_line(photographs: Workspace, dask: Cluster) -> None:
    # A path by which each process sees its own folder stands for one by which each machine sees its own disk.
    photographs.set(data__root="/proc/self/cwd/images")
    line = refused(photographs, dask.address)
    assert "a Dask worker cannot read /proc/self/cwd/images/" in line
    assert "(No such file or directory), this machine can: every worker needs the file system" in line


def test_a_worker_that_does_not_see_where_the_pixels_go_says_so(tmp_path: Path) -> None:
    image = write_image(tmp_path / "image.png")
    with pytest.raises(UserError, match=f"does not see {tmp_path}/none.pixels: every worker needs"):
        read_on_worker(decoder_version(), image, Limits(32, 10**6, 1), tmp_path / "none.pixels", 0)


def test_pixels_that_a_worker_wrote_and_that_do_not_arrive_are_noticed(tmp_path: Path) -> None:
    image = write_image(tmp_path / "image.png")
    candidate = Candidate(image, "image.png", None, "ant", None)
    limits = Limits(32, 10**6, 1)
    with PixelCache(tmp_path / "cache", "key", 32 * 32 * 3, 10**6) as cache:
        segment = cache.new_segment(2, tmp_path)
        result = read_on_worker(decoder_version(), image, limits, segment.path, segment.row_bytes)
        refuse_what_is_not_shared(candidate, result, segment, 1)
        with pytest.raises(UserError, match="does not hold here what a Dask worker wrote there"):
            refuse_what_is_not_shared(candidate, result, segment, 0)


def test_a_file_that_cannot_be_read_here_either_is_no_fault_of_the_worker(tmp_path: Path) -> None:
    candidate = Candidate(tmp_path / "none.png", "none.png", None, "ant", None)
    with PixelCache(tmp_path / "cache", "key", 3, 10**6) as cache:
        refuse_what_is_not_shared(candidate, Unusable("unreadable", "gone"), cache.new_segment(1, tmp_path), 0)
