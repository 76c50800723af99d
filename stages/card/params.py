"""The sections of params.yaml that the card stage uses."""

from plumbline.params.data import Data
from plumbline.params.evaluate import Evaluate
from plumbline.params.finetune import Finetune
from plumbline.params.weights import Weights
from plumbline.run.fields import Seed, SomeSections


class Params(SomeSections):
    seed: Seed
    data: Data
    weights: Weights
    finetune: Finetune
    evaluate: Evaluate
