"""The checks can fail: each fault is planted in the source of a check stage, one at a time, and must be caught."""

import importlib
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path

import pytest

from plumbline.run.errors import UserError
from tests.conftest import PROJECT, Workspace

# Which stage vouches for what is shared.
STAGES_OF_SHARED = {
    "../plumbline/checks/stability.py": "weight_decay",
    "../plumbline/checks/multiply_adds.py": "convolution",
}

SHARED = {"plumbline.checks.stability", "plumbline.checks.multiply_adds"}

# File below stages/, the text that is right, and the one that is put in its place.
FAULTS = {
    "a transposed factor": ("backprop/hidden_layer.py", "dW1 = X.T @ dZ", "dW1 = (dZ.T @ X)"),
    "a forgotten factor": ("backprop/hidden_layer.py", "dW2 = kept.u.T @ dy_hat", "dW2 = kept.u.T @ (0.5 * dy_hat)"),
    "a missing 2": ("backprop/hidden_layer.py", "dy_hat = 2 * (kept.y_hat - y)", "dy_hat = kept.y_hat - y"),
    "a sign": ("backprop/hidden_layer.py", "2 * (kept.y_hat - y)", "2 * (y - kept.y_hat)"),
    "1 - u for u (1 - u)": ("backprop/hidden_layer.py", "* kept.u * (1 - kept.u)", "* (1 - kept.u)"),
    "tanh's derivative for sigma's": ("backprop/hidden_layer.py", "* kept.u * (1 - kept.u)", "* (1 - kept.u * kept.u)"),
    "the input's gradient without W1": ("backprop/hidden_layer.py", "dX = dZ @ W1.T", "dX = dZ @ (0 * W1.T)"),
    "a mean for a sum": ("backprop/hidden_layer.py", "** 2).sum()", "** 2).mean()"),
    "the forward price of one product": ("backprop/cost.py", "return n * (d * h + h * o)", "return n * (d * h)"),
    "the backward price without a product": ("backprop/cost.py", "n * (d * h + 2 * h * o)", "n * (d * h + h * o)"),
    "the input's gradient at double price": ("backprop/cost.py", "(n * h * d if", "(2 * n * h * d if"),
    "the image's gradient priced too": ("backprop/network_cost.py", "(2 if each.input_gradient else 1)", "2"),
    "a rule of the print": ("backprop/printed_equations.py", "return EQUAL if h == o == 1", "return EQUAL if h == o"),
    "a local derivative": ("backprop/traced_graph.py", "lambda g, a, out: 2 * a[0] * g", "lambda g, a, out: a[0] * g"),
    "batch norm's mean": ("backprop/resnet_layers.py", "(dY - dY.mean(dim=over, keepdim=True) - along)", "(dY - along)"),
    "batch norm's variance": ("backprop/resnet_layers.py", "keepdim=True) - along)", "keepdim=True))"),
    "batch norm's biased variance": ("backprop/resnet_layers.py", "(X - mean).square().mean(", "X.square().mean("),
    "pooling to the wrong pixel": ("backprop/resnet_layers.py", "patches.max(dim=2)", "patches.min(dim=2)"),
    "pooling's share": ("backprop/resnet_layers.py", "dY / (X.shape[2] * X.shape[3])", "dY / X.shape[2]"),
    "softmax without the batch": ("backprop/resnet_layers.py", "one_hot) / len(labels)", "one_hot)"),
    "a gradient at zero and below": ("backprop/resnet_layers.py", "(X > 0,)", "(X > -1,)"),
    "stride forgotten in the fold": (
        "backprop/resnet_layers.py",
        "W.flatten(1).T @ dY, X.shape[-2:], kernel, stride=stride, padding=padding",
        "W.flatten(1).T @ dY, X.shape[-2:], kernel, stride=1, padding=padding",
    ),
    "the shortcut's gradient lost": ("backprop/resnet_layers.py", "return dX + d_shortcut, d", "return dX, d"),
    "lambda for 2 lambda": ("weight_decay/updates.py", "return 1 - 2 * alpha * lambda_", "return 1 - alpha * lambda_"),
    "the bound 1 / lambda": ("weight_decay/updates.py", "return 1 / (2 * lambda_)", "return 1 / lambda_"),
    "half a penalty": ("weight_decay/updates.py", "loss(w) + lambda_ * (w**2).sum()", "loss(w) + lambda_ * (w**2).sum() / 2"),
    "a velocity without decay": ("weight_decay/updates.py", "+ gradient + 2 * lambda_ * w", "+ gradient"),
    "a velocity that is dampened": ("weight_decay/updates.py", "beta * velocity + gradient + 2", "beta * velocity + 0.9 * gradient + 2"),
    "Nesterov's shrinking counted once": ("weight_decay/updates.py", "shrink_factor(times * alpha, lambda_)", "shrink_factor(alpha, lambda_)"),
    "Nesterov's beta for beta^2": ("weight_decay/updates.py", "(1 + beta, beta**2)", "(1 + beta, beta)"),
    "Adam without bias correction": ("weight_decay/decoupling.py", "first / (1 - BETA_1**step)", "first"),
    "Adam's second moment": ("weight_decay/decoupling.py", "(1 - BETA_2) * gradient**2", "(1 - BETA_2) * gradient"),
    "AdamW's decay without the step size": ("weight_decay/decoupling.py", "w = shrink_factor(alpha, lambda_) * w", "w = (1 - 2 * lambda_) * w"),
    "Adam's epsilon in the root": ("weight_decay/decoupling.py", "(variance.sqrt() + EPS)", "(variance + 0.01).sqrt()"),
    "the bound without momentum": ("weight_decay/stable_step_sizes.py", "2 * lambda_, momentum.beta)", "2 * lambda_)"),
    "Nesterov's bound as heavy ball's": ("weight_decay/stable_step_sizes.py", "((1 + 2 * momentum.beta) *", "(1 *"),
    "a bound without the decay": ("weight_decay/stable_step_sizes.py", "curvature, 2 * lambda_, momentum.beta", "curvature + 1e-3, 0 * lambda_, momentum.beta"),
    "1 - beta for 1 + beta": ("../plumbline/checks/stability.py", "(2 * (1 + momentum))", "(2 * (1 - momentum))"),
    "half the stable step": ("../plumbline/checks/stability.py", "(2 * (1 + momentum))", "(1 + momentum)"),
    "an off-by-one in the output size": ("convolution/layer_by_formula.py", "// stride + 1", "// stride"),
    "a dilation that is ignored": ("convolution/layer_by_formula.py", "reach = dilation * (kernel - 1) + 1", "reach = kernel"),
    "padding on one side": ("convolution/layer_by_formula.py", "size + 2 * padding - reach", "size + padding - reach"),
    "a forgotten group": ("convolution/layer_by_formula.py", "(layer.kernel**2 * (layer.input_channels // layer.groups))", "(layer.kernel**2 * layer.input_channels)"),
    "a forgotten bias": ("convolution/layer_by_formula.py", "(layer.output_channels if layer.bias else 0)", "0"),
    "a bias always": ("convolution/layer_by_formula.py", "(layer.output_channels if layer.bias else 0)", "layer.output_channels"),
    "a kernel along one side": ("convolution/layer_by_formula.py", "(layer.kernel**2 * (layer.input", "(layer.kernel * (layer.input"),
    "a mirrored kernel": ("convolution/layer_by_formula.py", "W[k1, k2, n, first", "W[-1 - k1, k2, n, first"),
    "a stride along one side": ("convolution/layer_by_formula.py", "left : left + (width - 1) * stride + 1 : stride]", "left : left + width]"),
    "the first group for all": ("convolution/layer_by_formula.py", "group * (layer.input_channels // layer.groups) + n", "n"),
    "FLOPs for MACs": ("../plumbline/checks/multiply_adds.py", "return output.numel() * products", "return 2 * output.numel() * products"),
    "a layer that is not counted": ("../plumbline/checks/multiply_adds.py", "MULTIPLYING = (nn.Conv2d, nn.Linear)", "MULTIPLYING = (nn.Conv2d,)"),
    "parameters without biases": ("../plumbline/checks/multiply_adds.py", "parameter.numel() for parameter in module.parameters()", "p.numel() for p in module.parameters() if p.dim() > 1"),
}  # fmt: skip


class FaultFinder(PathFinder):
    """Imports one module with a fault in its source, and everything else as it is."""

    def __init__(self, path: Path, right: str, wrong: str) -> None:
        assert path.read_text().count(right) >= 1, f"{path} does not hold {right!r}"
        self.path, self.source = path, path.read_text().replace(right, wrong)

    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.origin == str(self.path):
            spec.loader = FaultyLoader(name, str(self.path), self.source)
        return spec


class FaultyLoader(SourceFileLoader):
    """Loads the given source in place of the file's, and leaves no bytecode behind."""

    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self.source = source

    def get_code(self, fullname):
        return compile(self.source, self.path, "exec")


@pytest.fixture
def fresh_stages():
    """Forget the modules of the stages before and after, so that each import is a new one."""

    def forget() -> dict:
        own = [name for name in sys.modules if name.startswith("stages.") or name in SHARED]
        return {name: sys.modules.pop(name) for name in own}

    before = forget()
    yield
    forget()
    sys.modules.update(before)


@pytest.mark.medium
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught_and_nothing_is_written(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, fresh_stages: None, fault: str
) -> None:
    name, right, wrong = FAULTS[fault]
    stage = STAGES_OF_SHARED.get(name, name.split("/")[0])
    workspace.set(backprop__trials=3, weight_decay__steps=20, weights__architecture="resnet18")
    finder = FaultFinder((PROJECT / "stages" / name).resolve(), right, wrong)
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    # Factors that no longer fit are torch's or NumPy's error; all others are a check's.
    with pytest.raises((UserError, RuntimeError, ValueError), match=r"check failed|size|shape|mismatch"):
        importlib.import_module(f"stages.{stage}.__main__").main()
    assert not Path("metrics").exists()
    assert not Path("data").exists()


@pytest.mark.medium
def test_without_a_fault_every_check_stage_passes(workspace: Workspace) -> None:
    workspace.set(backprop__trials=3, weight_decay__steps=20, weights__architecture="resnet18")
    for stage in ("backprop", "convolution", "weight_decay"):
        importlib.import_module(f"stages.{stage}.__main__").main()
