"""What every finished run can tell, whether it was trained just now or read from its folder."""

from typing import Protocol

from xpmlp.data.dataset import Dataset
from xpmlp.errors import RunError
from xpmlp.training.config import Config
from xpmlp.training.evaluation import Evaluation, Score
from xpmlp.training.history import EpochRecord, History
from xpmlp.training.model import Model
from xpmlp.training.rates import RatePlan
from xpmlp.training.trainer import Trainer


class FinishedRun(Protocol):
    """A trained model with all that is known of its training.

    title: what it is, in a line. data, test: the rows, scaled, and the model's evaluation over
    the test rows, None without any; a run from a folder loads and computes them when asked for.
    test_score: the loss and the accuracy as they were at the end of the training.
    best_epoch: that of the lowest validation loss, None without early stopping.
    record: the epoch whose weights the model has, None before the first has ended.
    interrupted: whether Ctrl-C ended it. plans: of the learning rate, each in force until the next.
    """

    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def config(self) -> Config: ...  # noqa: D102
    @property
    def model(self) -> Model: ...  # noqa: D102
    @property
    def history(self) -> History: ...  # noqa: D102
    @property
    def record(self) -> EpochRecord | None: ...  # noqa: D102
    @property
    def interrupted(self) -> bool: ...  # noqa: D102
    @property
    def plans(self) -> tuple[RatePlan, ...]: ...  # noqa: D102
    @property
    def best_epoch(self) -> int | None: ...  # noqa: D102
    @property
    def data(self) -> Dataset: ...  # noqa: D102
    def data_in(self, folder: str | None) -> Dataset:
        """Return the data; a run from a folder looks for known sets in `folder` first."""

    @property
    def test(self) -> Evaluation | None: ...  # noqa: D102
    @property
    def test_score(self) -> Score | None: ...  # noqa: D102


class TrainedRun(FinishedRun, Protocol):
    """One that was trained in this process.

    failure: why its training failed, None where it didn't.
    """

    @property
    def trainer(self) -> Trainer: ...  # noqa: D102
    @property
    def failure(self) -> RunError | None: ...  # noqa: D102
