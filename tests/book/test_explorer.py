"""The explorers, in a browser: NumPy's numbers and the exact ones, by mouse, touch and keyboard, on any page."""

import re
from fractions import Fraction
from pathlib import Path

import ml_dtypes
import mpmath
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from helpers import binary, categorical, explorer, information, precision, streaming

BOOK = Path(__file__).parents[2] / "_build" / "html"
CHAPTER = BOOK / "chapters" / "where-the-naive-form-overflows.html"
ARITHMETIC = (
    "const { TYPES, FORMS, slope, exact, errorInEps, show, showExact } = customElements.get('loss-explorer').arithmetic;"
)
LIMITS = {"float16": 20, "bfloat16": 120, "float32": 120, "float64": 1000}  # of the logit, past overflow and underflow
DTYPES = list(LIMITS)
FIGURES = {
    "loss": (explorer.show, {"logit": "-3.5", "label": "0.25"}),
    "divergence": (explorer.show_divergence, {"p": "0.01", "q": "0.9"}),
    "sums": (explorer.show_sums, {"lanes": "8", "place": "50000"}),
    "bits": (explorer.show_bits, {"x": "12.5"}),
    "clip": (explorer.show_clip, {"epsilon": "3e-7"}),
    "kink": (explorer.show_kink, {"smax": "0.5", "label": "0.75"}),
    "merge": (explorer.show_merge, {"row": "1, 2, 17", "cut": "2"}),
    "row": (explorer.show_row, {"row": "tensor([1., 2., 30.])", "label": "1"}),
}
EVERY = pytest.mark.parametrize("kind", FIGURES)


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 700, "height": 900})
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    page.close()


@pytest.fixture
def figure(page):
    page.set_content(explorer.show(logit=-810, label=0, dtype="float64").html)
    return page.locator("loss-explorer")


def opened(page, name, **arguments):
    """Show a figure on an empty page."""
    page.set_content(FIGURES[name][0](**arguments).html)
    return page.locator(f"{name}-explorer")


def field(figure, name):
    return figure.locator(f"[name={name}]")


def cells(figure):
    """Return the table as it stands: from the name of a row to its other cells."""
    rows = figure.locator("tbody tr").all()
    return {row.locator("th").inner_text().strip(): row.locator("td").all_inner_texts() for row in rows}


def numpy_type(dtype):
    return np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def points(dtype):
    """Return labels, hard ones and soft ones near and far from 0 and 1, and logits, on a grid and dense around 0."""
    rng = np.random.default_rng(0)
    limit = LIMITS[dtype]
    x = np.concatenate([np.linspace(-limit, limit, 2001), rng.normal(0, 5, 1000)])
    near = 10 ** rng.uniform(-7, -0.3, x.size)
    z = np.choose(rng.integers(0, 4, x.size), [np.zeros_like(x), np.ones_like(x), near, 1 - near])
    return z.astype(numpy_type(dtype)), x.astype(numpy_type(dtype))


def with_infinite(labels, logits):
    ends = np.array([-np.inf, np.inf, -np.inf, np.inf, -np.inf, np.inf], logits.dtype)
    return np.append(labels, np.array([0, 0, 1, 1, 0.5, 0.5], labels.dtype)), np.append(logits, ends)


def computed(page, dtype, labels, logits):
    """Return what the script computes in a type, as arrays of that type, which must hold it exactly."""
    page.set_content(explorer.show().html)
    script = f"""([dtype, labels, logits]) => {{
        {ARITHMETIC}
        const {{ round }} = TYPES[dtype], at = f => logits.map((x, i) => f(x, labels[i], round));
        return Object.fromEntries(Object.entries({{ ...FORMS, slope }}).map(([name, f]) => [name, at(f)]));
    }}"""
    found = page.evaluate(script, [dtype, labels.astype(float).tolist(), logits.astype(float).tolist()])
    arrays = {name: np.array(values, float) for name, values in found.items()}
    for array in arrays.values():
        np.testing.assert_array_equal(array.astype(numpy_type(dtype)).astype(float), array)
    return {name: array.astype(numpy_type(dtype)) for name, array in arrays.items()}


def formulas(labels, logits, exp=np.exp, log=np.log, log1p=np.log1p):
    """Return the same in NumPy: one operation of the type after the other."""
    z, x, zero, one = labels, logits, logits.dtype.type(0), logits.dtype.type(1)
    with np.errstate(all="ignore"):
        logarithm = log1p(exp(-np.abs(x)))
        wrong = np.where(x > 0, one - z, z)
        small = exp(-np.abs(x)) / (one + exp(-np.abs(x)))
        return {
            "naive": x - x * z + log(one + exp(-x)),
            "library": np.maximum(x, zero) - x * z + logarithm,
            "stable": np.where(wrong == zero, zero, np.abs(x) * wrong) + logarithm,
            "slope": np.where(x < zero, small - z, (one - z) - small),
        }


def through_float64(function):
    """Return a function of a narrower type that rounds float64's result: correct but for a near tie in 10^8."""
    return lambda array: function(array.astype(float)).astype(array.dtype)


# --- the numbers of one logit -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_arithmetic_is_numpys_bit_for_bit_where_exp_and_log_are_rounded_correctly(page, dtype):
    labels, logits = with_infinite(*points(dtype))
    correct = {f.__name__: through_float64(f) for f in (np.exp, np.log, np.log1p)}
    found = computed(page, dtype, labels, logits)
    for name, expected in formulas(labels, logits, **correct).items():  # NaN where NaN, inf where inf
        np.testing.assert_array_equal(found[name].astype(float), expected.astype(float), err_msg=name)


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_are_numpys_but_for_the_last_place_of_exp_and_log(page, dtype):
    labels, logits = with_infinite(*points(dtype))
    found, expected = computed(page, dtype, labels, logits), formulas(labels, logits)
    info = ml_dtypes.finfo(numpy_type(dtype))
    eps, tiny = float(info.eps), float(info.tiny)
    for name in expected:
        ours, theirs = found[name].astype(float), expected[name].astype(float)
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs), err_msg=name)
        np.testing.assert_array_equal(ours[np.isinf(theirs)], theirs[np.isinf(theirs)], err_msg=name)
        assert np.isfinite(ours).sum() == np.isfinite(theirs).sum() >= 2000
        finite = np.isfinite(theirs)
        ours, theirs, x = ours[finite], theirs[finite], logits.astype(float)[finite]
        # NumPy's float32 exp is up to 2.5 units in the last place off, a float64 exp 1. The naive form adds x to its
        # logarithm, and the slope takes the label from 1: there the largest term sets the unit, not the result.
        scale = {"naive": np.abs(x), "slope": 1.0}.get(name, 0.0)
        assert np.max(np.abs(ours - theirs) / np.maximum(np.maximum(np.abs(theirs), scale), tiny)) <= 3 * eps, name
        assert np.mean(ours == theirs) >= (0.99 if "16" in dtype else 0.8), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_forms_are_those_of_the_helpers(dtype):
    labels, logits = points(dtype)
    here = formulas(labels, logits)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(here["naive"], binary.naive_cross_entropy(labels, logits))
    np.testing.assert_array_equal(here["library"], binary.max_abs_cross_entropy(labels, logits))
    np.testing.assert_array_equal(here["stable"], binary._loss(labels, logits))
    np.testing.assert_array_equal(here["slope"], binary._gradient(labels, logits))


@pytest.mark.parametrize(("dtype", "close", "last"), [("float16", 1e-15, 0x7C00), ("bfloat16", 1e-4, 0x7F80)])
def test_rounding_to_16_bits_is_numpys(page, dtype, close, last):
    page.set_content(explorer.show().html)
    rng = np.random.default_rng(1)
    every = np.arange(last, dtype=np.uint16).view(numpy_type(dtype)).astype(float)  # every finite one from 0 on
    ties = (every[:-1] + every[1:]) / 2
    # ml_dtypes rounds a float64 to float32 first, so that the neighbors of a tie must be float32 numbers of their own
    numbers = np.concatenate([every, ties, ties * (1 + close), ties * (1 - close), 10 ** rng.uniform(-9, 6, 5000)])
    numbers = np.concatenate([numbers, -every, -numbers[-5000:], [65519.99, 65520.0, 1e300, np.inf, -np.inf, np.nan]])
    script = f"([dtype, numbers]) => {{ {ARITHMETIC} return numbers.map(TYPES[dtype].round); }}"
    rounded = page.evaluate(script, [dtype, numbers.tolist()])
    with np.errstate(over="ignore"):
        expected = numbers.astype(np.float32 if dtype == "bfloat16" else float).astype(numpy_type(dtype)).astype(float)
    np.testing.assert_array_equal(np.array(rounded, float), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_next_number_of_a_type_is_numpys(page, dtype):
    page.set_content(explorer.show().html)
    _, logits = points(dtype)
    info = ml_dtypes.finfo(numpy_type(dtype))
    numbers = np.append(logits, np.array([0, 1, -1, 2, 0.5, info.tiny, info.max, -info.max], logits.dtype))
    script = f"""([dtype, numbers]) => {{
        {ARITHMETIC}
        const {{ up, down }} = TYPES[dtype];
        return [numbers.map(up), numbers.map(down)];
    }}"""
    found = page.evaluate(script, [dtype, numbers.astype(float).tolist()])
    with np.errstate(all="ignore"):
        for ours, toward in zip(found, (np.inf, -np.inf), strict=True):
            expected = np.nextafter(numbers, logits.dtype.type(toward)).astype(float)
            np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_exact_loss_is_right_in_every_digit_shown_and_so_are_the_errors(page, dtype):
    page.set_content(explorer.show().html)
    labels, logits = (array[::3].astype(float) for array in points(dtype))
    script = f"""([dtype, labels, logits]) => {{
        {ARITHMETIC}
        return logits.map((x, i) => {{
            const loss = FORMS.library(x, labels[i], TYPES[dtype].round), truth = exact(x, labels[i]);
            return [showExact(truth), loss, errorInEps(loss, truth, TYPES[dtype])];
        }});
    }}"""
    shown, losses, errors = zip(*page.evaluate(script, [dtype, labels.tolist(), logits.tolist()]), strict=True)
    truth = precision.exact_sigmoid_cross_entropy(labels, logits)
    for digits, loss in zip(shown, truth, strict=True):
        assert precision.EXACT.mpf(digits) == precision.EXACT.mpf(mpmath.nstr(loss, 17)), digits
    normal = np.array([loss >= float(ml_dtypes.finfo(numpy_type(dtype)).tiny) for loss in truth])
    expected = precision.error_in_eps(losses, truth, dtype)
    np.testing.assert_allclose(np.array(errors)[normal], expected[normal], rtol=1e-12, atol=1e-12)  # both round to float64
    assert max(np.array(errors)[~normal], default=0.0) <= 1.0  # below, the unit is that of the smallest normal number


@pytest.mark.parametrize(
    ("label", "logit"), [(0, -1e4), (0, -1e5), (1e-320, -5e-324), (1e-7, -1e300), (0.5, 1e-300), (1, -2e5)]
)
def test_the_exact_loss_is_right_far_outside_the_picture_too(page, label, logit):
    page.set_content(explorer.show().html)
    shown = page.evaluate(f"([z, x]) => {{ {ARITHMETIC} return showExact(exact(x, z)); }}", [label, logit])
    expected = precision.exact_sigmoid_cross_entropy(float(label), float(logit))
    assert precision.EXACT.mpf(shown) == precision.EXACT.mpf(mpmath.nstr(expected, 17))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])  # ml_dtypes prints bfloat16 in its own way
def test_numbers_are_printed_as_numpy_prints_them(page, dtype):
    page.set_content(explorer.show().html)
    labels, logits = points(dtype)
    with np.errstate(over="ignore"):
        losses = binary.naive_cross_entropy(labels, logits)
    powers = 2.0 ** np.arange(-24, 10)  # beside them, the numbers are denser on one side
    numbers = np.concatenate([losses, -losses, powers.astype(dtype), 1e-4 * np.array([1, 2, 9.999, 10.001], dtype)])
    script = f"([dtype, numbers]) => {{ {ARITHMETIC} return numbers.map(v => show(v, TYPES[dtype])); }}"
    shown = page.evaluate(script, [dtype, numbers.tolist()])
    assert shown == [str(number) for number in numbers + numbers.dtype.type(0)]  # + 0 makes -0.0 the 0.0 that is meant


def test_it_shows_the_loss_that_overflows_and_says_underflow(page, figure):
    table = cells(figure)
    assert table["naive"] == ["inf", "inf"]
    assert table["max/abs"] == table["book’s"] == ["0.0", "underflow"]
    assert table["exact"] == ["1.6652124849927033e-352"]
    assert not page.errors


def test_an_infinite_logit_has_the_limit(figure):
    for logit, label, loss in (("inf", "1", "0.0"), ("-inf", "0", "0.0"), ("inf", "0", "inf"), ("-inf", "0.5", "inf")):
        field(figure, "logit").fill(logit)
        field(figure, "label").fill(label)
        assert cells(figure)["exact"] == [loss]
        assert cells(figure)["book’s"] == [loss, "0"]
    field(figure, "logit").fill("nan")
    assert {cells(figure)[row][0] for row in cells(figure)} == {"nan"}


# --- what is typed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "logit"),
    [
        ("1000", 1000),
        ("1,5", 1.5),
        ("-810,5", -810.5),
        ("−7", -7),
        ("1e3", 1000),
        (".5", 0.5),
        (" 12 ", 12),
        ("0,001", 0.001),
    ],
)
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_a_number_is_taken_as_it_is_typed(figure, typed, logit, dtype):
    field(figure, "dtype").select_option(dtype)
    field(figure, "logit").fill(typed)
    field(figure, "logit").press("Tab")
    assert field(figure, "logit").input_value() == typed
    x = np.dtype(dtype).type(logit)
    assert f"logit {float(x):.12g}, label 0" in figure.locator(".use").inner_text()
    expected = precision.exact_sigmoid_cross_entropy(0.0, float(x))
    assert precision.EXACT.mpf(cells(figure)["exact"][0]) == precision.EXACT.mpf(mpmath.nstr(expected, 17))


@pytest.mark.parametrize(
    ("key", "typed", "says"),
    [
        ("logit", "1,500", "logit: write 1,500 without a comma"),
        ("logit", "1.2.3", "logit: “1.2.3” is not a number"),
        ("logit", "", "logit: “” is not a number"),
        ("logit", "12 apples", "logit: “12 apples” is not a number"),
        ("label", "7", "label must lie in [0, 1], got 7"),
        ("label", "-0.1", "label must lie in [0, 1], got -0.1"),
        ("label", "nan", "label must lie in [0, 1], got nan"),
    ],
)
def test_what_cannot_be_computed_is_refused_and_no_number_stays(page, figure, key, typed, says):
    field(figure, key).fill(typed)
    field(figure, key).press("Tab")
    assert figure.get_by_role("alert").inner_text() == says
    assert field(figure, key).input_value() == typed
    assert field(figure, key).get_attribute("aria-invalid") == "true"
    assert {text for row in cells(figure).values() for text in row} == {"–"}
    figure.get_by_role("button", name="Reset").click()
    assert cells(figure)["naive"] == ["inf", "inf"]
    assert field(figure, key).get_attribute("aria-invalid") == "false"
    assert not page.errors


def test_the_rounded_inputs_are_shown_and_computed_with(figure):
    field(figure, "dtype").select_option("float32")
    field(figure, "label").fill("0.999999")
    field(figure, "logit").fill("30")
    assert figure.locator(".use").inner_text() == "In use, rounded to float32: logit 30, label 0.999998986721"
    x, z = np.float32(30), np.float32(0.999999)
    table = cells(figure)
    assert table["max/abs"][0] == str(binary.max_abs_cross_entropy(z, x))
    assert table["book’s"][0] == str(binary._loss(z, x))
    assert float(table["max/abs"][1]) > 1000 > 2 > float(table["book’s"][1])


# --- mouse, touch and keys ----------------------------------------------------------------------------------------------


def test_the_label_slider_reaches_both_ends_and_what_is_next_to_them(figure):
    slider = figure.get_by_role("slider", name="label")
    slider.focus()
    for key, label in (("End", "1"), ("ArrowLeft", "0.999999"), ("Home", "0"), ("ArrowRight", "0.000001")):
        slider.press(key)
        assert float(field(figure, "label").input_value()) == float(label)


def test_it_is_worked_by_the_keyboard_and_the_page_does_not_see_the_keys(page, figure):
    page.evaluate("document.addEventListener('keydown', event => { window.seen = event.key; })")
    marker = figure.get_by_role("slider", name="logit")
    marker.focus()
    for key, loss in (
        ("End", "1000.0"),
        ("ArrowLeft", "995.0"),
        ("PageDown", "945.0"),
        ("ArrowUp", "950.0"),
        ("Home", "inf"),
    ):
        page.keyboard.press(key)
        assert cells(figure)["naive"][0] == loss
    assert marker.evaluate("marker => marker.getRootNode().activeElement === marker")
    assert marker.get_attribute("aria-valuenow") == field(figure, "logit").input_value() == "-1000"
    field(figure, "logit").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("7")
    assert cells(figure)["exact"][0].startswith("7.0009")
    assert page.evaluate("window.seen") is None


def at(figure, part):
    """Return the point of the picture of one logit at a part of its axis, in the middle of the lower panel."""
    box = figure.locator("svg.picture").bounding_box()
    return box["x"] + 58 + part * (box["width"] - 58 - 14), box["y"] + 300


def test_the_marker_is_dragged_by_the_mouse(page, figure):
    page.mouse.move(*at(figure, 0.5))
    page.mouse.down()
    assert float(field(figure, "logit").input_value()) == 0
    page.mouse.move(*at(figure, 0.75), steps=5)
    assert float(field(figure, "logit").input_value()) == 500
    page.mouse.move(*at(figure, 1.5))  # beyond the picture, the axis ends
    page.mouse.up()
    assert float(field(figure, "logit").input_value()) == 1000
    page.mouse.move(*at(figure, 0.1))
    assert float(field(figure, "logit").input_value()) == 1000
    assert not page.errors


def test_the_marker_is_tapped_and_dragged_by_a_finger(browser):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    tall = "<style>body { padding-bottom: 2000px }</style><meta name=viewport content='width=device-width'>"
    page.set_content(tall + explorer.show().html)
    figure = page.locator("loss-explorer")
    page.touchscreen.tap(*at(figure, 0.25))
    assert float(field(figure, "logit").input_value()) == -500
    send = context.new_cdp_session(page).send
    for kind, part in (("touchStart", 0.25), ("touchMove", 0.3), ("touchMove", 0.5), ("touchMove", 0.75)):
        x, y = at(figure, part)
        send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert float(field(figure, "logit").input_value()) == 500
    x, y = at(figure, 0.25)  # a finger that moves up scrolls the page, and leaves the marker where it is
    for kind, up in (("touchStart", 0), *(("touchMove", 20 * step) for step in range(1, 9))):
        send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y - up}]})
    send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function("scrollY > 50")
    assert float(field(figure, "logit").input_value()) == 500
    context.close()


def test_the_marked_logit_lies_on_the_axis_however_large(figure):
    field(figure, "logit").fill("123456")
    assert float(figure.get_by_role("slider", name="logit").get_attribute("aria-valuemax")) >= 123456
    box, mark = figure.locator("svg.picture").bounding_box(), figure.locator(".marker circle").bounding_box()
    assert box["x"] < mark["x"] < box["x"] + box["width"]
    assert cells(figure)["exact"] == ["123456.0"]


# --- the frame, for every figure ----------------------------------------------------------------------------------------


@EVERY
def test_the_link_carries_the_state_and_reset_takes_it_back(browser, tmp_path, kind):
    show, state = FIGURES[kind]
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><figure id=fig-{kind}>{show().html}</figure>", encoding="utf8")
    page = browser.new_page()
    page.goto(path.as_uri())
    figure = page.locator(f"{kind}-explorer")
    before = cells(figure)
    for key, typed in state.items():
        field(figure, key).fill(typed)
    after, link = cells(figure), figure.get_by_role("link", name="Link to this state").get_attribute("href")
    assert after != before
    assert link.startswith(f"#fig-{kind}?")
    other = browser.new_page()
    other.goto(path.as_uri() + link)
    again = other.locator(f"{kind}-explorer")
    assert cells(again) == after
    assert {key: field(again, key).input_value() for key in state} == state
    again.get_by_role("button", name="Reset").click()
    assert cells(again) == before
    page.close()
    other.close()


@EVERY
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_sticks_out_sideways_and_no_letter_is_small(page, kind, width):
    page.set_viewport_size({"width": width, "height": 900})
    show, state = FIGURES[kind]
    page.set_content(show().html)
    figure = page.locator(f"{kind}-explorer")
    for key, typed in state.items():
        field(figure, key).fill(typed)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    script = """figure => [...figure.shadowRoot.querySelectorAll("text, th, td, p, input, button, a, label")]
        .map(part => parseFloat(getComputedStyle(part).fontSize) * (part.ownerSVGElement?.getScreenCTM().a ?? 1))"""
    assert min(figure.evaluate(script)) >= 12
    inside = """figure => { const box = figure.shadowRoot.querySelector("svg.picture").getBoundingClientRect();
        return [...figure.shadowRoot.querySelectorAll(".drawn text")].filter(text => text.textContent).filter(text => {
            const own = text.getBoundingClientRect();
            const wide = own.left < box.left - 1 || own.right > box.right + 1;
            return wide || own.top < box.top - 2 || own.bottom > box.bottom + 2;
        }).map(text => text.textContent); }"""
    assert figure.evaluate(inside) == []
    assert not page.errors


@EVERY
def test_axe_finds_nothing(page, kind):
    page.set_content(f"<html lang=en><title>{kind}</title><main>{FIGURES[kind][0]().html}</main>")
    options = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
    found = Axe().run(page, context=f"{kind}-explorer", options=options)
    assert found.violations_count == 0, found.generate_report()


@EVERY
def test_on_paper_the_picture_and_the_table_stay(page, kind):
    figure = opened(page, kind)
    page.emulate_media(media="print")
    assert [figure.locator(part).first.is_visible() for part in ("svg.picture", "table", "form", "footer")] == [
        True,
        True,
        False,
        False,
    ]


def test_changes_are_announced_row_by_row_and_only_changes(page, figure):
    assert figure.locator("table").get_attribute("aria-live") == "polite"
    assert figure.locator("tbody tr[aria-atomic=true]").count() == 5
    script = """figure => {
        window.changed = [];
        const note = changes => window.changed.push(...changes.map(({ target }) => target.closest("tr").innerText.trim()));
        new MutationObserver(note).observe(figure.shadowRoot.querySelector("tbody"), { childList: true, subtree: true });
    }"""
    figure.evaluate(script)
    field(figure, "logit").fill("-811")
    changed = page.evaluate("new Promise(done => setTimeout(() => done(window.changed)))")
    assert [row.split()[0] for row in changed] == ["exact"]


def test_the_picture_hatches_where_exp_overflows_and_has_strips_for_0_and_inf(figure):
    region = figure.locator("svg.picture rect.hatch").first.bounding_box()
    for logit, inside in (("-709", False), ("-710", True)):
        field(figure, "logit").fill(logit)
        mark = figure.locator("svg.picture circle.stable").bounding_box()
        assert (mark["x"] + mark["width"] / 2 < region["x"] + region["width"]) == inside
    field(figure, "logit").fill("-810")
    strips = [strip.bounding_box() for strip in figure.locator("svg.picture rect.strip").all()]
    for form, strip in (("naive", strips[0]), ("stable", strips[1])):
        mark = figure.locator(f"svg.picture circle.{form}").bounding_box()
        assert strip["y"] < mark["y"] + mark["height"] / 2 < strip["y"] + strip["height"]


def test_two_of_a_kind_on_a_page_keep_to_themselves(page):
    page.set_content(explorer.show(-12, 0, "float16").html + explorer.show(12, 1, "float32").html)
    one, two = page.locator("loss-explorer").all()
    before = cells(two)
    one.get_by_role("slider", name="logit").press("Home")
    assert cells(one)["book’s"][0] == "0.0"
    assert cells(two) == before
    assert not page.errors


def test_without_scripts_a_sentence_stands_in_its_place(browser):
    page = browser.new_page(java_script_enabled=False)
    page.set_content(explorer.show().html)
    assert "scripts don't run here" in page.locator("loss-explorer").inner_text()
    page.close()


# --- the other figures --------------------------------------------------------------------------------------------------


def test_the_divergence_is_what_the_cross_entropy_has_over_the_entropy(page):
    figure = opened(page, "divergence")
    for p in (0.0, 0.01, 0.3, 0.5, 1.0):
        for q in (0.0, 0.2, 0.3, 0.5, 0.99, 1.0):
            field(figure, "p").fill(str(p))
            field(figure, "q").fill(str(q))
            both = np.array([p, 1 - p]), np.array([q, 1 - q])
            expected = information.entropy(both[0]), information.kl_divergence(*both), information.cross_entropy(*both)
            shown = [float(value) for [value] in cells(figure).values()]
            np.testing.assert_allclose(shown, expected, atol=6e-7)  # six decimals
    assert not page.errors


@pytest.mark.parametrize("p", ["0", "0.001", "0.3", "0.999", "1"])
def test_the_curve_of_the_divergence_stays_within_its_axes(page, p):
    figure = opened(page, "divergence")
    field(figure, "p").fill(p)
    box = "path => { const { y, height } = path.getBBox(); return [y, y + height]; }"
    curve, axes = (figure.locator(f"svg.picture .drawn path.{kind}").first.evaluate(box) for kind in ("line", "thin"))
    assert axes[0] <= curve[0] <= curve[1] <= axes[1]


def running_sums(terms, lanes):
    """Return what the chapter's `sum_in_running_sums` adds up, before the sums are added."""
    padded = np.append(terms, np.zeros(-len(terms) % lanes, terms.dtype))
    return np.add.accumulate(padded.reshape(-1, lanes), axis=0)[-1]


@pytest.mark.parametrize(("lanes", "loss"), [(8, 0.0018189), (16, 0.0019487), (256, 0.0020698)])
def test_running_sums_absorb_their_share_of_the_loss(page, lanes, loss):
    figure = opened(page, "sums")
    field(figure, "lanes").fill(str(lanes))
    assert round(float(cells(figure)["loss by these sums"][0]), 7) == loss
    terms = np.exp(np.float32([0, *[-17] * 50_256]))
    expected = np.log(running_sums(terms, lanes).sum())  # NumPy's log of a float32 may be one unit in the last place off
    assert abs(np.float32(cells(figure)["loss by these sums"][0]) - expected) <= np.spacing(expected)
    assert cells(figure)["the sum with the 1 keeps"] == ["0.0 % of its small terms"]
    bars = figure.locator("svg.picture rect.library")
    assert bars.count() == lanes
    assert bars.first.bounding_box()["height"] < 4 < bars.last.bounding_box()["height"]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_sums_are_numpys_bit_for_bit(page, dtype):
    opened(page, "sums")
    rng = np.random.default_rng(0)
    for size, lanes in ((1, 1), (7, 3), (8, 8), (9, 16), (128, 5), (129, 4), (1000, 8), (5003, 256)):
        terms = rng.exponential(size=size).astype(dtype)
        script = """([dtype, terms, lanes]) => {
            const { TYPES, inLanes, pairwise } = customElements.get("sums-explorer").arithmetic, { round } = TYPES[dtype];
            return [inLanes(terms, lanes, round), pairwise(terms, round)];
        }"""
        sums, total = page.evaluate(script, [dtype, terms.astype(float).tolist(), lanes])
        np.testing.assert_array_equal(sums, running_sums(terms, lanes)[: len(sums)].astype(float))
        if dtype != "float16":  # whose sums NumPy keeps in float32
            assert total == terms.sum()


def test_the_place_of_the_label_is_dragged_along_the_row(page):
    figure = opened(page, "sums")
    shares = []
    for key in ("Home", "End"):
        figure.get_by_role("slider", name="place").press(key)
        shares.append(float(cells(figure)["relative error"][0].rstrip(" %")))
    assert field(figure, "place").input_value() == "50256"
    np.testing.assert_allclose(shares, [-6.24, 0], atol=0.01)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bits_are_those_of_the_numbers_one_ulp_at_a_time(page, dtype):
    figure = opened(page, "bits", x=4.0, dtype=dtype)
    x = np.array(4.0, numpy_type(dtype))
    for name, direction in (("x + 1 ulp", np.inf), ("x − 1 ulp", -np.inf), ("x − 1 ulp", -np.inf)):
        figure.get_by_role("button", name=name).click()
        x = np.nextafter(x, x.dtype.type(direction))
        assert float(field(figure, "x").input_value()) == float(x)
    figure.get_by_role("slider", name="x").press("ArrowRight")
    assert float(field(figure, "x").input_value()) == 4.0
    v = np.exp(-4.0).astype(x.dtype)
    bits = f"{int(Fraction(float(v)) / Fraction(2) ** (-6 - precision.FORMATS[dtype].significand_bits + 1)):b}"
    drawn = figure.locator("svg.picture .drawn rect:is(.one, .nil)").evaluate_all("all => all.map(r => r.classList[0])")
    assert "".join("1" if kind == "one" else "0" for kind in drawn[: len(bits)]) == bits
    assert x.dtype.type(cells(figure)["1 + exp(−x)"][0]) == x.dtype.type(1) + v
    exact = precision.exact_sigmoid_cross_entropy(1.0, 4.0)
    assert precision.EXACT.mpf(cells(figure)["exact"][0]) == precision.EXACT.mpf(mpmath.nstr(exact, 17))


def test_log_loses_the_digits_that_log1p_keeps(page):
    figure = opened(page, "bits")
    table = cells(figure)
    assert float(table["log(1 + exp(−x))"][1]) > 1e12
    assert float(table["log1p(exp(−x))"][1]) < 1
    assert table["log(1 + exp(−x))"][0] == str(np.log(1 + np.exp(-30.0)))
    field(figure, "x").fill("37")
    assert cells(figure)["log(1 + exp(−x))"][0] == "0.0"


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("epsilon", ["1e-9", "1e-7", "2e-7", "3e-4", "1e-3", "0.01"])
def test_the_caps_are_those_of_the_helper(page, dtype, epsilon):
    figure = opened(page, "clip")
    field(figure, "dtype").select_option(dtype)
    field(figure, "epsilon").fill(epsilon)
    shown = [np.dtype(dtype).type(value) for [value] in cells(figure).values()]
    z, p = np.array([1, 0, 1], dtype), np.array([0, 1, 1], dtype)
    with np.errstate(all="ignore"):
        caps = binary.binary_crossentropy(z, p, epsilon=float(epsilon))
        mean = binary.binary_crossentropy(np.array([0.5, 0.5], dtype), p[:2], epsilon=float(epsilon)).mean()
    low, high = (np.dtype(dtype).type(bound) for bound in (float(epsilon), 1 - float(epsilon)))
    assert shown[:3] == [low, high, 1 - high]
    # the logarithms of two libraries may differ in the last place
    np.testing.assert_allclose(shown[3:], [*caps, mean], rtol=2 * np.finfo(dtype).eps)


def test_the_clip_starts_with_the_published_numbers(page):
    figure = opened(page, "clip")
    table = cells(figure)
    assert table["cap: prediction 0, label 1"] == ["16.118095"]
    assert table["cap: prediction 1, label 0"] == ["15.942385"]
    assert table["mean for labels ½, predictions 0 and 1"] == ["8.01512"]
    assert table["1 − upper bound"] == [str(np.float32(2**-23))]
    figure.locator(".marker").press("Home")
    assert cells(figure)["cap: prediction 1, label 0"] == ["inf"]  # nothing is clipped


@pytest.mark.parametrize(
    ("library", "slope"), [("TensorFlow", "0.7"), ("PyTorch", "0.2"), ("JAX", "-0.3"), ("built in", "0.2")]
)
def test_the_kink_has_the_slopes_of_the_libraries(page, library, slope):
    figure = opened(page, "kink")
    figure.get_by_role("button", name=library).click()
    assert cells(figure)["slope by the library"] == [slope]
    assert cells(figure)["right slope, ½ − z"] == ["0.2"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("row", "cut"), [("20, 0, 0", 1), ("3, 1, 3, 0", 2), ("0.1, -2, 17, 5, 4, 3, 2, 1, 0.5, 9", 4)])
def test_blocks_merge_as_in_numpy(page, dtype, row, cut):
    figure = opened(page, "merge", row=row, cut=cut, dtype=dtype)
    x = np.array([float(word) for word in row.split(",")], dtype)
    blocks = x[:cut], x[cut:]
    pairs = [(block.max(), np.exp(np.delete(block, block.argmax()) - block.max()).sum()) for block in blocks]
    m, r = streaming.merge_largest_and_rest(*pairs)
    eps = np.finfo(dtype).eps
    for name, (top, rest) in zip(("block 1", "block 2", "merged"), [*pairs, (m, r)], strict=True):
        shown = [float(value) for value in cells(figure)[name]]
        assert shown[0] == top
        np.testing.assert_allclose(shown[2], float(rest), rtol=8 * eps)  # a few roundings on both sides
        np.testing.assert_allclose(shown[1], 1 + float(rest), rtol=8 * eps)
    exact = precision.exact_softmax_cross_entropy(int(x.argmax()), x)
    assert precision.EXACT.mpf(cells(figure)["exact"][0]) == precision.EXACT.mpf(mpmath.nstr(exact, 17))


def test_a_merge_with_the_1_absorbs_what_a_merge_without_it_keeps(page):
    table = cells(opened(page, "merge"))
    assert table["log s, the loss of the largest"] == ["0.0, error 8.4e+06 eps"]
    assert table["log1p(r)"][0].startswith(str(np.float32(4.1223074e-09)))


# --- the row that a reader pastes ---------------------------------------------------------------------------------------

READ = (
    "typed => { try { return customElements.get('row-explorer').arithmetic.readRow(typed, {}); } catch (m) { return m; } }"
)


@pytest.mark.parametrize(
    ("typed", "row"),
    [
        ("17, 3 × 0", [17, 0, 0, 0]),
        ("2 x -1.5; 4*2", [-1.5, -1.5, 2, 2, 2, 2]),
        ("1 2\n3", [1, 2, 3]),
        ("[1., -2.e-3, .5]", [1, -0.002, 0.5]),
        ("[[1, 2]]", [1, 2]),
        ("tensor([17., 0.], device='cuda:0', dtype=torch.float16, grad_fn=<AddBackward0>)", [17, 0]),
        ("<tf.Tensor: shape=(1, 2), dtype=float32, numpy=array([[17., 0.]], dtype=float32)>", [17, 0]),
        ("Array([1., 2.], dtype=float32)", [1, 2]),
        ("[np.float32(17.0), np.float32(0.0)]", [17, 0]),
        ("−3 1", [-3, 1]),
    ],
)
def test_a_row_is_read_as_libraries_print_it(page, typed, row):
    opened(page, "row")
    assert page.evaluate(READ, typed) == row


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("[1, 2], [3, 4]", "row: paste a single row"),
        ("[[1, 2]\n [3, 4]]", "row: paste a single row"),
        ("[1, 2, ..., 3]", "row: print all logits, without …, or write the equal ones as 50256 × 0"),
        ("1, two", "row: cannot read “two”"),
        ("0.5 x 3", "row: cannot read “x”"),
        ("", "row: no logit yet"),
        ("300001 x 0", "row: at most 300000 logits"),
    ],
)
def test_what_is_no_row_is_refused(page, typed, says):
    opened(page, "row")
    assert page.evaluate(READ, typed) == says


def test_the_row_of_one_token_has_the_published_losses(page):
    figure = opened(page, "row")
    losses = [row[0] for row in cells(figure).values()]
    # compiled TensorFlow and PyTorch, TensorFlow, optax: the opening of the chapter, to the digits printed there
    assert [f"{float(loss):.5e}" for loss in losses[:3]] == ["1.94872e-03", "2.07031e-03", "2.07901e-03"]
    row = np.zeros(50_257, np.float32)
    row[0] = 17
    exact = precision.exact_softmax_cross_entropy(0, row)
    assert precision.EXACT.mpf(losses[5]) == precision.EXACT.mpf(mpmath.nstr(exact, 17))
    helper = categorical.sparse_softmax_cross_entropy_with_logits(0, row)
    np.testing.assert_allclose(float(losses[4]), helper, rtol=3 * np.finfo(np.float32).eps)
    warned = figure.locator(".notes li a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert warned == ["why-is-my-loss-nan.html#guide-small", "why-is-my-loss-nan.html#guide-offset"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_exact_loss_and_slope_of_rows_are_right_in_every_digit(page, dtype):
    opened(page, "row")
    script = """([row, label]) => {
        const { exact, showExact } = customElements.get("row-explorer").arithmetic, { loss, slope } = exact(row, label);
        return [showExact(loss), showExact(slope)];
    }"""
    rng = np.random.default_rng(3)
    for size in (2, 3, 50):
        for spread in (0.01, 5, 100):
            x = rng.normal(0, spread, size).astype(numpy_type(dtype)).astype(float)
            for label in (int(x.argmax()), 0, size - 1):
                loss = precision.exact_softmax_cross_entropy(label, x)
                with mpmath.workprec(400):
                    slope = mpmath.expm1(-loss)
                    # 17 digits of each, but where the slope is near -1 its own rounding
                    expected = [precision.EXACT.mpf(mpmath.nstr(value, 17)) for value in (loss, slope)]
                shown = [precision.EXACT.mpf(digits) for digits in page.evaluate(script, [x.tolist(), label])]
                assert shown == expected


@pytest.mark.parametrize(
    ("row", "label", "place"),
    [
        ("20, 0, 0", 0, "small"),
        ("1003, 1000", 1, "exp"),
        ("0.7, 0.2, 0.1", 0, "floor"),
        ("4 × 1", 2, "uniform"),
        ("nan, 1", 1, "data"),
        ("-inf, 1, 2", 1, "masked"),
        ("200, 0", 1, "log-p"),
    ],
)
def test_a_row_is_warned_of_with_a_link_into_the_guide(page, row, label, place):
    figure = opened(page, "row")
    field(figure, "row").fill(row)
    field(figure, "label").fill(str(label))
    links = figure.locator(".notes li a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert f"why-is-my-loss-nan.html#guide-{place}" in links
    assert not page.errors


def test_a_good_row_is_not_warned_of(page):
    figure = opened(page, "row")
    field(figure, "row").fill("2, 1, 0.5")
    assert figure.locator(".notes li").count() == 0


def test_a_label_that_is_no_class_is_refused(page):
    figure = opened(page, "row")
    field(figure, "label").fill("50257")
    assert figure.get_by_role("alert").inner_text() == "label, from 0 must lie in [0, 50256], got 50257"


# --- the built pages ----------------------------------------------------------------------------------------------------


def test_the_places_of_the_guide_that_a_row_links_to_are_there(book):
    places = set(re.findall(r'"(guide-[\w-]+)"', explorer.SCRIPTS["row"]))
    there = set(re.findall(r'id="(guide-[\w-]+)"', (book / "chapters" / "why-is-my-loss-nan.html").read_text("utf8")))
    assert len(places) >= 7
    assert places <= there


def test_only_pages_with_a_figure_load_the_script(book):
    for page in book.rglob("*.html"):
        text = page.read_text("utf8")
        named = set(re.findall(r"<(\w+)-explorer data-", text))
        assert set(re.findall(r'customElements\.define\("(\w+)-explorer"', text)) == named, page


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_built_chapter_shows_it_in_the_colors_of_the_page(book, page, theme):
    page.goto(CHAPTER.as_uri())
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    figure = page.locator("loss-explorer")
    assert cells(figure)["naive"] == ["inf", "inf"]
    color = "element => getComputedStyle(element).color"
    assert figure.evaluate(color) == page.locator("article p").first.evaluate(color)
    card = figure.locator("xpath=..").evaluate("card => getComputedStyle(card).backgroundColor")
    assert card == "rgba(0, 0, 0, 0)"
    assert page.locator("figure#fig-explorer-loss figcaption .caption-number").inner_text().startswith("Fig.")
