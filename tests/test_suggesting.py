"""The name that somebody meant."""

import pytest

from xpmlp.backends.registry import BACKENDS, DTYPES
from xpmlp.data.dataset import SCALES
from xpmlp.data.registry import dataset_names
from xpmlp.errors import unknown_name
from xpmlp.nn.activations import ACTIVATIONS
from xpmlp.nn.initializers import INITIALIZERS
from xpmlp.nn.losses import LOSSES
from xpmlp.optim import OPTIMIZERS
from xpmlp.optim.schedules import SCHEDULES
from xpmlp.suggesting import _CALLED_ELSEWHERE, closest
from xpmlp.training.config import Config

MEANT = [
    (ACTIVATIONS, "Relu RELU ReLU re_lu", "relu"),
    (ACTIVATIONS, "LeakyReLU leakyrelu leaky-relu Leaky_ReLU leaky lrelu", "leaky_relu"),
    (ACTIVATIONS, "swish SiLU", "silu"),
    (ACTIVATIONS, "logistic Sigmoid sigmoyd", "sigmoid"),
    (ACTIVATIONS, "linear", "identity"),
    (
        LOSSES,
        "cross_entropy CrossEntropyLoss categorical_crossentropy CategoricalCrossentropy "
        "sparse_categorical_crossentropy log_loss NLLLoss softmax "
        "cross-entropy softmaxcrossentropy "
        "softmax_crossentropy",
        "softmax_cross_entropy",
    ),
    (
        LOSSES,
        "bce BCE BCEWithLogitsLoss BCELoss binary_crossentropy BinaryCrossentropy",
        "binary_cross_entropy",
    ),
    (LOSSES, "mse MSELoss squared_error MeanSquaredError mean_square_error", "mean_squared_error"),
    (LOSSES, "mae L1Loss absolute_error", "mean_absolute_error"),
    (LOSSES, "SmoothL1Loss HuberLoss", "huber"),
    (Config.names(), "lr LR learning_rate_init learningRate learning-rate", "learning_rate"),
    (Config.names(), "hidden_layer_sizes n_hidden hidden_size hiden", "hidden"),
    (Config.names(), "alpha weight_decay", "l2"),
    (Config.names(), "max_iter n_epochs num_epochs max_epochs epoch", "epochs"),
    (Config.names(), "random_state", "seed"),
    (Config.names(), "solver optimiser Optimizer", "optimizer"),
    (Config.names(), "batchsize BatchSize batch", "batch_size"),
    (Config.names(), "n_iter_no_change patience earlystopping", "early_stopping"),
    (Config.names(), "validation_fraction validation_split", "validation"),
    (Config.names(), "criterion loss_fn", "loss"),
    (Config.names(), "beta_1", "beta1"),
    (OPTIMIZERS, "Adam ADAM adan", "adam"),
    (OPTIMIZERS, "AdamW adam_w", "adamw"),
    (OPTIMIZERS, "RMSProp rms_prop", "rmsprop"),
    (OPTIMIZERS, "SGD", "sgd"),
    (SCHEDULES, "CosineAnnealingLR cosine_decay", "cosine"),
    (SCHEDULES, "OneCycleLR onecycle", "one_cycle"),
    (INITIALIZERS, "glorot_uniform GlorotUniform xavier", "xavier_uniform"),
    (INITIALIZERS, "kaiming_normal HeNormal", "he_normal"),
    (SCALES, "StandardScaler zscore", "standard"),
    (SCALES, "minmax MinMaxScaler", "unit"),
    (dataset_names(), "MNIST mnits", "mnist"),
    (dataset_names(), "FashionMNIST fashion_mnist", "fashion-mnist"),
    (BACKENDS, "pytorch PyTorch", "torch"),
    (DTYPES, "double", "float64"),
]


@pytest.mark.parametrize(
    ("valid", "name", "meant"),
    [(valid, name, meant) for valid, names, meant in MEANT for name in names.split()],
)
def test_what_somebody_meant(valid, name, meant):
    assert closest(name, valid) == meant


@pytest.mark.parametrize("name", ["", "?", "qwzx", "of"])
def test_nothing_is_guessed_of_a_name_that_comes_near_none(name):
    assert closest(name, Config.names()) is None
    assert "did you mean" not in str(unknown_name("option", name, Config.names()))


def test_names_differing_by_case_alone_come_before_all_else():
    assert closest("ALPHA", ["l2", "alpha"]) == "alpha"


def test_words_decide_where_letters_would_not():
    columns = ["sepal_length", "petal_length", "petal_width", "species"]
    assert closest("Petal length (cm)", columns) == "petal_length"


def test_no_name_of_another_tool_stands_twice_for_the_same_choice():
    ours = [*Config.names()]
    theirs = [word for name in ours for word in _CALLED_ELSEWHERE.get(name, "").split()]
    assert len(theirs) == len({*theirs})
    assert not {*theirs} & {*ours}
