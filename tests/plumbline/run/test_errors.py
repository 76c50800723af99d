"""A user's mistake is one line and a non-zero exit; our own keeps its traceback."""

import errno
import mmap
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from plumbline.run.errors import UserError, run
from tests.conftest import PROJECT


def fail_with(error: BaseException) -> None:
    def main() -> None:
        raise error

    run(main)


def test_a_users_mistake_ends_with_one_line_whatever_the_names_in_it_hold() -> None:
    with pytest.raises(SystemExit) as exit_:
        fail_with(UserError("data/a\nb\x1b[31m: no such folder"))
    assert exit_.value.code == "error: data/a\\nb\\x1b[31m: no such folder"


def test_a_full_disk_names_the_file_and_a_programming_error_is_not_hidden() -> None:
    with pytest.raises(SystemExit) as exit_:
        fail_with(OSError(errno.ENOSPC, "No space left on device", "data/x.npy"))
    assert exit_.value.code.startswith("error: data/x.npy: No space left on device")
    for error in (ValueError("shape"), OSError(errno.ENOENT, "No such file"), AssertionError()):
        with pytest.raises(type(error)):
            fail_with(error)


@pytest.mark.parametrize("printed", ["'x' * 1_000_000", "'one line'"])
def test_output_that_nobody_reads_to_its_end_gives_no_traceback(printed: str) -> None:
    program = f"from plumbline.run.errors import run; input(); run(lambda: print({printed}))"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, cwd=PROJECT) as process:  # each a pipe
        process.stdout.close()
        _, said = process.communicate(b"\n")
    assert (said, process.returncode) == (b"", 1)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_standard_stream_that_is_closed_is_one_that_leads_nowhere(closed: str) -> None:
    program = "import sys; from plumbline.run.errors import run\n"
    program += (
        "def main(): print(sys.stdin.read()); sys.stdout.reconfigure(newline=''); sys.stderr.write('told')\nrun(main)"
    )
    command = ["sh", "-c", f'"$0" -c "$1" {closed}', sys.executable, program]
    done = subprocess.run(command, input="read", capture_output=True, text=True, cwd=PROJECT, check=True)
    assert (done.stdout, done.stderr) == {
        "<&-": ("\n", "told"), ">&-": ("", "told"), "2>&-": ("read\n", "")
    }[closed]  # fmt: skip


def test_a_pipe_within_the_program_that_breaks_is_not_hidden() -> None:
    program = "from plumbline.run.errors import run\ndef main(): raise BrokenPipeError\nrun(main)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=PROJECT, check=False)
    assert done.stderr.endswith("BrokenPipeError\n")


def test_an_operation_that_torch_cannot_repeat_is_named_and_other_runtime_errors_are_not_hidden() -> None:
    def not_repeatable() -> None:
        torch.use_deterministic_algorithms(True)
        torch.zeros(1).put_(torch.tensor([0]), torch.ones(1))

    with pytest.raises(SystemExit) as exit_:
        run(not_repeatable)
    assert exit_.value.code == (
        "error: on this device torch cannot repeat put_ to the bit, which this network needs: set finetune.deterministic "
        "to false, choose another weights.architecture, or hide the GPU with CUDA_VISIBLE_DEVICES="
    )
    with pytest.raises(RuntimeError):
        fail_with(RuntimeError("shape"))


def test_a_gpus_memory_that_does_not_suffice_is_one_line_with_what_to_lower() -> None:
    told = (
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8.00 GiB of which 1.00 GiB is "
        "free. Of the allocated memory 5.00 GiB is allocated by PyTorch. If reserved ...\nSee documentation"
    )

    def too_large() -> None:
        raise torch.OutOfMemoryError(told)

    with pytest.raises(SystemExit) as exit_:
        run(too_large, takes_memory="finetune.batch_size")
    assert exit_.value.code == (
        "error: the GPU's memory does not suffice (CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total "
        "capacity of 8.00 GiB of which 1.00 GiB is free.): lower finetune.batch_size, choose a smaller "
        "weights.architecture, or hide the GPU with CUDA_VISIBLE_DEVICES="
    )


def no_more_mappings() -> None:
    with mmap.mmap(-1, 2**60):
        pass


@pytest.mark.parametrize(
    ("allocate", "detail"),
    [
        (lambda: torch.empty(2**60, dtype=torch.uint8), "you tried to allocate 1152921504606846976 bytes"),
        (lambda: np.empty(2**60, np.uint8), "Unable to allocate 1.00 EiB"),
        (lambda: bytearray(2**62), ""),  # Python's own error says nothing
        (no_more_mappings, "Cannot allocate memory"),
    ],
    ids=["torch", "numpy", "Python", "the operating system"],
)
def test_a_machines_memory_that_does_not_suffice_is_one_line_with_what_to_lower(
    allocate: Callable[[], object], detail: str
) -> None:
    lines = {}
    for named in ("finetune.batch_size", None):
        with pytest.raises(SystemExit) as exit_:
            run(allocate, takes_memory=named)
        lines[named] = exit_.value.code
        assert lines[named].startswith("error: this machine's memory does not suffice")
        assert detail in lines[named] and "alloc_cpu" not in lines[named] and "\n" not in lines[named]
    end = ": lower finetune.batch_size, choose a smaller weights.architecture, or free some"
    assert lines["finetune.batch_size"].endswith(end)
    assert lines[None].endswith("does not suffice: free some" if not detail else "): free some")


def test_ctrl_c_ends_with_the_shells_status_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        fail_with(KeyboardInterrupt())
    assert exit_.value.code == 130
    assert capsys.readouterr().err.count("\n") == 1
