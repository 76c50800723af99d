"""Open a revision's file, from Git and DVC's cache or remote."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import dvc.api
from dvc.exceptions import DvcException, FileMissingError, NotDvcRepoError, OutputNotFoundError, PathMissingError
from dvc.scm import RevError

from plumbline.run.errors import UserError
from tools.stale_results import LOCK


@contextmanager
def file_at(path: Path, revision: str | None, *, also: str) -> Iterator[IO[bytes]]:
    """Open the file for reading bytes as it is in a commit, branch, tag or experiment; None is the workspace.

    Raises UserError for a revision that is unknown or has no such file; the message names `also` as an alternative.
    """
    name = revision or "workspace"
    try:
        with dvc.api.open(path.as_posix(), rev=revision, mode="rb") as file:
            yield file
    except RevError:
        raise UserError(f"{name} is no revision: name a commit, a branch, a tag, an experiment or {also}") from None
    except (FileMissingError, OutputNotFoundError, PathMissingError, FileNotFoundError):
        raise UserError(
            f"{name} has no {path} within reach: run the pipeline there, commit or push it, or `dvc fetch`"
        ) from None
    except NotDvcRepoError:
        raise UserError(f"{name} cannot be looked up: this folder is in no repository of Git and DVC") from None
    except DvcException as error:
        raise UserError(f"{name} cannot be read: {error}") from None


def lock_at(revision: str | None) -> str | None:
    """Return the text of a revision's dvc.lock, as `file_at` finds it; None where there is none."""
    try:
        with file_at(LOCK, revision, also="none") as file:
            return file.read().decode("utf-8")
    except UserError:
        return None
