"""What automatic differentiation returns where a derivative is missing or infinite: the rules of TensorFlow and JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf


def tf_slope(function, value):
    x = tf.constant(value, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        result = function(x)
    return tape.gradient(result, x).numpy()


def in_tensorflow(x):
    return tf.maximum(x, 0.0) - x * 0.3 + tf.math.log1p(tf.exp(-tf.abs(x)))


def in_jax(x):
    return jnp.maximum(x, 0.0) - x * 0.3 + jnp.log1p(jnp.exp(-jnp.abs(x)))


def test_tensorflow_gives_a_tie_to_the_first_argument_and_abs_the_slope_0():
    assert tf_slope(lambda x: tf.maximum(x, 0.0), 0.0) == 1
    assert tf_slope(lambda x: tf.maximum(0.0, x), 0.0) == 0
    assert tf_slope(tf.abs, 0.0) == tf_slope(tf.nn.relu, 0.0) == 0


def test_jax_splits_a_tie_evenly_and_gives_abs_the_slope_1():
    assert jax.grad(lambda x: jnp.maximum(x, 0.0))(0.0) == 0.5
    assert jax.grad(jnp.abs)(0.0) == 1


def test_the_max_abs_form_has_the_slope_0_7_or_minus_0_3_at_0():
    np.testing.assert_allclose(tf_slope(in_tensorflow, 0.0), 0.7, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(in_jax)(0.0), -0.3, rtol=1e-6)


def test_tensorflows_loss_is_right_at_0_and_its_weighted_loss_is_not():
    loss, weighted = tf.nn.sigmoid_cross_entropy_with_logits, tf.nn.weighted_cross_entropy_with_logits
    np.testing.assert_allclose(tf_slope(lambda x: loss(labels=0.3, logits=x), 0.0), 0.2, rtol=1e-6)
    np.testing.assert_allclose(tf_slope(lambda x: weighted(0.3, x, 1.0), 0.0), 0.7, rtol=1e-6)


@pytest.mark.parametrize("gradient", [lambda x: tf_slope(tf.norm, x), jax.grad(jnp.linalg.norm)], ids=["tensorflow", "jax"])
def test_the_norm_of_zeros_has_the_gradient_nan(gradient):
    assert np.isnan(gradient(np.zeros(2, np.float32))).all()
