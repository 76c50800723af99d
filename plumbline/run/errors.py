"""Turn what a user can cause into one clear line and a non-zero exit.

A stage raises UserError with a line that says what is wrong, where, and what to do; `run` prints it.
Our own mistakes stay ordinary exceptions and keep their traceback.
"""

import errno
import os
import re
import select
import sys
from collections.abc import Callable

# Errors of the operating system that a user can mend: rights, space, limits.
USER_ERRNOS = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EMFILE,
    errno.ENAMETOOLONG,
}
INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended
# What torch says, after its name, of an operation without a deterministic form: in an error, or in a warning.
NONDETERMINISTIC = re.compile("(.+?) (does not have a deterministic implementation|defaults to a non-deterministic)")
# What torch, cuBLAS and cuDNN say where a GPU's memory does not suffice.
NO_GPU_MEMORY = ("CUDA out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
# What torch says where the machine's does not: its allocator, its mapping of a file, and C++ itself.
NO_MEMORY = ("DefaultCPUAllocator: ", "Cannot allocate memory", "std::bad_alloc")


class UserError(ValueError):
    """A mistake that the user can mend; its message is one line: what, where, what to do."""


def run(main: Callable[[], None], *, takes_memory: str | None = None) -> None:
    """Run a stage's `main`, ending with one line on stderr and status 1 for a user's mistake.

    `takes_memory` names the parameters that decide how much memory the stage's network takes, if it runs one.
    """
    open_closed_streams()
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:
        if not reader_is_gone():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush at the end
        sys.exit(1)
    except (OSError, RuntimeError, MemoryError, UserError) as error:
        line = line_for_user(error, takes_memory)
        if line is None:
            raise
        sys.exit(f"error: {line}")
    except KeyboardInterrupt:
        print("interrupted; nothing was left half-written", file=sys.stderr)
        sys.exit(INTERRUPTED)


def open_closed_streams() -> None:
    """Open, to nothing, those of the three standard streams that the process was started without, as by `>&-`."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def reader_is_gone() -> bool:
    """Return whether nobody reads the output any more, as behind `| head`."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def line_for_user(error: Exception, takes_memory: str | None) -> str | None:
    """Return what a user is told of an error, in one line; None for one that a user cannot mend."""
    if isinstance(error, UserError):
        return one_line(str(error))
    if is_out_of_memory(error):
        return line_on_memory(error, takes_memory)
    if isinstance(error, OSError) and error.errno in USER_ERRNOS:
        where = f"{error.filename}: " if error.filename else ""
        return f"{one_line(where)}{error.strerror}; nothing was left half-written"
    operation = nondeterministic_operation(str(error)) if isinstance(error, RuntimeError) else None
    if operation is None:
        return None
    return (
        f"on this device torch cannot repeat {one_line(operation)} to the bit, which this network needs: "
        "set finetune.deterministic to false, choose another weights.architecture, or hide the GPU with "
        "CUDA_VISIBLE_DEVICES="
    )


def line_on_memory(error: Exception, takes_memory: str | None) -> str:
    """Return which memory does not suffice, and what makes a stage take less of it."""
    if is_out_of_gpu_memory(error):
        whose, instead = "the GPU's", "hide the GPU with CUDA_VISIBLE_DEVICES="
        needed, *_ = str(error).split(" Of the allocated memory")  # what follows is advice for programmers
    else:
        whose, instead = "this machine's", "free some"
        *_, needed = str(error).rpartition("DefaultCPUAllocator: ")  # what precedes is a line of torch's source
    detail = f" ({one_line(needed)})" if needed else ""
    smaller = f"lower {takes_memory}, choose a smaller weights.architecture, or " if takes_memory else ""
    return f"{whose} memory does not suffice{detail}: {smaller}{instead}"


def nondeterministic_operation(message: str) -> str | None:
    """Return the operation that a message of torch's says to have no deterministic form; None for other messages."""
    match = NONDETERMINISTIC.match(message)
    return match and match[1]


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that the memory of a GPU, or of the machine, does not suffice."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    said = isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)
    return said or isinstance(error, MemoryError) or is_out_of_gpu_memory(error)


def is_out_of_gpu_memory(error: Exception) -> bool:
    """Return whether an error of torch's says that a GPU's memory does not suffice."""
    return isinstance(error, RuntimeError) and any(words in str(error) for words in NO_GPU_MEMORY)


def one_line(text: str) -> str:
    """Return the text with line breaks and control characters escaped, so that it prints as one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
