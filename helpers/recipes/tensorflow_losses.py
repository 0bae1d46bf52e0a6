"""Cross-entropy from logits in TensorFlow, without cancellation: copy ``aligned`` and the loss that you need.

The losses are in nats, one for each element or row, in float32 for float16 and bfloat16 logits, and in float64 for float64.
Labels of another shape than the rows are an error. A mean over the rows that count is
``tf.reduce_sum(loss) / tf.reduce_sum(tf.cast(labels != -100, loss.dtype))``.
"""

import tensorflow as tf


def aligned(labels, logits, of_rows=False):
    """Return both in float32 or float64; labels of another shape are a ValueError."""
    x = tf.convert_to_tensor(logits)
    x = tf.cast(x, tf.float64 if x.dtype == tf.float64 else tf.float32)
    z = tf.cast(labels, x.dtype)
    z = z[..., None] if of_rows and z.shape.rank < x.shape.rank else z
    z.shape.assert_is_compatible_with([*x.shape[:-1], 1] if of_rows else x.shape)
    sizes = tf.shape(x[..., :1] if of_rows else x)  # a graph may know them at run time
    tf.debugging.assert_equal(tf.shape(z), sizes, "labels do not fit the logits")
    fit = tf.reduce_all(tf.shape(z) == sizes)  # a compiler leaves the assertion out
    return tf.where(fit, tf.reshape(z, sizes), float("nan")), x


def sigmoid_cross_entropy(labels, logits):
    """Return relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|) for labels z in [0, 1]."""
    z, x = aligned(labels, logits)
    positive = x >= 0  # a comparison has no slope; relu and abs have a kink at 0
    weight = tf.where(positive, 1 - z, -z)
    linear = tf.math.multiply_no_nan(x, weight)  # 0 times infinity is 0 here
    return linear + tf.math.log1p(tf.exp(tf.where(positive, -x, x)))


def sparse_softmax_cross_entropy(labels, logits, ignore=-100):
    """Return log(sum over j of e^(x_j - x_y)) for class y of each row.

    The label ``ignore`` costs 0, any other that is no class nan; both have the slope 0.
    """
    y, x = aligned(labels, logits, of_rows=True)
    right = y == tf.range(tf.cast(tf.shape(x)[-1], x.dtype))
    own = tf.reduce_sum(tf.where(right, x, 0.0), -1, True)
    # 0 makes the slope of the right class minus the sum of the others; e^-10000 is 0
    found = tf.reduce_any(right, -1, True)
    gap = tf.where(~right, tf.where(found, x - own, -1e4), 0.0)
    m = tf.stop_gradient(tf.clip_by_value(tf.reduce_max(gap, -1, True), 0, x.dtype.max))
    # log1p adds the 1 that is missing from the sum
    rest = tf.where(right, tf.math.expm1(-m), tf.exp(gap - m))
    loss = m + tf.math.log1p(tf.reduce_sum(rest, -1, True))
    # a loss of 0 divided by 0 is nan
    return (loss / tf.cast(found | (y == ignore), x.dtype))[..., 0]


def softmax_cross_entropy(labels, logits):
    """Return the sum over k of z_k (log(sum over j of e^x_j) - x_k) for rows z.

    A row of zeros costs 0 and has the slope 0, whatever its logits are.
    """
    z, x = aligned(labels, logits)
    # the class with the largest label
    right = tf.argmax(z, -1)[..., None] == tf.range(tf.shape(x, tf.int64)[-1])
    own = tf.reduce_sum(tf.where(right, x, 0.0), -1, True)
    is_row = tf.reduce_any(z != 0, -1, True)
    gap = tf.where(~right, tf.where(is_row, x - own, -1e4), 0.0)
    m = tf.stop_gradient(tf.clip_by_value(tf.reduce_max(gap, -1, True), 0, x.dtype.max))
    rest = tf.where(right, tf.math.expm1(-m), tf.exp(gap - m))
    loss = m - gap + tf.math.log1p(tf.reduce_sum(rest, -1, True))  # of each class
    return tf.reduce_sum(tf.math.multiply_no_nan(loss, z), -1)
