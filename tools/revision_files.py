"""Open a file as a revision has it, from Git and DVC's cache or remote."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import dvc.api
from dvc.exceptions import DvcException, FileMissingError, NotDvcRepoError, OutputNotFoundError, PathMissingError
from dvc.scm import RevError

from plumbline.run.errors import UserError


@contextmanager
def file_at(path: Path, revision: str | None, *, also: str) -> Iterator[IO[bytes]]:
    """Give the file, open for reading bytes, of a commit, branch, tag or experiment; None is the workspace.

    Raises UserError for a revision that is unknown, or lacks the file; `also` is what else the user might have named.
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
