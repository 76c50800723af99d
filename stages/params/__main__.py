"""Validate the whole of params.yaml: every other stage depends on this one's certificate.

So a mistake in any section ends a run before any work. The certificate holds no value: a changed parameter makes only
the stages run again that use it. Writes data/certificates/params.txt.
"""

from plumbline.model.timm_names import is_timm, refuse_unknown_timm_name
from plumbline.params.all import AllParams
from plumbline.run import params_file
from plumbline.run.certificates import withdraw_certificate, write_certificate
from plumbline.run.errors import run

CLAIMS = (
    "params.yaml holds every section and every key, and no other",
    "every value is of its key's type and in its range",
    "the values that limit each other agree",
)


def main() -> None:
    withdraw_certificate("params")
    architecture = params_file.load(AllParams).weights.architecture
    if is_timm(architecture):
        refuse_unknown_timm_name(architecture)
    write_certificate("params", CLAIMS)


if __name__ == "__main__":
    run(main)
