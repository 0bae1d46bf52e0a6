"""The exhaustive record is whole, and the parts of the run that hold its worst points find them again."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from helpers import records
from measure import exhaustive
from measure.machine import machine

RECORD = records.load("exhaustive")
ROWS = {(row["quantity"], row["form"], row["type"], row["over"]): row for row in RECORD["rows"]}
AT_OTHER_LEVELS = [key for key in ROWS if key[1].endswith((", AVX2", ", neither"))]
FORMS = [key for key in ROWS if key[0] in ("loss", "gradient") and key not in AT_OTHER_LEVELS]
TRIED, SAMPLED = ([key for key in FORMS if ROWS[key]["sampled"] == sampled] for sampled in (False, True))
RECORDED_LOOPS = RECORD["machine"]["loops"]
LOOPS = {name: exhaustive.at_level("NumPy", name, "float32") for name in RECORDED_LOOPS}


@pytest.fixture(autouse=True)
def features(monkeypatch):
    """Let no test after these start processes without features of the processor, as exhaustive.workers does."""
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", "")


def recorded_here(key):
    """Return whether this machine computes the last digits of a form as that of the record did."""
    quantity, form, dtype, _ = key
    if form != "TensorFlow":
        return LOOPS == RECORDED_LOOPS
    if f"{quantity} {dtype}" in RECORD.get("kept", {"rows": []})["rows"]:  # from an earlier run, on another processor
        return False
    return machine()["simd"] == RECORD["machine"]["simd"] and RECORD["versions"]["TensorFlow"] == tf.__version__


def point(key):
    return tuple(float.fromhex(number) for number in ROWS[key]["worst"]["hex"])


def bound_of_parts(quantity, loops):
    """Return the book's form's bound in eps, from those of exp and log1p; NumPy's own tests allow unknown loops 4 eps."""
    unknown = {"worst": {"error": 4}}
    exp = ROWS.get(("exp", loops["exp"], "float32", "[-104, 0]"), unknown)["worst"]["error"]
    log1p = ROWS.get(("log1p", loops["log1p"], "float32", "[0, 1]"), unknown)["worst"]["error"]
    return {"loss": exp + log1p + 0.5, "gradient": exp + 1.5}[quantity] + 1e-5  # for the terms of higher order


def chunk(number, first=0.0):
    """Return the bits where the run's chunk begins that holds a number, and where it ends."""
    start = exhaustive.bits(first)
    start += (exhaustive.bits(abs(number)) - start) // exhaustive.CHUNK * exhaustive.CHUNK
    return start, start + exhaustive.CHUNK


@cache
def part(dtype, label, logit):
    """Repeat the smallest part of the run that holds a point."""
    with np.errstate(all="ignore"):
        if dtype == "float64":
            return exhaustive.hard_labels_float64(0)
        if dtype == "float32":
            return exhaustive.hard_labels_float32(*chunk(logit, exhaustive.NEAREST))
        start = exhaustive.bits(label, exhaustive.TYPES[dtype]) // 4 * 4  # the run takes four labels at a time
        return exhaustive.pairs(dtype, start, start + 4)


@pytest.mark.parametrize("key", TRIED, ids=" ".join)
def test_worst_point_is_found_again(key):
    quantity, form, dtype, _ = key
    worst = part(dtype, *point(key))[key].worst
    if recorded_here(key):
        assert worst.arguments == point(key)
        assert worst.error == pytest.approx(ROWS[key]["worst"]["error"], abs=2e-6)  # the run's own truth is float64
    elif (form, dtype) == ("the book's form", "float32"):
        assert worst.error <= bound_of_parts(quantity, LOOPS)
    else:
        pytest.skip("the digits of this form were recorded on another processor")


@pytest.mark.parametrize("level", ["AVX2", "neither"])
def test_worst_points_at_another_level_are_found_again(level):
    features = RECORD["machine"]["simd"]
    without = features[features.index({"AVX2": "X86_V4", "neither": "X86_V3"}[level]) :]
    keys = [key for key in AT_OTHER_LEVELS if key[1].endswith(level)]
    places = sorted({chunk(point(key)[1], exhaustive.NEAREST) for key in keys})
    if not set(without) <= set(machine()["simd"]):
        pytest.skip("this processor lacks what the record's was told to do without")
    with exhaustive.workers(*without, count=1) as pool:  # each imports TensorFlow
        loop = pool.submit(exhaustive.at_level, "NumPy", "exp", "float32").result()
        parts = list(pool.map(exhaustive.hard_labels_float32, *zip(*places, strict=True), [level] * len(places)))
    found = exhaustive.total(parts)
    assert exhaustive.level_of(loop) == level
    for key in keys:
        assert found[key].worst.error == pytest.approx(ROWS[key]["worst"]["error"], abs=2e-6), key


@pytest.mark.parametrize("key", SAMPLED, ids=" ".join)
def test_a_part_of_the_sample_has_no_worse_point(key):
    if not recorded_here(key):
        pytest.skip("the digits of this form were recorded on another processor")
    # The truth of the sample is a long double, good to 0.005 eps
    assert part("float64", 0, 0)[key].worst.error <= ROWS[key]["worst"]["error"] * (1 + 1e-6) + 0.01


FUNCTIONS_HERE = [key for key in ROWS if key[2] == "float32" and LOOPS.get(key[0]) == key[1]]


@pytest.mark.parametrize("key", FUNCTIONS_HERE, ids=" ".join)
def test_worst_argument_of_a_function_is_found_again(key):
    name, form, _, over = key
    (x,) = point(key)
    with np.errstate(all="ignore"):
        worst = exhaustive.function_float32("NumPy", name, over, int(np.sign(x)), *chunk(x))[
            name, form, "float32", over
        ].worst
    # A chunk may reach beyond the range
    assert worst.error >= ROWS[key]["worst"]["error"] - 2e-6
    assert worst.arguments == (x,) or worst.error > ROWS[key]["worst"]["error"]


def test_every_number_was_tried():
    bits = exhaustive.bits
    assert {key[:3] for key in FORMS} == {
        (*form, dtype) for form, (_, dtypes) in exhaustive.FORMS.items() for dtype in dtypes
    }
    for level in ("AVX2", "neither"):
        forms = {(quantity, f"{form}, {level}") for quantity, form in exhaustive.AT_EACH_LEVEL}
        assert {key[:2] for key in AT_OTHER_LEVELS if key[1].endswith(level)} == forms
    float32 = 2 * (bits(exhaustive.FURTHEST) - bits(exhaustive.NEAREST))
    finite = {"float16": 2**16 - 2**11, "bfloat16": 2**16 - 2**8}  # the others are infinities and NaN
    for key in (*FORMS, *AT_OTHER_LEVELS):
        if key[3] == exhaustive.ANY:  # the small term alone, which both signs share
            assert ROWS[key]["points"] == float32 / 2
            continue
        dtype = key[2]
        labels = bits(1, exhaustive.TYPES[dtype]) + 1 if dtype in finite else 0
        assert ROWS[key]["points"] == {"float32": float32, "float64": 2**22}.get(dtype, finite.get(dtype, 0) * labels)
    for name, over, low, high in (("exp", "[-104, 0]", 0, 104), ("log1p", "[0, 1]", 0, 1), ("log", "[1, 2]", 1, 2)):
        for form in {key[1] for key in ROWS if key[0] == name}:
            assert ROWS[name, form, "float32", over]["points"] == bits(high) - bits(low) + 1


@pytest.mark.parametrize("label", ["label 0", "label 1"])
def test_every_float32_logit_stays_within_the_bound_of_the_parts(label):
    for quantity in ("loss", "gradient"):
        book = ROWS[quantity, "the book's form", "float32", label]
        assert book["worst"]["error"] <= bound_of_parts(quantity, RECORDED_LOOPS) <= 4
        assert book["zeros"] == book["not_finite"] == 0


def test_any_label_adds_half_an_eps_at_most_to_the_worst_logarithm():
    for suffix in ("", ", AVX2", ", neither"):
        logarithm, anything = (
            ROWS["loss", f"the book's form{suffix}", "float32", over] for over in ("label 0", "any label")
        )
        most = max(1, logarithm["worst"]["error"]) + 0.5
        assert logarithm["worst"]["error"] < anything["worst"]["error"] <= most + 1e-6
    # Beside a logarithm with an error of 2 eps, at a loss of 0.75 and its neighbors
    assert exhaustive.with_any_label("loss", 2.0, 0.75) == pytest.approx(2 + 0.5 * 0.5 / 0.75)


ROUNDED = [key for key in ROWS if key[1].startswith("rounded once") and key[2] == "float32"]


@pytest.mark.parametrize("key", ROUNDED, ids=" ".join)
def test_float64_inside_gives_the_nearest_float32_nearly_always(key):
    assert ROWS[key]["worst"]["error"] <= 0.5 + 1e-6
    assert ROWS[key]["not_nearest"] <= 1e-6 * ROWS[key]["points"]  # of a millionth of an ulp about the middle
    assert ROWS[key]["zeros"] == ROWS[key]["not_finite"] == 0


def test_a_result_that_is_not_the_nearest_is_counted():
    x = np.float32([-1.5, -2.5, -3.5])
    z, exact = np.zeros_like(x), exhaustive.truth(np.zeros_like(x), x)["loss"]
    computed = exact.astype(np.float32)
    assert exhaustive.not_nearest("loss", computed, exact, z, x) == 0
    assert exhaustive.not_nearest("loss", np.nextafter(computed, np.float32(1)), exact, z, x) == 3


def test_logaddexp_is_more_accurate_than_the_books_form():
    logaddexp, book = (
        ROWS["loss", form, "float32", "label 0"]["worst"]["error"] for form in ("logaddexp", "the book's form")
    )
    assert logaddexp < 1.01 < 2.5 < book


def test_tensorflow_loses_all_digits_in_sixteen_bits_only():
    worst = {
        dtype: ROWS["loss", "TensorFlow", dtype, exhaustive.EVERY]["worst"]["error"] for dtype in ("float16", "bfloat16")
    }
    assert ROWS["loss", "TensorFlow", "float32", "label 0"]["worst"]["error"] < 3
    assert worst["float16"] > 0.99 * 2**10
    assert worst["bfloat16"] == 2**7


@pytest.mark.parametrize("quantity", ["loss", "gradient"])
def test_the_logits_left_out_round_to_the_nearest_float32(quantity):
    function, _ = exhaustive.FORMS[quantity, "rounded once"]
    ends = 2.0 ** np.array([*range(-149, -29), *range(7, 128)])
    a = np.float32([0, 104, *ends, *np.nextafter(np.float32([2**-30, 104]), np.float32([0, 105]))])
    for x in (a, -a):
        for label in (0, 1):
            z = np.full_like(x, label)
            exact = exhaustive.truth(z, x)[quantity]
            assert exhaustive.not_nearest(quantity, function(z, x), exact, z, x) == 0
