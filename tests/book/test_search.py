"""The search of the built book finds what a reader may paste or type: messages, log lines, numbers, names and questions."""

import gzip
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
GUIDE, CALLS = "why-is-my-loss-nan", "which-loss-to-call"
CLIPPED, OUTSIDE, LOW = "clipped-probabilities", "labels-outside-the-unit-interval", "low-precision"
KERAS, LANGUAGE, WEIGHTS = "keras-losses-by-hand", "language-model-losses", "weights-smoothing-and-focus"
VOCABULARIES, WORTH, DIGITS = "large-vocabularies", "what-a-digit-is-worth", "the-last-digits"
NAIVE, SOFTMAX, KL = "where-the-naive-form-overflows", "softmax-and-log-sum-exp", "kl-divergence"
# Where it should be found: on a page, or in a section by the label of its place.
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
    "88.72": NAIVE,
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
    "overflow encountered in exp": NAIVE,
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
    "temperature": "distillation-soft-labels-with-a-temperature",  # where T is derived; other chapters use it
    "label smoothing": WEIGHTS,
    "pos_weight": WEIGHTS,
    "ignore_index": LANGUAGE,
    "perplexity": LANGUAGE,
    "log-sum-exp": SOFTMAX,
    "linear_cross_entropy": VOCABULARIES,
    "condition number": WORTH,
}
# As libraries print it, with other numbers than the book has: PyTorch 2.13, TensorFlow 2.21, Keras 3.15, JAX, scikit-learn,
# NumPy, and older ones as they stand in threads (torch/nn#1193, segmentation_models.pytorch#197, apex#318, keras#1917).
LABEL, OPERATION = "guide-label", "guide-operation"
SHAPES, TYPE, RANGE = (f"{place}, guide-errors" for place in ("guide-shapes", "guide-type", "guide-jumps"))
PRINTED = {
    "IndexError: Target 73 is out of bounds.": LABEL,
    "Target -100 is out of bounds.": LABEL,
    "RuntimeError: CUDA error: device-side assert triggered": LABEL,
    (
        "torch.AcceleratorError: CUDA error: device-side assert triggered CUDA kernel errors might be "
        "asynchronously reported at some other API call, so the stacktrace below might be incorrect. For debugging "
        "consider passing CUDA_LAUNCH_BLOCKING=1"
    ): LABEL,
    (
        "/pytorch/aten/src/ATen/native/cuda/Loss.cu:250: nll_loss_forward_reduce_cuda_kernel_2d: block: [0,0,0], "
        "thread: [17,0,0] Assertion `t >= 0 && t < n_classes` failed."
    ): LABEL,
    (
        "RuntimeError: cuda runtime error (59) : device-side assert triggered at "
        "/tmp/luarocks_cunn-scm-1-9248/cunn/lib/THCUNN/generic/ClassNLLCriterion.cu:83"
    ): LABEL,
    "IndexError: index out of range in self": LABEL,
    "RuntimeError: index 12 is out of bounds for dimension 1 with size 10": LABEL,
    "RuntimeError: Class values must be smaller than num_classes.": LABEL,
    (
        "RuntimeError: kernel, /tmp/torchinductor_me/4w/c4wvnohiy2trn3f.main.cpp:69, index out of bounds: 0 <= tmp21 < 7L"
    ): LABEL,
    (
        "InvalidArgumentError: {{function_node "
        "__wrapped__SparseSoftmaxCrossEntropyWithLogits_device_/job:localhost/replica:0/task:0/device:CPU:0}} "
        "Received a label value of 17 which is outside the valid range of [0, 17).  Label values: 4 17 2 "
        "[Op:SparseSoftmaxCrossEntropyWithLogits]"
    ): LABEL,
    "RuntimeError: expected target dtype to be Long or Byte, but got Int": TYPE,
    "RuntimeError: expected scalar type Long but found Float": TYPE,
    (
        "RuntimeError: Expected object of scalar type Long but got scalar type Float for argument #2 'target' in "
        "call to _thnn_nll_loss2d_forward"
    ): TYPE,
    "RuntimeError: Found dtype Long but expected Float": TYPE,
    "RuntimeError: result type Float can't be cast to the desired output type Long": TYPE,
    "NotImplementedError: \"nll_loss_forward_reduce_cuda_kernel_2d_index\" not implemented for 'Int'": TYPE,
    (
        "tensorflow.python.framework.errors_impl.InvalidArgumentError: cannot compute Mul as input #1(zero-based) "
        "was expected to be a half tensor but is a float tensor [Op:Mul] name:"
    ): TYPE,
    "InvalidArgumentError: Value for attr 'Tlabels' of float is not in the list of allowed values: int32, int64": TYPE,
    "TypeError: Expected the input to have a dtype that is a subdtype of <class 'numpy.integer'>, got float32 instead": TYPE,
    "ValueError: Target size (torch.Size([32])) must be the same as input size (torch.Size([32, 1]))": SHAPES,
    (
        "UserWarning: Using a target size (torch.Size([64])) that is different to the input size (torch.Size([64, "
        "1])) is deprecated."
    ): SHAPES,
    "ValueError: Expected input batch_size (512) to match target batch_size (64).": SHAPES,
    "RuntimeError: 0D or 1D target tensor expected, multi-target not supported": SHAPES,
    "RuntimeError: Expected target size [8, 32000], got [8, 127]": SHAPES,
    "ValueError: `logits` and `labels` must have the same shape, received ((None, 1) vs (None, 10)).": SHAPES,
    (
        "ValueError: Arguments `target` and `output` must have the same rank (ndim). Received: "
        "target.shape=(None,), output.shape=(None, 5)"
    ): SHAPES,
    "ValueError: Shapes (None, 1) and (None, 10) are incompatible": SHAPES,
    "logits and labels must be broadcastable: logits_size=[32,10] labels_size=[32,11]": SHAPES,
    "ValueError: operands could not be broadcast together with shapes (8,3) (8,)": SHAPES,
    "RuntimeError: all elements of input should be between 0 and 1": RANGE,
    "Assertion `input_val >= zero && input_val <= one` failed.": RANGE,
    "ValueError: y_prob contains values greater than 1: 3.7": RANGE,
    "RuntimeError: all elements of target should be between 0 and 1": OUTSIDE,
    "loss: -204433556137039776.0000 negative": "guide-negative",
    (
        'UserWarning: "`sparse_categorical_crossentropy` received `from_logits=True`, but the `output` argument '
        'was produced by a Softmax activation and thus does not represent logits. Was this intended?"'
    ): "guide-floor",
    "RuntimeError: Function 'SqrtBackward0' returned nan values in its 0th output.": "guide-norm",
    "RuntimeError: Function 'LogBackward0' returned nan values in its 0th output.": OPERATION,
    "RuntimeError: Function 'MulBackward0' returned nan values in its 1th output.": OPERATION,
    '!!! Detected Infinity or NaN in output 0 of eagerly-executing op "Log" (# of outputs: 1) !!!': OPERATION,
    "Batch 41: Invalid loss, terminating training": OPERATION,
    "FloatingPointError: invalid value (nan) encountered in jit(log)": OPERATION,
    "RuntimeError: probability tensor contains either `inf`, `nan` or element < 0": "guide-array",
    (
        "ValueError: Expected parameter logits (Tensor of shape (8, 6)) of distribution Categorical(logits: "
        "torch.Size([8, 6])) to satisfy the constraint IndependentConstraint(Real(), 1), but found invalid values: "
        "tensor([[nan, nan"
    ): "guide-array",
    "Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to 16384.0": "guide-scale",
    "ValueError: Attempting to unscale FP16 gradients.": "guide-scale",
    "FloatingPointError: Minimum loss scale reached (0.0001). Your loss is probably exploding.": "guide-scale",
    (
        "RuntimeError: The total norm of order 2.0 for gradients from `parameters` is non-finite, so it cannot be clipped."
    ): "guide-scale",
    "RuntimeError: value cannot be converted to type at::Half without overflow: -1e+09": "guide-attention",
    "RuntimeError: torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast.": "guide-clip16",
    "RuntimeWarning: divide by zero encountered in log": NAIVE,
    "RuntimeWarning: invalid value encountered in scalar multiply": NAIVE,
    "RuntimeWarning: invalid value encountered in divide": SOFTMAX,
    "OverflowError: math range error": "guide-exp",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 12.27 GiB.": VOCABULARIES,
    "ResourceExhaustedError: OOM when allocating tensor with shape[8192,50257]": VOCABULARIES,
    (
        "UserWarning: reduction: 'mean' divides the total loss by both the batch size and the support size. "
        "'batchmean' divides only by the batch size"
    ): KL,
    (
        "RuntimeError: weight tensor should be defined either for all 7 classes or no classes but got weight "
        "tensor of shape: [3]"
    ): "guide-weights",
    "Epoch 3/10 loss: nan - accuracy: 0.0980": GUIDE,
    "{'loss': 0.0, 'grad_norm': nan, 'learning_rate': 2e-05}": GUIDE,
    "Loss is nan, stopping training": GUIDE,
    "val_loss: nan": GUIDE,
    "loss: 7.9712 - acc: 0.5000": CLIPPED,
    "loss: 2.3025851249694824": "guide-uniform",
    "train loss 0.69314718": "guide-uniform",
    "0.69314718": "guide-uniform",
    "15.9423847": "guide-clip",
    "2.051": OUTSIDE,
    "2.67237": LANGUAGE,
    "2.0513": OUTSIDE,
    "16.11809539794922": "guide-clip",
    "36.04365338911715": CLIPPED,
    "1.461175": "guide-floor",
    "why is my kl divergence negative": "guide-divergence",
    "multilabel": CALLS,
    "multi label classification which loss": CALLS,
    "imbalanced": WEIGHTS,
    "imbalanced classes": WEIGHTS,
    "cross entropy": "soft-labels",
    "batchmean": KL,
    "softmax collapse": "when-lost-digits-stop-a-training",
    "NLLLoss": f"{CALLS}, guide-negative",
    "evaluate gives a different loss than predict": "guide-evaluate",
    "keras loss differs between backends jax and tensorflow": "guide-backend",
    "focal loss gamma nan": WEIGHTS,
    "nan gradient torch.where": "guide-where",
    "softmax of masked row all -inf attention nan": "guide-attention",
    "gradient accumulation different loss": LANGUAGE,
}


@pytest.fixture(scope="module")
def search(browser, book):
    """Return what the page of the search lists for a query: for each hit, the name of its page and of its section."""
    tab = browser.new_page()
    tab.goto(f"{(book / 'search.html').as_uri()}?q=entropy")
    tab.locator("#search-results li").first.wait_for()

    def hits(query):
        tab.locator(".ask input").fill(query)  # the list follows at once
        links = tab.locator("#search-results li a").evaluate_all("links => links.map((link) => link.href)")
        return [{Path(urlsplit(link).path).stem, urlsplit(link).fragment} for link in links]

    yield hits
    tab.close()


@pytest.fixture(scope="module")
def tab(browser, book):
    """Open the first page from the disk."""
    tab = browser.new_page()
    tab.goto((book / "index.html").as_uri())
    yield tab
    tab.close()


@pytest.mark.parametrize("query", [*PAGES, *PRINTED])
def test_the_right_place_is_the_first_or_the_second_hit(search, query):
    found = set().union(*search(query)[:2])
    assert found & set((PAGES | PRINTED)[query].split(", "))


def test_a_hundred_and_twenty_queries_are_tried():
    assert len(PAGES | PRINTED) >= 120


@pytest.mark.parametrize("query", ["8.01513", "xylophone"])
def test_what_stands_nowhere_is_not_found(search, query):
    assert search(query) == []


@pytest.mark.parametrize(
    ("query", "other"),
    [
        ("device-side assert triggered", "triggered assert xylophone device-side"),
        ("class imbalance", "imbalanced classes"),
        ("perplexity", "perplexitty"),
        ("log-sum-exp", "logsumexp"),
    ],
    ids=["order", "ending", "misspelt", "joined"],
)
def test_order_endings_unknown_words_and_small_errors_change_little(search, query, other):
    assert any(hit in search(other)[:2] for hit in search(query)[:2])


def test_a_hit_names_chapter_and_section_and_marks_the_words(browser, book):
    tab = browser.new_page()
    tab.goto(f"{(book / 'search.html').as_uri()}?q=epsilon+two+caps")
    hit = tab.locator("#search-results li").first
    assert re.fullmatch(
        r"\d+\. Clipped probabilities › One epsilon gives two caps in float32", hit.locator("a").inner_text()
    )
    assert {word.lower() for word in hit.locator("mark").all_inner_texts()} & {"caps", "two", "epsilon"}
    assert len(hit.locator("p").inner_text()) < 300
    hit.locator("a").click()
    assert tab.url.endswith("clipped-probabilities.html#one-epsilon-gives-two-caps-in-float32")
    tab.close()


# What the field says, as one types: numbers of the table in other digits, and what follows from its rows.
NAMED = {
    "16.118095": ("Keras clips a probability of 0", "guide-clip"),
    "15.9423847": ("float32", "guide-clip"),
    "0.69314718": ("log 2", "guide-uniform"),
    "2.302": ("log C for 10 classes", "guide-uniform"),
    "3.6109": ("log C for 37 classes", "guide-uniform"),
    "10.373491": ("log C for 32,000 classes", "guide-uniform"),
    "5.71": ("log C for 299 to 304 classes", "guide-uniform"),
    "loss: 7.9712 - acc: 0.5000": ("1/2 of 15.942", "guide-clip"),
    "14.5063": ("9/10 of 16.118", "guide-clip"),
    "16.0302": ("the mean of 16.118 and 15.942", ""),
    "8.0151": ("half the mean", ""),
    "36.0436": ("log_loss", ""),
    "2.3841858e-07": ("2 eps of float32", ""),
    "1.1920929e-07": ("one eps of float32", ""),
    "7.6246": ("−log of half an eps of float16", ""),
    "100.0": ("−100", ""),
    "0.0": ("a row of zeros", "guide-zero-row"),
    "-3.7": ("labels lie outside", ""),
    "nan": ("many causes", ""),
}


@pytest.mark.parametrize("typed", NAMED)
def test_the_field_says_what_a_number_may_be(tab, typed):
    words, place = NAMED[typed]
    field = tab.locator(".ask input")
    field.fill("")
    field.press_sequentially(typed)
    said = tab.locator(".ask [role=status]")
    said.get_by_text(words).wait_for()
    assert place in said.locator("a").first.get_attribute("href")


@pytest.mark.parametrize("typed", ["3.2518263", "8.01513", "Target 73 is out of bounds", "99.9", "16"])
def test_the_field_is_silent_about_other_numbers(tab, typed):
    tab.locator(".ask input").fill("16.118")
    tab.locator(".ask [role=status] a").wait_for()
    tab.locator(".ask input").fill(typed)
    assert tab.locator(".ask [role=status]").inner_text() == ""


def test_the_index_comes_with_the_first_key_and_is_light(browser, book):
    tab = browser.new_page()
    scripts = []
    tab.on("request", lambda request: scripts.append(request.url) if "_static/search/" in request.url else None)
    tab.goto((book / "index.html").as_uri())
    assert scripts == []
    tab.locator(".ask input").press("1")
    tab.wait_for_function("typeof names === 'function'")
    assert [Path(url).stem for url in scripts] == ["minisearch", "index", "search"]
    assert sum(len(gzip.compress((book / "_static" / "search" / Path(url).name).read_bytes())) for url in scripts) < 200_000
    tab.close()


def test_the_index_has_what_readers_see_and_no_more(book):
    script = (book / "_static" / "search" / "index.js").read_text(encoding="utf8")
    assert "losses [16.118095 15.942385]" in script  # printed
    assert "SqrtBackward0" in script  # in the index
    for hidden in ("\\log", "import numpy", "Show code cell", "¶"):
        assert hidden not in script


def test_without_a_script_the_search_leads_to_the_index(browser, book):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((book / "search.html").as_uri())
    tab.locator("article").get_by_role("link", name="index").click()
    assert tab.url.endswith("genindex.html")
    context.close()


def test_the_library_is_of_the_version_that_the_makefile_names():
    version = re.search(r"^MINISEARCH := (.+)$", (ROOT / "Makefile").read_text(encoding="utf8"), re.MULTILINE)[1]
    script = (ROOT / "_static" / "search" / "minisearch.js").read_text(encoding="utf8")
    assert script.startswith(f"// MiniSearch {version}, https://github.com/lucaong/minisearch, MIT")
    assert "Luca Ongaro" in (ROOT / "_static" / "search" / "LICENSE").read_text(encoding="utf8")
    assert "_static/search/minisearch.js is MiniSearch" in (ROOT / "LICENSE").read_text(encoding="utf8")
