"""A worker on another machine that does not share the files is told from images that are bad."""

from pathlib import Path

import pytest

from plumbline.run.errors import UserError
from stages.prepare.decoder_version import decoder_version
from stages.prepare.decoding import Limits, Unusable
from stages.prepare.elsewhere import read_elsewhere, refuse_what_is_not_shared
from stages.prepare.layout import Candidate
from stages.prepare.pixel_cache import PixelCache
from tests.conftest import write_image


def test_a_worker_that_does_not_see_where_the_pixels_go_says_so(tmp_path: Path) -> None:
    image = write_image(tmp_path / "image.png")
    with pytest.raises(UserError, match=f"does not see {tmp_path}/none.pixels: every worker needs"):
        read_elsewhere(decoder_version(), image, Limits(32, 10**6, 1), tmp_path / "none.pixels", 0)


def test_pixels_that_a_worker_wrote_and_that_do_not_arrive_are_noticed(tmp_path: Path) -> None:
    image = write_image(tmp_path / "image.png")
    candidate = Candidate(image, "image.png", None, "ant", None)
    limits = Limits(32, 10**6, 1)
    with PixelCache(tmp_path / "cache", "key", 32 * 32 * 3, 10**6) as cache:
        segment = cache.new_segment(2, tmp_path)
        result = read_elsewhere(decoder_version(), image, limits, segment.path, segment.row_bytes)
        refuse_what_is_not_shared(candidate, result, segment, 1)
        with pytest.raises(UserError, match="does not hold here what a Dask worker wrote there"):
            refuse_what_is_not_shared(candidate, result, segment, 0)


def test_a_file_that_cannot_be_read_here_either_is_no_fault_of_the_worker(tmp_path: Path) -> None:
    candidate = Candidate(tmp_path / "none.png", "none.png", None, "ant", None)
    with PixelCache(tmp_path / "cache", "key", 3, 10**6) as cache:
        refuse_what_is_not_shared(candidate, Unusable("unreadable", "gone"), cache.new_segment(1, tmp_path), 0)
