"""Turn what a user can cause into one clear line and a non-zero exit.

A stage raises UserError with a line that says what is wrong, where, and what to do; `run` prints it.
Our own mistakes stay ordinary exceptions and keep their traceback.
"""

import errno
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
NOT_REPEATABLE = " does not have a deterministic implementation"  # torch's words, after the operation's name


class UserError(ValueError):
    """A mistake that the user can mend; its message is one line: what, where, what to do."""


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`, ending with one line on stderr and status 1 for a user's mistake."""
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
        operation, found, _ = str(error).partition(NOT_REPEATABLE)
        if not found:
            raise
        sys.exit(
            f"error: on this device torch cannot repeat {one_line(operation)} to the bit, which this network needs: "
            "choose another weights.architecture, or hide the GPU with CUDA_VISIBLE_DEVICES= to train without it"
        )
    except KeyboardInterrupt:
        print("interrupted; nothing was left half-written", file=sys.stderr)
        sys.exit(INTERRUPTED)


def one_line(text: str) -> str:
    """Return the text with line breaks and control characters escaped, so that it prints as one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
