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
    "0.6931": "guide-uniform",
    "2.3026": "guide-uniform",
    "2.303": "guide-uniform",
    "1.4612": "guide-floor",
    "0.3133": "guide-floor",
    "accuracy 1 loss above 0": "guide-floor",
    "mixed precision nan": "guide-hidden16",
    "padded sequences": CALLS,
    "padding in PyTorch": CALLS,
    "loss stuck at 2.3026": "guide-uniform",
    "overflow encountered in exp": NAIVE,
    "Target 3 is out of bounds": "guide-label",
    "IndexError: Target 3 is out of bounds": "guide-label",
    "device-side assert triggered": "guide-label",
    "Received a label value of": "guide-label",
    "expected to be a float tensor but is a int32 tensor": "guide-type",
    "nan at step 300": "guide-when",
    "enable_check_numerics": "guide-operation",
    "TerminateOnNaN": "guide-operation",
    "set_detect_anomaly": "guide-operation",
    "jax_debug_nans": "guide-operation",
    "exploding gradients": "guide-diverges",
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
SHAPES = RANGE = ERRORS = "guide-errors"
TYPE, SCALE = "guide-type", "guide-scale"
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
    "Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to 16384.0": SCALE,
    "ValueError: Attempting to unscale FP16 gradients.": SCALE,
    "FloatingPointError: Minimum loss scale reached (0.0001). Your loss is probably exploding.": SCALE,
    (
        "RuntimeError: The total norm of order 2.0 for gradients from `parameters` is non-finite, so it cannot be clipped."
    ): SCALE,
    "RuntimeError: value cannot be converted to type at::Half without overflow: -1e+09": "guide-attention",
    "RuntimeError: torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast.": ERRORS,
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
    ): ERRORS,
    "Epoch 3/10 loss: nan - accuracy: 0.0980": "guide-when",
    "{'loss': 0.0, 'grad_norm': nan, 'learning_rate': 2e-05}": "guide-when",
    "Loss is nan, stopping training": "guide-when",
    "val_loss: nan": "guide-when",
    "loss: 7.9712 - acc: 0.5000": "guide-clip",
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
    "NLLLoss": "guide-negative",
    "evaluate gives a different loss than predict": "guide-evaluate",
    "keras loss differs between backends jax and tensorflow": "guide-backend",
    "focal loss gamma nan": WEIGHTS,
    "nan gradient torch.where": "guide-where",
    "softmax of masked row all -inf attention nan": "guide-attention",
    "gradient accumulation different loss": LANGUAGE,
    # whole lines from logs and threads, with paths and prefixes, and cut where a field cuts them
    "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`": LABEL,
    "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`": LABEL,
    "RuntimeError: CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmStridedBatchedExFix": LABEL,
    (
        "/pytorch/aten/src/THCUNN/SpatialClassNLLCriterion.cu:106: void cunn_SpatialClassNLLCriterion_updateOutput_kernel("
        "T *, T *, T *, long *, T *, int, int, int, int, int, long) [with T = float, AccumT = float"
    ): LABEL,
    "THCudaCheck FAIL file=/pytorch/aten/src/THCUNN/generic/ClassNLLCriterion.cu line=115 error=59 : device-side": LABEL,
    (
        "../aten/src/ATen/native/cuda/Indexing.cu:1093: indexSelectLargeIndex: block: [71,0,0], thread: [3,0,0] Assertion "
        "`srcIndex < srcSelectDimSize` failed."
    ): LABEL,
    "W tensorflow/core/op_kernel.cc:1767] Received a label value of -1 which is outside the valid range of [0, 21)": LABEL,
    (
        "xgboost.core.XGBoostError: [08:12:44] src/objective/multiclass_obj.cc:78: Check failed: label_error >= 0 && "
        "label_error < nclass SoftmaxMultiClassObj: label must be in [0, num_class), num_class=7 but found 7 in label"
    ): LABEL,
    (
        "0: [rank3]: RuntimeError: torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast."
    ): ERRORS,
    (
        '  File "code/train.py", line 81, in train loss = criterion(torch.softmax(x, dim=-1), y) RuntimeError: all elements '
        "of input should be between 0 and 1"
    ): RANGE,
    (
        "/pytorch/aten/src/THCUNN/BCECriterion.cu:42: void bce_updateOutput_no_reduce_functor<Dtype, Acctype>::operator()("
        "const Dtype *): block: [3,0,0], thread: [17,0,0] Assertion `*input >= 0. && *input <= 1.` failed."
    ): RANGE,
    (
        "RuntimeError: weight tensor should be defined either for all or no classes at "
        "/pytorch/aten/src/THNN/generic/SpatialClassNLLCriterion.c:27"
    ): ERRORS,
    (
        "ValueError: y_true and y_pred contain different number of classes 4, 3. Please provide the true labels explicitly "
        "through the labels argument. Classes found in y_true: [0 1 2 3]"
    ): ERRORS,
    "RuntimeError: The size of tensor a (5) must match the size of tensor b (512) at non-singleton dimension 3": ERRORS,
    "Exception: Current loss scale already at minimum - cannot decrease scale anymore. Exiting run.": SCALE,
    (
        "[INFO] [loss_scaler.py:188:update_scale] [deepspeed] OVERFLOW! Rank 1 Skipping step. Attempted loss scale: 8, "
        "reducing to 4"
    ): SCALE,
    "RuntimeError: value cannot be converted to type at::Half without overflow: -1e+10": "guide-attention",
    (
        "FloatingPointError: invalid value (nan) encountered in jit(convert_element_type). Because jax_config.debug_nans."
        "value and/or config.jax_debug_infs is set, the de-optimized function"
    ): OPERATION,
    (
        "UserWarning: KL divergence is starting to become negative: -0.37 - this might be a precursor for failed training."
    ): "guide-divergence",
    "Negative values for losses.kullback_leibler_divergence?": KL,
    "/home/me/model/layers.py:112: RuntimeWarning: overflow encountered in exp": NAIVE,
    "RuntimeWarning: divide by zero encountered in log   unary = -np.log(feat)": "guide-log-p",
    "train_loss=inf": "guide-exp",
    (
        "UserWarning: You are using a softmax over axis -1 of a tensor of shape (32, 1). This axis has size 1. The softmax "
        "operation will always return the value 1"
    ): "guide-one-output",
    "my model has Dense(1, activation='softmax') and accuracy stays 0.5": "guide-one-output",
    "OverflowError: math range error  stats['ppl'] = utils.get_perplexity(stats['nll_loss'])": "guide-exp",
    "CrossEntropyLoss(reduction='mean'), all the element of the label is ignore_index=-100, output : nan": "guide-padding",
    "line 122, in _assert_all_finite_element_wise raise ValueError(msg_err) ValueError: Input contains NaN.": "guide-data",
    "[trainer] loss = NaN with label_smoothing and full-fp16 eval": "guide-clip16",
    "50000/50000 [======] - 455s - loss: 2.3029 - acc: 0.0957 - val_loss: 2.3026 - val_acc: 0.1000": "guide-uniform",
    "step: 211, loss: 4.6126, accuracy: 0": "guide-uniform",
    "Infinity mask breaks gradient": "guide-attention",
    # numbers that the book prints in other digits, or not at all
    "4.6049": "guide-uniform",
    "0.6931472": "guide-uniform",
    "2.3019": "guide-uniform",
    "9.2103": "guide-clip",
    "13.8155": "guide-clip",
    "15.9424": "guide-clip",
    "27.631": "guide-clip",
    "6.9079": "guide-uniform",
    "0.6925": "guide-uniform",
    "34.5395759923": "guide-clip",
    "16,118": "guide-clip",
    "0,693": "guide-uniform",
    "11.09": NAIVE,
    "65504": "guide-hidden16",
    "103.97": NAIVE,
    # questions in few words and simple English
    "why my loss is become nan after some epoch, training was good before": "guide-diverges",
    "how I can put bigger weight for the rare class in the loss function": WEIGHTS,
    "keras give other loss value than pytorch with the same logits": "guide-backend",
    "the loss not go down and is always the same number": "guide-clip",
    "what is difference between BCELoss and BCEWithLogitsLoss, which one I must take": CALLS,
    "which function for the loss when one picture can have many labels at the same time": CALLS,
    "validation loss is more and more high but accuracy is good": "guide-validation",
    "my loss is smaller than zero, is this normal for cross entropy": "guide-negative",
    "Loss stays a constant 0.6931 while training": "guide-uniform",
    "I0717 17:06:44.165414 30689 solver.cpp:225] Iteration 0, loss = nan": "guide-when",
    "Check failed: status == CUBLAS_STATUS_SUCCESS (11 vs. 0)  CUBLAS_STATUS_MAPPING_ERROR": LABEL,
    "Infinite loss value when training under amp": "guide-clip16",
    "`log_softmax` and `softmax` are not numerically stable with `where` argument inside `vmap`": "guide-where",
    "focal loss is very not stable, easy to turn to nan": WEIGHTS,
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


def test_a_hundred_and_eighty_queries_are_tried():
    assert len(PAGES | PRINTED) >= 185


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
    "-1.04e-07": ("a divergence", "guide-divergence"),
    "4.6049": ("near 4.6052, log C for 100 classes", "guide-uniform"),
    "2.3019": ("near 2.3026", "guide-uniform"),
    "0.6935": ("near log 2", "guide-uniform"),
    "13.8155": ("−log 1e-6", "guide-clip"),
    "34.5395759923": ("−log 1e-15", "guide-clip"),
    "7.97": ("1/2 of 15.942", "guide-clip"),
    "7.7125": ("1/2 of 15.425. Keras 2", ""),
    "88.72": ("the logit above which exp overflows", ""),
    "0,693": ("log 2", "guide-uniform"),
    "16,118": ("Keras clips a probability of 0", "guide-clip"),
    "loss is stuck at 2.303": ("log C for 10 classes", "guide-uniform"),
    "-0": ("a row of zeros", "guide-zero-row"),
    "-inf": ("overflows", "guide-exp"),
    "{'loss': nan, 'epoch': 0.1}": ("many causes", "guide-when"),
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


UNKNOWN = [
    "3.2518263",
    "8.01513",
    "Target 73 is out of bounds",
    "99.9",
    "16",
    "abc",
    "1e-7",
    "1,234.5",
    "10,000",
    "6.24%",
    "1e400",
]
# A number of an error or of another quantity is no loss.
UNKNOWN += [
    "at::Half without overflow: -1e+10",
    "KL divergence: -0.37 is a precursor",
    "loss scale 0.0",
    "learning rate 3.14",
]


@pytest.mark.parametrize("typed", UNKNOWN)
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
