"""Which of our names somebody meant: by its letters, by its words, or as other tools call it."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_CALLED_ELSEWHERE = {
    "learning_rate": "lr eta learning_rate_init step_size",
    "hidden": "hidden_layer_sizes hidden_layers hidden_sizes hidden_size hidden_dims hidden_dim "
    "hidden_units layers units n_hidden",
    "l2": "alpha weight_decay l2_reg lambda reg_lambda",
    "epochs": "max_iter max_epochs n_epochs num_epochs n_iter iterations",
    "seed": "random_state random_seed rng manual_seed",
    "seeds": "n_seeds",
    "data_seed": "split_seed",
    "optimizer": "solver opt",
    "activation": "activations activation_function nonlinearity act",
    "loss": "criterion loss_fn loss_function objective",
    "lr_schedule": "scheduler lr_scheduler schedule",
    "lr_decay": "gamma decay",
    "early_stopping": "n_iter_no_change patience",
    "validation": "validation_fraction validation_split validation_size val_size val",
    "clip_norm": "max_norm clipnorm max_grad_norm grad_clip gradient_clip_val gradient_clipping",
    "epsilon": "eps",
    "beta1": "betas",
    "dropout": "dropout_rate drop_rate p keep_prob",
    "init": "initializer kernel_initializer weight_init initialization",
    "batch_size": "bs minibatch_size",
    "scale": "normalize scaler scaling standardize",
    "dataset": "data",
    "label": "target",
    "features": "feature_names",
    "dtype": "precision floatx",
    "softmax_cross_entropy": "cross_entropy cross_entropy_loss categorical_crossentropy softmax "
    "sparse_categorical_crossentropy nll nll_loss log_loss ce",
    "binary_cross_entropy": "bce bce_loss bce_with_logits bce_with_logits_loss logistic",
    "mean_squared_error": "mse mse_loss squared_error squared_loss l2_loss",
    "mean_absolute_error": "mae l1_loss absolute_error",
    "huber": "smooth_l1 smooth_l1_loss",
    "poisson": "poisson_nll poisson_nll_loss",
    "leaky_relu": "lrelu",
    "silu": "swish",
    "identity": "linear none",
    "sigmoid": "logistic expit",
    "xavier_uniform": "glorot glorot_uniform xavier",
    "xavier_normal": "glorot_normal",
    "he_normal": "kaiming kaiming_normal he",
    "he_uniform": "kaiming_uniform",
    "cosine": "cosine_annealing cosine_annealing_lr cosine_decay",
    "exponential": "exponential_lr exponential_decay",
    "step": "step_lr multi_step_lr",
    "standard": "zscore standard_scaler",
    "unit": "minmax min_max_scaler",
    "cuda": "gpu",
    "float64": "double",
    "float32": "single",
    "accuracy": "acc",
    "train_loss": "loss",
    "validation_loss": "val_loss",
    "train_accuracy": "acc accuracy",
    "validation_accuracy": "val_acc val_accuracy",
    "train": "fit",
    "evaluate": "test score",
}


def closest(name: str, valid: Iterable[str]) -> str | None:
    """Return the one of the `valid` names that somebody meant, None where none comes near.

    First come names that differ by case and separators alone, then what scikit-learn, PyTorch
    and Keras call it, then names that have all its words or whose words it has all, then letters.
    """
    names = list(valid)
    asked = _letters(name)
    same = [one for one in names if _letters(one) == asked]
    meant = [one for one in names if asked in _ELSEWHERE.get(one, ())]
    return next(iter([*same, *meant, *_by_words(name, names), *_by_letters(name, names)]), None)


def _letters(name: str) -> str:
    return re.sub(r"[^\w]|_", "", name).lower()


_ELSEWHERE = {
    ours: frozenset(map(_letters, theirs.split())) for ours, theirs in _CALLED_ELSEWHERE.items()
}


def _words(name: str) -> frozenset[str]:
    """Return the words of snake_case, kebab-case and CamelCase, of three letters or more."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return frozenset(part.lower() for part in parts if len(part) > 2)


def _by_words(name: str, names: Sequence[str]) -> list[str]:
    """Return names by how many words they share with this one, where one has all of the other."""
    asked = _words(name)
    shared = {one: len(asked & _words(one)) for one in names}
    fitting = [one for one in names if shared[one] and asked & _words(one) in (asked, _words(one))]
    return sorted(fitting, key=lambda one: (-shared[one], len(_words(one))))


def _by_letters(name: str, names: Sequence[str]) -> list[str]:
    lowered = {one.lower(): one for one in names}
    return [lowered[one] for one in get_close_matches(name.lower(), lowered, n=1)]
