"""Signals at every phase, once and twice, a reader that goes away, and processes put to sleep."""

import os
import re
import signal
import time
from pathlib import Path

from tests.torture.plan import KINDS
from tests.torture.results import differences
from tests.torture.setups import Setup
from tests.torture.shop import Shop
from tests.torture.tale import (
    Tale,
    bring_home,
    compare,
    epochs_told,
    tells_no_lies,
    wrong_words,
)
from tests.torture.warm import Child, Ended

WISHES = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DEADLY = (signal.SIGQUIT, signal.SIGUSR1)
SAVED = re.compile(r"interrupted.* and saved; go on with --resume|the results are saved, and")


def run(shop: Shop, number: int) -> Tale:
    """Send a training its signals, check how it ends, and go on."""
    setup, _ = shop.turn(number)
    rng, folder = shop.numbers("stops", number), shop.fresh(setup, f"stops-{number}")
    chosen = rng.random()
    if chosen < 0.15:
        return _sleeps(shop, setup, folder, rng)
    if chosen < 0.25:
        return _reader_goes(shop, setup, folder, rng)
    signals = [rng.choice(WISHES if rng.random() < 0.85 else DEADLY)]
    while rng.random() < 0.4:
        signals.append(rng.choice(WISHES))
    return _stops(shop, setup, folder, rng, [signal.Signals(int(one)) for one in signals])


def _begin(shop: Shop, setup: Setup, folder: Path, rng, tale: Tale, **options) -> Child:
    """Start a training, and return when its moment has come: at a file event, or at any time."""
    whole = shop.whole(setup)
    events = whole.events(KINDS[:-1])
    if events and rng.random() < 0.6:
        at = int(rng.integers(1, events + 1))
        plan = shop.plan(folder, kinds=KINDS[:-1], action="stop", at=at)
        child = shop.start(setup, setup.command(folder), folder, plan=plan, **options)
        child.until_stopped()
        seen = child.seen()
        tale.adds(f"at event {at} ({seen.what.replace(str(folder), '…') if seen else ''})")
        return child
    moment = rng.uniform(0, whole.ended.seconds * 1.1)
    tale.adds(f"after {moment:.3f} s")
    child = shop.start(setup, setup.command(folder), folder, **options)
    time.sleep(moment)
    return child


def _stops(shop: Shop, setup: Setup, folder: Path, rng, signals: list[signal.Signals]) -> Tale:
    tale = Tale(setup.name)
    child = _begin(shop, setup, folder, rng, tale, takes_apart=bool(rng.random() < 0.3))
    for one in signals:
        child.send(one)
        child.send(signal.SIGCONT)
        time.sleep(float(rng.choice([0, 0.002, 0.02])))
    ended = child.wait()
    tale.adds(f"{' and '.join(one.name for one in signals)}, exit code {ended.code}")
    _judge(shop, setup, folder, ended, signals, tale)
    return tale


def _judge(
    shop: Shop, setup: Setup, folder: Path, ended: Ended, signals: list[signal.Signals], tale: Tale
) -> None:
    """Check the end: by a signal that nobody hears, or heard, saved and told."""
    whole, told = shop.whole(setup), max(epochs_told(ended), default=0)
    tells_no_lies(ended, folder, whole, tale)
    if -ended.code in signals:
        if ended.hung:
            tale.breaks("it hung")
        heard = -ended.code in WISHES
        if SAVED.search(ended.err) or not differences(folder, whole.folder):
            tale.notes(f"died by {signal.Signals(-ended.code).name} when all was done")
        elif heard and told:  # heard from the first epoch on
            tale.breaks(f"after epoch {told} it died by {signal.Signals(-ended.code).name}")
        bring_home(shop, setup, folder, tale, told=told)
        return
    tale.breaks(*wrong_words(ended))
    if ended.code not in (0, 130):
        tale.breaks(f"exit code {ended.code}: {ended.err.strip()}")
    if ended.code == 0:
        compare(setup, folder, whole, tale)
    done = not differences(folder, whole.folder)
    saved = done or SAVED.search(ended.err) or ended.code == 0
    if told and not saved:
        tale.breaks(f"epoch {told} was told, but not that it is saved: {ended.err.strip()!r}")
    bring_home(shop, setup, folder, tale, told=told, lost=0 if saved else 1)


def _sleeps(shop: Shop, setup: Setup, folder: Path, rng) -> Tale:
    tale = Tale(setup.name)
    child = _begin(shop, setup, folder, rng, tale)
    times = int(rng.integers(1, 6))
    for _ in range(times):
        child.send(signal.SIGSTOP)
        time.sleep(float(rng.uniform(0, 0.05)))
        child.send(signal.SIGCONT)
        time.sleep(float(rng.uniform(0, 0.02)))
    ended = child.wait()
    tale.adds(f"put to sleep {times} times")
    tale.breaks(*wrong_words(ended))
    compare(setup, folder, shop.whole(setup), tale)
    return tale


def _reader_goes(shop: Shop, setup: Setup, folder: Path, rng) -> Tale:
    """Its stdout is a pipe whose reader goes away, or a full disk."""
    tale, pipe = Tale(setup.name), folder.parent / "pipe"
    if rng.random() < 0.3:
        tale.adds("stdout on a full disk")
        child = shop.start(setup, setup.command(folder), folder, stdout="/dev/full")
    else:
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        child = _begin(shop, setup, folder, rng, tale, stdout=str(pipe))
        while not child.has_ended() and not child.has_open(pipe):
            time.sleep(0.002)
        os.close(reader)
        tale.adds("the reader of stdout goes away")
    child.send(signal.SIGCONT)
    ended = child.wait()
    tale.breaks(*wrong_words(ended))
    if ended.code:
        tale.breaks(f"exit code {ended.code}: {ended.err.strip()}")
    compare(setup, folder, shop.whole(setup), tale)
    return tale
