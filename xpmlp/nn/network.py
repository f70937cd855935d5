"""The network: affine layers with activations between, forward and backward, any depth.

With L layers there are L - 1 hidden activations; L = 1 is softmax (or linear) regression.
`forward` and `loss_and_grads` check what they are handed; `propagate` and `backpropagate`, which
they call and steps compile, trust it.
Equation: DERIVATION.md, "any-depth".
"""

from collections.abc import Sequence
from typing import NamedTuple

from xpmlp.errors import InputError, unknown_name
from xpmlp.leaves import is_zero
from xpmlp.nn import affine
from xpmlp.nn.activations import ACTIVATIONS, Activation
from xpmlp.nn.checking import checked_inputs, checked_targets
from xpmlp.nn.losses import LOSSES
from xpmlp.nn.regularizers import add_penalty_gradient, penalty
from xpmlp.types import Affine, Array, Batch, Namespace, Params


class Kept(NamedTuple):
    """What the backward pass needs of one hidden layer, each (..., N, H).

    out: what the next layer takes, a or, with dropout, a ⊙ mask.
    """

    z: Array
    a: Array
    out: Array
    mask: Array | None


class Gradients(NamedTuple):
    """Loss and penalty, each (...,), the logits (..., N, C), and gradients shaped as params."""

    loss: Array
    penalty: Array | None
    logits: Array
    grads: Params


def hidden_activations(activation: str | Sequence[str], n_hidden: int) -> tuple[str, ...]:
    """Return one name per hidden layer from one name for all, or from one per layer.

    Raises InputError for an unknown name or a wrong count.
    """
    given = (activation,) if isinstance(activation, str) else tuple(activation)
    for name in given:
        if name not in ACTIVATIONS:
            raise unknown_name("activation", name, ACTIVATIONS)
        if not isinstance(ACTIVATIONS[name], Activation):
            raise InputError(
                f"the activation {name!r} is registered as a {type(ACTIVATIONS[name]).__name__}; "
                f"ACTIVATIONS[{name!r}] = Activation(function, derivative) has both of it"
            )
    names = given * n_hidden if len(given) == 1 else given
    if len(names) != n_hidden:
        raise InputError(
            f"{len(names)} activations for {n_hidden} hidden layers; "
            "give one name for all, or one per layer"
        )
    return names


def forward(
    xp: Namespace,
    params: Params,
    x: Array,
    activations: str | Sequence[str],
    masks: Sequence[Array | None] = (),
) -> tuple[Array, tuple[Kept, ...]]:
    """Return the logits (..., N, C) and what each hidden layer keeps for `backward`.

    x: (..., N, D); activations: one name per hidden layer, or one for all; masks: for each hidden
    layer the factors (..., N, H) of its outputs, or None, or () without dropout.
    Raises InputError for what does not belong together. Equation: DERIVATION.md, "dropout".
    """
    names = hidden_activations(activations, len(params) - 1)
    x = checked_inputs(xp, params, x, len(names), masks)
    return propagate(xp, params, x, names, masks)


def propagate(
    xp: Namespace,
    params: Params,
    x: Array,
    activations: Sequence[str],
    masks: Sequence[Array | None] = (),
) -> tuple[Array, tuple[Kept, ...]]:
    """Return what `forward` does, of arguments that are trusted: the one that a step compiles.

    activations: one name per hidden layer.
    """
    out, kept = forward_hidden(xp, params[:-1], x, activations, masks)
    return affine.forward(xp, out, params[-1]), kept


def forward_hidden(
    xp: Namespace,
    layers: Params,
    x: Array,
    activations: Sequence[str],
    masks: Sequence[Array | None] = (),
) -> tuple[Array, tuple[Kept, ...]]:
    """Return what the hidden layers hand on, (..., N, H), and what each keeps for `backward`.

    Arguments are as for `propagate`. Without layers it is x.
    """
    kept = []
    out = x
    masks = masks or (None,) * len(activations)
    for layer, name, mask in zip(layers, activations, masks, strict=True):
        z = affine.forward(xp, out, layer)
        a = ACTIVATIONS[name].function(xp, z)
        out = a if mask is None else a * mask
        kept.append(Kept(z, a, out, mask))
    return out, tuple(kept)


def backward(
    xp: Namespace,
    params: Params,
    x: Array,
    kept: Sequence[Kept],
    dz: Array,
    activations: Sequence[str],
) -> Params:
    """Return the gradients of all parameters from dz: (..., N, C), the gradient of the logits.

    From the last layer to the first: the layer's own gradients, then da = dz Wᵀ, with dropout
    times the mask, and dz = da f'(z) for the layer below. The gradient of x itself is not
    computed. Equations: DERIVATION.md, "affine-backward", "hidden", "dropout".
    """
    grads: list[Affine] = []
    for i in range(len(params) - 1, 0, -1):
        z, a, out, mask = kept[i - 1]
        grads.append(affine.backward(xp, out, dz))
        da = affine.backward_input(xp, params[i], dz)
        if mask is not None:
            da = da * mask
        dz = da * ACTIVATIONS[activations[i - 1]].derivative(xp, z, a)
    grads.append(affine.backward(xp, x, dz))
    return tuple(reversed(grads))


def loss_and_grads(
    xp: Namespace,
    params: Params,
    batch: Batch,
    *,
    activations: str | Sequence[str],
    loss: str,
    l2: Array | None = None,
    l1: Array | None = None,
    label_smoothing: float = 0.0,
    masks: Sequence[Array | None] = (),
) -> Gradients:
    """Return loss, penalty and the gradients of their sum, by hand-derived backpropagation.

    The loss comes without the penalty; `penalty` is None, and nothing is added to the
    gradients, where neither l2 nor l1 is given. l2, l1: floats, or arrays () or (K,).
    batch: x (..., N, D); t (..., N, C), or class indices (..., N) for softmax; weights (..., N).
    activations, masks: as for `forward`. Raises InputError for what does not belong together, and
    for values that the loss does not take, unless they are being traced.
    """
    names = hidden_activations(activations, len(params) - 1)
    batch = batch._replace(x=checked_inputs(xp, params, batch.x, len(names), masks))
    batch = checked_targets(xp, params, batch, loss, label_smoothing)
    return backpropagate(
        xp,
        params,
        batch,
        activations=names,
        loss=loss,
        l2=l2,
        l1=l1,
        label_smoothing=label_smoothing,
        masks=masks,
    )


def backpropagate(
    xp: Namespace,
    params: Params,
    batch: Batch,
    *,
    activations: Sequence[str],
    loss: str,
    l2: Array | None = None,
    l1: Array | None = None,
    label_smoothing: Array | float = 0.0,
    masks: Sequence[Array | None] = (),
) -> Gradients:
    """Return what `loss_and_grads` does, of arguments that are trusted, as `propagate`."""
    logits, kept = propagate(xp, params, batch.x, activations, masks)
    options = {} if is_zero(label_smoothing) else {"label_smoothing": label_smoothing}
    value, dz = LOSSES[loss].function(xp, logits, batch.t, batch.weights, **options)
    grads = backward(xp, params, batch.x, kept, dz, activations)
    if l2 is None and l1 is None:
        return Gradients(value, None, logits, grads)
    grads = add_penalty_gradient(xp, grads, params, l2, l1)
    return Gradients(value, penalty(xp, params, l2, l1), logits, grads)
