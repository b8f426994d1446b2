"""The sides that are no torch programs: Keras, and JAX written by hand. Both begin with the weights of the torch model.

Pixels stand in the order (height, width, channels) here, which both prefer on the CPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy
import torch
from torch import nn

if TYPE_CHECKING:
    from sides import Side

SHOWN = 1000  # rows of the training split whose loss is told after the first command
WARM = 100  # steps of that command, at least: libraries compile in them, zoo records a step and proves it
WARM_LARGE = 10  # the same where a step takes long
TOGETHER = {"linear3": 200_000, "lenet5": 4}  # steps in a scan: the whole training of linear3; else an 8th of an epoch
UNROLLED = {"lenet5": 4}  # XLA's convolutions are many times slower inside a loop
Array = Any  # numpy's, of any type; jax is not installed where types are checked


def _arrays(side: Side) -> tuple[Array, Array]:
    """Return inputs (rows, …) with channels last, and targets."""
    inputs = side.rows.inputs
    return (inputs.movedim(1, -1) if inputs.dim() == 4 else inputs).contiguous().numpy(), side.rows.targets.numpy()


def _weights(side: Side) -> list[tuple[Array, Array]]:
    """Return weight and bias of each layer: (inputs, outputs), or (height, width, inputs, outputs) of a convolution.

    The first linear layer after convolutions takes its inputs in another order than torch's.
    """
    found: list[tuple[Array, Array]] = []
    channels = 1
    for layer in side.model.children():
        if isinstance(layer, nn.Conv2d):
            weight, channels = layer.weight.permute(2, 3, 1, 0), layer.out_channels
        elif isinstance(layer, nn.Linear):
            weight = layer.weight.reshape(layer.out_features, channels, -1).transpose(1, 2).flatten(1).T
            channels = 1
        else:
            continue
        assert isinstance(layer.bias, torch.Tensor)
        found.append((weight.detach().contiguous().numpy(), layer.bias.detach().numpy()))
    return found


def keras_torch(side: Side) -> None:
    """Train by Keras on arrays, its backend torch; layers that are not simple are the torch module itself."""
    _keras(side, "torch")


def keras_jax(side: Side) -> None:
    """Train by Keras on arrays, its backend JAX."""
    _keras(side, "jax")


def _keras(side: Side, backend: str) -> None:
    os.environ["KERAS_BACKEND"] = backend
    import keras

    class Told(keras.callbacks.Callback):  # type: ignore[misc]  # not installed where types are checked
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            side.tell()

    train = side.checked.spec.train
    if side.large:
        model, inputs, targets = _wrapped(side, keras), side.rows.inputs.numpy(), side.rows.targets.numpy()
    else:
        inputs, targets = _arrays(side)
        model = _rewritten(side, keras)
    if side.large:
        side.begin(lambda: side.loss_of(side.model.train()))
    else:
        side.begin(lambda: float(model.evaluate(inputs[:SHOWN], targets[:SHOWN], SHOWN, verbose=0)))
    warm = WARM_LARGE if side.large else WARM
    first = warm * train.batch_size  # the model cannot be evaluated in a callback, and so not in the training below
    model.fit(inputs[:first], targets[:first], train.batch_size, 1, verbose=0, shuffle=False)
    side.tell(warm)
    model.fit(inputs, targets, train.batch_size, 10**9, verbose=0, callbacks=[Told()], shuffle=train.shuffle)


# Any: keras has no types where types are checked.
def _rewritten(side: Side, keras: Any) -> Any:
    """Return the model in layers of Keras."""
    lr, momentum = side.sgd
    model = keras.Sequential([keras.Input(_arrays(side)[0].shape[1:]), *_keras_layers(side, keras)])
    model.set_weights([array for pair in _weights(side) for array in pair])
    classifies = isinstance(side.objective.loss, nn.CrossEntropyLoss)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True) if classifies else "mse"
    model.compile(keras.optimizers.SGD(lr, momentum=momentum), loss)
    return model


# Any: as above.
def _wrapped(side: Side, keras: Any) -> Any:
    """Return the torch module as a model of Keras, with the loss of the spec and Keras' own optimizer."""

    class Wrapped(keras.Model):  # type: ignore[misc]  # not installed where types are checked
        def __init__(self) -> None:
            super().__init__()
            self.module = keras.layers.TorchModuleWrapper(side.model)

        def call(self, inputs: Array, training: bool | None = None) -> Array:
            return self.module(inputs, training=training)

    options = side.optimizer().defaults
    if "betas" in options:
        decay, eps = options["weight_decay"], options["eps"]
        optimizer = keras.optimizers.AdamW(options["lr"], weight_decay=decay, epsilon=eps)
    else:
        optimizer = keras.optimizers.SGD(options["lr"], momentum=options["momentum"])
        optimizer.weight_decay = options["weight_decay"] or None
    model = Wrapped()
    model.compile(optimizer, lambda wanted, given: side.objective(given, wanted.long()))
    return model


# Any: keras has no types where types are checked.
def _keras_layers(side: Side, keras: Any) -> list[Any]:
    layers = keras.layers
    made: dict[type[nn.Module], Callable[[Any], Any]] = {
        nn.Flatten: lambda layer: layers.Flatten(),
        nn.ReLU: lambda layer: layers.ReLU(),
        nn.Linear: lambda layer: layers.Dense(layer.out_features),
        nn.MaxPool2d: lambda layer: layers.MaxPooling2D(layer.kernel_size),
        nn.Conv2d: lambda layer: layers.Conv2D(
            layer.out_channels, layer.kernel_size, padding="same" if layer.padding[0] else "valid"
        ),
    }
    return [made[type(layer)](layer) for layer in side.model.children()]


def jax_scan(side: Side) -> None:
    """Train by hand in JAX: many steps in one compiled scan, rows taken by index.

    What is left of an epoch after the last whole scan is left out.
    """
    import jax
    from jax import lax
    from jax import numpy as jnp

    lr, momentum = side.sgd
    loss = _jax_loss(side)

    def step(state: Array, batch: Array) -> Array:
        weights, speed = state
        value, slopes = jax.value_and_grad(loss)(weights, inputs[batch], targets[batch])
        if momentum:
            speed = jax.tree.map(lambda old, slope: momentum * old + slope, speed, slopes)
        moves = speed if momentum else slopes
        return (jax.tree.map(lambda weight, move: weight - lr * move, weights, moves), speed), value

    train, unroll = side.checked.spec.train, UNROLLED.get(side.work.spec, 1)
    inputs, targets = map(jnp.asarray, _arrays(side))
    weights = jax.tree.map(jnp.asarray, _weights(side))
    state = weights, jax.tree.map(jnp.zeros_like, weights) if momentum else None
    scan = jax.jit(lambda state, batches: lax.scan(step, state, batches, unroll=unroll), donate_argnums=0)
    measured, rows = jax.jit(loss), numpy.random.default_rng(train.seed)
    side.begin(lambda: float(measured(state[0], inputs[:SHOWN], targets[:SHOWN])))
    together = TOGETHER.get(side.work.spec, 117)
    while True:
        order = rows.permutation(len(inputs)) if train.shuffle else numpy.arange(len(inputs))
        steps = len(inputs) // train.batch_size
        batches = order[: steps * train.batch_size].reshape(steps, -1).astype(numpy.int32)
        batches = numpy.tile(batches, (max(1, together // steps), 1))
        for start in range(0, len(batches) - together + 1, together):
            state, losses = scan(state, batches[start : start + together])
            losses.block_until_ready()
            side.tell(len(losses))


def _jax_loss(side: Side) -> Callable[[Array, Array, Array], Array]:
    """Return the loss of weights, inputs and targets."""
    import jax
    from jax import lax
    from jax import numpy as jnp

    layers = list(side.model.children())
    classifies = isinstance(side.objective.loss, nn.CrossEntropyLoss)

    def forward(weights: Array, values: Array) -> Array:
        pairs = iter(weights)
        for layer in layers:
            if isinstance(layer, nn.Linear):
                weight, bias = next(pairs)
                values = values @ weight + bias
            elif isinstance(layer, nn.Conv2d):
                weight, bias = next(pairs)
                around = "SAME" if layer.padding[0] else "VALID"
                axes = ("NHWC", "HWIO", "NHWC")
                values = lax.conv_general_dilated(values, weight, (1, 1), around, dimension_numbers=axes) + bias
            elif isinstance(layer, nn.MaxPool2d):
                values = lax.reduce_window(values, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            elif isinstance(layer, nn.ReLU):
                values = jax.nn.relu(values)
            else:
                values = values.reshape(len(values), -1)
        return values

    def loss(weights: Array, values: Array, wanted: Array) -> Array:
        given = forward(weights, values)
        if not classifies:
            return jnp.mean((given - wanted) ** 2)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(given), wanted[:, None], axis=1))

    return loss


SIDES: dict[str, Callable[[Side], None]] = {each.__name__: each for each in (keras_torch, keras_jax, jax_scan)}
