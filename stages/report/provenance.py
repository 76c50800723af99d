"""Where the results come from: the versions, files and parameters of the run."""

import platform
from importlib.metadata import version

from plumbline.params.all import AllParams
from plumbline.run.dotted_keys import flat, written
from plumbline.run.hashes import sha256_of
from plumbline.run.paths import BACKBONE, FINETUNED, MEASURES, PREDICTIONS, PREPARED
from stages.report.figures_and_tables import Table, table

PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scikit-learn", "scipy", "pillow", "safetensors", "dvc")
FILES = (PREPARED / "manifest.csv", BACKBONE, FINETUNED, PREDICTIONS, MEASURES)


def versions_table() -> Table:
    """Return the versions of Python and of the packages that the results depend on."""
    rows = [["Python", platform.python_version()], *([name, version(name)] for name in PACKAGES)]
    return table("Versions", ["", "version"], rows)


def hashes_table() -> Table:
    """Return the sha256 of the files that the run made."""
    return table("Files", ["file", "sha256"], [[path.as_posix(), sha256_of(path)] for path in FILES])


def params_table(settings: AllParams) -> Table:
    """Return every parameter by its dotted name."""
    rows = [[key, written(value)] for key, value in flat(settings.model_dump()).items()]
    return table("params.yaml", ["parameter", "value"], rows, most=len(rows))
