"""Derivations as lists of steps that SymPy checks, one against the one before.

>>> from helpers import symbolic
>>> symbolic.PUBLISHED.verify()
>>> [step.reason for step in symbolic.PUBLISHED.steps][-1]
'multiply out'

A step keeps the form that it was written in: SymPy must not simplify ``log(e^x)`` to ``x`` before a reader has seen it,
and ``evaluate=False`` prevents that.
"""

from dataclasses import dataclass

import sympy as sp

x, z = sp.symbols("x z", real=True)

# One symbol for each sign of x: SymPy's simplify knows |p| = p and max(-p, 0) = 0, but not how to compare Max and Abs of x.
_SIGNS = {
    "x > 0": sp.Symbol("p", positive=True),
    "x = 0": sp.Integer(0),
    "x < 0": -sp.Symbol("p", positive=True),
}


class sigma(sp.Function):  # lower case, as SymPy names its functions
    """The sigmoid as a symbol that a reader sees; ``doit`` writes it out as ``1 / (1 + e^-x)``."""

    def doit(self, **hints: bool) -> sp.Expr:
        """Return ``1 / (1 + e^-x)``."""
        return 1 / (1 + sp.exp(-self.args[0].doit(**hints)))


class DerivationError(ValueError):
    """A step of a derivation does not equal the step before it."""


@dataclass(frozen=True)
class Step:
    """One line of a derivation: an expression, and the reason why it equals the line before."""

    expression: sp.Expr
    reason: str


@dataclass(frozen=True)
class Derivation:
    """A chain of equal expressions in the real symbols ``x`` and ``z``.

    Parameters
    ----------
    name : str
        What is derived.
    steps : tuple of Step
        The lines. The first one's reason says where the derivation starts.

    Examples
    --------
    >>> import sympy as sp
    >>> from helpers.symbolic import Derivation, Step, x
    >>> start = Step((x + 1) ** 2, "start")
    >>> good = Derivation("a square", (start, Step(x**2 + 2 * x + 1, "multiply out")))
    >>> good.verify()
    >>> bad = Derivation("a slip", (start, Step(x**2 + 1, "square each term")))
    >>> bad.verify()
    Traceback (most recent call last):
    helpers.symbolic.DerivationError: a slip: step 1 (square each term) is not equal to the step before it: ...
    """

    name: str
    steps: tuple[Step, ...]

    def verify(self) -> None:
        """Check that each step equals the one before it, for every real x and z.

        Raises
        ------
        DerivationError
            Naming the first step that doesn't, with the difference that is left and where it was found.
        """
        for number, (before, step) in enumerate(zip(self.steps, self.steps[1:], strict=False), start=1):
            for case, difference in differences(before.expression, step.expression).items():
                if difference != 0:
                    raise DerivationError(
                        f"{self.name}: step {number} ({step.reason}) is not equal to the step before it: "
                        f"they differ by {difference} for {case}"
                    )

    def _repr_latex_(self) -> str:
        """Render the steps as aligned equations in a notebook, the reason for each above it: narrow enough for a phone."""
        lines = [rf"&\quad\textit{{{step.reason}:}} \\ &= {sp.latex(step.expression)}" for step in self.steps]
        lines[0] = lines[0].replace("&=", "L &=", 1)
        return r"$$\begin{aligned}" + r" \\ ".join(lines) + r"\end{aligned}$$"


def differences(left: sp.Expr, right: sp.Expr) -> dict[str, sp.Expr]:
    """Return ``left - right`` as far as SymPy simplifies it, for each case that has to be told apart.

    Without ``Max`` and ``Abs`` there is one case, all real x; with them there are three, by the sign of x.

    Parameters
    ----------
    left, right : sympy.Expr
        Expressions in the real symbols ``x`` and ``z``.

    Returns
    -------
    dict
        The simplified difference by case. They are equal if every difference is 0. SymPy may fail to see that an expression
        is zero, but never the reverse: a difference of 0 is a proof of equality, any other difference proves nothing.

    Examples
    --------
    >>> import sympy as sp
    >>> differences(sp.Max(x, 0), (x + sp.Abs(x)) / 2)
    {'x > 0': 0, 'x = 0': 0, 'x < 0': 0}
    """
    difference = left.doit() - right.doit()
    cases = _SIGNS if difference.has(sp.Max, sp.Abs) else {"all real x": x}
    return {case: sp.simplify(difference.subs(x, value)) for case, value in cases.items()}


def _log(argument: sp.Expr) -> sp.Expr:
    return sp.log(argument, evaluate=False)


_log_1p = _log(1 + sp.exp(-x))

#: The derivation as the article and TensorFlow's documentation give it, with the missing bracket in its place.
PUBLISHED = Derivation(
    "the published derivation",
    (
        Step(-z * sp.log(sigma(x)) - (1 - z) * sp.log(1 - sigma(x)), "the definition"),
        Step(
            -z * _log(1 / (1 + sp.exp(-x))) - (1 - z) * _log(sp.exp(-x) / (1 + sp.exp(-x))),
            "write out the sigmoid",
        ),
        Step(z * _log_1p + (1 - z) * (-_log(sp.exp(-x)) + _log_1p), "split the logarithms"),
        Step(z * _log_1p + (1 - z) * (x + _log_1p), "the logarithm undoes the exponential"),
        Step((1 - z) * x + _log_1p, "collect the logarithm"),
        Step(x - x * z + _log_1p, "multiply out"),
    ),
)

#: The same loss written for x < 0, where e^x cannot overflow. The identity holds for every real x.
NEGATIVE_LOGITS = Derivation(
    "the form for negative logits",
    (
        Step(x - x * z + _log_1p, "where the first derivation ends"),
        Step(_log(sp.exp(x)) - x * z + _log_1p, "write the first term as a logarithm"),
        Step(-x * z + _log(sp.exp(x) * (1 + sp.exp(-x))), "join the logarithms"),
        Step(-x * z + _log(1 + sp.exp(x)), "multiply out under the logarithm"),
    ),
)

_softplus_of_minus_abs = sp.log(1 + sp.exp(-sp.Abs(x)))

#: Both branches in one formula, which is TensorFlow's.
MAX_ABS = Derivation(
    "the max/abs form",
    (
        Step(x - x * z + _log_1p, "where the first derivation ends"),
        Step(sp.Max(x, 0) - x * z + _softplus_of_minus_abs, "each sign of the logit takes its own branch"),
    ),
)

#: The max/abs form with its cancellation taken out. Every term is at least 0 for labels in [0, 1].
NON_NEGATIVE = Derivation(
    "the sum of non-negative terms",
    (
        Step(sp.Max(x, 0) - x * z + _softplus_of_minus_abs, "the max/abs form"),
        Step(sp.Max(x, 0) - (sp.Max(x, 0) - sp.Max(-x, 0)) * z + _softplus_of_minus_abs, "split the logit by its sign"),
        Step(sp.Max(x, 0) * (1 - z) + sp.Max(-x, 0) * z + _softplus_of_minus_abs, "collect each sign"),
    ),
)
