"""One frozen object with every choice of a run; its TOML form reproduces the run."""

import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpmlp.backends.registry import (
    BACKENDS,
    COMPILE,
    DTYPES,
    PRECISIONS,
    check_compile,
    check_matmul_precision,
)
from xpmlp.data.dataset import SCALES
from xpmlp.data.unpacking import USUAL_GIB
from xpmlp.data.wishes import TASKS
from xpmlp.errors import InputError, did_you_mean, unknown_name
from xpmlp.nn.dropout import dropout_rates
from xpmlp.nn.initializers import INITIALIZERS
from xpmlp.nn.losses import LOSSES
from xpmlp.nn.network import hidden_activations
from xpmlp.optim import OPTIMIZERS
from xpmlp.optim.adam import BETA1, BETA2, EPSILON
from xpmlp.optim.schedules import SCHEDULES
from xpmlp.training.options import (
    MOST_SEEDS,
    check_types,
    count_or_list,
    left_to_data,
    number,
    option,
    plain,
    read_toml,
    refuse_unknown,
    shown,
)

RATE_OPTIONS = ("learning_rate", "lr_schedule", "lr_decay")
OF_COMPILED_STEPS = ("compile", "threads", "tiles")
RESUMABLE = (
    *("epochs", *RATE_OPTIONS, "early_stopping"),
    *("device", "backend", "matmul_precision", *OF_COMPILED_STEPS, "data_dir"),
)
LARGEST = {"float32": 3.4028235e38, "float64": sys.float_info.max}
WIDEST = 10**7
RECORDS = ("norms", "loss")
L2_PER = ("batch", "row")


@refuse_unknown
@dataclass(frozen=True)
class Config:
    """Every choice of a run. Raises InputError for an unknown name or a value that can't be used.

    None means: left to the data set, as `defaults.filled` says, or off (`clip_norm`). A trainer's
    config has none left to the data set.
    """

    dataset: str = option(
        "auto",
        "data",
        "mnist, fashion-mnist, kmnist, qmnist, emnist-balanced (or another split), notmnist, "
        "digits, iris, moons, xor, spirals, ellipse; a file (text, Parquet, Feather, .npz, "
        "svmlight) or folder of IDX files; or auto: mnist, else digits",
        metavar="NAME|FILE",
    )
    data_dir: str | None = option(
        None, "data", "folder with data sets, before the cache", str, metavar="DIR"
    )
    validation: float | int | None = option(
        None,
        "data",
        "rows held out for validation: a share below 1, a count, or 0; else those of the set, or "
        "a tenth",
        float,
        metavar="N",
        parse=number,
    )
    scale: str | None = option(
        None,
        "data",
        "scaling of the inputs (images: unit, other files: auto, else: none)",
        str,
        choices=SCALES,
    )
    data_seed: int = option(0, "data", "seed of toy data and splits", metavar="N")

    label: str | None = option(
        None,
        "table",
        "what to learn: the column's name or number, first or last; several as A,B,C [last]",
        str,
        metavar="COLUMN",
    )
    task: str | None = option(
        None, "table", "else told from the label and --loss", str, choices=TASKS
    )
    features: tuple[str, ...] = option(
        (), "table", "learn from these columns alone", str, metavar="COLUMN"
    )
    drop: tuple[str, ...] = option((), "table", "leave these columns out", str, metavar="COLUMN")
    header: str | None = option(
        None, "table", "is the first line names? else told from it", str, choices=("yes", "no")
    )
    max_unpacked: float = option(
        USUAL_GIB,
        "table",
        "GiB to unpack at most, above 20 times the size",
        metavar="GIB",
    )

    hidden: tuple[int, ...] = left_to_data(
        (300, 100), "net", "widths of the hidden layers; without any: a linear net", metavar="N"
    )
    activation: tuple[str, ...] = left_to_data(
        ("relu",), "net", "one for all hidden layers, or one per layer", metavar="NAME"
    )
    dropout: tuple[float, ...] = left_to_data(
        (0.0,),
        "net",
        "share of hidden units dropped in training, for all layers or one each",
        metavar="P",
    )
    loss: str = option("auto", "net", "loss", choices=("auto", *LOSSES))
    label_smoothing: float = option(0.0, "net", "share of each target spread evenly", metavar="S")
    init: str = option(
        "auto",
        "net",
        "law of the initial weights (auto: xavier or he, by activation)",
        choices=INITIALIZERS,
    )
    init_std: tuple[float, ...] = option(
        (0.01,),
        "net",
        "standard deviation for --init normal: one for all layers, or one per layer",
        metavar="STD",
    )
    init_bias_std: float = option(
        0.0, "net", "standard deviation of the initial biases", metavar="STD"
    )

    optimizer: str = left_to_data("momentum", "training", "optimiser", choices=tuple(OPTIMIZERS))
    learning_rate: float = left_to_data(0.1, "training", "base learning rate", metavar="RATE")
    momentum: float = option(0.9, "training", "for momentum, nesterov and muon", metavar="MU")
    init_velocity: float = option(
        0.0, "training", "initial velocity of momentum and nesterov", metavar="V"
    )
    beta1: float = option(
        BETA1, "training", "decay of the mean of gradients, for every adam and muon", metavar="BETA"
    )
    beta2: float = left_to_data(
        BETA2, "training", "decay of the mean of squares, for every adam and muon", metavar="BETA"
    )
    epsilon: float = option(
        EPSILON,
        "training",
        "added to the root of that mean, for every adam and muon",
        metavar="EPS",
    )
    lr_schedule: str = left_to_data(
        "cosine",
        "training",
        "rate over time (step: ×0.1 after 1/2 and 3/4)",
        choices=tuple(SCHEDULES),
    )
    lr_decay: float = option(
        0.95, "training", "factor per epoch of the exponential schedule", metavar="F"
    )
    l2: float = left_to_data(0.0, "training", "penalty ½·l2·ΣW²", metavar="L2")
    l2_per: str = option("batch", "training", "l2 as is, or over a batch's rows", choices=L2_PER)
    l1: float = option(0.0, "training", "penalty l1·Σ|W|", metavar="L1")
    clip_norm: float | None = option(
        None, "training", "largest global norm of a gradient", float, metavar="NORM"
    )
    batch_size: int = left_to_data(128, "training", "rows of a step; 0: all rows", metavar="N")
    epochs: int = left_to_data(10, "training", "passes over the training rows", metavar="N")
    record: str = option(
        "norms",
        "training",
        "what each step records: the loss and the norms of all gradients, or the loss alone, "
        "which is faster",
        choices=RECORDS,
    )
    early_stopping: int = left_to_data(
        0,
        "training",
        "stop after so many epochs without a better validation loss, keep the best weights; 0: "
        "never",
        metavar="PATIENCE",
    )
    initial: str | None = option(
        None,
        "training",
        "begin with the weights of another net: the folder of its run, or its model file",
        str,
        metavar="RUN|MODEL",
    )
    freeze: int = option(
        0, "training", "the first so many layers keep their initial weights", metavar="N"
    )
    seed: int = option(0, "training", "seed of initial weights and batch order", metavar="N")
    seeds: tuple[int, ...] = option(
        (),
        "training",
        "train one net per seed, together: a count (10: 0 to 9) or a list (0,3,7)",
        int,
        metavar="N|LIST",
        parse=count_or_list,
        nargs=None,
    )

    device: str = option("auto", "machine", "auto, cpu, cuda or cuda:N", metavar="DEVICE")
    backend: str = option("auto", "machine", "array library", choices=("auto", *BACKENDS))
    dtype: str = option("float32", "machine", "floating-point type", choices=DTYPES)
    matmul_precision: str = option(
        "full",
        "machine",
        "matrix products of float32: full; tf32 on a GPU, which is faster and keeps 10 of 23 "
        "bits of each factor; bf16 on a CPU with AMX, by PyTorch, which keeps 7",
        choices=PRECISIONS,
    )
    compile: str = option("auto", "machine", "numpy's steps as C", choices=COMPILE)
    threads: int | None = option(
        None, "machine", "of numpy's steps [one a processor]", int, metavar="N"
    )
    tiles: int | None = option(None, "decided", "into which compiled steps cut their work", int)

    def __post_init__(self) -> None:
        seeds: Any = self.seeds
        if hasattr(seeds, "__index__") and not isinstance(seeds, bool):
            if not 1 <= seeds <= MOST_SEEDS:
                raise InputError(
                    f"{shown(seeds)} seeds can't be; give a count from 1 to {MOST_SEEDS:,}"
                )
            object.__setattr__(self, "seeds", range(seeds))
        for item in fields(self):
            object.__setattr__(self, item.name, plain(item, getattr(self, item.name)))
        check_types(self)
        empty = any(getattr(self, name) is None for name in LEFT_TO_DATA)
        _check_values(self.filled() if empty else self)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            hint = did_you_mean(name, self.names())
            raise AttributeError(f"a Config has no option {name!r}{hint}")

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all options."""
        return [item.name for item in fields(cls)]

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: str = "the configuration") -> "Config":
        """Return a config from names and values. Raises InputError for an unknown name."""
        try:
            return cls(**values)
        except InputError as error:
            raise InputError(f"{source}: {error}") from error

    @classmethod
    def load(cls, path: str | Path) -> "Config":
        """Read a TOML file. Raises InputError where it is missing, damaged or holds bad values."""
        return cls.from_dict(read_toml(path), str(path))

    def to_toml(self) -> str:
        """Return the text of the file that `load` reads; options that are None are left out."""
        import tomli_w

        return tomli_w.dumps(self.given())

    def given(self) -> dict[str, Any]:
        """Return the options that are not None, by name."""
        values = {name: getattr(self, name) for name in self.names()}
        return {name: value for name, value in values.items() if value is not None}

    def __repr__(self) -> str:
        chosen = [
            f"{item.name}={getattr(self, item.name)!r}"
            for item in fields(self)
            if getattr(self, item.name) != item.default
        ]
        return f"Config({', '.join(chosen)})"

    def replace(self, **changes: Any) -> "Config":
        """Return a copy with some options changed. Raises InputError as `Config` does."""
        return replace(self, **changes)

    def filled(self, **values: Any) -> "Config":
        """Return a copy with these values, else the usual ones, where it has None for an option
        that is left to the data."""
        usual = {item.name: item.metadata["usual"] for item in fields(self)} | values
        empty = [name for name in usual if getattr(self, name) is None]
        return self.replace(**{name: usual[name] for name in empty}) if empty else self

    def members(self) -> list["Config"]:
        """Return the config of each seed's own run: of `seeds`, or of `seed` where none are."""
        return [self.replace(seed=seed, seeds=()) for seed in self.seeds or (self.seed,)]


LEFT_TO_DATA = tuple(
    item.name
    for item in fields(Config)
    if item.default is None and item.metadata["usual"] is not None
)


def _check_values(config: Config) -> None:
    """Refuse values that can't be; those left to the data are taken as the usual ones."""
    choices: tuple[tuple[str, str | None, tuple[str, ...]], ...] = (
        ("loss", config.loss, ("auto", *LOSSES)),
        ("init", config.init, INITIALIZERS),
        ("optimizer", config.optimizer, tuple(OPTIMIZERS)),
        ("lr_schedule", config.lr_schedule, tuple(SCHEDULES)),
        ("record", config.record, RECORDS),
        ("l2_per", config.l2_per, L2_PER),
        ("dtype", config.dtype, DTYPES),
        ("matmul_precision", config.matmul_precision, PRECISIONS),
        ("scale", config.scale, SCALES),
        ("task", config.task, TASKS),
        ("header", config.header, ("yes", "no")),
        ("backend", config.backend, ("auto", *BACKENDS)),
    )
    for name, value, valid in choices:
        if value is not None and value not in valid:
            raise unknown_name(name, value, valid)
    check_matmul_precision(config.backend, config.device, config.dtype, config.matmul_precision)
    check_compile(config.backend, config.device, config.compile, config.threads)
    hidden_activations(config.activation, len(config.hidden))
    dropout_rates(config.dropout, len(config.hidden))
    for name, value in config.given().items():
        for single in value if isinstance(value, tuple) else (value,):
            if isinstance(single, float) and abs(single) > LARGEST[config.dtype]:
                raise InputError(f"{name} is {single}, more than {config.dtype} can hold")
            if isinstance(single, str) and "\0" in single:
                raise InputError(f"{name} is {single!r}, and no name holds a character of value 0")
    limits: tuple[tuple[str, bool, str], ...] = (
        ("hidden", all(1 <= n <= WIDEST for n in config.hidden), f"widths from 1 to {WIDEST:,}"),
        ("validation", (config.validation or 0) >= 0, "a share below 1, a count, or 0"),
        ("dropout", all(0 <= p < 1 for p in config.dropout), "in [0, 1)"),
        ("label_smoothing", 0 <= config.label_smoothing < 1, "in [0, 1)"),
        ("init_std", min(config.init_std, default=-1) >= 0, "0 or more"),
        ("init_bias_std", config.init_bias_std >= 0, "0 or more"),
        ("learning_rate", config.learning_rate > 0, "above 0"),
        ("momentum", 0 <= config.momentum < 1, "in [0, 1)"),
        ("beta1", 0 <= config.beta1 < 1, "in [0, 1)"),
        ("beta2", 0 <= config.beta2 < 1, "in [0, 1)"),
        ("epsilon", config.epsilon > 0, "above 0"),
        ("lr_decay", 0 < config.lr_decay <= 1, "in (0, 1]"),
        ("l2", config.l2 >= 0, "0 or more"),
        ("l1", config.l1 >= 0, "0 or more"),
        ("clip_norm", config.clip_norm is None or config.clip_norm > 0, "above 0"),
        ("batch_size", config.batch_size >= 0, "1 or more, or 0 for all rows"),
        ("epochs", config.epochs >= 1, "1 or more"),
        ("early_stopping", config.early_stopping >= 0, "0 or more"),
        (
            "freeze",
            0 <= config.freeze <= len(config.hidden),
            f"from 0 to {len(config.hidden)}, the number of hidden layers",
        ),
        ("seed", config.seed >= 0, "0 or more"),
        ("seeds", len(config.seeds) <= MOST_SEEDS, f"at most {MOST_SEEDS:,} of them"),
        ("seeds", all(seed >= 0 for seed in config.seeds), "0 or more"),
        ("seeds", len({*config.seeds}) == len(config.seeds), "different from each other"),
        ("tiles", config.tiles is None or config.tiles >= 1, "1 or more"),
        ("max_unpacked", config.max_unpacked > 0, "above 0"),
        ("data_seed", 0 <= config.data_seed < 2**32, "from 0 to 4294967295"),
    )
    for name, good, expected in limits:
        if not good:
            raise InputError(f"{name} is {getattr(config, name)}; it must be {expected}")
    if config.early_stopping and config.validation == 0:
        raise InputError("early_stopping needs validation rows, and validation is 0")
    if config.seeds and config.seed:
        raise InputError(f"seed {config.seed} and seeds can't both be given")
    if config.init_velocity and config.optimizer not in ("momentum", "nesterov"):
        raise InputError(f"init_velocity goes with momentum or nesterov, not {config.optimizer}")
    if len(config.init_std) not in (1, len(config.hidden) + 1):
        raise InputError(
            f"{len(config.init_std)} values of init_std for {len(config.hidden) + 1} layers; "
            "give one for all, or one per layer"
        )
    if config.label_smoothing and config.loss not in ("auto", "softmax_cross_entropy"):
        raise InputError(f"label_smoothing goes with softmax_cross_entropy, not {config.loss}")
