"""What dvc.yaml says of the stages, the modules that they may import, and which stages DVC sees changed."""

import yaml
from dvc.repo import Repo

from tests.conftest import PROJECT

STAGES = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
MODULES = sorted(
    path.relative_to(PROJECT).as_posix()
    for folder in ("stages", "plumbline")
    for path in (PROJECT / folder).rglob("*.py")
)


def changed_stages() -> set[str]:
    """Return the stages of the current directory whose own dependencies or parameters differ from dvc.lock."""
    with Repo() as repo:
        return changed_in(repo)


def changed_in(repo: Repo) -> set[str]:
    """Return the same of an open repository, of which dvc.yaml and dvc.lock are read once: that takes longest."""
    with repo.lock:
        return {stage.name for stage in repo.index.stages if stage.changed_deps()}
