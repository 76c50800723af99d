"""A claim that does not hold ends the stage."""

import math
from pathlib import Path

import pytest

from plumbline.checks.claims import Checks, log10_error, require_passed
from plumbline.run.errors import UserError
from plumbline.run.outputs import write_json


def test_every_kind_of_false_claim_is_counted_and_ends_the_stage(capsys: pytest.CaptureFixture[str]) -> None:
    checks = Checks()
    checks.expect(True, "one is one")
    checks.expect_error(math.nan, 1e-12, "not a number")
    checks.expect_error(2e-12, 1e-12, "too large")
    checks.expect_equal(2, 3, "two is three")
    assert checks.counts() == {"checks_passed": 1, "checks_failed": 3}
    with pytest.raises(UserError, match=r"check failed: not a number.*\(and 2 more\)"):
        checks.end()
    assert capsys.readouterr().out.splitlines()[-1] == "FAIL  two is three: 2 is not 3"


def test_the_logarithm_of_no_error_is_finite() -> None:
    assert log10_error(0.0) == -15.9546  # log10(2^-53)
    assert log10_error(1e-3) == -3


def test_a_failed_or_absent_check_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no"):
        require_passed(tmp_path / "a.json")
    write_json(tmp_path / "a.json", {"checks_passed": 3, "checks_failed": 1})
    with pytest.raises(UserError, match="1 check"):
        require_passed(tmp_path / "a.json")
