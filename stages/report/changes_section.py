"""What changed: the measures that differ from those of an earlier commit.

That is the last commit whose metrics/evaluate.json differs in what the page prints. Where the current metrics are
committed it is the one before, so that a commit does not change the page.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # without git there is no history, and no error

import git

from stages.report.figures_and_tables import Table, counted, table
from stages.report.result_section import MEASURES, final_split, measure
from stages.report.stage_results import Results

METRICS = Path("metrics/evaluate.json")
MOST_COMMITS = 200
VISIBLE = 0.0005  # the page prints three decimals


@dataclass(frozen=True)
class Changes:
    """A commit, and the measures that differ from it."""

    commit: str  # its first ten digits
    table: Table
    sentence: str


def last_other_metrics(current: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return the last commit with other metrics, and these; None without git, or where there is no such commit."""
    try:
        with git.Repo(search_parent_directories=True) as repository:  # it keeps processes, which are ended here
            path = METRICS.absolute().relative_to(Path(repository.working_dir).resolve()).as_posix()
            for commit in repository.iter_commits("HEAD", paths=path, max_count=MOST_COMMITS):
                try:
                    metrics = json.loads((commit.tree / path).data_stream.read())
                except (KeyError, ValueError):  # the commit that removed it, or no JSON
                    continue
                if differ(metrics, current):
                    return commit.hexsha[:10], metrics
    except (git.exc.GitError, git.exc.ODBError, ValueError, OSError):
        pass
    return None


def differ(metrics: dict[str, Any], others: dict[str, Any]) -> bool:
    """Whether the names differ, or a number differs visibly."""
    return metrics.keys() != others.keys() or any(abs(metrics[key] - others[key]) >= VISIBLE for key in metrics)


def changes(results: Results) -> Changes | None:
    """Return the measures on val and test that differ from the last other metrics."""
    now = results.metrics["evaluate"]
    found = last_other_metrics(now)
    if found is None:
        return None
    commit, before = found
    rows = []
    for split in results.splits[1:]:
        for name, words in MEASURES.items():
            key = f"{split}_{name}"
            if key in now and (key not in before or abs(now[key] - before[key]) >= VISIBLE):
                difference = f"{now[key] - before[key]:+.3f}" if key in before else "new"
                rows.append([f"{split}: {words}", measure(before, key), measure(now, key), difference])
    columns = ["", "before", "now", "difference"]
    made = table(f"Compared with commit {commit}", columns, rows, most=len(rows), measures=True)
    return Changes(commit, made, sentence(commit, before, now, f"{final_split(results)}_accuracy", len(rows)))


def sentence(commit: str, before: dict[str, Any], now: dict[str, Any], accuracy: str, differing: int) -> str:
    """Return what became of the accuracy, and how many measures differ."""
    words = accuracy.replace("_", " ")
    if accuracy not in before:
        return f"commit {commit} has no {words}; {counted(differing, 'measure')} differ from it"
    difference = now[accuracy] - before[accuracy]
    same = abs(difference) < VISIBLE
    became = f"the same {words} as in" if same else f"{words} {difference:+.3f} compared with"
    others = differing if same else differing - 1
    return f"{became} commit {commit}; {counted(others, 'other measure')} {'differs' if others == 1 else 'differ'}"
