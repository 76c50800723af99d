"""Which folders and files belong to a data set, which are left out, and that an archive gives what its folder gives."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_data_set, write_image
from tests.stages.prepare.conftest import PREPARED, manifest, prepared, quarantine


@pytest.fixture
def root(ready: Workspace) -> Path:
    return write_data_set(Path("images"), classes=("ant", "bee", "wasp"))


def test_only_the_classes_that_are_wanted_are_kept_and_the_others_are_named(ready: Workspace, root: Path) -> None:
    ready.set(data__classes=["wasp", "ant"])
    prepare.main()
    assert json.loads((PREPARED / "classes.json").read_text()) == ["ant", "wasp"]
    assert set(zip(manifest()["class"], manifest()["label"], strict=True)) == {("ant", 0), ("wasp", 1)}
    assert quarantine() == {f"{split}/bee/{i}.png": "excluded" for split in ("train", "val") for i in range(3)}


def test_an_excluded_file_is_not_used_and_named(ready: Workspace, root: Path) -> None:
    ready.set(data__exclude=["train/ant/1.png"])
    prepare.main()
    assert quarantine() == {"train/ant/1.png": "excluded"}
    assert "train/ant/1.png" not in set(manifest()["path"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"data__classes": ["ant", "wsp"]}, "data.classes names 'wsp', which has no folder; did you mean 'wasp'"),
        ({"data__classes": ["ant", "fly"]}, "data.classes names 'fly', which has no folder; there are ant bee wasp"),
        ({"data__exclude": ["train/ants/1.png"]}, "data.exclude names 'train/ants/1.png', .*did you mean 'train/ant/1.png'"),
        ({"data__exclude": ["zzz"]}, "data.exclude names 'zzz', which is in no class folder; name files by their paths"),
    ],
)  # fmt: skip
def test_a_name_that_is_not_there_is_refused_with_the_nearest(
    ready: Workspace, root: Path, values: dict, message: str
) -> None:
    ready.set(**values)
    with pytest.raises(UserError, match=message):
        prepare.main()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"val": "valid"}, "data.root has valid/ and no val/: if these are its val images, rename it"),
        ({"val": "Validation"}, "data.root has Validation/ and no val/"),
        ({"train": "Train", "val": "Val"}, "data.root has Train/ and no train/"),
        ({"train": "training"}, "data.root has training/ and no train/"),
    ],
)
def test_a_split_under_another_name_is_not_taken_for_a_class(root: Path, names: dict, message: str) -> None:
    for old, new in names.items():
        (root / old).rename(root / new)
    with pytest.raises(UserError, match=message):
        prepare.main()


def test_classes_may_be_called_valid_and_invalid(ready: Workspace) -> None:
    for i in range(10):
        write_image(Path(f"images/valid/{i}.png"), seed=i)
        write_image(Path(f"images/invalid/{i}.png"), seed=100 + i)
    prepare.main()
    assert set(manifest()["class"]) == {"invalid", "valid"}


def test_hidden_files_and_what_macos_adds_are_passed_over(root: Path) -> None:
    (root / ".DS_Store").write_bytes(b"x")
    (root / "train/ant/._0.png").write_bytes(b"x")
    shutil.copytree(root / "train", root / "__MACOSX")
    shutil.copytree(root / "train/ant", root / "train/ant/.thumbnails")
    prepare.main()
    assert len(manifest()) == 18
    assert quarantine() == {}


def test_images_in_folders_below_a_class_folder_are_used(root: Path) -> None:
    write_image(root / "train/ant/2019/july/1.png", seed=77)
    prepare.main()
    assert "train/ant/2019/july/1.png" in set(manifest()["path"])


def test_a_link_to_a_folder_anywhere_is_refused_by_name(root: Path) -> None:
    (root / "train/ant/more").symlink_to((root / "val/ant").absolute())
    with pytest.raises(UserError, match="images/train/ant/more is a link to a folder"):
        prepare.main()


def extracted() -> list[Path]:
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
    assert extracted() == []


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
