"""The last committed metrics that differ from these to the eye, to compare with.

In the commit that holds these metrics itself, and in a clone of it, that is the one before: the page stays the same.
"""

import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # without git there is no history, and no error

import git

from stages.report.results import Results
from stages.report.run_at_hand import MEASURES, measure
from stages.report.tables import Table, table

METRICS = Path("metrics/evaluate.json")
MOST_COMMITS = 200
SEEN = 0.0005  # the page prints three decimals


def last_other_metrics(current: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return the commit's first letters and its metrics; None without git, or where there is no such commit."""
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
    """Say whether a reader would see a difference: other measures, or another number."""
    return metrics.keys() != others.keys() or any(abs(metrics[key] - others[key]) >= SEEN for key in metrics)


def comparison(results: Results) -> Table | None:
    """Return the measures that differ from the last other metrics, on val and test."""
    now = results.metrics["evaluate"]
    found = last_other_metrics(now)
    if found is None:
        return None
    commit, before = found
    rows = []
    for split in results.splits[1:]:
        for name, words in MEASURES.items():
            key = f"{split}_{name}"
            if key in now and (key not in before or abs(now[key] - before[key]) >= SEEN):
                difference = f"{now[key] - before[key]:+.3f}" if key in before else "new"
                rows.append([f"{split}: {words}", measure(before, key), measure(now, key), difference])
    return table(f"Against commit {commit}", ["", "before", "now", "difference"], rows, most=len(rows), measures=True)
