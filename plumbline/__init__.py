"""What two or more stages of Plumbline share; and `Classifier`, the trained model for your own programs.

from plumbline import Classifier
Classifier.load("models/finetuned.safetensors")(["photo.jpg"])
"""

from importlib import import_module

__all__ = ["Classifier", "Prediction"]


def __getattr__(name: str) -> object:
    """Import the classifier when it is asked for: the stages do without, and need not wait for what it imports."""
    if name in __all__:
        return getattr(import_module("plumbline.classifier"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
