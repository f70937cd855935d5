"""The textbook's loop: the formulas one after the other, each with a new array for its result."""

from typing import Any

import numpy as np

from bench.cases import Case, Problem
from bench.contenders.base import BETA1, BETA2, EPSILON, MOMENTUM, Contender, Weights


class Textbook(Contender):
    """Backpropagation as assignments on it are solved, in vectorised NumPy.

    The rows of a batch are taken by their indices, the labels are one-hot.
    """

    name = "textbook NumPy"
    package = "numpy"
    how = "a Python loop over batches x[rows]; every operation allocates its result"

    def __init__(self, case: Case, problem: Problem, device: str) -> None:
        super().__init__(case, problem, device)
        self.x = problem.x
        self.t = np.eye(len(problem.initial[-1].b), dtype=problem.x.dtype)[problem.y]
        self.Ws = [layer.W.copy() for layer in problem.initial]
        self.bs = [layer.b.copy() for layer in problem.initial]
        self.params = self.Ws + self.bs
        self.v = [np.zeros_like(p) for p in self.params]
        self.m = [np.zeros_like(p) for p in self.params]
        self.steps = 0

    def epoch(self, order: np.ndarray) -> None:
        """Step through the batches."""
        if self.full_batch:
            self._step(self.x, self.t)
            return
        for start in range(0, len(order), self.case.batch_size):
            rows = order[start : start + self.case.batch_size]
            self._step(self.x[rows], self.t[rows])

    def _step(self, x: np.ndarray, t: np.ndarray) -> None:
        activations = [x]
        for W, b in zip(self.Ws[:-1], self.bs[:-1], strict=True):
            activations.append(self._activation(np.dot(activations[-1], W) + b))
        logits = np.dot(activations[-1], self.Ws[-1]) + self.bs[-1]
        delta = (softmax(logits) - t) / len(x)
        dWs: list[np.ndarray] = []
        dbs: list[np.ndarray] = []
        for i in reversed(range(len(self.Ws))):
            dWs.insert(0, np.dot(activations[i].T, delta))
            dbs.insert(0, np.sum(delta, axis=0))
            if i > 0:
                delta = np.dot(delta, self.Ws[i].T) * self._derivative(activations[i])
        self._update(dWs + dbs)

    def _activation(self, z: np.ndarray) -> Any:
        return np.maximum(z, 0) if self.case.activation == "relu" else 1 / (1 + np.exp(-z))

    def _derivative(self, a: np.ndarray) -> Any:
        """Return the activation's derivative from its value."""
        return a > 0 if self.case.activation == "relu" else a * (1 - a)

    def _update(self, grads: list[np.ndarray]) -> None:
        self.steps += 1
        rate, t = self.case.learning_rate, self.steps
        for i, g in enumerate(grads):
            if self.case.optimizer == "sgd":
                self.params[i] -= rate * g
            elif self.case.optimizer == "momentum":
                self.v[i] = MOMENTUM * self.v[i] + g
                self.params[i] -= rate * self.v[i]
            else:
                self.m[i] = BETA1 * self.m[i] + (1 - BETA1) * g
                self.v[i] = BETA2 * self.v[i] + (1 - BETA2) * g**2
                m, v = self.m[i] / (1 - BETA1**t), self.v[i] / (1 - BETA2**t)
                self.params[i] -= rate * m / (np.sqrt(v) + EPSILON)

    def weights(self) -> Weights:
        """Return copies."""
        return [(W.copy(), b.copy()) for W, b in zip(self.Ws, self.bs, strict=True)]


def softmax(z: np.ndarray) -> Any:
    """Return the probabilities of logits (N, C)."""
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)
