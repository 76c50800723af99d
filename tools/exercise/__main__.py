"""Exercises on the homework: functions with blanks, in a folder of your own, and a check of what you fill in.

    python -m tools.exercise start answers
    python -m tools.exercise check answers

`start` writes problem_1.py to problem_4.py, and never over a file that is there. `check` says of each function whether
it is right, or which shape, sign or factor is off, but not what is right; that is in docs/homework.md and the stages.
It runs the code in the folder, and ends with 0 once all is right.
"""

import argparse
import importlib.util
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch

from plumbline.run.errors import UserError, one_line
from plumbline.run.errors import run as run_tool
from tools.exercise import backpropagation, convolution, training_loop, weight_decay
from tools.exercise.verdicts import Verdict

MARKS = {"right": "✓", "wrong": "✗", "not written": "-"}
BLANKS = Path(__file__).with_name("blanks")
PROBLEMS: dict[str, ModuleType] = {
    "problem_1": backpropagation,
    "problem_2": convolution,
    "problem_3": weight_decay,
    "problem_4": training_loop,
}


def start(folder: Path) -> None:
    """Write the blanks into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for problem in PROBLEMS:
        target = folder / f"{problem}.py"
        if target.exists():
            print(f"{target} is there already: left as it is")
        else:
            shutil.copyfile(BLANKS / target.name, target)
            print(f"wrote {target}")


def load(path: Path) -> ModuleType:
    """Return the answers in a file as a module. Raises UserError if it cannot be run."""
    if not path.is_file():
        raise UserError(f"{path} is not there: python -m tools.exercise start {path.parent} writes it")
    spec = importlib.util.spec_from_file_location(f"answers_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"{path} cannot be run: {said(error, path)}") from None
    return module


def said(error: Exception, path: Path) -> str:
    """Return an exception of the answers' own in words, with its line."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve() == path.resolve()
    ]
    line = lines[-1] if lines else getattr(error, "lineno", None)
    return f"{type(error).__name__}: {one_line(str(error))}" + (f" (line {line})" if line else "")


def verdict(check: Callable[[Callable], str | None], function: str, answers: ModuleType, path: Path) -> Verdict:
    """Return the verdict on one function, which may do anything, as far as it raises."""
    answer = getattr(answers, function, None)
    if not callable(answer):
        return Verdict(function, "is not there", "not written")
    try:
        words = check(answer if path.stem == "problem_4" else torch.no_grad()(answer))
    except NotImplementedError:
        return Verdict(function, "is not written yet", "not written")
    except Exception as error:
        if "does not require grad" in str(error) and path.stem != "problem_4":
            return Verdict(function, "uses autograd: do without it", "wrong")
        return Verdict(function, f"ends with {said(error, path)}", "wrong")
    return Verdict(function, words or "is right", "wrong" if words else "right")


def check(folder: Path) -> bool:
    """Print the verdict on each function in a folder, and return whether all are right."""
    verdicts = []
    for name, problem in PROBLEMS.items():
        path = folder / f"{name}.py"
        print(name)
        try:
            answers = load(path)
        except UserError as error:
            print(f"  {MARKS['wrong']} {error}")
            verdicts += [Verdict(function, "", "wrong") for function in problem.CHECKS]
            continue
        for function, of_function in problem.CHECKS.items():
            verdicts.append(verdict(of_function, function, answers, path))
            print(f"  {MARKS[verdicts[-1].state]} {function} {verdicts[-1].words}")
    right = sum(each.state == "right" for each in verdicts)
    print(f"{right} of {len(verdicts)} functions are right")
    return right == len(verdicts)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.exercise", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("what", choices=["start", "check"], help="write the blanks, or check what was filled in")
    parser.add_argument("folder", type=Path, help="a folder of your own")
    arguments = parser.parse_args()
    if arguments.what == "start":
        start(arguments.folder)
    elif not check(arguments.folder):
        sys.exit(1)


if __name__ == "__main__":
    run_tool(main)
