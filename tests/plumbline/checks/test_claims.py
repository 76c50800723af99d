"""A claim that does not hold ends the stage."""

import math

import pytest

from plumbline.checks.claims import Checks, log10_error
from plumbline.run.errors import UserError


def test_every_kind_of_false_claim_is_counted_and_ends_the_stage(capsys: pytest.CaptureFixture[str]) -> None:
    checks = Checks()
    checks.expect(True, "one is one")
    checks.expect_error(math.nan, 1e-12, "not a number")
    checks.expect_error(2e-12, 1e-12, "too large")
    checks.expect_equal(2, 3, "two is three")
    assert checks.counts() == {"checks_passed": 1}
    assert len(checks.failures) == 3
    with pytest.raises(UserError, match=r"check failed: not a number.*\(and 2 more\)"):
        checks.end()
    assert capsys.readouterr().out.splitlines()[-1] == "FAIL  two is three: 2 is not 3"


def test_the_logarithm_of_no_error_is_finite() -> None:
    assert log10_error(0.0) == -15.9546  # log10(2^-53)
    assert log10_error(1e-3) == -3


def test_what_held_is_kept_in_words_and_the_figures_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    checks = Checks()
    checks.expect(True, "the ratio rises", "from 1.5 to 2.5")
    checks.expect_equal(7, 7, "sums", "at 3 pixels")
    checks.expect_error(1e-15, 1e-12, "gradients")
    assert checks.held == ["the ratio rises", "sums", "gradients"]
    assert capsys.readouterr().out.splitlines() == [
        "ok    the ratio rises: from 1.5 to 2.5",
        "ok    sums: at 3 pixels, 7 = 7",
        "ok    gradients: error 1.0e-15, at most 1e-12",
    ]
