"""The calls that the book recommends, one for each task and library, as text that readers can paste.

``TASKS`` names each task. A call is Python text whose last line assigns the result, which is most often ``loss``; it finds
what ``IMPORTS`` has for its library, and the task's inputs by their names. The call "exact" is the exact result by
`helpers.precision`, in float64.

The program measure/libraries.py runs each call with a batch of rows and with a batch of sequences, in float32, with 16-bit
``half`` inputs as models have them under mixed precision, eagerly and compiled, with its gradient by the first of these
inputs, and records the answers under the question "call: TASK". A call of "keras" is run on every backend. The chapter
which-loss-to-call shows the calls and their notes.
"""

from collections.abc import Callable, Mapping
from textwrap import dedent, indent
from types import MappingProxyType
from typing import NamedTuple

IMPORTS = {
    "exact": """
        import numpy as np
        from scipy.special import log_softmax
        from helpers.categorical import one_hot, softmax
        from helpers.precision import exact_sigmoid_cross_entropy, exact_softmax_cross_entropy
        sigmoid_losses = np.vectorize(exact_sigmoid_cross_entropy, otypes=[float])
        index_losses = np.vectorize(exact_softmax_cross_entropy, signature="(),(c)->()", otypes=[float])
        row_losses = np.vectorize(exact_softmax_cross_entropy, signature="(c),(c)->()", otypes=[float])
    """,
    "keras": "import keras",
    "tensorflow": "import tensorflow as tf",
    "torch": "import torch\nimport torch.nn.functional as F\nfrom torch.utils.checkpoint import checkpoint",
    "optax": """
        import jax
        import jax.numpy as jnp
        import optax

        def class_losses(labels, logits):  # nan for a label that is no class; optax takes -1 for the last one
            assert labels.shape == logits.shape[:-1]
            y = jnp.where(labels < 0, logits.shape[-1], jnp.int32(labels))
            return optax.losses.softmax_cross_entropy_with_integer_labels(jnp.float32(logits), y)
    """,
}
IMPORTS = {library: dedent(text).strip() for library, text in IMPORTS.items()}


class Task(NamedTuple):
    """What a reader wants to compute, from which inputs, and the call for each library.

    ``inputs`` gives each name a kind of measure/questions.py, or a number. The names in ``half`` are what a model computes,
    in 16 bits under mixed precision. ``note`` says what no name says, most often what the calls are not for, and ``notes``
    adds to it for one library. ``before`` is text that tests run before the call.
    """

    inputs: dict[str, str | float]
    calls: dict[str, str]
    note: str = ""
    notes: Mapping[str, str] = MappingProxyType({})
    half: tuple[str, ...] = ("logits",)
    before: str = ""
    compiled: bool = True


def _task(inputs: dict[str, str | float], *, note: str = "", **rest) -> Task:
    """Return a task of calls by library, and notes by library as NOTE_LIBRARY."""
    fields = {name: rest.pop(name) for name in ("half", "before", "compiled") if name in rest}
    notes = {name.removeprefix("note_"): rest.pop(name) for name in list(rest) if name.startswith("note_")}
    return Task(inputs, {library: dedent(call).strip() for library, call in rest.items()}, note, notes, **fields)


_INDEX = {"labels": "index", "logits": "logits"}
_PADDED = {"labels": "padded index", "logits": "logits"}
_SOFT = {"labels": "soft", "logits": "logits"}
_TEACHER = {"teacher": "logits", "logits": "logits"}
_MASKED_MEAN = "Not for padding: give `sample_weight` as in the row on padding."
_KL = {  # from p to q
    "exact": """
        p, q = (log_softmax(k, axis=-1) for k in (teacher, logits))
        loss = (np.exp(p) * (p - q)).sum(axis=-1).mean()
    """,
    "keras": """
        assert teacher.shape == logits.shape
        p, q = (keras.ops.log_softmax(keras.ops.cast(k, "float32")) for k in (teacher, logits))
        loss = keras.ops.mean(keras.ops.sum(keras.ops.exp(p) * (p - q), axis=-1))
    """,
    "tensorflow": """
        teacher.shape.assert_is_compatible_with(logits.shape)
        p, q = (tf.nn.log_softmax(tf.cast(k, tf.float32)) for k in (teacher, logits))
        loss = tf.reduce_mean(tf.reduce_sum(tf.exp(p) * (p - q), axis=-1))
    """,
    "torch": """
        assert teacher.shape == logits.shape
        p, q = (F.log_softmax(k.float(), dim=-1) for k in (teacher, logits))
        loss = F.kl_div(q, p, log_target=True, reduction="none").sum(-1).mean()
    """,
    "optax": """
        assert teacher.shape == logits.shape
        p, q = (jax.nn.log_softmax(jnp.float32(k)) for k in (teacher, logits))
        loss = optax.losses.kl_divergence_with_log_targets(q, p).mean()
    """,
}
TASKS = {
    "Yes or no, for one label or several at once (binary, multi-label)": _task(
        {"labels": "yes or no", "logits": "one logit"},
        exact="loss = sigmoid_losses(labels, logits).mean()",
        keras="loss = keras.losses.BinaryCrossentropy(from_logits=True)(labels, logits)",
        tensorflow="""
            each = tf.nn.sigmoid_cross_entropy_with_logits(labels, tf.cast(logits, tf.float32))
            loss = tf.reduce_mean(each)
        """,
        torch="loss = F.binary_cross_entropy_with_logits(logits.float(), labels.float())",
        optax="""
            assert labels.shape == logits.shape
            loss = optax.losses.sigmoid_binary_cross_entropy(jnp.float32(logits), labels).mean()
        """,
        note="Labels from 0 to 1, with the shape of the logits.",
        note_tensorflow="They must be float32.",
    ),
    "One of C classes, by its index": _task(
        _INDEX,
        exact="loss = index_losses(labels, logits).mean()",
        keras="loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)",
        tensorflow="""
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.cast(logits, tf.float32))
            loss = tf.reduce_mean(each)
        """,
        torch="""
            assert labels.shape == logits.shape[:-1]
            loss = F.cross_entropy(logits.flatten(0, -2).float(), labels.flatten())
        """,
        optax="loss = class_losses(labels, logits).mean()",
    ),
    "Rows of soft labels, each with the sum 1": _task(
        _SOFT,
        exact="loss = row_losses(labels, logits).mean()",
        keras="loss = keras.losses.CategoricalCrossentropy(from_logits=True)(labels, logits)",
        tensorflow="""
            labels.shape.assert_is_compatible_with(logits.shape)
            each = tf.nn.softmax_cross_entropy_with_logits(labels, tf.cast(logits, tf.float32))
            loss = tf.reduce_mean(each)
        """,
        torch="""
            assert labels.shape == logits.shape
            loss = F.cross_entropy(logits.flatten(0, -2).float(), labels.flatten(0, -2).float())
        """,
        optax="""
            assert labels.shape == logits.shape
            loss = optax.losses.softmax_cross_entropy(jnp.float32(logits), labels).mean()
        """,
    ),
    "Padding: labels of -1 do not count": _task(
        _PADDED,
        exact="counts = labels != -1\nloss = index_losses(labels[counts], logits[counts]).mean()",
        keras="""
            mean = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
            loss = mean(labels, logits)
        """,
        tensorflow="""
            mask = labels != -1
            x = tf.where(mask[..., None], tf.cast(logits, tf.float32), 0.0)
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(mask, labels, 0), x)
            mask = tf.cast(mask, tf.float32)
            loss = tf.math.divide_no_nan(tf.reduce_sum(each * mask), tf.reduce_sum(mask))
        """,
        torch="""
            assert labels.shape == logits.shape[:-1]
            x = logits.float().masked_fill((labels == -1)[..., None], 0).flatten(0, -2)
            total = F.cross_entropy(x, labels.flatten(), ignore_index=-1, reduction="sum")
            loss = total / (labels != -1).sum().clamp(min=1)
        """,
        optax="""
            mask = labels != -1
            x = jnp.where(mask[..., None], jnp.float32(logits), 0)
            each = class_losses(jnp.where(mask, labels, 0), x)
            loss = (each * mask).sum() / jnp.maximum(mask.sum(), 1)
        """,
        note="Where nothing counts, the loss is 0.",
    ),
    "Padding, for any loss: a mask of the elements that count": _task(
        {"labels": "yes or no", "logits": "one logit", "mask": "mask"},
        exact="loss = sigmoid_losses(labels, logits)[mask].mean()",
        keras="""
            assert mask.shape == labels.shape == logits.shape
            mean = keras.losses.BinaryCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
            x = keras.ops.where(keras.ops.cast(mask, "bool"), logits, 0)
            loss = mean(labels[..., None], x[..., None], sample_weight=mask)
        """,
        tensorflow="""
            mask.shape.assert_is_compatible_with(logits.shape)
            mask = tf.cast(mask, tf.float32)
            x = tf.where(mask != 0, tf.cast(logits, tf.float32), 0.0)
            each = tf.nn.sigmoid_cross_entropy_with_logits(labels, x)
            loss = tf.math.divide_no_nan(tf.reduce_sum(each * mask), tf.reduce_sum(mask))
        """,
        torch="""
            assert mask.shape == logits.shape
            x, mask = logits.float().masked_fill(mask == 0, 0), mask.float()
            each = F.binary_cross_entropy_with_logits(x, labels.float(), reduction="none")
            loss = (each * mask).sum() / mask.sum().clamp(min=1)
        """,
        optax="""
            assert mask.shape == labels.shape == logits.shape
            x, mask = jnp.where(mask != 0, jnp.float32(logits), 0), jnp.float32(mask)
            each = optax.losses.sigmoid_binary_cross_entropy(x, labels)
            loss = (each * mask).sum() / jnp.maximum(mask.sum(), 1)
        """,
        note="`mask` has an entry for each loss, so for classes mask the logits by `mask[..., None]`. Masked labels must be "
        "valid.",
        note_keras="Losses over classes take their labels and logits without `[..., None]`.",
        note_torch="For classes multiply by `mask.flatten()`.",
    ),
    "Weights: positives count q times": _task(
        {"labels": "yes or no", "logits": "one logit", "q": 3.0},
        exact="loss = (q * labels * sigmoid_losses(1.0, logits) + (1 - labels) * sigmoid_losses(0.0, logits)).mean()",
        keras="""
            assert labels.shape == logits.shape
            z, x = (keras.ops.cast(k, "float32") for k in (labels, logits))
            each = q * z * keras.ops.softplus(-x) + (1 - z) * keras.ops.softplus(x)
            loss = keras.ops.mean(each)
        """,
        tensorflow="""
            labels.shape.assert_is_compatible_with(logits.shape)
            z, x = (tf.cast(k, tf.float32) for k in (labels, logits))
            each = q * z * tf.nn.softplus(-x) + (1 - z) * tf.nn.softplus(x)
            loss = tf.reduce_mean(each)
        """,
        torch="""
            weight = torch.as_tensor(q, device=logits.device)
            loss = F.binary_cross_entropy_with_logits(logits.float(), labels.float(), pos_weight=weight)
        """,
        optax="""
            assert labels.shape == logits.shape
            x = jnp.float32(logits)
            loss = (q * labels * jax.nn.softplus(-x) + (1 - labels) * jax.nn.softplus(x)).mean()
        """,
        note="Linear in soft labels. The mean divides by the number of elements.",
        note_tensorflow="`tf.nn.weighted_cross_entropy_with_logits` has a wrong slope at logits of 0.",
    ),
    "Weights: one for each class": _task(
        {"labels": "index", "logits": "logits", "weights": "weights"},
        exact="loss = (weights[labels] * index_losses(labels, logits)).sum() / weights[labels].sum()",
        keras="""
            assert weights.shape[0] == logits.shape[-1]
            mean = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction="mean_with_sample_weight")
            loss = mean(labels, logits, sample_weight=keras.ops.take(weights, labels))
        """,
        tensorflow="""
            assert weights.shape[0] == logits.shape[-1]
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.cast(logits, tf.float32))
            w = tf.gather(weights, labels)
            loss = tf.reduce_sum(w * each) / tf.reduce_sum(w)
        """,
        torch="""
            assert labels.shape == logits.shape[:-1]
            loss = F.cross_entropy(logits.flatten(0, -2).float(), labels.flatten(), weight=weights)
        """,
        optax="""
            assert weights.shape == logits.shape[-1:]
            loss = jnp.average(class_losses(labels, logits), weights=weights[labels])
        """,
        note="Divided by the sum of the weights. Not for soft labels, nor (as it stands) for labels of -1, nor "
        "for a batch whose weights are all 0.",
        note_torch="For labels of -1, add `ignore_index=-1`.",
    ),
    "Label smoothing, with padding": _task(
        _PADDED,
        exact="counts = labels != -1\nloss = row_losses(0.9 * one_hot(labels[counts], 5) + 0.1 / 5, logits[counts]).mean()",
        keras="""
            mean = keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=0.1, reduction="mean_with_sample_weight")
            mask = labels != -1
            x = keras.ops.where(mask[..., None], logits, 0)
            y = keras.ops.where(mask, labels, 0)
            known = (y >= 0) & (y < x.shape[-1])  # a label that is no class costs nan
            x = keras.ops.where(known[..., None], x, float("nan"))
            loss = mean(keras.ops.one_hot(y, x.shape[-1]), x, sample_weight=mask)
        """,
        tensorflow="""
            mask = labels != -1
            x = tf.where(mask[..., None], tf.cast(logits, tf.float32), 0.0)
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(mask, labels, 0), x)
            each = 0.9 * each - 0.1 * tf.reduce_mean(tf.nn.log_softmax(x), axis=-1)
            mask = tf.cast(mask, tf.float32)
            loss = tf.math.divide_no_nan(tf.reduce_sum(each * mask), tf.reduce_sum(mask))
        """,
        torch="""
            assert labels.shape == logits.shape[:-1]
            x = logits.float().masked_fill((labels == -1)[..., None], 0).flatten(0, -2)
            total = F.cross_entropy(x, labels.flatten(), ignore_index=-1, label_smoothing=0.1, reduction="sum")
            loss = total / (labels != -1).sum().clamp(min=1)
        """,
        optax="""
            mask = labels != -1
            x = jnp.where(mask[..., None], jnp.float32(logits), 0)
            each = class_losses(jnp.where(mask, labels, 0), x)
            each = 0.9 * each - 0.1 * jax.nn.log_softmax(x).mean(axis=-1)
            loss = (each * mask).sum() / jnp.maximum(mask.sum(), 1)
        """,
        note="Labels of -1 do not count; other negative labels are invalid.",
    ),
    "Focal loss, for an exponent of at least 1": _task(
        _INDEX,
        exact="each = index_losses(labels, logits)\nloss = (np.expm1(-each) ** 2 * each).mean()",
        keras="""
            losses = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)
            each = losses(labels, logits)
            loss = keras.ops.mean((-keras.ops.expm1(-each)) ** 2 * each)
        """,
        tensorflow="""
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.cast(logits, tf.float32))
            loss = tf.reduce_mean((-tf.math.expm1(-each)) ** 2 * each)
        """,
        torch="""
            assert labels.shape == logits.shape[:-1]
            each = F.cross_entropy(logits.flatten(0, -2).float(), labels.flatten(), reduction="none")
            loss = ((-torch.expm1(-each)) ** 2 * each).sum() / (labels != -100).sum().clamp(min=1)
        """,
        optax="""
            each = class_losses(labels, logits)
            loss = ((-jnp.expm1(-each)) ** 2 * each).mean()
        """,
        note="Binary: take `each` from the binary loss. Not for soft labels.",
    ),
    "Masked classes: only those that are allowed can occur": _task(
        {"labels": "allowed index", "logits": "logits", "allowed": "allowed"},
        exact="loss = index_losses(labels, np.where(allowed, logits, -np.inf)).mean()",
        keras="""
            x = keras.ops.where(keras.ops.cast(allowed, "bool"), keras.ops.cast(logits, "float32"), -1e9)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, x)
        """,
        tensorflow="""
            x = tf.where(tf.cast(allowed, tf.bool), tf.cast(logits, tf.float32), -1e9)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x))
        """,
        torch="""
            assert labels.shape == logits.shape[:-1]
            x = logits.float().masked_fill(allowed == 0, -1e9)
            loss = F.cross_entropy(x.flatten(0, -2), labels.flatten())
        """,
        optax="loss = class_losses(labels, jnp.where(allowed != 0, jnp.float32(logits), -1e9)).mean()",
        note="A label that is not allowed costs about 1e9, so that you notice it, unless its row allows no class.",
    ),
    "Segmentation: the classes are on axis 1, (N, C, H, W)": _task(
        {"labels": "image", "logits": "image logits"},
        exact="loss = index_losses(labels, np.moveaxis(logits, 1, -1)).mean()",
        keras="""
            x = keras.ops.moveaxis(logits, 1, -1)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, x)
        """,
        tensorflow="""
            x = tf.cast(tf.transpose(logits, [0, 2, 3, 1]), tf.float32)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x))
        """,
        torch="loss = F.cross_entropy(logits.float(), labels)",
        optax="loss = class_losses(labels, jnp.moveaxis(logits, 1, -1)).mean()",
        note="Where the classes are on the last axis, use the call for one of C classes.",
        note_torch="For pixels without a class, labelled 255, add `ignore_index=255`.",
    ),
    "Log-probability of each token": _task(
        _PADDED,
        exact="mask = labels != -1\nlog_p = np.where(mask, -index_losses(np.where(mask, labels, 0), logits), 0)",
        keras="""
            losses = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, ignore_class=-1, reduction=None)
            log_p = -losses(labels, logits)
        """,
        tensorflow="""
            mask = labels != -1
            x = tf.where(mask[..., None], tf.cast(logits, tf.float32), 0.0)
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(mask, labels, 0), x)
            log_p = tf.where(mask, -each, 0.0)
        """,
        torch="""
            assert labels.shape == logits.shape[:-1]
            x = logits.float().masked_fill((labels == -1)[..., None], 0).flatten(0, -2)
            each = F.cross_entropy(x, labels.flatten(), ignore_index=-1, reduction="none")
            log_p = -each.view(labels.shape)
        """,
        optax="""
            mask = labels != -1
            x = jnp.where(mask[..., None], jnp.float32(logits), 0)
            each = class_losses(jnp.where(mask, labels, 0), x)
            log_p = jnp.where(mask, -each, 0.0)
        """,
        note="0 at labels of -1.",
    ),
    "Perplexity over several batches, with padding": _task(
        _PADDED,
        exact="counts = labels != -1\nperplexity = np.exp(index_losses(labels[counts], logits[counts]).mean())",
        keras="""
            metric = keras.metrics.SparseCategoricalCrossentropy(from_logits=True)
            for labels, logits in batches:
                mask, x = labels != -1, keras.ops.cast(logits, "float32")
                metric.update_state(keras.ops.where(mask, labels, 0), x, sample_weight=mask)
            perplexity = keras.ops.exp(metric.result())
        """,
        tensorflow="""
            total = count = 0.0
            for labels, logits in batches:
                mask = labels != -1
                each = tf.nn.sparse_softmax_cross_entropy_with_logits(
                    tf.where(mask, labels, 0), tf.cast(logits, tf.float32))
                total += float(tf.reduce_sum(tf.where(mask, each, 0.0)))
                count += int(tf.math.count_nonzero(mask))
            perplexity = tf.exp(total / count)
        """,
        torch="""
            total = count = 0.0
            for labels, logits in batches:
                assert labels.shape == logits.shape[:-1]
                total += F.cross_entropy(logits.flatten(0, -2).float(), labels.flatten(),
                                         ignore_index=-1, reduction="sum").item()
                count += (labels != -1).sum().item()
            perplexity = torch.tensor(total / count).exp()
        """,
        optax="""
            total = count = 0.0
            for labels, logits in batches:
                mask = labels != -1
                each = jnp.where(mask, class_losses(jnp.where(mask, labels, 0), logits), 0)
                total, count = total + float(each.sum()), count + int(mask.sum())
            perplexity = jnp.exp(total / count)
        """,
        note="The mean of the batches' means is another number where the batches have different counts.",
        before="batches = [(labels[:1], logits[:1]), (labels[1:], logits[1:])]",
        compiled=False,
    ),
    "Distillation: cross-entropy to a teacher, at the temperature T": _task(
        {**_TEACHER, "T": 2.0},
        exact="loss = T**2 * row_losses(softmax(teacher / T), logits / T).mean()",
        keras="""
            x, t = (keras.ops.cast(k, "float32") / T for k in (logits, teacher))
            mean = keras.losses.CategoricalCrossentropy(from_logits=True)
            loss = T**2 * mean(keras.ops.softmax(t), x)
        """,
        tensorflow="""
            teacher.shape.assert_is_compatible_with(logits.shape)
            x, t = (tf.cast(k, tf.float32) / T for k in (logits, teacher))
            loss = T**2 * tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(t), x))
        """,
        torch="""
            assert teacher.shape == logits.shape
            x, t = (k.flatten(0, -2).float() / T for k in (logits, teacher))
            loss = T**2 * F.cross_entropy(x, F.softmax(t, dim=-1))
        """,
        optax="""
            assert teacher.shape == logits.shape
            x, t = jnp.float32(logits) / T, jnp.float32(teacher) / T
            loss = T**2 * optax.losses.softmax_cross_entropy(x, jax.nn.softmax(t)).mean()
        """,
        half=("logits", "teacher"),
        note="Its minimum is T² times the teacher's entropy, not 0.",
        note_keras="Pass `keras.ops.stop_gradient(teacher)`, so that no gradient reaches the teacher.",
        note_tensorflow="Pass `tf.stop_gradient(teacher)`, so that no gradient reaches the teacher.",
        note_torch="Pass `teacher.detach()`, so that no gradient reaches the teacher.",
        note_optax="Pass `jax.lax.stop_gradient(teacher)`, so that no gradient reaches the teacher.",
    ),
    "KL(teacher ‖ student): forward, mean over rows": _task(
        _TEACHER,
        **_KL,
        half=("logits", "teacher"),
        note="Not for masked classes of -inf, nor for rows that nearly agree: copy `kl_from_logits` (divergences, below).",
        note_torch='PyTorch\'s `reduction="mean"` divides by all elements, and `batchmean` by the first axis alone.',
    ),
    "KL(student ‖ teacher): reverse, mean over rows": _task(
        _TEACHER,
        **{library: call.replace("(teacher, logits)", "(logits, teacher)") for library, call in _KL.items()},
        half=("logits", "teacher"),
        note="Not for what the forward divergence is not for.",
    ),
    "Contrastive, CLIP: similarities of n pairs, (n, n)": _task(
        {"similarity": "square"},
        exact="i = np.arange(len(similarity))\n"
        "loss = (index_losses(i, similarity).mean() + index_losses(i, similarity.T).mean()) / 2",
        keras="""
            assert similarity.shape[0] in (similarity.shape[1], None)
            mean = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            i = keras.ops.arange(keras.ops.shape(similarity)[0])
            loss = (mean(i, similarity) + mean(i, keras.ops.transpose(similarity))) / 2
        """,
        tensorflow="""
            assert similarity.shape[0] in (similarity.shape[1], None)
            s, i = tf.cast(similarity, tf.float32), tf.range(tf.shape(similarity)[0])
            each = tf.nn.sparse_softmax_cross_entropy_with_logits
            loss = tf.reduce_mean(each(i, s) + each(i, tf.transpose(s))) / 2
        """,
        torch="""
            assert similarity.shape[0] == similarity.shape[1]
            s, i = similarity.float(), torch.arange(len(similarity), device=similarity.device)
            loss = (F.cross_entropy(s, i) + F.cross_entropy(s.T, i)) / 2
        """,
        optax="""
            assert similarity.shape[0] == similarity.shape[1]
            i = jnp.arange(len(similarity))
            loss = (class_losses(i, similarity) + class_losses(i, similarity.T)).mean() / 2
        """,
        half=("similarity",),
        note="`similarity` is already divided by the temperature.",
    ),
    "Contrastive, SigLIP: similarities of n pairs, (n, n)": _task(
        {"similarity": "square"},
        exact="n = len(similarity)\nloss = sigmoid_losses(np.eye(n), similarity).sum() / n",
        keras="""
            assert similarity.shape[0] in (similarity.shape[1], None)
            s, n = keras.ops.cast(similarity, "float32"), keras.ops.shape(similarity)[0]
            each = keras.ops.softplus((1 - 2 * keras.ops.eye(n)) * s)
            loss = keras.ops.mean(keras.ops.sum(each, axis=-1))
        """,
        tensorflow="""
            s, pairs = tf.cast(similarity, tf.float32), tf.eye(tf.shape(similarity)[0])
            each = tf.nn.sigmoid_cross_entropy_with_logits(pairs, s)
            loss = tf.reduce_mean(tf.reduce_sum(each, axis=-1))
        """,
        torch="""
            s, pairs = similarity.float(), torch.eye(len(similarity), device=similarity.device)
            loss = F.binary_cross_entropy_with_logits(s, pairs, reduction="sum") / len(s)
        """,
        optax="""
            s, n = jnp.float32(similarity), len(similarity)
            assert s.shape == (n, n)
            loss = optax.losses.sigmoid_binary_cross_entropy(s, jnp.eye(n)).sum() / n
        """,
        half=("similarity",),
        note="The sum over all n² entries is divided by n: a mean would be n times too small.",
    ),
    "Preferences: a reward model's scores of the chosen and the rejected": _task(
        {"chosen": "one logit", "rejected": "one logit"},
        exact="loss = sigmoid_losses(1.0, chosen - rejected).mean()",
        keras="""
            assert chosen.shape == rejected.shape
            margin = keras.ops.cast(chosen, "float32") - keras.ops.cast(rejected, "float32")
            loss = keras.ops.mean(keras.ops.softplus(-margin))
        """,
        tensorflow="""
            chosen.shape.assert_is_compatible_with(rejected.shape)
            margin = tf.cast(chosen, tf.float32) - tf.cast(rejected, tf.float32)
            loss = tf.reduce_mean(tf.nn.softplus(-margin))
        """,
        torch="""
            assert chosen.shape == rejected.shape
            loss = -F.logsigmoid(chosen.float() - rejected.float()).mean()
        """,
        optax="""
            assert chosen.shape == rejected.shape
            loss = -jax.nn.log_sigmoid(jnp.float32(chosen) - jnp.float32(rejected)).mean()
        """,
        half=("chosen", "rejected"),
        note="-log σ of the margin.",
    ),
    "Preferences: DPO": _task(
        {"chosen": "log p", "rejected": "log p", "old_chosen": "log p", "old_rejected": "log p", "beta": 0.1},
        exact="margin = (chosen - old_chosen) - (rejected - old_rejected)\nloss = sigmoid_losses(1.0, beta * margin).mean()",
        keras="""
            assert chosen.shape == rejected.shape == old_chosen.shape == old_rejected.shape
            margin = (chosen - old_chosen) - (rejected - old_rejected)
            loss = keras.ops.mean(keras.ops.softplus(-beta * margin))
        """,
        tensorflow="""
            assert chosen.shape == rejected.shape == old_chosen.shape == old_rejected.shape
            margin = (chosen - old_chosen) - (rejected - old_rejected)
            loss = tf.reduce_mean(tf.nn.softplus(-beta * margin))
        """,
        torch="""
            assert chosen.shape == rejected.shape == old_chosen.shape == old_rejected.shape
            margin = (chosen - old_chosen) - (rejected - old_rejected)
            loss = -F.logsigmoid(beta * margin).mean()
        """,
        optax="""
            assert chosen.shape == rejected.shape == old_chosen.shape == old_rejected.shape
            margin = (chosen - old_chosen) - (rejected - old_rejected)
            loss = -jax.nn.log_sigmoid(beta * margin).mean()
        """,
        half=(),
        note="Each argument is the sum of a sequence's log-probabilities; `old_…` are those of the reference "
        "model. Keep them in float32: bfloat16 rounds sums beyond 256 to even numbers.",
    ),
    "100,000 classes: from hidden states and an embedding, in parts": _task(
        {"labels": "index", "hidden": "hidden", "embedding": "embedding"},
        exact="loss = index_losses(labels, hidden @ embedding.T).mean()",
        keras="""
            mean = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            w = keras.ops.transpose(embedding)  # outside of remat, which doubles a variable's gradient
            part = keras.remat(lambda h, y, w: mean(y, keras.ops.matmul(h, w)))
            parts = [keras.ops.reshape(k, (3, -1, *keras.ops.shape(k)[1:])) for k in (hidden, labels)]
            loss = keras.ops.mean(keras.ops.map(lambda k: part(*k, w), parts))
        """,
        tensorflow="""
            e = tf.convert_to_tensor(embedding)  # recompute_grad doubles the gradient of Keras's variables

            @tf.recompute_grad
            def part(h, y, e):
                x = tf.cast(tf.matmul(h, e, transpose_b=True), tf.float32)
                return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, x))

            parts = zip(tf.split(hidden, 3), tf.split(labels, 3))
            loss = sum(part(h, y, e) for h, y in parts) / 3
        """,
        torch="""
            assert labels.shape == hidden.shape[:-1]

            def part(h, y):
                return F.cross_entropy(F.linear(h, embedding).float(), y, reduction="sum")

            parts = zip(hidden.flatten(0, -2).split(1024), labels.flatten().split(1024))
            loss = sum(checkpoint(part, h, y, use_reentrant=False) for h, y in parts)
            loss = loss / (labels != -100).sum().clamp(min=1)
        """,
        optax="""
            assert labels.shape == hidden.shape[:-1]

            @jax.checkpoint
            def each(token):
                return class_losses(token[1], embedding @ token[0])

            tokens = hidden.reshape(-1, hidden.shape[-1]), labels.flatten()
            loss = jax.lax.map(each, tokens, batch_size=1024).mean()
        """,
        note="16-bit hidden states make 16-bit logits before the loss is computed.",
        half=("hidden", "embedding"),
    ),
    "Training by `compile` and `fit`, with padding": _task(
        _PADDED,
        keras="""
            mean = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction="mean_with_sample_weight")
            metric = keras.metrics.SparseCategoricalCrossentropy(from_logits=True)
            model.compile("adam", mean, weighted_metrics=[metric])
            mask = labels != -1
            model.fit(inputs, labels * mask, sample_weight=mask)
        """,
        note="The metric is the mean over all tokens at every batch size, so its exponential is the perplexity; the loss "
        "that `fit` shows, and `ignore_class`, take means of the batches' means. Under mixed precision the model's last "
        'layer needs `dtype="float32"`, because metrics compute in the type of the logits.',
    ),
}


def function(library: str, call: str, names: list[str], before: str = "", **given: object) -> Callable:
    """Return a call's text as a function of the names; the names in ``given`` stay as they are.

    >>> import numpy as np
    >>> softplus = function("exact", "loss = np.log1p(np.exp(-logits))", ["logits"])
    >>> softplus(np.array([0.0, 100.0]))
    array([6.93147181e-01, 3.72007598e-44])
    """
    result = call.splitlines()[-1].partition(" = ")[0]
    body = indent(f"{before}\n{call}\nreturn {result}", "    ")
    exec(f"{IMPORTS[library]}\ndef loss_of({', '.join(names)}):\n{body}", given)
    return given["loss_of"]
