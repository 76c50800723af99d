"""Images within the repository that git would take into an experiment's commit are said, and no others."""

import subprocess
from pathlib import Path

import pytest

from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_data_set


def test_images_that_an_experiment_would_commit_are_said_and_no_others(
    workspace: Workspace, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    def lines(root: str) -> str:
        workspace.set(data__root=root)
        prepare.main()
        return capsys.readouterr().err

    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for folder in (Path("images"), Path("ignored/images"), elsewhere):
        write_data_set(folder, images=3)
    assert lines("images") == ""  # no repository
    subprocess.run(["git", "init", "--quiet"], check=True)
    Path(".gitignore").write_text("/ignored\n")
    said = lines("images")
    assert said.startswith("data.root: images lies in this repository, and git does not ignore it: `dvc exp run` ")
    assert said.count("\n") == 1
    assert lines("ignored/images") == lines(str(elsewhere)) == ""
    subprocess.run(["git", "add", "images"], check=True)
    assert lines("images") == ""
