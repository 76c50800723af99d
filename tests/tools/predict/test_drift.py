"""Images like those of val are seldom called otherwise; darker ones are, and called so. The tests are scipy's."""

import math
import types
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import ks_2samp
from statsmodels.stats.multitest import multipletests

from plumbline.model.model_file import write_model
from plumbline.model.val_images import DIRECTIONS
from tests.conftest import write_image
from tests.support.models import small_model, with_score
from tests.support.planted import planted
from tests.tools.predict.conftest import predict
from tools.predict import drift

NEWER = ("size", "features", "directions")  # what is kept of the val images in newer files alone


def refuse_other_tests(module: types.ModuleType = drift) -> None:
    """Assert that p-values, correction, level and words are right."""
    chance = np.random.default_rng(0)
    for m, n in ((20, 24), (24, 24), (24, 153), (200, 31)):
        for shift in (0.0, 0.4, 1.0):
            one, other = chance.normal(size=m), chance.normal(shift, size=n)
            wanted = ks_2samp(one, other, method="exact").pvalue
            assert module.p_value(one, other) == pytest.approx(wanted, rel=1e-9, abs=1e-12)
            assert module.p_value(other, one) == pytest.approx(wanted, rel=1e-9, abs=1e-12)
            limit = 2 * math.exp(-2 * (gap := ks_2samp(one, other).statistic) ** 2 * m * n / (m + n))
            if limit < 0.1:  # the series is then its first term
                assert module.asymptotic(m, n, round(gap * m * n)) == pytest.approx(limit, rel=1e-3)
    p_values = [0.02, 0.001, 0.3]
    assert module.holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    val = chance.normal(size=153).astype(np.float32)
    far = dict.fromkeys(module.ABOUT, (val[:40] + 5, val))
    assert "they are brighter (p below 1e-06), farther from the training images (p below 1e-06), surer" in (
        module.line_of(far)
    )
    assert "surer of a class (p below 1e-06), larger (p below 1e-06); what" in module.line_of(far)
    # The features along several directions are one thing to the reader, with the smallest of their p-values.
    along = {f"features {k}": (val[:40] + by, val) for k, by in enumerate((0, 0.9, 5))}
    like = {"brightness": (val[10:50], val)}
    assert "they are of other features (p below 1e-06); what" in module.line_of(like | along)
    alike = dict.fromkeys([*like, *along], (val[10:50], val))
    assert "look like those of val in brightness, features (smallest p " in module.line_of(alike)
    near = {name: (new - 10, own) for name, (new, own) in far.items()}
    assert "they are darker (p below 1e-06), nearer to the training images (p below 1e-06), less" in module.line_of(
        near
    )
    assert module.line_of({name: (new[:19], own) for name, (new, own) in far.items()}) is None
    assert module.line_of({name: (new, own[:19]) for name, (new, own) in far.items()}) is None
    few = {name: (val[:20] + (5 if name == "brightness" else 0), val) for name in module.ABOUT}
    assert "they are brighter (p below 1e-06);" in module.line_of(few)


def test_the_p_values_are_scipys_the_correction_statsmodels_and_the_words_right() -> None:
    refuse_other_tests()


def test_of_all_orders_of_few_values_the_exact_share_is_counted() -> None:
    for m, n in ((3, 4), (4, 4), (2, 6)):
        gaps = []
        for first in combinations(range(m + n), m):
            is_first = np.isin(np.arange(m + n), first)
            gaps.append(np.abs(is_first.cumsum() * n - (~is_first).cumsum() * m).max())
        for largest in set(gaps):
            assert drift.exact(m, n, largest) == pytest.approx(np.mean(np.array(gaps) >= largest))


@pytest.mark.medium
def test_images_like_those_of_val_are_called_otherwise_as_rarely_as_the_level_says() -> None:
    chance, batches = np.random.default_rng(1), 500
    compared = [*drift.ABOUT, *(f"{drift.FEATURES} {k}" for k in range(DIRECTIONS))]
    lines = [
        drift.line_of({name: (chance.normal(size=24), chance.normal(size=24)) for name in compared})
        for _ in range(batches)
    ]
    alarms = sum("do not look" in line for line in lines)
    assert 0 < alarms <= batches * drift.LEVEL + 3 * (batches * drift.LEVEL) ** 0.5


FAULTS = {
    "a gap off by one": (">= largest)] = 0", "> largest)] = 0"),
    "one-sided": ("np.abs(gaps).max()", "gaps.max()"),
    "no correction": ("(len(p_values) - rank) * ", ""),
    "Bonferroni's for Holm's": ("(len(p_values) - rank) * ", "len(p_values) * "),
    "the largest first": ("np.argsort(p_values), [0.0]", "np.argsort(p_values)[::-1], [0.0]"),
    "the sides swapped": ("larger if above > below", "larger if above < below"),
    "the level on the wrong side": ("if p <= LEVEL", "if p > LEVEL"),
    "the limit without the sizes": (" * np.sqrt(m * n / (m + n))", " * np.sqrt(m * n)"),
    "val compared with itself": ("p_value(new, val) for new", "p_value(val, val) for new"),
    "the largest p of several": ("min(p, unlike.get(words, 1.0))", "max(p, unlike.get(words, 0.0))"),
    "few images compared": ("FEWEST = 20", "FEWEST = 19"),
}


@pytest.mark.medium
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str) -> None:
    faulty = planted(drift, *FAULTS[fault])
    with pytest.raises((AssertionError, TypeError)):
        refuse_other_tests(faulty)


@pytest.mark.medium
def test_the_command_compares_the_images_with_those_of_val(folder: Path) -> None:
    write_model(Path("models/finetuned.safetensors"), with_score(small_model()))  # of 24 val images of noise
    for i in range(20):
        write_image(Path(f"noise/{i}.png"), seed=100 + i, size=(40, 40))
        Image.new("RGB", (40, 40), (i, i, i)).save(Path(f"noise/{i}.png").with_name(f"dark{i}.bmp"))
    assert predict("noise/*.png")[1].startswith(
        "these 20 images look like those of val in brightness, distance, probability, size, features (smallest p "
    )
    output, errors = predict("noise/*.bmp", "--format", "csv")
    assert errors.count("\n") == 1
    assert errors.startswith("these 20 images do not look like those of val: they are darker (p ")
    assert output.splitlines()[0] == "path,predicted,probability,known,p_known,reason,detail"
    assert predict("noise/1*.png")[1] == ""  # eleven
    for i in range(20):
        with Image.open(f"noise/{i}.png") as image:
            image.resize((80, 90), Image.Resampling.NEAREST).save(f"large{i}.png")
    large = predict("large*.png", "--format", "csv")
    assert "larger (p below 1e-06)" in large[1]
    older = with_score(small_model())
    kept = {key: value for key, value in older.tensors.items() if key.removeprefix("val.") not in NEWER}
    assert len(older.tensors) - len(kept) == 3
    write_model(Path("models/finetuned.safetensors"), replace(older, tensors=kept))
    assert predict("noise/*.png")[1].startswith("these 20 images look like those of val in brightness, distance, prob")
    assert predict("large*.png", "--format", "csv")[0] == large[0]
    write_model(Path("models/finetuned.safetensors"), small_model())
    assert "look like those of val" not in predict("noise/*.bmp")[1]
