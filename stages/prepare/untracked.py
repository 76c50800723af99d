"""Say that images lie within the repository where `dvc exp run` commits them, neither known to git nor ignored."""

import subprocess
import sys

from plumbline.run.errors import one_line


def print_if_untracked(root: str) -> None:
    """Print a line where git would take files of the folder or archive into the commit of an experiment."""
    if is_untracked(root):
        print(
            one_line(
                f"data.root: {root} lies in this repository, and git does not ignore it: `dvc exp run` commits its "
                "files with each experiment, and `dvc exp apply` writes them anew; keep it elsewhere and give its "
                "absolute path, or add it to .git/info/exclude"
            ),
            file=sys.stderr,
        )


def is_untracked(root: str) -> bool:
    """Return whether there are files of the folder, or it is one, that git neither knows nor ignores."""
    listing = ["git", "ls-files", "--others", "--exclude-standard", "--directory", "--no-empty-directory", "--", root]
    try:
        done = subprocess.run(listing, capture_output=True, check=False)
    except OSError:  # there is no git
        return False
    return done.returncode == 0 and bool(done.stdout)
