"""Cross-entropy from logits in TensorFlow, without cancellation. Each function stands alone: copy the one that you need.

The losses are in nats, one for each element or row, in the type of the logits: cast float16 and bfloat16 logits to float32
first. Labels are lined up with the logits, so shapes (n,) and (n, 1) never broadcast to (n, n).
"""

import tensorflow as tf


def sigmoid_cross_entropy(labels, logits):
    """Return relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|), whose terms cannot cancel, for labels z in [0, 1]."""
    labels = tf.cast(tf.reshape(labels, tf.shape(logits)), logits.dtype)
    positive = logits >= 0  # a comparison has no slope, whereas relu and abs have a kink at 0
    weight = tf.where(positive, 1 - labels, -labels)
    linear = tf.math.multiply_no_nan(logits, weight)  # 0 times infinity is 0 here
    return linear + tf.math.log1p(tf.exp(tf.where(positive, -logits, logits)))


def sparse_softmax_cross_entropy(labels, logits):
    """Return log(sum over j of e^(x_j - x_y)) for class y of each row; a class outside [0, C) costs inf or nan."""
    right = tf.reshape(tf.one_hot(tf.cast(labels, "int64"), logits.shape[-1], True, False), tf.shape(logits))
    own = tf.reduce_max(tf.where(right, logits, -float("inf")), axis=-1, keepdims=True)
    gap = tf.where(~right, logits - own, 0.0)  # this gives the right class minus the sum of the others' slopes
    m = tf.stop_gradient(tf.minimum(tf.reduce_max(gap, axis=-1, keepdims=True), gap.dtype.max))
    rest = tf.where(right, tf.math.expm1(-m), tf.exp(gap - m))  # log1p adds the 1 that is missing from their sum
    return tf.squeeze(m, axis=-1) + tf.math.log1p(tf.reduce_sum(rest, axis=-1))


def softmax_cross_entropy(labels, logits):
    """Return the sum over k of z_k (log(sum over j of e^x_j) - x_k) for rows of labels z, such as one-hot rows."""
    right = tf.one_hot(tf.argmax(labels, axis=-1), logits.shape[-1], True, False)  # the class with the largest label
    own = tf.reduce_max(tf.where(right, logits, -float("inf")), axis=-1, keepdims=True)
    gap = tf.where(~right, logits - own, 0.0)
    m = tf.stop_gradient(tf.minimum(tf.reduce_max(gap, axis=-1, keepdims=True), gap.dtype.max))
    rest = tf.reduce_sum(tf.where(right, tf.math.expm1(-m), tf.exp(gap - m)), axis=-1, keepdims=True)
    return tf.reduce_sum(tf.math.multiply_no_nan(m - gap + tf.math.log1p(rest), labels), axis=-1)


def kl_from_logits(logits_p, logits_q):
    """Return the sum over j of p_j (e^d_j - 1 - d_j) with d = log(q / p), which is KL(p || q), for two rows of logits."""

    def k3(d, near):  # e^d - 1 - d for |d| < 1, where expm1(d) - d would cancel
        h, s = tf.where(near, d, 0.0), 1.0
        for k in range(10, 2, -1):  # for float64 start at 18
            s = 1 + h / k * s
        return h * h / 2 * s

    x, y = (tf.convert_to_tensor(x) for x in (logits_p, logits_q))
    x, y = (tf.cast(x, "float64" if x.dtype == "float64" else "float32") for x in (x, y))
    total = tf.reduce_logsumexp(x, axis=-1, keepdims=True)
    p, log_q = tf.exp(x - total), y - total  # log_q lacks a constant c, that of the other row
    d = tf.where(p > 0, y - x, 0.0)  # exact for close rows, whereas log_softmax would round first
    own = tf.gather(d, tf.argmax(p, axis=-1)[..., tf.newaxis], axis=-1, batch_dims=p.shape.rank - 1)
    c = tf.reduce_logsumexp(log_q, axis=-1, keepdims=True)
    c = tf.stop_gradient(tf.where(abs(own - c) < 0.5, own, c))  # no slope: the sum is smallest at the right c
    d, log_q = d - c, log_q - c
    near = (p > 0) & (abs(d) < 1)
    c = tf.reduce_sum(tf.where(near, p * (d + k3(d, near)), tf.exp(log_q) - p), axis=-1, keepdims=True)
    c = tf.stop_gradient(tf.math.log1p(c))
    d, log_q = d - c, log_q - c
    return tf.reduce_sum(tf.where(near, p * k3(d, near), tf.exp(log_q) - p - p * d), axis=-1)
