"""The whole of params.yaml: what the params stage validates, and what the report prints."""

from plumbline.params.backprop import Backprop
from plumbline.params.convolution import Convolution
from plumbline.params.curvature import Curvature
from plumbline.params.data import Data
from plumbline.params.digits import Digits
from plumbline.params.evaluate import Evaluate
from plumbline.params.export import Export
from plumbline.params.finetune import Finetune
from plumbline.params.gallery import Gallery
from plumbline.params.image import Image
from plumbline.params.weight_decay import WeightDecay
from plumbline.params.weights import Weights
from plumbline.run.fields import Section, Seed


class AllParams(Section):
    """Every section, and no other key."""

    seed: Seed
    data: Data
    image: Image
    digits: Digits
    backprop: Backprop
    convolution: Convolution
    weight_decay: WeightDecay
    weights: Weights
    curvature: Curvature
    finetune: Finetune
    evaluate: Evaluate
    gallery: Gallery
    export: Export
