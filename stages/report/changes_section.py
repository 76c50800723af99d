"""What changed: the measures that differ from those of an earlier commit.

That is the last commit whose plots/measures.csv differs in what the page prints. Where the current measures are
committed it is the one before, so that a commit does not change the page.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # without git there is no history, and no error

import git

from plumbline.results import measures_file
from plumbline.results.measures_file import Measures, read_measures
from stages.report.figures_and_tables import Table, counted, table
from stages.report.result_section import MEASURES, final_split, with_interval
from stages.report.stage_results import Results

MOST_COMMITS = 200
VISIBLE = 0.0005  # the page prints three decimals


@dataclass(frozen=True)
class Changes:
    """A commit, and the measures that differ from it."""

    commit: str  # its first ten digits
    table: Table
    sentence: str


def last_other_measures(current: Measures) -> tuple[str, Measures] | None:
    """Return the last commit with other measures, and these; None without git, or where there is no such commit."""
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
    """Whether the names differ, or a number differs visibly."""
    if measures.keys() != others.keys():
        return True
    pairs = ((ours, theirs) for key in measures for ours, theirs in zip(measures[key], others[key], strict=True))
    return any(ours != theirs and (None in (ours, theirs) or abs(ours - theirs) >= VISIBLE) for ours, theirs in pairs)


def changes(results: Results) -> Changes | None:
    """Return the measures on val and test that differ from the last other ones."""
    now = results.measures
    found = last_other_measures(now)
    if found is None:
        return None
    commit, before = found
    rows = []
    for split in results.splits[1:]:
        for name, words in MEASURES.items():
            ours, theirs = now.get((split, name)), before.get((split, name))
            if ours and (theirs is None or abs(ours.value - theirs.value) >= VISIBLE):
                difference = f"{ours.value - theirs.value:+.3f}" if theirs else "new"
                rows.append([f"{split}: {words}", with_interval(theirs), with_interval(ours), difference])
    columns = ["", "before", "now", "difference"]
    made = table(f"Compared with commit {commit}", columns, rows, most=len(rows), measures=True)
    return Changes(commit, made, sentence(commit, before, now, final_split(results), len(rows)))


def sentence(commit: str, before: Measures, now: Measures, split: str, differing: int) -> str:
    """Return what became of the accuracy, and how many measures differ."""
    words, key = f"{split} accuracy", (split, "accuracy")
    if key not in before:
        return f"commit {commit} has no {words}; {counted(differing, 'measure')} differ from it"
    difference = now[key].value - before[key].value
    same = abs(difference) < VISIBLE
    became = f"the same {words} as in" if same else f"{words} {difference:+.3f} compared with"
    others = differing if same else differing - 1
    return f"{became} commit {commit}; {counted(others, 'other measure')} {'differs' if others == 1 else 'differ'}"
