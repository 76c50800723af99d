"""The exercises: the project's own modules are right answers, and the usual mistakes are named, each by itself."""

import re
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.support.projects import run_in
from tools.exercise import __main__ as exercise

ANSWERS = {
    "problem_1": """
        from stages.backprop import hidden_layer

        def outputs(X, W1, W2):
            kept = hidden_layer.forward(X, W1, W2)
            return kept.u, kept.y_hat

        def gradient_of_y_hat(y_hat, y):
            return 2 * (y_hat - y)

        def gradient_of_w2(u, dy_hat):
            return u.T @ dy_hat

        def gradient_of_z(u, W2, dy_hat):
            return dy_hat @ W2.T * u * (1 - u)

        def gradient_of_w1(X, dZ):
            return X.T @ dZ
    """,
    "problem_2": """
        from stages.convolution import layer_by_formula
        from stages.convolution.layer_by_formula import Convolution, output_size

        def multiply_adds(height, width, input_channels, output_channels, kernel):
            return layer_by_formula.macs(height, width, Convolution(input_channels, output_channels, kernel))

        def parameters(input_channels, output_channels, kernel):
            return layer_by_formula.parameters(Convolution(input_channels, output_channels, kernel))
    """,
    "problem_3": """
        import torch
        from stages.weight_decay.updates import FORMS, sgd_step, shrink_factor

        def penalised_loss(loss, w, lambda_):
            return loss + lambda_ * (w**2).sum()

        def update_by_penalty(w, gradient, alpha, lambda_):
            return sgd_step(w, torch.zeros_like(w), gradient + 2 * lambda_ * w, alpha, FORMS[0])[0]

        def update_by_shrinking(w, gradient, alpha, lambda_):
            return shrink_factor(alpha, lambda_) * w - alpha * gradient

        def weight_decay_of_torch(lambda_):
            return 2 * lambda_
    """,
    "problem_4": """
        import torch
        from torch.nn import functional

        def train_phase(network, batches, optimiser):
            network.train()
            loss_sum, right, images = 0.0, 0, 0
            for inputs, labels in batches:
                optimiser.zero_grad()
                logits = network(inputs)
                loss = functional.cross_entropy(logits, labels)
                loss.backward()
                optimiser.step()
                loss_sum += loss.item() * len(labels)
                right += (logits.argmax(1) == labels).sum().item()
                images += len(labels)
            return loss_sum / images, right / images

        @torch.no_grad()
        def val_phase(network, batches):
            network.eval()
            loss_sum, right, images = 0.0, 0, 0
            for inputs, labels in batches:
                logits = network(inputs)
                loss_sum += functional.cross_entropy(logits, labels).item() * len(labels)
                right += (logits.argmax(1) == labels).sum().item()
                images += len(labels)
            return loss_sum / images, right / images
    """,
}

# A mistake: what is written instead, in which function, and words that name it.
MISTAKES = [
    ("return kept.u, kept.y_hat", "return X @ W1, X @ W1 @ W2", "outputs", "the sigmoid is missing"),
    ("forward(X, W1, W2)", "forward(-X, W1, W2)", "outputs", "a sign is off in the exponent"),
    ("return 2 * (y_hat - y)", "return y_hat - y", "gradient_of_y_hat", "0.5 times what it should be, a factor of"),
    ("return 2 * (y_hat - y)", "return 2 * (y - y_hat)", "gradient_of_y_hat", "wrong sign"),
    ("return 2 * (y_hat - y)", "return 2 * (y_hat - y) / len(y)", "gradient_of_y_hat", "the loss is a sum over the samples"),
    ("return 2 * (y_hat - y)", "return 2 * (y_hat - y) / y.numel()", "gradient_of_y_hat", "a sum, and no mean"),
    ("return u.T @ dy_hat", "return dy_hat.T @ u", "gradient_of_w2", "(2, 5), and should have (5, 2): it is the transpose"),
    ("W2.T * u * (1 - u)", "W2.T", "gradient_of_z", "the derivative of the sigmoid is missing"),
    ("W2.T * u * (1 - u)", "W2.T * u", "gradient_of_z", "one of two factors of the sigmoid's derivative"),
    (
        "return dy_hat @ W2.T * u * (1 - u)",
        "s = u.sigmoid(); return dy_hat @ W2.T * s * (1 - s)",
        "gradient_of_z",
        "u is the sigmoid already",
    ),
    ("W2.T * u * (1 - u)", "W2.T * u * u * (1 - u)", "gradient_of_z", "and a sigmoid more"),
    (
        "return X.T @ dZ",
        "W = X.new_zeros(3, 5, requires_grad=True); return __import__('torch').autograd.grad((X @ W * dZ).sum(), W)[0]",
        "gradient_of_w1",
        "uses autograd: do without it",
    ),
    ("dy_hat @ W2.T * u", "dy_hat @ W2 * u", "gradient_of_z", "ends with RuntimeError: "),
    ("return X.T @ dZ", "return X.T @ dZ / len(X)", "gradient_of_w1", "the loss is a sum over the samples"),
    ("return X.T @ dZ", "return None", "gradient_of_w1", "returns nothing, not a tensor"),
    (
        "import Convolution, output_size",
        "import Convolution\n\ndef output_size(size, kernel, stride, padding, dilation):\n    return (size - kernel) // stride",
        "output_size",
        "1 too small for 48 pixels, a kernel of 3 and stride 1, no padding",
    ),
    (
        "import Convolution, output_size",
        "import Convolution\n\ndef output_size(size, kernel, stride, padding, dilation):\n"
        "    return (size + padding - kernel) // stride + 1",
        "output_size",
        "1 too small for 48 pixels, a kernel of 3 and a padding of 1",
    ),
    (
        "import Convolution, output_size",
        "import Convolution\n\ndef output_size(size, kernel, stride, padding, dilation):\n"
        "    return (size + 2 * padding - kernel) // stride + 1",
        "output_size",
        "2 too large for 48 pixels, a kernel of 3 and a dilation of 2",
    ),
    (
        "import Convolution, output_size",
        "import Convolution\n\ndef output_size(size, kernel, stride, padding, dilation):\n    return size / stride",
        "output_size",
        "a size is a whole number",
    ),
    ("return layer_by_formula.macs(", "return 2 * layer_by_formula.macs(", "multiply_adds", "FLOPs: a multiply-add is one"),
    (
        "return layer_by_formula.macs(height, width, Convolution(input_channels, output_channels, kernel))",
        "return height * width * output_channels * kernel**2 * input_channels",
        "multiply_adds",
        "counted at every pixel of X, and not of Z",
    ),
    (
        "return layer_by_formula.macs(height, width, Convolution(input_channels, output_channels, kernel))",
        "return layer_by_formula.macs(height, width, Convolution(input_channels, 1, kernel))",
        "multiply_adds",
        "each output channel costs as much",
    ),
    (
        "return layer_by_formula.parameters(Convolution(input_channels, output_channels, kernel))",
        "return kernel**2 * input_channels * output_channels",
        "parameters",
        "has no biases",
    ),
    (
        "return layer_by_formula.parameters(Convolution(input_channels, output_channels, kernel))",
        "return kernel**2 * input_channels * output_channels + input_channels",
        "parameters",
        "a bias for each input channel",
    ),
    ("lambda_ * (w**2).sum()", "lambda_ * w.norm()", "penalised_loss", "the norm, and not its square"),
    ("lambda_ * (w**2).sum()", "lambda_ / 2 * (w**2).sum()", "penalised_loss", "half of the penalty"),
    ("gradient + 2 * lambda_ * w, alpha", "gradient + lambda_ * w, alpha", "update_by_penalty", "decays by half as much"),
    ("gradient + 2 * lambda_ * w, alpha", "gradient - 2 * lambda_ * w, alpha", "update_by_penalty", "the weights grow"),
    (", alpha, FORMS[0])", ", 1.0, FORMS[0])", "update_by_penalty", "has no alpha"),
    (", alpha, FORMS[0])", ", -alpha, FORMS[0])", "update_by_penalty", "steps along the gradient of (a)"),
    ("gradient + 2 * lambda_ * w, alpha", "gradient + 4 * lambda_ * w, alpha", "update_by_penalty", "decays twice"),
    ("gradient + 2 * lambda_ * w, alpha", "gradient, alpha", "update_by_penalty", "without decay"),
    (
        "shrink_factor(alpha, lambda_) * w - alpha * gradient",
        "shrink_factor(alpha, lambda_) * (w - alpha * gradient)",
        "update_by_shrinking",
        "after the step and not before",
    ),
    (
        "shrink_factor(alpha, lambda_) * w - alpha * gradient",
        "shrink_factor(alpha, lambda_) * w + alpha * gradient",
        "update_by_shrinking",
        "along the gradient",
    ),
    ("FORMS, sgd_step, shrink_factor", "FORMS, sgd_step\n\ndef shrink_factor(a, l):\n    return 1 - a * l", "shrink_factor", "half as much"),
    ("return 2 * lambda_", "return lambda_", "weight_decay_of_torch", "without a factor"),
    ("optimiser.zero_grad()", "pass", "train_phase", "they are never set to zero"),
    ("optimiser.step()", "pass", "train_phase", "changes no weight"),
    ("network.train()", "pass", "train_phase", "in evaluation mode"),
    ("loss.item() * len(labels)", "loss.item() * 10 / 3", "train_phase", "average over the images"),
    ("return loss_sum / images, right / images\n\n", "return loss_sum / images, 100 * right / images\n\n", "train_phase", "percent"),
    ("loss.item() * len(labels)", "loss.item()", "train_phase", "adds up means of batches"),
    ("network.eval()", "pass", "val_phase", "in training mode"),
    ("@torch.no_grad()", "", "val_phase", "what a backward pass would need"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the right answers."""
    exercise.start(tmp_path / "answers")
    for name, text in ANSWERS.items():
        (tmp_path / "answers" / f"{name}.py").write_text(dedented(text))
    return tmp_path / "answers"


def dedented(text: str) -> str:
    return "\n".join(line.removeprefix(" " * 8) for line in text.strip("\n").splitlines()) + "\n"


def lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return what is printed of each function."""
    capsys.readouterr()
    exercise.check(folder)
    printed = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    return {function: f"{mark} {words}" for mark, function, words in printed}


def test_the_projects_own_answers_are_right(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = lines(folder, capsys)
    assert len(found) == 15
    assert set(found.values()) == {"✓ is right"}
    assert exercise.check(folder)


@pytest.mark.parametrize(("right", "wrong", "function", "words"), MISTAKES, ids=[m[3][:40] for m in MISTAKES])
def test_a_mistake_is_named_and_the_others_stay_right(
    folder: Path, capsys: pytest.CaptureFixture[str], right: str, wrong: str, function: str, words: str
) -> None:
    (name,) = (name for name, text in ANSWERS.items() if right in dedented(text))
    text = dedented(ANSWERS[name])
    (folder / f"{name}.py").write_text(text.replace(right, wrong, 1))
    found = lines(folder, capsys)
    said = found.pop(function)
    assert said.startswith("✗ ")
    assert words in said
    users_of_factor = {"update_by_shrinking"} if function == "shrink_factor" else set()
    assert {each for each, verdict in found.items() if verdict != "✓ is right"} == users_of_factor


def test_a_phase_may_return_tensors_of_float32(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "problem_4.py"
    text = path.read_text()
    as_tensors = "return torch.tensor(loss_sum / images), torch.tensor(right / images)"
    path.write_text(text.replace("return loss_sum / images, right / images", as_tensors))
    assert set(lines(folder, capsys).values()) == {"✓ is right"}


def test_the_blanks_are_not_written_yet_and_are_never_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exercise.start(tmp_path)
    assert {each.split()[0] for each in lines(tmp_path, capsys).values()} == {"-"}
    (tmp_path / "problem_1.py").write_text("mine = 1\n")
    exercise.start(tmp_path)
    assert (tmp_path / "problem_1.py").read_text() == "mine = 1\n"
    assert lines(tmp_path, capsys)["outputs"] == "- is not there"


def test_a_file_that_cannot_be_run_or_is_missing_is_one_line_and_the_others_are_checked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {
        "x = 1\ndef f(:\n": r"problem_2.py cannot be run: SyntaxError: .* \(line 2\)\n",
        "x = 1\nimport no_such_thing\n": r"cannot be run: ModuleNotFoundError: .*no_such_thing.* \(line 2\)\n",
        None: r"problem_2.py is not there: python -m tools.exercise start .*\n",
    }
    for text, words in wrong.items():
        path = folder / "problem_2.py"
        path.unlink() if text is None else path.write_text(text)
        assert not exercise.check(folder)
        printed = capsys.readouterr().out
        assert re.search(words, printed)
        assert printed.endswith("12 of 15 functions are right\n")


@pytest.mark.medium
def test_an_error_has_its_line_in_a_relative_folder_too(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = folder / "problem_1.py"
    text = answers.read_text().replace("return X.T @ dZ", "return X @ dZ")
    answers.write_text(text)
    (line,) = [i for i, each in enumerate(text.splitlines(), 1) if "return X @ dZ" in each]
    monkeypatch.chdir(folder.parent)
    exercise.check(Path("..") / folder.parent.name / folder.name)
    assert f"(line {line})" in capsys.readouterr().out


@pytest.mark.medium
def test_the_status_says_whether_all_is_right(folder: Path) -> None:
    for expected in (0, 1):
        done = run_in(PROJECT, "python", "-m", "tools.exercise", "check", str(folder), check=False)
        assert (done.returncode, done.stderr) == (expected, "")
        (folder / "problem_3.py").write_text("")
    assert "10 of 15 functions are right" in done.stdout
