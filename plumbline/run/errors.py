"""Turn what a user can cause into one clear line and a non-zero exit.

A stage raises UserError with a line that says what is wrong, where, and what to do; `run` prints it.
Our own mistakes stay ordinary exceptions and keep their traceback.
"""

import errno
import re
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
}
INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended
# What torch says, after its name, of an operation without a deterministic form: in an error, or in a warning.
NONDETERMINISTIC = re.compile("(.+?) (does not have a deterministic implementation|defaults to a non-deterministic)")
# What torch, cuBLAS and cuDNN say where a GPU's memory does not suffice.
NO_GPU_MEMORY = ("CUDA out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


class UserError(ValueError):
    """A mistake that the user can mend; its message is one line: what, where, what to do."""


def run(main: Callable[[], None], *, takes_memory: str = "image.crop") -> None:
    """Run a stage's `main`, ending with one line on stderr and status 1 for a user's mistake.

    `takes_memory` names the parameters that decide how much of a GPU's memory the stage takes.
    """
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {one_line(str(error))}")
    except OSError as error:
        if error.errno not in USER_ERRNOS:
            raise
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(f"error: {one_line(where)}{error.strerror}; nothing was left half-written")
    except RuntimeError as error:
        if is_out_of_gpu_memory(error):
            needed, *_ = str(error).split(" Of the allocated memory")  # what follows is advice for programmers
            sys.exit(
                f"error: the GPU's memory does not suffice ({one_line(needed)}): lower {takes_memory}, choose a "
                "smaller weights.architecture, or hide the GPU with CUDA_VISIBLE_DEVICES="
            )
        operation = nondeterministic_operation(str(error))
        if operation is None:
            raise
        sys.exit(
            f"error: on this device torch cannot repeat {one_line(operation)} to the bit, which this network needs: "
            "set finetune.deterministic to false, choose another weights.architecture, or hide the GPU with "
            "CUDA_VISIBLE_DEVICES="
        )
    except KeyboardInterrupt:
        print("interrupted; nothing was left half-written", file=sys.stderr)
        sys.exit(INTERRUPTED)


def nondeterministic_operation(message: str) -> str | None:
    """Return the operation that a message of torch's says to have no deterministic form; None for other messages."""
    match = NONDETERMINISTIC.match(message)
    return match and match[1]


def is_out_of_gpu_memory(error: RuntimeError) -> bool:
    """Return whether an error of torch's says that a GPU's memory does not suffice."""
    return any(words in str(error) for words in NO_GPU_MEMORY)


def one_line(text: str) -> str:
    """Return the text with line breaks and control characters escaped, so that it prints as one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
