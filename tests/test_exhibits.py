"""What was published is printed again, digit by digit, and the exact value says which of the prints is right."""

import ast
from pathlib import Path

import mpmath
import numpy as np
import pytest
import tensorflow as tf

from helpers import exhibits
from helpers.precision import exact_sigmoid_cross_entropy

TABLE = exhibits.SIGMOID_TABLE
z, x = (np.array(TABLE[name], TABLE["dtype"]) for name in ("labels", "logits"))


def naive():
    with np.errstate(over="ignore"):
        return x * (1 - z) + np.log(1 + np.exp(-x))


def max_abs_with_log():
    return np.maximum(x, 0) - x * z + np.log(1 + np.exp(-np.abs(x)))


def tensorflow():
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=x).numpy()


@pytest.mark.parametrize(
    ("name", "formula"),
    [("printed_naive", naive), ("printed_max_abs", max_abs_with_log), ("printed_tensorflow", tensorflow)],
)
def test_the_sigmoid_table_is_printed_again_to_the_last_digit(name, formula):
    assert [[f"{value:.8e}" for value in row] for row in formula()] == TABLE[name]


def test_the_last_entry_is_right_with_log1p_and_wrong_with_log():
    truth = exact_sigmoid_cross_entropy(z[-1, -1], x[-1, -1])
    assert mpmath.nstr(truth, 10) == "1.026187963e-10"
    assert f"{np.log1p(np.exp(-23.0)):.9e}" == "1.026187963e-10"
    assert f"{np.log(1 + np.exp(-23.0)):.9e}" == "1.026188023e-10"
    assert mpmath.nstr(truth, 9) == TABLE["printed_tensorflow"][-1][-1] != TABLE["printed_max_abs"][-1][-1]


def test_exhibits_import_nothing():
    tree = ast.parse(Path(exhibits.__file__).read_text(encoding="utf8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
