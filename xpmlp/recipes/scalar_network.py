"""A network in plain Python, one scalar at a time: the slow truth beside the fast one.

One hidden layer of sigmoids, a softmax output and the cross-entropy of a single row, with
lists, loops and `math` alone. The net of the example is worked on paper in DERIVATION.md,
"A net by hand":

    >>> net = Parameters(
    ...     W=[[0.1, -0.2, 0.3], [0.4, 0.5, -0.6]],
    ...     b=[0.01, -0.02, 0.03],
    ...     V=[[0.7, -0.8], [0.9, 1.0], [-1.1, 1.2]],
    ...     c=[0.04, -0.05],
    ... )
    >>> x, target = [1.0, -2.0], 1
    >>> outcome = forward(net, x, target)
    >>> round(outcome.loss, 6)
    0.236262
    >>> gradients = backward(net, x, target, outcome)
    >>> [round(dc, 6) for dc in gradients.c]
    [0.210426, -0.210426]
    >>> net = sgd_update(net, gradients, learning_rate=0.1)
    >>> round(forward(net, x, target).loss, 6)
    0.214951
"""

import math
from typing import NamedTuple

Vector = list[float]
Matrix = list[Vector]


class Parameters(NamedTuple):
    """The weights and biases of a net, or the gradients of the loss by each of them.

    W[i][j] leads from input i to hidden unit j, whose bias is b[j]; V[j][k] leads from there to
    class k, whose bias is c[k].
    """

    W: Matrix
    b: Vector
    V: Matrix
    c: Vector


class Outcome(NamedTuple):
    """What the forward pass found: hidden values h[j], probabilities p[k], and the loss."""

    h: Vector
    p: Vector
    loss: float


def forward(net: Parameters, x: Vector, target: int) -> Outcome:
    """Send one row x through the net; the loss is -ln p[target]."""
    h = [0.0] * len(net.b)
    for j in range(len(h)):
        z = 0.0
        for i in range(len(x)):
            z += x[i] * net.W[i][j]
        h[j] = sigmoid(z + net.b[j])

    logits = [0.0] * len(net.c)
    for k in range(len(logits)):
        z = 0.0
        for j in range(len(h)):
            z += h[j] * net.V[j][k]
        logits[k] = z + net.c[k]

    largest = max(logits)
    exponentials = [math.exp(logit - largest) for logit in logits]
    total = sum(exponentials)
    p = [exponential / total for exponential in exponentials]
    return Outcome(h, p, loss=math.log(total) - (logits[target] - largest))


def backward(net: Parameters, x: Vector, target: int, outcome: Outcome) -> Parameters:
    """Return the gradients of the loss of one row, from the output back to the input."""
    h, p, _ = outcome

    dc = [0.0] * len(net.c)
    for k in range(len(dc)):
        t = 1.0 if k == target else 0.0
        dc[k] = p[k] - t

    dV = [[0.0] * len(net.c) for _ in h]
    for j in range(len(h)):
        for k in range(len(dc)):
            dV[j][k] = h[j] * dc[k]

    db = [0.0] * len(net.b)
    for j in range(len(h)):
        dh = 0.0
        for k in range(len(dc)):
            dh += dc[k] * net.V[j][k]
        db[j] = dh * h[j] * (1.0 - h[j])

    dW = [[0.0] * len(net.b) for _ in x]
    for i in range(len(x)):
        for j in range(len(db)):
            dW[i][j] = x[i] * db[j]

    return Parameters(dW, db, dV, dc)


def sgd_update(net: Parameters, gradients: Parameters, learning_rate: float) -> Parameters:
    """Return the net after a step downhill: every parameter minus the rate times its gradient."""

    def moved(values: Vector, slopes: Vector) -> Vector:
        return [value - learning_rate * slope for value, slope in zip(values, slopes, strict=True)]

    return Parameters(
        W=[moved(*rows) for rows in zip(net.W, gradients.W, strict=True)],
        b=moved(net.b, gradients.b),
        V=[moved(*rows) for rows in zip(net.V, gradients.V, strict=True)],
        c=moved(net.c, gradients.c),
    )


def sigmoid(z: float) -> float:
    """Return 1 / (1 + e⁻ᶻ), with the exponential of a negative number, which never overflows."""
    if z < 0.0:
        return math.exp(z) / (1.0 + math.exp(z))
    return 1.0 / (1.0 + math.exp(-z))
