"""The divergence to copy: shapes, types, masks and slopes by both arguments, in TensorFlow, Keras and JAX."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers.information import kl_from_logits
from helpers.recipes import jax_divergence, keras_divergence, tensorflow_divergence

pytestmark = pytest.mark.slow

INF = np.inf
EPS = 2.0**-23
RECIPES = [tensorflow_divergence, keras_divergence, jax_divergence]
modules = pytest.mark.parametrize("module", RECIPES, ids=lambda module: module.__name__)


def loss_and_slopes(module, x, y, dtype="float32", jit=False):
    """Return the divergences in float64, and their slopes by the logits of p and of q."""
    if module is jax_divergence:
        x, y = jnp.asarray(x, dtype), jnp.asarray(y, dtype)
        loss = jax.jit(module.kl_from_logits) if jit else module.kl_from_logits
        slopes = jax.grad(lambda x, y: loss(x, y).sum(), argnums=(0, 1))(x, y)
        return [np.asarray(result, float) for result in (loss(x, y), *slopes)]
    x, y = tf.cast(x, dtype), tf.cast(y, dtype)
    loss = tf.function(module.kl_from_logits, jit_compile=True) if jit else module.kl_from_logits
    with tf.GradientTape() as tape:
        tape.watch([x, y])
        divergences = loss(x, y)
    slopes = [tf.cast(slope, "float64").numpy() for slope in tape.gradient(divergences, [x, y])]
    return divergences.numpy().astype(float), *slopes


def exact_slopes(x, y):
    """Return the slopes by the logits of p and of q, in float64."""
    p, q = (np.exp(rows) / np.exp(rows).sum(axis=-1, keepdims=True) for rows in (x, y))
    log_ratio = np.where(p == 0, 0, np.log(np.where(p == 0, 1, p)) - np.log(np.where(q == 0, 1, q)))
    return p * (log_ratio - kl_from_logits(x, y)[..., np.newaxis]), q - p


@modules
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("distance", [1e-4, 0.03, 1, 30])
def test_the_divergence_and_its_slopes_are_right_for_batches_of_sequences(module, jit, distance):
    rng = np.random.default_rng(0)
    x = np.float32(2 * rng.normal(size=(2, 3, 10)))
    y = np.float32(x + distance * rng.normal(size=x.shape))
    x[..., 4], y[..., 4] = -INF, -INF  # a class that is masked in both
    if distance >= 1:  # and one that only p excludes: no two rows are near then
        x[0, ..., 5] = -INF
    value, by_p, by_q = loss_and_slopes(module, x, y, jit=jit)
    x, y = x.astype(float), y.astype(float)
    # a bracket q - p - p d beside |d| = 1 loses three bits, sums of 10 classes some more
    np.testing.assert_allclose(value, kl_from_logits(x, y), rtol=40 * EPS)
    for slope, exact in zip((by_p, by_q), exact_slopes(x, y), strict=True):
        np.testing.assert_allclose(slope, exact, rtol=0, atol=40 * EPS * abs(exact).max())


@modules
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize(("of_x", "of_y"), [(1e5, 1e5), (0, 1e5), (-1e5, 1e5), (3, 0)])
@pytest.mark.parametrize("distance", [0.1, 1])
def test_an_offset_of_one_row_or_of_both_costs_eps_over_the_distance(module, jit, of_x, of_y, distance):
    rng = np.random.default_rng(0)
    x = np.float32(rng.normal(size=(20, 10)) + of_x)
    y = np.float32(x.astype(float) - of_x + distance * rng.normal(size=x.shape) + of_y)
    value, by_p, by_q = loss_and_slopes(module, x, y, jit=jit)
    # x_k and y_k are subtracted, which rounds logits of 8 and less by 4 eps, and each difference by 8, of the distance
    x, y = (rows.astype(float) - rows.max(axis=-1, keepdims=True) for rows in (x, y))
    np.testing.assert_allclose(value, kl_from_logits(x, y), rtol=16 * EPS / distance + 40 * EPS)
    for slope, exact in zip((by_p, by_q), exact_slopes(x, y), strict=True):
        np.testing.assert_allclose(slope, exact, rtol=0, atol=(16 / distance + 40) * EPS * abs(exact).max())


@modules
def test_logits_of_a_thousand_keep_their_digits(module):
    x, y = (1e3 * np.random.default_rng(seed).normal(size=(1000, 10)).astype(np.float32) for seed in (0, 1))
    value, *_ = loss_and_slopes(module, x, y)
    exact = kl_from_logits(x.astype(float), y.astype(float))
    counts = exact > 1e-20  # below, the exponent of e^-46 is rounded by 16 eps
    np.testing.assert_allclose(value[counts], exact[counts], rtol=4 * EPS)


@modules
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_logits_are_computed_in_float32(module, dtype):
    x, y = np.random.default_rng(0).normal(size=(2, 50, 7)).astype(np.float32)
    x, y = (tf.cast(tf.cast(rows, dtype), "float32").numpy() for rows in (x, y))  # so that nothing is rounded below
    value, *_ = loss_and_slopes(module, x, y, dtype)
    np.testing.assert_allclose(value, kl_from_logits(x.astype(float), y.astype(float)), rtol=40 * EPS)


@modules
def test_a_mask_of_minus_1e9_and_a_class_that_only_q_excludes(module):
    x = np.float32([[0, 1, -1e9], [0, 1, 2]])
    y = np.float32([[1, 0, -1e9], [0, 1, -INF]])
    value, by_p, by_q = loss_and_slopes(module, x, y)
    np.testing.assert_allclose(value[0], kl_from_logits([0.0, 1.0], [1.0, 0.0]), rtol=8 * EPS)
    assert value[1] == INF
    assert np.isfinite(by_p[0]).all()
    assert np.isfinite(by_q[0]).all()


def test_keras_distills_a_student_with_it():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(256, 4)).astype(np.float32)
    teacher = inputs @ rng.normal(size=(4, 3)).astype(np.float32)  # logits, in place of labels
    student = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, use_bias=False)])
    student.compile(keras.optimizers.SGD(0.5), keras_divergence.kl_from_logits)
    losses = student.fit(inputs, teacher, epochs=60, batch_size=64, verbose=0).history["loss"]
    assert losses[0] > 0.1
    assert 0 <= losses[-1] < 1e-4 * losses[0]


@modules
def test_rows_of_another_shape_are_an_error(module):
    rows = jnp.zeros if module is jax_divergence else tf.zeros
    for one, other in (((2, 3), (3,)), ((2, 3), (1, 3)), ((2, 3), (2, 4))):
        with pytest.raises(ValueError, match=r"(?i)shape"):
            module.kl_from_logits(rows(one), rows(other))
