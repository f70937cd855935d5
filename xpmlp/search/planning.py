"""From what is asked for to the plan of a sweep, with all that can be wrong told at once."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from xpmlp.errors import InputError
from xpmlp.search.alternatives import is_swept, read_options
from xpmlp.search.grounds import Grounds, refuse_unlike, require_measure
from xpmlp.search.halving import USUAL_ETA, make_halving
from xpmlp.search.memory import members_at_once
from xpmlp.search.plan import Plan, Trial
from xpmlp.search.results import setting_cell
from xpmlp.search.trials import Settings, make_trials, trials_text
from xpmlp.training.config import Config


class Wishes(NamedTuple):
    """How to search: number of trials (None: the grid) and how they are drawn; by what they are
    judged; how they are dropped, and how many members train at once (None: by the memory)."""

    trials: int | None = None
    draw: str = "sobol"
    search_seed: int = 0
    by: str = "loss"
    halving: str | None = None
    eta: int = USUAL_ETA
    first_rung: int | None = None
    at_once: int | None = None


def make_plan(given: Mapping[str, Any], wishes: Wishes, grounds: Grounds) -> tuple[Plan, str]:
    """Return the plan, and why so many members train at once, in words.

    given: options as for `read_options`. Every trial's config is made, and its data loaded.
    Raises InputError for what can't be read, can't be trained, or can't be compared.
    """
    options = read_options(given)
    swept = {name: _text(given[name]) for name, found in options.items() if is_swept(found)}
    if "seed" in options and "seeds" in options:
        raise InputError("--seed and --seeds can't both be given")
    settings = make_trials(options, wishes.trials, wishes.draw, wishes.search_seed)
    refuse_unlike(swept, wishes.by)
    trials = [_trial(i, chosen, swept, grounds) for i, chosen in enumerate(settings, start=1)]
    for trial in trials:
        require_measure(grounds.of(trial.config).data, wishes.by)
    plan = Plan(
        trials,
        wishes.by,
        swept,
        trials_text(len(trials), options, wishes.draw, wishes.search_seed),
        at_once=1,
    )
    halving = _halving(plan, wishes)
    at_once, why = _at_once(plan, wishes.at_once, grounds)
    return plan._replace(halving=halving, at_once=at_once), why


def _trial(number: int, chosen: Settings, swept: Mapping[str, str], grounds: Grounds) -> Trial:
    try:
        config = grounds.resolved(Config(**chosen))
    except InputError as error:
        named = ", ".join(f"{name} {setting_cell(chosen[name])}" for name in swept)
        raise InputError(f"trial {number} ({named}): {error}") from error
    return Trial({name: getattr(config, name) for name in swept}, config)


def _halving(plan: Plan, wishes: Wishes) -> Any:
    if wishes.halving is None:
        if wishes.first_rung or wishes.eta != USUAL_ETA:
            raise InputError("--eta and --first-rung go with --halving sync or async")
        return None
    if len({trial.config.epochs for trial in plan.trials}) > 1:
        raise InputError(
            "--halving compares trials after equally many epochs of as many; give one number of "
            "--epochs"
        )
    return make_halving(
        wishes.halving, plan.epochs, len(plan.trials), wishes.eta, wishes.first_rung
    )


def _at_once(plan: Plan, wish: int | None, grounds: Grounds) -> tuple[int, str]:
    seeds = len(plan.seeds)
    if wish is not None and wish < seeds:
        raise InputError(
            f"--at-once is {wish}; it must be {seeds} or more, as the seeds of a trial train "
            "together"
        )
    return (wish, "as --at-once says") if wish else members_at_once(plan.trials, grounds)


def _text(given: Any) -> str:
    words: Sequence[Any] = given if isinstance(given, list | tuple) else [given]
    return " ".join(map(str, words))


def with_at_once(plan: Plan, wish: int | None, grounds: Grounds) -> Plan:
    """Return the plan with another number of members at once, where one is wished."""
    return plan if wish is None else plan._replace(at_once=_at_once(plan, wish, grounds)[0])
