"""What dvc.yaml says of the stages, and the modules that they may import."""

import yaml

from tests.conftest import PROJECT

STAGES = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
MODULES = sorted(
    path.relative_to(PROJECT).as_posix()
    for folder in ("stages", "plumbline")
    for path in (PROJECT / folder).rglob("*.py")
)
