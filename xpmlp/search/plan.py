"""What a sweep will do, in one file from its first moment on: `sweep.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from xpmlp.data.kinds import check_kinds, read_json
from xpmlp.errors import InputError
from xpmlp.files import write_whole
from xpmlp.runs.directory import SWEEP
from xpmlp.search.halving import KINDS, Halving
from xpmlp.search.trials import Settings
from xpmlp.training.config import Config

FORMAT = "xpmlp-sweep-1"
MEASURES = ("loss", "accuracy")
ABOUT: dict[str, Any] = {
    "format": str,
    "by": str,
    "swept": dict,
    "drawn": str,
    "at_once": int,
    "halving": (dict, None),
    "trials": [dict],
    "failures": dict,
}
OF_HALVING = {"kind": str, "eta": int, "rungs": [int]}


@dataclass(frozen=True)
class Trial:
    """One choice of settings: those that are swept, by name, and the whole config."""

    settings: Settings
    config: Config


class Plan(NamedTuple):
    """All that is decided before anything trains, and which members have failed since.

    by: `loss` or `accuracy`, over the validation rows. swept: what the options were given as.
    drawn: which trials these are, in words. at_once: how many members train at a time. failures:
    why a member failed, by the name of its folder.
    """

    trials: Sequence[Trial]
    by: str
    swept: Mapping[str, str]
    drawn: str
    at_once: int
    halving: Halving | None = None
    failures: Mapping[str, str] = {}

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that each trial is trained with."""
        config = self.trials[0].config
        return config.seeds or (config.seed,)

    @property
    def epochs(self) -> int:
        """The most epochs of a trial."""
        return max(trial.config.epochs for trial in self.trials)

    def save(self, folder: Path) -> None:
        """Write the file whole. Raises OSError."""
        about = {
            "format": FORMAT,
            "by": self.by,
            "swept": dict(self.swept),
            "drawn": self.drawn,
            "at_once": self.at_once,
            "halving": self.halving._asdict() if self.halving else None,
            "trials": [asdict(trial) for trial in self.trials],
            "failures": dict(self.failures),
        }
        write_whole(folder / SWEEP, json.dumps(about, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Plan":
        """Read the file of a sweep's folder. Raises InputError where there is no whole one."""
        path = folder / SWEEP
        try:
            about = read_json(path.read_text(encoding="utf-8"))
            check_kinds(about, ABOUT)
            halving = _halving(about["halving"])
            trials = [_trial(trial, str(path)) for trial in about["trials"]]
            if about["format"] != FORMAT or about["by"] not in MEASURES or not trials:
                raise ValueError(f"expected the form {FORMAT}, a measure and trials")
            if about["at_once"] < 1:
                raise ValueError(f"its at_once is {about['at_once']}")
        except FileNotFoundError as error:
            raise InputError(
                f"{folder} holds no sweep to resume: no {SWEEP}; give the folder that xpmlp sweep "
                "wrote"
            ) from error
        except OSError as error:
            raise InputError(f"can't read {path}: {error.strerror}") from error
        except InputError:
            raise
        except (ValueError, KeyError) as error:
            raise InputError(f"{path} is not the plan of a sweep, or damaged: {error}") from error
        named = {str(name): str(value) for name, value in about["swept"].items()}
        failures = {str(name): str(why) for name, why in about["failures"].items()}
        words = about["by"], named, about["drawn"], about["at_once"]
        return cls(trials, *words, halving, failures)


def _halving(found: Any) -> Halving | None:
    if found is None:
        return None
    check_kinds(found, OF_HALVING)
    halving = Halving(found["kind"], found["eta"], tuple(found["rungs"]))
    if halving.kind not in KINDS or halving.eta < 2 or not halving.rungs or min(halving.rungs) < 1:
        raise ValueError(f"its halving is {found}")
    return halving


def _trial(found: dict[str, Any], source: str) -> Trial:
    check_kinds(found, {"settings": dict, "config": dict})
    config = Config.from_dict(found["config"], source)
    names = [name for name in found["settings"] if name in Config.names()]
    return Trial({name: getattr(config, name) for name in names}, config)
