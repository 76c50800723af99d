"""Record what a check stage has shown, and end the stage if anything was not so.

Each check is one claim in words, with the number that was found beside the one that was wanted.
"""

import math
from dataclasses import dataclass, field

from plumbline.run.errors import UserError

# Two results that agree to the last bit differ by 0, whose logarithm is not finite: half the spacing
# of float64 at 1 stands for it.
SMALLEST_ERROR = 2.0**-53


@dataclass
class Checks:
    """The claims of one stage and whether each held."""

    held: list[str] = field(default_factory=list)  # in words alone, for the certificate
    failures: list[str] = field(default_factory=list)

    def expect(self, holds: bool, claim: str, figures: str = "") -> None:
        """Record one claim, in words alone, and print it with its mark and the figures that were found."""
        line = f"{claim}: {figures}" if figures else claim
        print(f"{'ok  ' if holds else 'FAIL'}  {line}")
        if holds:
            self.held.append(claim)
        else:
            self.failures.append(line)

    def expect_equal(self, result: object, wanted: object, claim: str, where: str = "") -> None:
        """Record that two exact results are equal; `where` names the sizes or the like for which they were found."""
        relation = "=" if result == wanted else "is not"
        self.expect(result == wanted, claim, f"{where}{', ' if where else ''}{result} {relation} {wanted}")

    def expect_error(self, error: float, limit: float, claim: str, where: str = "") -> None:
        """Record that an error is at most its limit; one that is not a number never is."""
        self.expect(error <= limit, claim, f"{where}{', ' if where else ''}error {error:.1e}, at most {limit:.0e}")

    def end(self) -> None:
        """End the stage if a claim did not hold."""
        if self.failures:
            more = f" (and {len(self.failures) - 1} more)" if len(self.failures) > 1 else ""
            raise UserError(f"check failed: {self.failures[0]}{more}")

    def counts(self) -> dict[str, int]:
        """Return the metric that every check stage has: once it has ended, no claim has failed."""
        return {"checks_passed": len(self.held)}


def log10_error(error: float) -> float:
    """Return log10 of an error, finite also for none; to 4 decimals, which is more than it means."""
    return round(math.log10(max(error, SMALLEST_ERROR)), 4)
