"""KL divergence from logits in TensorFlow, with its digits however close the rows are: copy the function.

First derivatives are right, second ones are not, because the constant c has no slope.
"""

import tensorflow as tf


def kl_from_logits(logits_p, logits_q):
    """Return the sum over j of p_j (e^d_j - 1 - d_j) with d = log(q / p), which is KL(p || q), for two rows of logits."""

    def k3(d, near):  # e^d - 1 - d for |d| < 1, where expm1(d) - d would cancel
        h, s = tf.where(near, d, 0.0), 1.0
        for k in range(10, 2, -1):  # for float64 start at 18
            s = 1 + h / k * s
        return h * h / 2 * s

    x, y = (tf.convert_to_tensor(x) for x in (logits_p, logits_q))
    x, y = (tf.cast(x, "float64" if x.dtype == "float64" else "float32") for x in (x, y))
    x.shape.assert_is_compatible_with(y.shape)  # None is for run time to know
    k = tf.argmax(x, axis=-1)[..., tf.newaxis]
    x_k, y_k = (tf.stop_gradient(tf.gather(row, k, axis=-1, batch_dims=x.shape.rank - 1)) for row in (x, y))
    apart = (abs(x_k - y_k) > 4) & (y_k > -float("inf"))
    d = tf.where(apart, (y - y_k) - (x - x_k), y - x)  # exact for close rows, whereas log_softmax would round first
    x, y = x - x_k, y - tf.where(apart, y_k, x_k)  # large logits have no digits left for what follows
    total = tf.reduce_logsumexp(x, axis=-1, keepdims=True)
    p, log_q = tf.exp(x - total), y - total  # log_q lacks a constant c, as d does
    d = tf.where(p > 0, d, 0.0)
    own = tf.gather(d, k, axis=-1, batch_dims=x.shape.rank - 1)
    c = tf.reduce_logsumexp(log_q, axis=-1, keepdims=True)
    c = tf.stop_gradient(tf.where(abs(own - c) < 0.5, own, c))  # no slope: the sum is smallest at the right c
    d, log_q = d - c, log_q - c
    near = (p > 0) & (abs(d) < 1)
    c = tf.reduce_sum(tf.where(near, p * (d + k3(d, near)), tf.exp(log_q) - p), axis=-1, keepdims=True)
    c = tf.stop_gradient(tf.math.log1p(c))
    d, log_q = d - c, log_q - c
    return tf.reduce_sum(tf.where(near, p * k3(d, near), tf.exp(log_q) - p - p * d), axis=-1)
