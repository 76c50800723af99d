"""The last committed measures that differ visibly from this run's, to compare with.

In the commit that holds these measures itself, and in a clone of it, that is the one before: the page stays the same.
"""

import io
import os
from pathlib import Path

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # without git there is no history, and no error

import git

from plumbline.results import measures_file
from plumbline.results.measures_file import Measures, read_measures
from stages.report.results import Results
from stages.report.run_at_hand import MEASURES, with_interval
from stages.report.tables import Table, table

MOST_COMMITS = 200
SEEN = 0.0005  # the page prints three decimals


def last_other_measures(current: Measures) -> tuple[str, Measures] | None:
    """Return the commit's first letters and its measures; None without git, or where there is no such commit."""
    try:
        with git.Repo(search_parent_directories=True) as repository:  # it keeps processes, which are ended here
            path = measures_file.MEASURES.absolute().relative_to(Path(repository.working_dir).resolve()).as_posix()
            for commit in repository.iter_commits("HEAD", paths=path, max_count=MOST_COMMITS):
                try:
                    text = (commit.tree / path).data_stream.read().decode("utf-8")
                    measures = read_measures(io.StringIO(text, newline=""))
                except (KeyError, ValueError):  # the commit that removed it, or a table of another form
                    continue
                if differ(measures, current):
                    return commit.hexsha[:10], measures
    except (git.exc.GitError, git.exc.ODBError, ValueError, OSError):
        pass
    return None


def differ(measures: Measures, others: Measures) -> bool:
    """Return True if a reader would see a difference: other measures, or another number."""
    if measures.keys() != others.keys():
        return True
    pairs = ((ours, theirs) for key in measures for ours, theirs in zip(measures[key], others[key], strict=True))
    return any(ours != theirs and (None in (ours, theirs) or abs(ours - theirs) >= SEEN) for ours, theirs in pairs)


def comparison(results: Results) -> Table | None:
    """Return the measures that differ from the last other ones, on val and test."""
    now = results.measures
    found = last_other_measures(now)
    if found is None:
        return None
    commit, before = found
    rows = []
    for split in results.splits[1:]:
        for name, words in MEASURES.items():
            ours, theirs = now.get((split, name)), before.get((split, name))
            if ours and (theirs is None or abs(ours.value - theirs.value) >= SEEN):
                difference = f"{ours.value - theirs.value:+.3f}" if theirs else "new"
                rows.append([f"{split}: {words}", with_interval(theirs), with_interval(ours), difference])
    return table(f"Against commit {commit}", ["", "before", "now", "difference"], rows, most=len(rows), measures=True)
