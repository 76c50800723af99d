"""Validate the whole of params.yaml: every other stage depends on this one's certificate.

So a mistake in any section ends a run before any work. The certificate holds no value: a changed parameter makes only
the stages run again that use it. Writes data/certificates/params.txt.
"""

from pathlib import Path

from plumbline.params.all import AllParams
from plumbline.run import params_file
from plumbline.run.errors import run
from plumbline.run.outputs import whole_file

CERTIFICATE = Path("data/certificates/params.txt")

CLAIMS = (
    "params.yaml holds every section and every key, and no other",
    "every value is of its key's type and in its range",
    "the values that limit each other agree",
)


def main() -> None:
    CERTIFICATE.unlink(missing_ok=True)
    params_file.load(AllParams)
    with whole_file(CERTIFICATE) as partial:
        partial.write_text("".join(f"{claim}\n" for claim in CLAIMS), encoding="utf-8")


if __name__ == "__main__":
    run(main)
