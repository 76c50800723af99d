"""What changed: the measures that differ from those of an earlier commit.

That is the last commit whose plots/measures.csv differs in what the page prints. Where the current measures are
committed it is the one before, so that a commit does not change the page. A measure that differs by less than its
interval is counted and not shown. Where that commit was evaluated on other images, nothing is compared.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # without git there is no history, and no error

import git
import pandas as pd
from ruamel.yaml import YAML, YAMLError

from plumbline.results import measures_file
from plumbline.results.measures_file import Measure, Measures, read_measures
from plumbline.results.predictions_file import PREDICTIONS
from plumbline.results.tables import read_table
from stages.report.figures_and_tables import Table, counted, table
from stages.report.result_section import MEASURES, final_split, with_interval
from stages.report.stage_results import Results

MOST_COMMITS = 200
VISIBLE = 0.0005  # the page prints three decimals
LOCK = Path("dvc.lock")


Images = set[tuple[str, str, str]]  # of val and test: split, path and sha256


@dataclass(frozen=True)
class Earlier:
    """A commit with other measures."""

    commit: str  # its first ten digits
    measures: Measures
    images: Images | None  # None where they are not known
    inputs: dict[tuple[str, str], object]


@dataclass(frozen=True)
class Changes:
    """A commit, and the measures that differ from it."""

    commit: str
    table: Table | None  # None where the images are others
    sentence: str
    remarks: list[str]


def inputs_of(lock: str) -> dict[tuple[str, str], object]:
    """Return from dvc.lock's text what no stage makes, by stage and name: hashes of code and data, and parameters.

    Empty if the text is no such file.
    """
    try:
        stages = YAML(typ="safe", pure=True).load(lock)["stages"]
        made = {out["path"] for stage in stages.values() for out in stage.get("outs", [])}
        files = {
            (name, dependency["path"]): dependency.get("md5")
            for name, stage in stages.items()
            for dependency in stage.get("deps", [])
            if not any(Path(dependency["path"]).is_relative_to(path) for path in made)
        }
        return files | {(name, "params"): stage.get("params") for name, stage in stages.items()}
    except (YAMLError, TypeError, KeyError, AttributeError):
        return {}


def last_other_measures(current: Measures) -> Earlier | None:
    """Return the last commit with other measures; None without git, or where there is no such commit."""
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
                    images, inputs = images_at(commit, path), inputs_of(lock_of(commit, path))
                    return Earlier(commit.hexsha[:10], measures, images, inputs)
    except (git.exc.GitError, git.exc.ODBError, ValueError, OSError):
        pass
    return None


def images_of(predictions: pd.DataFrame) -> Images:
    """Return the images of val and test."""
    judged = predictions[predictions["split"] != "train"]
    return set(judged[["split", "path", "sha256"]].itertuples(index=False, name=None))


def images_at(commit: git.Commit, measures: str) -> Images | None:
    """Return the images on which a commit was evaluated; None if it does not say."""
    try:
        text = (commit.tree / Path(measures).with_name(PREDICTIONS.name).as_posix()).data_stream.read().decode("utf-8")
        return images_of(read_table(io.StringIO(text), PREDICTIONS, ("split", "path", "sha256")))
    except (KeyError, ValueError):
        return None


def lock_of(commit: git.Commit, measures: str) -> str:
    """Return the text of a commit's dvc.lock, of the project that holds plots/measures.csv; empty without one."""
    try:
        path = (Path(measures).parents[1] / LOCK).as_posix()
        return (commit.tree / path).data_stream.read().decode("utf-8", errors="replace")
    except KeyError:
        return ""


def differ(measures: Measures, others: Measures) -> bool:
    """Whether the names differ, or a number differs visibly."""
    if measures.keys() != others.keys():
        return True
    pairs = ((ours, theirs) for key in measures for ours, theirs in zip(measures[key], others[key], strict=True))
    return any(ours != theirs and (None in (ours, theirs) or abs(ours - theirs) >= VISIBLE) for ours, theirs in pairs)


def within_intervals(ours: Measure, theirs: Measure | None) -> bool:
    """Whether each value lies in the other's interval; not where there is none."""
    if theirs is None or None in (ours.low, ours.high, theirs.low, theirs.high):
        return False
    return ours.low <= theirs.value <= ours.high and theirs.low <= ours.value <= theirs.high


def changes(results: Results) -> Changes | None:
    """Return the measures on val and test that differ from the last other ones."""
    now = results.measures
    earlier = last_other_measures(now)
    if earlier is None:
        return None
    if earlier.images is not None and earlier.images != (ours := images_of(results.predictions)):
        return on_other_images(earlier.commit, earlier.images, ours)
    before = earlier.measures
    differing = [
        (f"{split}: {words}", before.get((split, name)), now[split, name])
        for split in results.splits[1:]
        for name, words in MEASURES.items()
        if (split, name) in now and is_visible(now[split, name], before.get((split, name)))
    ]
    beyond = [row for row in differing if not within_intervals(row[2], row[1])]
    rows = [
        [words, with_interval(theirs), with_interval(ours), f"{ours.value - theirs.value:+.3f}" if theirs else "new"]
        for words, theirs, ours in beyond
    ]
    columns = ["", "before", "now", "difference"]
    new = sum(theirs is None for _, theirs, _ in differing)
    made = table(f"Compared with commit {earlier.commit}", columns, rows, most=len(rows), measures=True)
    told, remarks = sentence(earlier.commit, before, now, final_split(results), len(differing) - new), []
    told += f"; {counted(new, 'measure')} {'is' if new == 1 else 'are'} new" if new else ""
    if earlier.inputs and LOCK.exists() and earlier.inputs == inputs_of(LOCK.read_text(encoding="utf-8")):
        told += ", by the machine or its libraries"
        remarks.append(
            f"Code, data and parameters are those of commit {earlier.commit}: what differs comes from the machine or "
            "its libraries."
        )
    if not differing:
        remarks.append(f"Compared with commit {earlier.commit} only measures on the training images changed.")
    if len(beyond) < len(differing):
        left_out = counted(len(differing) - len(beyond), "measure")
        remarks.append(f"Left out, for a difference within their intervals: {left_out}.")
    return Changes(earlier.commit, made, told, remarks)


def on_other_images(commit: str, theirs: Images, ours: Images) -> Changes:
    """Return what is said of a commit that was evaluated on other images."""
    remark = (
        f"Commit {commit} was evaluated on other images: {counted(len(theirs - ours), 'image')} of its {len(theirs):,} "
        f"in val and test {'is' if len(theirs - ours) == 1 else 'are'} not there now, and {len(ours - theirs):,} of "
        f"{len(ours):,} are new. So its measures cannot be compared with these."
    )
    return Changes(commit, None, f"none are shown, because commit {commit} was evaluated on other images", [remark])


def is_visible(ours: Measure, theirs: Measure | None) -> bool:
    """Whether the page would print two values, or there is only one."""
    return theirs is None or abs(ours.value - theirs.value) >= VISIBLE


def sentence(commit: str, before: Measures, now: Measures, split: str, differing: int) -> str:
    """Return what became of the accuracy, and how many measures differ."""
    words, key = f"{split} accuracy", (split, "accuracy")
    if key not in before:
        return f"commit {commit} has no {words}; {counted(differing, 'measure')} differ from it"
    difference = now[key].value - before[key].value
    same = abs(difference) < VISIBLE
    became = f"the same {words} as in" if same else f"{words} {difference:+.3f} compared with"
    others = differing if same else differing - 1
    if others == 0:
        return f"{became} commit {commit}; no other measure differs"
    return f"{became} commit {commit}; {counted(others, 'other measure')} {'differs' if others == 1 else 'differ'}"
