"""A run that is cut short goes on where it was, and ends with the same bytes as one that never was disturbed."""

import errno
import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch

from plumbline.params.all import AllParams
from plumbline.run import params_file
from plumbline.run.errors import UserError
from stages.finetune import __main__ as finetune
from stages.finetune import checkpoint_files
from stages.finetune.checkpoint_files import Checkpoints, checkpoint_root
from stages.finetune.training_setup import read_setup
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_image
from tests.support.forked import Forked, finish, start
from tests.support.hold import Hold
from tests.support.models import SMALL
from tests.support.projects import run_in
from tests.support.together import OUTPUTS, STAGE, written

KILLS = 20


def undisturbed() -> tuple[bytes, ...]:
    """Run the stage to its end, remove what it wrote, and return it."""
    finish(start(STAGE))
    result = written()
    remove_outputs()
    return result


def remove_outputs() -> None:
    for path in OUTPUTS:
        path.unlink()
    for lock in Path(".checkpoints").rglob("*.lock"):
        lock.unlink()


def wait_for(pattern: str, stage: Forked) -> None:
    """Wait until there is such a file among the checkpoints, or the stage has ended."""
    while not list(Path(".checkpoints").rglob(pattern)) and stage.is_running():
        time.sleep(0.005)


@pytest.mark.slow
def test_killed_at_twenty_random_moments_it_ends_with_the_same_bytes(eleven: Workspace) -> None:
    eleven.set(finetune__epochs=12, finetune__checkpoint_steps=2)
    wanted = undisturbed()
    chance, longest, kills = random.Random(0), 0.5, 0
    while kills < KILLS:
        for lock in Path(".checkpoints").rglob("*.lock"):
            lock.unlink()
        stage = start(STAGE)
        wait_for("*.lock", stage)
        time.sleep(chance.uniform(0, longest))
        if stage.is_running():
            stage.kill()
            kills += 1
        else:  # it was sooner done than killed often enough: begin again, and kill sooner
            finish(stage)
            assert written() == wanted
            remove_outputs()
            longest /= 2
    finish(start(STAGE))
    assert written() == wanted
    assert not list(Path(".checkpoints").rglob("*.pt"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_checkpoint_and_one_line(
    eleven: Workspace, tmp_path: Path, number: signal.Signals
) -> None:
    eleven.set(finetune__epochs=4)
    wanted = undisturbed()
    hold = Hold(tmp_path / "hold", "state.partial.pt")
    stage = start(STAGE, **hold.environment())
    hold.wait(stage)  # after the first epoch
    os.kill(stage.pid, number)
    hold.release()
    status, output, errors = stage.wait()
    assert status == 128 + number, output + errors
    assert "Traceback" not in output + errors
    assert errors.splitlines()[-1] == "interrupted; the state is saved: run the stage again, and it goes on from there"
    assert not Path("models/finetuned.safetensors").exists()
    assert "resuming in epoch" in finish(start(STAGE))
    assert written() == wanted


def lock_of(experiment: str, project: Path) -> str:
    """Return an experiment's dvc.lock, which names the hash of everything that it wrote."""
    (ref,) = run_in(project, "git", "for-each-ref", "--format=%(refname)", f"refs/exps/**/{experiment}").stdout.split()
    return run_in(project, "git", "show", f"{ref}:dvc.lock").stdout


def wait_for_workers(project: Path) -> None:
    """Wait until no worker of DVC's queue runs: one that is about to end takes a task, and never finishes it."""
    for file in (project / ".dvc" / "tmp" / "exps" / "celery").glob("*.pid"):
        with suppress(psutil.NoSuchProcess, ValueError):
            psutil.Process(int(file.read_text())).wait(timeout=600)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--temp", "--queue"])
def test_an_experiment_killed_outside_the_workspace_goes_on_when_it_is_run_again(
    tiny_copy: Path, tmp_path: Path, way: str
) -> None:
    def experiment_of(name: str) -> list[str]:
        return ["dvc", "exp", "run", "--name", name, "--set-param", "finetune.epochs=3", "finetune"]

    def command(name: str) -> list[str]:
        """Return what runs an experiment, to finetune's end; queued ones are queued here."""
        experiment = [*experiment_of(name), way]
        if way == "--temp":
            return experiment
        run_in(tiny_copy, *experiment)
        return ["dvc", "exp", "run", "--run-all"]

    hold = Hold(tmp_path / "hold", "state.partial.pt", skip=2)  # each checkpoint is opened twice
    environment = os.environ | hold.environment()
    with subprocess.Popen(
        command("killed"), cwd=tiny_copy, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as experiment:
        stage = hold.wait(experiment)
        assert list((tiny_copy / ".checkpoints").rglob("state.pt"))  # the first epoch's
        os.kill(stage, signal.SIGKILL)
        hold.release()
    wait_for_workers(tiny_copy)
    done = run_in(tiny_copy, *command("again"))
    assert "resuming in epoch" in done.stdout + done.stderr
    shutil.rmtree(tiny_copy / ".dvc" / "cache" / "runs")  # or it would be fetched from there
    run_in(tiny_copy, *experiment_of("calm"))
    assert lock_of("again", tiny_copy) == lock_of("calm", tiny_copy)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_set_aside_and_training_starts_afresh(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finetune.main()
    wanted = written()
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "remove", lambda self: None)
        finetune.main()
    (path,) = Path(".checkpoints").rglob("state.pt")
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"no checkpoint"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(damaged)
        capsys.readouterr()
        finetune.main()
        assert capsys.readouterr().err.count("the checkpoint cannot be used") == 1
        assert written() == wanted


def test_a_checkpoint_that_cannot_be_read_now_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with Checkpoints(tmp_path, "a" * 64) as checkpoints:
        checkpoints.save({"progress": torch.ones(3)})
        with monkeypatch.context() as patched, pytest.raises(UserError, match="cannot be read .*Input/output error"):
            patched.setattr(torch, "load", fail)
            checkpoints.load()
        assert torch.equal(checkpoints.load()["progress"], torch.ones(3))


def test_a_checkpoint_of_another_run_is_not_taken(tmp_path: Path) -> None:
    with Checkpoints(tmp_path, "a" * 64) as first:
        first.save({"progress": torch.ones(3)})
        assert torch.equal(first.load()["progress"], torch.ones(3))
    # The same folder by its first letters, and yet another run.
    with Checkpoints(tmp_path, "a" * 63 + "b") as second:
        assert second.load() is None


def test_a_second_process_is_kept_out_with_one_line(ready: Workspace) -> None:
    with (
        Checkpoints(checkpoint_root(), fingerprint()),
        pytest.raises(UserError, match="another process is training this very run"),
    ):
        finetune.main()


def fingerprint() -> str:
    """Return the fingerprint of the run that params.yaml and the prepared images ask for."""
    settings = params_file.load(AllParams)
    (found,) = finetune.fingerprints_of(settings, read_setup(settings, SMALL), [settings.seed])
    return found


@pytest.mark.parametrize(
    ("change", "kept"),
    [({"finetune__lr": 0.01}, False), ({"seed": 1}, False), ({"finetune__checkpoint_steps": 1}, True)],
)
def test_the_fingerprint_follows_what_the_result_follows_from(ready: Workspace, change: dict, kept: bool) -> None:
    before = fingerprint()
    ready.set(**change)
    assert (fingerprint() == before) == kept


def test_another_version_of_timm_is_another_run(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint()
    monkeypatch.setattr(checkpoint_files, "version", lambda name: {"timm": "0.0.1"}[name])
    assert fingerprint() != before


def test_however_many_seeds_there_are_each_input_is_read_once(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    monkeypatch.setattr(finetune, "sha256_of", lambda path: read.append(path) or path.name)
    settings = params_file.load(AllParams)
    found = finetune.fingerprints_of(settings, read_setup(settings, SMALL), range(5))
    assert len(set(found)) == 5
    assert len(read) == len(set(read)) > 3


@pytest.mark.medium
def test_what_is_not_trained_on_is_not_part_of_the_fingerprint(ready: Workspace) -> None:
    before = fingerprint()
    Path("images/train/ant/broken.png").write_bytes(b"broken")
    ready.set(data__max_pixels=1_000_000)
    prepare.main()
    assert fingerprint() == before
    write_image(Path("images/train/ant/another.png"), seed=77)
    prepare.main()
    assert fingerprint() != before
