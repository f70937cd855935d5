"""SIGKILL at each file event and at random moments, of new runs, of resumed ones, and again."""

import time

import numpy as np

from tests.torture.plan import CHANGES, KILLS
from tests.torture.setups import Setup
from tests.torture.shop import Shop, Whole
from tests.torture.tale import Tale, bring_home, epochs_told, tells_no_lies
from tests.torture.warm import Ended

AGAIN = 0.3  # share of cases in which the resumed run is killed too
MOMENTS = 0.25


def run(shop: Shop, number: int) -> Tale:
    """Kill one training, look, kill what goes on with it, perhaps, and go on to the end."""
    tale = Tale()
    setup, turn = shop.turn(number)
    rng = shop.numbers("kills", number)
    whole, folder = shop.whole(setup), shop.fresh(setup, f"kills-{number}")
    tale.adds(setup.name)
    ended = _killed(shop, setup, folder, setup.command(folder), turn, rng, tale)
    told = _looked(ended, folder, whole, tale)
    while rng.random() < AGAIN:
        ended = _killed(shop, setup, folder, setup.going_on(folder), None, rng, tale)
        told = max(told, _looked(ended, folder, whole, tale))
    if not tale.broken:
        bring_home(shop, setup, folder, tale, told=told)
    return tale


def _looked(ended: Ended, folder, whole: Whole, tale: Tale) -> int:
    """Check what the killed run has left; return the last epoch that it told."""
    if ended.hung:
        tale.breaks("it hung")
    tells_no_lies(ended, folder, whole, tale)
    if "Traceback" in ended.err:
        tale.breaks(f"a traceback before the kill: {ended.err.splitlines()[-1]}")
    return max(epochs_told(ended), default=0)


def _killed(
    shop: Shop,
    setup: Setup,
    folder,
    argv: list[str],
    turn: int | None,
    rng: np.random.Generator,
    tale: Tale,
) -> Ended:
    """Run a command that is killed; turn: which event, where all take their turns."""
    whole = shop.whole(setup)
    events = whole.events(CHANGES)
    if not events or rng.random() < MOMENTS:
        moment = rng.uniform(0, whole.ended.seconds)
        tale.adds(f"killed after {moment:.3f} s")
        child = shop.start(setup, argv, folder)
        time.sleep(moment)
        child.send(9)
        return child.wait()
    order = shop.numbers("order", setup.name).permutation(events) + 1
    at = int(order[turn % events] if turn is not None else rng.integers(1, events + 1))
    plan = shop.plan(folder, action=str(rng.choice(KILLS)), at=at)
    ended = shop.run(setup, argv, folder, plan=plan)
    seen = ended.seen
    assert seen
    place = seen.what.replace(str(folder), "…") if seen.fired else "its end, before that"
    tale.adds(f"{plan['action']} event {at} of {events} ({place})")
    return ended
