#!/bin/bash
# Guess:   what MLPRegressor hands to L-BFGS is a loss and the gradient of this loss.
# Instead: with several outputs the squared error is averaged over rows and outputs, its gradient
#          over the rows alone: it is n_outputs times too large. The penalty's gradient isn't, so
#          the direction is wrong too, and the search goes by a slope that the loss doesn't have.
#          One output, and all classifiers, are right.
# Seen:    scikit-learn 1.9.1, gradient / central difference, three outputs: 3.000 for all weights
#          without penalty, from 1.468 to 3.422 with alpha = 1; one output: 1.000
# Source:  sklearn/neural_network/_base.py, squared_loss; _multilayer_perceptron.py, _backprop
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 scikit-learn==1.9.1

"$python" - <<'PY'
import numpy as np
from finding import show
from sklearn.neural_network import MLPRegressor

STEP = 1e-6


class Checked(MLPRegressor):
    """Notes the first gradient that the solver gets, beside central differences of the loss."""

    def _loss_grad_lbfgs(self, flat, *rest):
        def evaluate(at):
            loss, gradient = super(Checked, self)._loss_grad_lbfgs(at, *rest)
            return loss, gradient.copy()

        if not hasattr(self, "ratios"):
            moves = STEP * np.eye(len(flat))
            slopes = [(evaluate(flat + m)[0] - evaluate(flat - m)[0]) / (2 * STEP) for m in moves]
            self.ratios = evaluate(flat)[1] / slopes
        return evaluate(flat)


rng = np.random.default_rng(0)
x, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 3))
settings = dict(hidden_layer_sizes=(4,), activation="tanh", solver="lbfgs", max_iter=1)


def extremes(targets, alpha):
    ratios = Checked(alpha=alpha, random_state=0, **settings).fit(x, targets).ratios
    return [f"{ratios.min():.3f}", f"{ratios.max():.3f}"]


show("three outputs, alpha = 0", extremes(y, 0.0), ["3.000", "3.000"])
low, high = extremes(y, 1.0)
print("three outputs, alpha = 1:", [low, high])
show("the weights have different factors", float(high) - float(low) > 1.0, True)
show("one output, alpha = 1", extremes(y[:, 0], 1.0), ["1.000", "1.000"])
PY
