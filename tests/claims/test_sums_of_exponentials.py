"""Which small terms TensorFlow and optax lose in the loss of one of 50,257 classes, and by which order of additions."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tensorflow as tf

from helpers.categorical import sparse_softmax_cross_entropy_with_logits

CLASSES = 50_257
EXACT = np.log1p((CLASSES - 1) * np.exp(-17.0))
LOSS = tf.nn.sparse_softmax_cross_entropy_with_logits


def confident(place):
    logits = np.zeros(CLASSES, np.float32)
    logits[place] = 17
    return logits


def running_sums(terms, n):
    padded = np.append(terms, np.zeros(-len(terms) % n, terms.dtype))
    return np.add.accumulate(padded.reshape(-1, n), axis=0)[-1].sum()


def in_eight_pieces(terms):
    if len(terms) <= 8192:
        return running_sums(terms, 32)
    half = len(terms) // 16 * 8
    return in_eight_pieces(terms[:half]) + in_eight_pieces(terms[half:])


def test_eager_tensorflow_adds_eight_pieces_by_32_running_sums():
    logits = confident(0)
    loss = LOSS(labels=0, logits=logits).numpy()
    np.testing.assert_allclose(loss, np.log(in_eight_pieces(np.exp(logits - 17))), rtol=2e-7)
    assert f"{loss:.7e}" == "2.0703089e-03"


@pytest.mark.parametrize("place", [0, 777, 20_000, CLASSES // 2, CLASSES - 1])
def test_compiled_tensorflow_adds_by_16_running_sums(place):
    logits = confident(place)
    loss = tf.function(LOSS, jit_compile=True)(labels=[place], logits=logits[np.newaxis]).numpy()[0]
    # the sum is near 1, so a last bit of it is 6e-5 of the loss
    np.testing.assert_allclose(loss, np.log(running_sums(np.exp(logits - 17), 16)), rtol=1.3e-4)


def test_optax_rounds_its_loss_to_the_spacing_at_the_largest_logit():
    loss = np.float32(optax.softmax_cross_entropy_with_integer_labels(jnp.array(confident(0)), 0))
    assert loss / np.spacing(np.float32(17)) == 1090
    assert abs(loss / EXACT - 1) > 2e-4


def test_the_helper_keeps_the_terms_wherever_the_class_stands():
    for place in (0, CLASSES // 2, CLASSES - 1):
        np.testing.assert_allclose(sparse_softmax_cross_entropy_with_logits(place, confident(place)), EXACT, rtol=2e-7)
