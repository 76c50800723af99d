"""Which folders and files belong to a data set, which are left out, and that an archive gives what its folder gives."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_data_set, write_image
from tests.stages.prepare.conftest import PREPARED, fill, manifest, prepared, quarantine

LEFT_BY_PROGRAMS = (
    "Thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini", ".DS_Store", "._0.png", ".picasa.ini", "Picasa.ini",
    "__MACOSX/0.png", "@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg", ".thumbnails/0.png", "#recycle/0.png", "$RECYCLE.BIN/0.png",
    "System Volume Information/x", ".Trash-1000/0.png", ".directory", "lost+found/x",
)  # fmt: skip

NFC, NFD = "caf\u00e9", "cafe\u0301"  # Unicode Standard Annex 15, figure 3


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


def test_two_unicode_forms_of_a_name_are_one_in_splits_and_in_parameters(ready: Workspace) -> None:
    fill(f"images/train/{NFC}", "images/train/tea", f"images/val/{NFD}", "images/val/tea", "images/train/soup")
    ready.set(data__classes=[NFD, "tea"], data__exclude=[f"train/{NFD}/0.png", f"val/{NFC}/1.png"])
    prepare.main()
    assert json.loads((PREPARED / "classes.json").read_text()) == [NFC, "tea"]
    assert manifest().groupby(["split", "class"]).size().to_dict() == {
        ("train", NFC): 9, ("train", "tea"): 10, ("val", NFC): 9, ("val", "tea"): 10,
    }  # fmt: skip
    assert {f"train/{NFC}/0.png", f"val/{NFD}/1.png"} < set(quarantine())


def test_two_folders_of_one_name_in_two_unicode_forms_are_one_class(ready: Workspace) -> None:
    fill(f"images/{NFC}", f"images/{NFD}", "images/tea")
    prepare.main()
    assert manifest().groupby("class").size().to_dict() == {NFC: 20, "tea": 10}


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ("Cat", "cat", "upper and lower case"),
        ("dog", "dog ", "spaces"),
        ("black bear", "black  bear", "spaces"),
        ("red_fox", "red fox", "spaces, hyphens and underscores"),
        ("red-fox", "red_fox", "spaces, hyphens and underscores"),
        ("cat", "c\u0430t", "letters that look alike"),  # with a Cyrillic a
        ("cat", "ca\u200bt", "invisible characters"),  # with a zero width space
        ("office", "o\ufb03ce", "letters that look alike"),  # with a ligature
        ("Red_fox", "red fox ", "how they are written, "),
    ],
)
def test_names_that_a_person_would_take_for_one_are_refused_with_the_difference(
    ready: Workspace, first: str, second: str, what: str
) -> None:
    fill(f"images/{first}", f"images/{second}", "images/elk")
    with pytest.raises(UserError, match=f"differ only in {what}.*: give both the same name"):
        prepare.main()
    shutil.rmtree("images")
    fill(f"images/train/{first}", "images/train/elk", f"images/val/{second}", "images/val/elk")
    with pytest.raises(UserError, match=f"differ only in {what}.*: give both the same name"):
        prepare.main()
    shutil.rmtree("images/val")
    ready.set(data__classes=[second, "elk"])
    with pytest.raises(UserError, match=f"did you mean '{first}', which differs only in {what.split(',')[0]}"):
        prepare.main()


def test_names_that_differ_to_a_person_stay_different_classes(ready: Workspace) -> None:
    names = ("1", "-1", "ae", "\u00e4", "a b", "ab", "o", "0")
    fill(*(f"images/{name}" for name in names), images=3)
    prepare.main()
    assert set(manifest()["class"]) == set(names)


def test_classes_are_chosen_before_any_is_refused(ready: Workspace) -> None:
    fill("images/train/ant", "images/train/bee", "images/val/ant", "images/val/bee", "images/val/wasp")
    with pytest.raises(UserError, match="has the class 'wasp', which .* lacks: .* in data.classes"):
        prepare.main()
    ready.set(data__classes=["ant", "bee"])
    prepare.main()
    assert set(manifest()["class"]) == {"ant", "bee"}
    assert quarantine() == {f"val/wasp/{i}.png": "excluded" for i in range(10)}


def test_one_class_named_twice_is_refused(ready: Workspace, root: Path) -> None:
    ready.set(data__classes=["ant", "ant"])
    with pytest.raises(UserError, match="data.classes names 'ant' alone"):
        prepare.main()


def test_hidden_files_and_what_macos_adds_are_passed_over(root: Path) -> None:
    (root / ".DS_Store").write_bytes(b"x")
    (root / "train/ant/._0.png").write_bytes(b"x")
    shutil.copytree(root / "train", root / "__MACOSX")
    shutil.copytree(root / "train/ant", root / "train/ant/.thumbnails")
    prepare.main()
    assert len(manifest()) == 18
    assert quarantine() == {}


@pytest.mark.parametrize("folder", [".", "train", "train/ant"])
def test_what_systems_and_programs_leave_is_passed_over(root: Path, folder: str) -> None:
    for name in LEFT_BY_PROGRAMS:
        path = root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
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


def test_an_archive_of_a_folder_with_a_readme_beside_it_is_stepped_into(ready: Workspace) -> None:
    fill("in/pets/cat", "in/pets/dog")
    Path("in/README.md").write_text("Pets")
    Path("in/LICENSE.txt").write_text("CC0")
    ready.set(data__root=shutil.make_archive("pets", "zip", "in"))
    prepare.main()
    assert set(manifest()["class"]) == {"cat", "dog"}
    assert quarantine() == {"README.md": "misplaced", "LICENSE.txt": "misplaced"}


def test_an_archive_that_is_refused_leaves_nothing(ready: Workspace) -> None:
    with zipfile.ZipFile("bad.zip", "w") as packed:
        packed.writestr("ant/1.png", bytes(10**6))
        packed.writestr("bee/../../out.png", b"x")
    before = set(Path("..").rglob("*"))
    ready.set(data__root="bad.zip")
    with pytest.raises(UserError, match="climbs out"):
        prepare.main()
    assert {path for path in Path("..").rglob("*") if path.name != "data"} - before == set()


@pytest.mark.parametrize("folder", [".", "project/.dvc/tmp/exps/tmp7x"])
def test_a_root_that_is_missing_in_an_experiments_copy_says_why(
    ready: Workspace, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder)
    shutil.copy(ready.folder / "params.yaml", ".") if folder != "." else None
    why = "without what neither Git nor DVC tracks: give an absolute path, or track it with `dvc add`"
    with pytest.raises(UserError, match=why if folder != "." else "no folder or archive images: set it to one"):
        prepare.main()


def test_a_root_that_is_not_there_is_named(ready: Workspace) -> None:
    ready.set(data__root="nowhere.zip")
    with pytest.raises(UserError, match=r"data.root: there is no folder or archive nowhere.zip"):
        prepare.main()
