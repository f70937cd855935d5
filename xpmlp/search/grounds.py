"""What trials train on: rows and a backend, loaded once for all that have them in common."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from xpmlp.backends.registry import Selection, select_backend
from xpmlp.console import warn
from xpmlp.data.dataset import Dataset
from xpmlp.errors import InputError
from xpmlp.runs.saving import resolved
from xpmlp.training.config import Config
from xpmlp.training.problem import net_of
from xpmlp.training.setup import load_for, values_wished

OF_MACHINE = ("device", "backend", "dtype", "matmul_precision")
SHARED = (
    *(item.name for item in fields(Config) if item.metadata["group"] in ("data", "table")),
    *OF_MACHINE,
)


class Ground(NamedTuple):
    """Rows, and what computes on them."""

    data: Dataset
    selection: Selection

    def resolved(self, config: Config) -> Config:
        """Return a config with all that it leaves to data and machine decided."""
        config = resolved(config, self.selection.backend, self.data)
        net_of(config, self.data)
        return config


class Grounds:
    """The grounds of trials, each made when it is first asked for.

    fallback: whether the CPU may stand in where a GPU is asked for and there is none.
    """

    def __init__(self, *, fallback: bool = True) -> None:
        self.fallback = fallback
        self._known: dict[Any, Ground] = {}

    def of(self, config: Config) -> Ground:
        """Return the ground of a config; what is to be known of it is said once.

        Raises InputError where its data or backend can't be had.
        """
        key = self._key(config)
        if key not in self._known:
            self._known[key] = self._make(config)
        return self._known[key]

    def resolved(self, config: Config) -> Config:
        """Return a config with all decided; its ground stays the one that it has."""
        ground = self.of(config)
        found = ground.resolved(config)
        self._known.setdefault(self._key(found), ground)
        return found

    def _make(self, config: Config) -> Ground:
        selection = select_backend(
            config.backend,
            config.device,
            config.dtype,
            fallback=self.fallback,
            matmul_precision=config.matmul_precision,
        )
        if selection.fallback_reason:
            warn(
                f"warning: no CUDA: {selection.fallback_reason}; training on the CPU with "
                f"{selection.backend.name}"
            )
        data = load_for(config)
        for note in data.note.splitlines():
            warn(f"note: {note}")
        return Ground(data, selection)

    @staticmethod
    def _key(config: Config) -> Any:
        return (*(getattr(config, name) for name in SHARED), values_wished(config))


def require_measure(data: Dataset, by: str) -> None:
    """Raise InputError where trials on these rows can't be told apart by loss or accuracy."""
    if not len(data.validation):
        raise InputError(
            f"a sweep is decided by the validation rows, and {data.name} has none here; give "
            "--validation 0.1, or another share or count"
        )
    if by == "accuracy" and data.task == "regression":
        raise InputError(f"{data.name} has values and no classes, so decide --by loss")


def refuse_unlike(swept: Mapping[str, Any], by: str) -> None:
    """Raise InputError where figures would not mean the same; note where the rows differ."""
    if "loss" in swept and by == "loss":
        raise InputError(
            "--loss has alternatives, whose values are not to be compared; decide --by accuracy"
        )
    if rows := [name for name in ("validation", "data_seed") if name in swept]:
        differs = f"{' and '.join(rows)} differ{'s' * (len(rows) == 1)}"
        warn(f"note: {differs}, so not all trials are judged on the same rows")
