"""Certificates: what a stage has found to hold, in words and without figures.

A stage that waits for a proof depends on its certificate, data/certificates/<stage>.txt, and not on its numbers: when
the proof runs again and holds again, the certificate stays the same, and what waits for it does not run again.
"""

from collections.abc import Iterable
from pathlib import Path

from plumbline.run.errors import UserError
from plumbline.run.outputs import whole_file

FOLDER = Path("data/certificates")


def certificate(stage: str) -> Path:
    """Return the path of a stage's certificate."""
    return FOLDER / f"{stage}.txt"


def write_certificate(stage: str, claims: Iterable[str]) -> None:
    """Write the claims that hold, one a line, each once."""
    lines = dict.fromkeys(claims)
    with whole_file(certificate(stage)) as partial:
        partial.write_text("".join(f"{claim}\n" for claim in lines), encoding="utf-8")


def withdraw_certificate(stage: str) -> None:
    """Remove a former run's certificate: until the stage ends, nothing is known to hold."""
    certificate(stage).unlink(missing_ok=True)


def require_certificate(stage: str) -> None:
    """Raise UserError unless the stage has run, and found everything to hold."""
    path = certificate(stage)
    if not path.exists():
        raise UserError(f"there is no {path}: `dvc repro` runs the check that writes it, if everything holds")
