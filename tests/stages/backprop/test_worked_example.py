"""The worked example: its arithmetic is right as it is written, and its gradients are those of finite differences."""

import numpy as np
import pytest

from plumbline.checks.claims import Checks
from plumbline.checks.derivations import code_of
from stages.backprop import hidden_layer
from stages.backprop.traced_graph import check_graph
from stages.backprop.worked_example import example, worked_example
from tests.conftest import PROJECT


def loss_by_numpy(W1: np.ndarray, W2: np.ndarray) -> float:
    X, _, _, y = (each.numpy() for each in example())
    return float(((1 / (1 + np.exp(-X @ W1)) @ W2 - y) ** 2).sum())


def test_each_line_is_right_as_it_is_written_and_the_last_ones_are_the_gradients() -> None:
    checks = Checks()
    table = worked_example(checks)
    assert checks.failures == []
    results = {}
    for name, by_hand in table.rows:
        results[name] = []
        for part in by_hand.split("; "):
            arithmetic, result = part.split(" = ")
            computed = eval(arithmetic.replace(" x ", " * ").replace("^", "**"), {"e": np.e})
            assert computed == pytest.approx(float(result), abs=3e-3), part  # from rounded numbers
            results[name].append(float(result))
    _, W1, W2, _ = (each.numpy() for each in example())
    assert results["L"] == [round(loss_by_numpy(W1, W2), 3)]
    step = 1e-6
    for a in range(len(W1)):
        moved = np.eye(len(W1))[:, [a]] * step
        difference = (loss_by_numpy(W1 + moved, W2) - loss_by_numpy(W1 - moved, W2)) / (2 * step)
        assert results["dL/dW1"][a] == pytest.approx(difference, abs=6e-4)
    difference = (loss_by_numpy(W1, W2 + step) - loss_by_numpy(W1, W2 - step)) / (2 * step)
    assert results["dL/dW2"] == [pytest.approx(difference, abs=6e-4)]
    assert "X = [[1, 2], [3, -1]]" in table.title


def test_the_graphs_numbers_are_the_tables() -> None:
    nodes = {node.symbol: node for node in check_graph(Checks()).nodes}
    results = {
        name: [part.split(" = ")[1] for part in text.split("; ")] for name, text in worked_example(Checks()).rows
    }
    for name, symbol in {"Z": "Z", "u": "u", "y_hat": r"\hat{y}", "L": "L"}.items():
        assert nodes[symbol].example.split("\n") == results[name]
    for name, symbol in {"W1": "W_1", "W2": "W_2", "u": "u", "Z": "Z", "y_hat": r"\hat{y}"}.items():
        assert nodes[symbol].example_gradient.split("\n") == results[f"dL/d{name}"]


def test_the_code_beside_a_derivation_is_the_files() -> None:
    (code,) = code_of(hidden_layer.backward)
    place, name = code.place.split(", ")
    assert name == "backward"
    assert code.text in (PROJECT / place).read_text(encoding="utf-8")
    assert code.text.splitlines()[0].startswith("def backward(")
    assert code.text.splitlines()[-1] == "    return Gradients(dW1, dW2, dX)"
