"""Files are found as torchvision finds them; what is hidden is passed over, links to folders are refused."""

from pathlib import Path

import pytest
from torchvision.datasets import ImageFolder

from plumbline.images.class_folders import class_folders, files_below
from plumbline.run.errors import UserError
from tests.conftest import write_image


def test_classes_and_files_stand_in_torchvisions_order(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/10.png", "B/1.png", "a b/x.png", "10/1.png", "9/1.png", "é/1.png", "b/deep/er/0.png"):
        write_image(tmp_path / name)
    theirs = ImageFolder(str(tmp_path))
    assert class_folders(tmp_path) == theirs.classes
    ours = [path for name in class_folders(tmp_path) for path in files_below(tmp_path / name)]
    assert {str(path) for path in ours} == {path for path, _ in theirs.samples}
    assert [path.relative_to(tmp_path).parts[0] for path in ours] == [theirs.classes[i] for _, i in theirs.samples]


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    for name in (".DS_Store", "a/._1.png", "__MACOSX/a/1.png", "a/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert class_folders(tmp_path) == ["a"]
    assert list(files_below(tmp_path)) == [tmp_path / "a" / "1.png"]


def test_a_link_to_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    with pytest.raises(UserError, match="linked is a link to a folder"):
        class_folders(tmp_path)
