"""Formulas of the report: MathML, symbols in sentences, and the font that draws them."""

import base64
import io
from xml.etree import ElementTree

import pytest
from fontTools.ttLib import TTFont

from stages.report.formulas import math_font, mathml, typeset


def test_formulas_become_mathml_with_words_upright() -> None:
    root = ElementTree.fromstring(mathml(r"Loss = L(w) + \frac{1}{2} \lambda \sqrt{v}"))
    tags = [element.tag.split("}")[1] for element in root.iter()]
    assert root.tag.endswith("math")
    assert "mfrac" in tags
    assert "msqrt" in tags
    texts = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("mi")]
    assert "Loss" in "".join(root.itertext())
    assert "L" in texts


def test_a_prime_stands_on_the_line_and_a_hat_is_a_modifier_that_does_not_stretch() -> None:
    # STIX draws a prime at the height of a superscript.
    primed, hat = mathml(r"\sigma'"), mathml(r"\hat{y}")
    assert "msup" not in primed
    assert "&#x02032;" in primed
    assert '<mo stretchy="false">&#x002C6;</mo>' in hat


def test_symbols_in_sentences_are_those_of_the_formulas() -> None:
    texts = {
        "2 (y_hat - y)^T u is (o, h) <b>": "2 (ŷ − y)<sup>T</sup> u is (o, h) &lt;b&gt;",
        "dL/dW2, u_ij, w_(t-1) and rho^(t-1)": "∂L/∂W<sub>2</sub>, u<sub>ij</sub>, w<sub>t−1</sub> and ρ<sup>t−1</sup>",
        "0 <= beta1 < 1, sqrt(mu) >= -1": "0 ≤ β<sub>1</sub> &lt; 1, √μ ≥ −1",
        "weight_decay = 2 lambda, at most 6e-16 of 3 x 3": "weight_decay = 2 λ, at most 6e−16 of 3 × 3",
    }
    assert {text: typeset(text).replace("\N{NO-BREAK SPACE}", " ") for text in texts} == texts
    assert "(o,\N{NO-BREAK SPACE}h)" in typeset("(o, h)")


def test_a_minus_after_a_bracket_is_a_sign_and_counts_have_separators() -> None:
    formula = mathml(r"p(-1) = a - 1 = 5133600 + 0.0664")
    assert formula.count('<mo form="prefix">&#x02212;</mo><mn>1</mn>') == 1
    assert "<mn>5,133,600</mn>" in formula
    assert "<mn>0.0664</mn>" in formula


@pytest.mark.medium
def test_the_font_has_what_formulas_are_made_of_and_is_small() -> None:
    source = math_font("\N{GREEK SMALL LETTER LAMDA}")
    contents = base64.b64decode(source.removeprefix("data:font/woff;base64,"))
    assert len(contents) < 150_000
    font = TTFont(io.BytesIO(contents))
    assert {ord("\N{SQUARE ROOT}"), ord("+"), 0x1D465, 0x1D706} <= set(font.getBestCmap())
    assert font["MATH"].table.MathVariants.VertGlyphConstruction  # roots that grow
    assert math_font("\N{GREEK SMALL LETTER LAMDA}") == source
