"""What the finder starts from: what fine-tuning starts from."""

from tests.stages.finetune.conftest import ready

__all__ = ["ready"]
