"""An archive that another server offers, as data.root: fetched, noticed when it changes, and prepared again."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import write_data_set
from tests.support.projects import change_params, run_in
from tests.support.remotes.servers import serving


def write_archive(folder: Path, images: int) -> None:
    """Put photos.zip, with so many images a class and split, where the server takes its files from."""
    photos = write_data_set(folder.with_name("photos"), images=images)
    shutil.make_archive(str(folder / "photos"), "zip", photos)


@pytest.mark.slow
def test_an_imported_archive_is_prepared_and_again_when_it_has_changed_on_the_server(
    scratch_project: Path, tmp_path: Path
) -> None:
    with serving("http", tmp_path / "server") as server:
        write_archive(server.folder, images=3)
        (scratch_project / "data").mkdir()
        run_in(scratch_project, "dvc", "import-url", f"http://127.0.0.1:{server.port}/photos.zip", "data/photos.zip")
        change_params(scratch_project, {"data.root": "data/photos.zip"})
        run_in(scratch_project, "dvc", "repro", "prepare")
        assert rows_of(scratch_project) == 12

        run_in(scratch_project, "dvc", "update", "data/photos.zip.dvc")
        assert "Running stage 'prepare'" not in run_in(scratch_project, "dvc", "repro", "prepare").stdout
        write_archive(server.folder, images=5)
        run_in(scratch_project, "dvc", "update", "data/photos.zip.dvc")
        assert "Running stage 'prepare'" in run_in(scratch_project, "dvc", "repro", "prepare").stdout
        assert rows_of(scratch_project) == 20


def rows_of(project: Path) -> int:
    """Return how many images were prepared."""
    return len((project / "data" / "prepared" / "manifest.csv").read_text().splitlines()) - 1
