"""The derivations hold, a slip in any line of them is found, and they are the ones that were published."""

import dataclasses
from tokenize import TokenError

import pytest
import sympy as sp
from sympy.parsing.sympy_parser import parse_expr

from helpers import symbolic
from helpers.exhibits import SIGMOID_TABLE
from helpers.precision import EXACT, exact_sigmoid_cross_entropy
from helpers.symbolic import MAX_ABS, PUBLISHED, Derivation, DerivationError, differences, sigma, x, z

DERIVATIONS = [value for value in vars(symbolic).values() if isinstance(value, Derivation)]
PRINTED = SIGMOID_TABLE["printed_derivation"]
WITHOUT_ITS_BRACKET = 3
ALL_STEPS = [
    pytest.param(derivation, number, id=f"{derivation.name}, step {number}")
    for derivation in DERIVATIONS
    for number in range(len(derivation.steps))
]

derivations = pytest.mark.parametrize("derivation", DERIVATIONS, ids=lambda derivation: derivation.name)


def with_step(derivation: Derivation, number: int, change) -> Derivation:
    """Return a copy of a derivation in which one step's expression is changed."""
    steps = list(derivation.steps)
    steps[number] = dataclasses.replace(steps[number], expression=change(steps[number].expression))
    return dataclasses.replace(derivation, steps=tuple(steps))


def parsed(line: str) -> sp.Expr:
    return parse_expr(line, {"x": x, "z": z, "sigmoid": sigma})


@derivations
def test_every_derivation_verifies(derivation):
    derivation.verify()


@pytest.mark.parametrize(("derivation", "number"), [param for param in ALL_STEPS if param.values[1] > 0])
def test_a_slip_is_found_at_its_step_and_named(derivation, number):
    slipped = with_step(derivation, number, lambda expression: expression - x * z)
    with pytest.raises(DerivationError) as caught:
        slipped.verify()
    reason = derivation.steps[number].reason
    assert str(caught.value).startswith(f"{derivation.name}: step {number} ({reason}) is not equal to the step before it: ")


@pytest.mark.parametrize(("wrong_side", "sign"), [("x < 0", -1), ("x > 0", 1)])
def test_a_slip_for_one_sign_of_the_logit_alone_is_found_there(wrong_side, sign):
    slipped = with_step(MAX_ABS, 1, lambda expression: expression + sp.Max(sign * x, 0))
    with pytest.raises(DerivationError, match=rf"they differ by -p for {wrong_side}$"):
        slipped.verify()


@derivations
def test_a_derivation_is_shown_as_aligned_lines_with_every_reason(derivation):
    shown = derivation._repr_latex_()
    assert shown.startswith(r"$$\begin{aligned}")
    assert shown.endswith(r"\end{aligned}$$")
    for step in derivation.steps:
        assert rf"\textit{{{step.reason}:}} \\" in shown
        assert rf"&= {sp.latex(step.expression)}" in shown


@pytest.mark.parametrize(("derivation", "number"), ALL_STEPS)
@pytest.mark.parametrize("logit", [-3.5, 0.0, 2.25])
def test_every_step_is_the_loss_as_a_number(derivation, number, logit):
    expression = derivation.steps[number].expression.doit()
    value = EXACT.mpf(expression.subs({x: sp.Rational(logit), z: sp.Rational(1, 4)}).evalf(40))
    assert EXACT.almosteq(value, exact_sigmoid_cross_entropy(0.25, logit), rel_eps=EXACT.mpf(10) ** -38)  # of 40 digits


@pytest.mark.parametrize("number", [number for number in range(len(PRINTED)) if number != WITHOUT_ITS_BRACKET])
def test_each_printed_line_is_the_step_of_that_number(number):
    assert differences(parsed(PRINTED[number]), PUBLISHED.steps[number].expression) == {"all real x": 0}


def test_the_printed_line_without_its_bracket_means_the_step_with_it():
    line, step = PRINTED[WITHOUT_ITS_BRACKET], PUBLISHED.steps[WITHOUT_ITS_BRACKET].expression
    with pytest.raises((SyntaxError, TokenError)):
        parsed(line)
    assert differences(parsed(line + ")"), step) == {"all real x": 0}
    assert differences(parsed(line.replace("(x +", "(x) +")), step) != {"all real x": 0}
