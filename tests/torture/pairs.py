"""Two commands on one folder at a time: one is stopped at a file event while the other runs."""

import signal
import time
from pathlib import Path

from tests.torture.plan import KINDS
from tests.torture.setups import Setup
from tests.torture.shop import Shop
from tests.torture.tale import Tale, bring_home, compare, epochs_told, wrong_words

HAS_IT = ("is in use by another run", "already holds config.toml")


def run(shop: Shop, number: int) -> Tale:
    """Run one of the pairs."""
    setup, _ = shop.turn(number // len(SECONDS))
    tale, folder = Tale(setup.name), shop.fresh(setup, f"pairs-{number}")
    second = SECONDS[number % len(SECONDS)]
    if second == "cache":
        return _two_caches(shop, setup, folder, tale, number)
    if not shop.library:
        return Tale(skipped=shop.no_library)
    whole = shop.whole(setup)
    events = whole.events(KINDS[:-1])
    at = int(shop.numbers("pairs", number).integers(1, events + 1))
    plan = shop.plan(folder, kinds=KINDS[:-1], action="stop", at=at)
    first = shop.start(setup, setup.command(folder), folder, plan=plan)
    is_stopped = first.until_stopped()
    module, program, argv = _second(setup, folder, second)
    other = shop.run(setup, argv, folder, module=module)
    told = f"while the first is stopped at event {at}" if is_stopped else "after the first"
    tale.adds(f"{second} {told}: exit code {other.code}")
    tale.breaks(*(f"the second: {line}" for line in wrong_words(other, program)))
    if other.code not in (0, 2):
        tale.breaks(f"the second: exit code {other.code}: {other.err.strip()}")
    first.send(signal.SIGCONT)
    ended = first.wait()
    tale.breaks(*(f"the first: {line}" for line in wrong_words(ended)))
    trains = program == "xpmlp train" or module == "xpmlp.train"
    had = any(words in ended.err for words in HAS_IT)
    if trains and other.code == 0 and is_stopped and ended.code == 2 and had:
        tale.adds("the second had it")  # the first had not yet locked the folder
    elif ended.code:
        tale.breaks(f"the first: exit code {ended.code}: {ended.err.strip()}")
    if trains and other.code == 0 and ended.code == 0 and epochs_told(other) and epochs_told(ended):
        tale.adds("both trained")
    compare(setup, folder, whole, tale)
    bring_home(shop, setup, folder, tale, told=setup.epochs if not tale.broken else 0)
    return tale


def _second(setup: Setup, folder: Path, name: str) -> tuple[str, str, list[str]]:
    """Return module, name and arguments of the second command."""
    if name == "resume":
        return "xpmlp.train", "xpmlp train: ", setup.going_on(folder)
    if name == "train":
        return "xpmlp.train", "xpmlp train: ", setup.command(folder)
    arguments = {
        "evaluate": [str(folder)],
        "compare": [str(folder), str(folder)],
        "export": [str(folder), "--onnx", str(folder.with_name("net.onnx"))],
    }
    return f"xpmlp.{name}", f"xpmlp {name}: ", arguments[name]


def _two_caches(shop: Shop, setup: Setup, folder: Path, tale: Tale, number: int) -> Tale:
    """Two runs fill one empty cache; where a kill takes one, a third finds nothing half."""
    whole, cache = shop.whole(setup), folder.with_name("cache")
    environment = {"XDG_CACHE_HOME": str(cache)}
    rng, one, two = shop.numbers("caches", number), folder, folder.with_name("two")
    if setup.resumes:
        return Tale(setup.name + " (not of a run that goes on)")
    children = [
        shop.start(setup, setup.command(place), place, environment=environment)
        for place in (one, two)
    ]
    killed = rng.random() < 0.5
    if killed:
        time.sleep(rng.uniform(0, 0.8))
        children[0].send(signal.SIGKILL)
    ends = [child.wait() for child in children]
    tale.adds(f"two runs with one empty cache{', the first killed' * killed}")
    for place, ended in zip((one, two), ends, strict=True):
        if killed and place == one:
            continue
        tale.breaks(*wrong_words(ended))
        compare(setup, place, whole, tale)
    if killed:
        bring_home(shop, setup, one, tale, environment=environment)
    return tale


SECONDS = ("train", "resume", "evaluate", "resume", "export", "cache", "train", "compare")
