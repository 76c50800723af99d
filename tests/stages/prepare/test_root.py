"""`data.root` may be a folder or an archive; an archive gives what its folder gives, and nothing of it is left."""

import shutil
import zipfile
from pathlib import Path

import pytest

from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_data_set
from tests.stages.prepare.conftest import manifest, prepared, quarantine


def leftovers() -> list[Path]:
    return [path for path in Path().rglob("*") if ".partial" in path.name]


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "bztar", "xztar"])
@pytest.mark.parametrize("enclosed", [False, True])
def test_an_archive_gives_what_its_folder_gives(ready: Workspace, kind: str, enclosed: bool) -> None:
    write_data_set(Path("in/images"))
    ready.set(data__root="in/images")
    prepare.main()
    expected = prepared()
    archive = shutil.make_archive("packed", kind, "in" if enclosed else "in/images")
    ready.set(data__root=archive)
    prepare.main()
    assert prepared() == expected
    assert leftovers() == []


def test_a_flat_archive_is_split_and_what_macos_adds_is_passed_over(ready: Workspace) -> None:
    write_data_set(Path("in"), images=8)
    with zipfile.ZipFile("flat.zip", "w") as packed:
        for path in sorted(Path("in/train").rglob("*.png")):
            packed.write(path, f"animals/{path.relative_to('in/train')}")
        packed.writestr("__MACOSX/animals/ant/._0.png", b"x")
    ready.set(data__root="flat.zip")
    prepare.main()
    assert set(manifest()["split"]) == {"train", "val", "test"}
    assert len(manifest()) == 16
    assert quarantine() == {}


def test_an_archive_that_is_refused_leaves_nothing(ready: Workspace) -> None:
    with zipfile.ZipFile("bad.zip", "w") as packed:
        packed.writestr("ant/1.png", bytes(10**6))
        packed.writestr("bee/../../out.png", b"x")
    before = set(Path("..").rglob("*"))
    ready.set(data__root="bad.zip")
    with pytest.raises(UserError, match="climbs out"):
        prepare.main()
    assert {path for path in Path("..").rglob("*") if path.name != "data"} - before == set()


def test_a_root_that_is_not_there_is_named(ready: Workspace) -> None:
    ready.set(data__root="nowhere.zip")
    with pytest.raises(UserError, match=r"data.root: there is no folder or archive nowhere.zip"):
        prepare.main()
