"""Record what a check stage has shown, and end the stage if anything was not so.

Each check is one claim in words, with the number that was found beside the one that was wanted.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from plumbline.run.errors import UserError

# Two results that agree to the last bit differ by 0, whose logarithm is not finite: half the spacing
# of float64 at 1 stands for it.
SMALLEST_ERROR = 2.0**-53


@dataclass
class Checks:
    """The claims of one stage and whether each held."""

    passed: int = 0
    failures: list[str] = field(default_factory=list)

    def expect(self, holds: bool, claim: str) -> None:
        """Record one claim, and print it with its mark."""
        print(f"{'ok  ' if holds else 'FAIL'}  {claim}")
        if holds:
            self.passed += 1
        else:
            self.failures.append(claim)

    def expect_equal(self, found: object, wanted: object, claim: str) -> None:
        """Record that two exact results are equal."""
        relation = "=" if found == wanted else "is not"
        self.expect(found == wanted, f"{claim}: {found} {relation} {wanted}")

    def expect_error(self, error: float, limit: float, claim: str) -> None:
        """Record that an error is at most its limit; one that is not a number never is."""
        self.expect(error <= limit, f"{claim}: error {error:.1e}, at most {limit:.0e}")

    def end(self) -> None:
        """End the stage if a claim did not hold."""
        if self.failures:
            more = f" (and {len(self.failures) - 1} more)" if len(self.failures) > 1 else ""
            raise UserError(f"check failed: {self.failures[0]}{more}")

    def counts(self) -> dict[str, int]:
        """Return the two metrics that every check stage has."""
        return {"checks_passed": self.passed, "checks_failed": len(self.failures)}


def log10_error(error: float) -> float:
    """Return log10 of an error, finite also for none; to 4 decimals, which is more than it means."""
    return round(math.log10(max(error, SMALLEST_ERROR)), 4)


def require_passed(path: Path) -> None:
    """Raise UserError unless the check stage that wrote these metrics found everything to hold."""
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"there is no {path}: `dvc repro` runs the check that writes it") from None
    if metrics["checks_failed"]:
        raise UserError(f"{path}: {metrics['checks_failed']} check(s) failed: mend that first")
