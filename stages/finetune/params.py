"""The sections of params.yaml that the finetune stage uses."""

from plumbline.params.finetune import Finetune
from plumbline.params.image import Image
from plumbline.run.fields import Seed, SomeSections


class Params(SomeSections):
    seed: Seed
    image: Image
    finetune: Finetune
