"""The search of the built book finds the right page for what a reader may type: numbers, messages, names and terms."""

from urllib.parse import quote, urlsplit

import pytest

GUIDE, CALLS = "why-is-my-loss-nan", "which-loss-to-call"
CLIPPED, OUTSIDE, LOW = "clipped-probabilities", "labels-outside-the-unit-interval", "low-precision"
KERAS, LANGUAGE, WEIGHTS = "keras-losses-by-hand", "language-model-losses", "weights-smoothing-and-focus"
VOCABULARIES, WORTH, DIGITS = "large-vocabularies", "what-a-digit-is-worth", "the-last-digits"
PAGES = {
    "16.118": CLIPPED,
    "15.942": CLIPPED,
    "8.01512": CLIPPED,
    "7.6895466": CLIPPED,
    "-1.3379208": OUTSIDE,
    "2.0512707": OUTSIDE,
    "0.00928135": KERAS,
    "0.8046684": KERAS,
    "1.02618802e-10": "matching-tensorflow",
    "88.72": "where-the-naive-form-overflows",
    "0.0010376": DIGITS,
    "25.1502742767334": LANGUAGE,
    "10.8125": LOW,
    "36.04": CLIPPED,
    "0.6931": GUIDE,
    "2.3026": GUIDE,
    "2.303": GUIDE,
    "1.4612": GUIDE,
    "0.3133": GUIDE,
    "accuracy 1 loss above 0": GUIDE,
    "mixed precision nan": GUIDE,
    "padded sequences": CALLS,
    "padding in PyTorch": CALLS,
    "loss stuck at 2.3026": GUIDE,
    "overflow encountered in exp": "where-the-naive-form-overflows",
    "Target 3 is out of bounds": GUIDE,
    "IndexError: Target 3 is out of bounds": GUIDE,
    "device-side assert triggered": GUIDE,
    "Received a label value of": GUIDE,
    "expected to be a float tensor but is a int32 tensor": GUIDE,
    "nan at step 300": GUIDE,
    "enable_check_numerics": GUIDE,
    "TerminateOnNaN": GUIDE,
    "set_detect_anomaly": GUIDE,
    "jax_debug_nans": GUIDE,
    "exploding gradients": GUIDE,
    "GradScaler": LOW,
    "glossary": "notation",
    "multi-label": CALLS,
    "temperature": "kl-divergence",
    "label smoothing": WEIGHTS,
    "pos_weight": WEIGHTS,
    "ignore_index": LANGUAGE,
    "perplexity": LANGUAGE,
    "log-sum-exp": "softmax-and-log-sum-exp",
    "linear_cross_entropy": VOCABULARIES,
    "condition number": WORTH,
}


@pytest.fixture(scope="module")
def search(browser, book):
    """Return what the page of the search lists for a query: the names of the pages, the best first."""
    tab = browser.new_page()

    def pages(query):
        tab.goto(f"{(book / 'search.html').as_uri()}?q={quote(query)}")
        tab.wait_for_function("/finished|did not match/.test(document.querySelector('.search-summary')?.innerText)")
        links = tab.locator("#search-results li > a").evaluate_all("links => links.map((link) => link.href)")
        return [urlsplit(link).path.rpartition("/")[2].removesuffix(".html") for link in links]

    yield pages
    tab.close()


@pytest.mark.parametrize("query", PAGES)
def test_the_right_page_is_found_first_or_second(search, query):
    assert PAGES[query] in list(dict.fromkeys(search(query)))[:2]


def test_what_stands_nowhere_is_not_found(search):
    assert search("8.01513") == []
