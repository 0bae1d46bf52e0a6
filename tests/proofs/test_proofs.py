"""Gappa proves the rounding in the theorems of the appendix on error bounds, with the constants of the record written in.

Each script says what it takes from the proofs by hand. A bound that is three percent smaller must be refused, so that
neither a script nor a constant proves more than it should.
"""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from measure import bounds

pytestmark = pytest.mark.skipif(not shutil.which("gappa"), reason="Gappa is not installed: apt-get install gappa")

HERE = Path(__file__).parent
MODELS = [("float32", level) for level in bounds.LOOPS] + [("float64", "any")]
MARGIN = 1 + 1e-5  # for the terms of higher order in eps


def constants(name, dtype, level):
    """Return what a script is given, and the bounds that it should prove, by their names in it."""
    m = bounds.model(dtype, level)
    eps = 2 * m.u
    _, emin, _ = bounds.FORMATS[dtype]
    of_type = {"FORMAT": f"ieee_{dtype[5:]}", "TINY": f"1b{emin + 2}", "FAR": str(int(-emin * np.log(2)))}
    of_type["LAST"] = (1 - m.u).hex()
    logarithm = m.softplus or m.grown(m.exp, m.log1p)
    smaller_sigmoid = bounds.smaller_sigmoid(m).relative
    scale = m.exp + 50 * eps  # a shift by 100
    given, proved = {
        "sigmoid-loss": ({"LOG": logarithm}, {"BOUND": max(eps, logarithm) + m.u}),
        "gradient-hard": ({"EXP": m.exp}, {"RIGHT": m.exp + eps, "WRONG": m.exp + eps + m.u}),
        "gradient-soft": (
            {"S": smaller_sigmoid / 2},
            {"ABOVE": smaller_sigmoid / 2 + m.u, "BELOW": smaller_sigmoid / 2 + m.u / 2},
        ),
        "weighted-loss": ({"S": logarithm}, {"BOUND": logarithm + 3 * m.u}),
        "merge": ({"SCALE": scale}, {"BOUND": scale + 3 * m.u}),
        "rounded-once": ({"WIDE": 410 * 2.0**-52}, {"BOUND": m.u + 410 * 2.0**-52}),
    }[name]
    return of_type | given, proved


def script(name, given, proved):
    """Write the constants into a script: bounds and errors rounded up to ten digits."""
    text = (HERE / f"{name}.g").read_text(encoding="utf8")
    for key, value in (given | proved).items():
        value = value if isinstance(value, str) else f"{value * (1 + 1e-9):.10e}"
        assert re.search(rf"\b{key}\b", text) or key in ("TINY", "FAR", "LAST"), f"{name}.g does not use {key}"
        text = re.sub(rf"\b{key}\b", value, text)
    return text


def proves(text):
    done = subprocess.run(
        ["gappa", "-Eno-auto-dichotomy"], input=text, capture_output=True, encoding="utf8", timeout=60, check=False
    )
    assert done.returncode == 0 or "some properties were not satisfied" in done.stderr, done.stderr
    return done.returncode == 0


def larger(proved, factor, name=None):
    return {key: value * (factor if name in (None, key) else MARGIN) for key, value in proved.items()}


SCRIPTS = ["sigmoid-loss", "gradient-hard", "gradient-soft", "weighted-loss", "merge"]


@pytest.mark.parametrize(("dtype", "level"), MODELS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_gappa_proves_the_bound(name, dtype, level):
    given, proved = constants(name, dtype, level)
    assert proves(script(name, given, larger(proved, MARGIN)))


@pytest.mark.parametrize("name", [*SCRIPTS, "rounded-once"])
def test_gappa_refuses_three_percent_less(name):
    given, proved = constants(name, "float32", "AVX-512")
    for bound in proved:
        assert not proves(script(name, given, larger(proved, 0.97, bound))), bound


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_gappa_proves_that_rounding_once_costs_half_an_ulp(dtype):
    given, _ = constants("rounded-once", "float32", "AVX-512")
    t, emin, _ = bounds.FORMATS[dtype]
    given |= {"FORMAT": f"float<{t}, {emin + 1 - t}, ne>", "TINY": f"1b{emin + 2}"}
    text = script("rounded-once", given, {"BOUND": (2.0**-t + given["WIDE"]) * MARGIN})
    assert proves(text.replace(f"float<{given['FORMAT']}, ne>", given["FORMAT"]))


class Term(str):
    """A sum as Gappa writes it."""

    def __add__(self, other):
        return Term(f"({self:s} + {other:s})")


@pytest.mark.parametrize("terms", [7, 10, 20])
def test_gappa_proves_the_sum_of_a_row(terms):
    names = np.array([Term(f"t{i}") for i in range(terms)], object)
    given = {
        "TERMS": str(terms),
        "FORMAT": "ieee_32",
        "DECLARED": "\n".join(f"{name} = fl({name}_);" for name in names),
        "TREE": str(bounds.sum_in_pairs(names)),
        "RANGES": " /\\ ".join(f"{name} in [1b-149, 1b100]" for name in names),
    }
    bound = {"BOUND": bounds.depth(terms) * 2.0**-24}
    assert proves(script("sum", given, larger(bound, MARGIN)))
    assert not proves(script("sum", given, larger(bound, 0.97)))
