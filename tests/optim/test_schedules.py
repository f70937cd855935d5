"""Schedules by hand and against PyTorch's, step by step."""

import math

import pytest

from xpmlp.optim.schedules import SCHEDULES, Place

STEPS, EPOCHS = 120, 12
PER_EPOCH = STEPS // EPOCHS


def factor(name, step, decay=1.0):
    return SCHEDULES[name](Place(step, STEPS, step // PER_EPOCH, EPOCHS, decay))


@pytest.mark.parametrize(
    ("name", "step", "expected"),
    [
        ("constant", 0, 1.0),
        ("constant", 60, 1.0),
        ("constant", 119, 1.0),
        ("step", 0, 1.0),
        ("step", 59, 1.0),
        ("step", 60, 0.1),
        ("step", 89, 0.1),
        ("step", 90, 0.01),
        ("step", 119, 0.01),
        ("cosine", 0, 1.0),
        ("cosine", 30, (2 + math.sqrt(2)) / 4),
        ("cosine", 60, 0.5),
        ("cosine", 80, 0.25),
        ("cosine", 119, math.sin(math.pi / 240) ** 2),
        ("linear_warmup", 0, 1 / 12),
        ("linear_warmup", 5, 0.5),
        ("linear_warmup", 11, 1.0),
        ("linear_warmup", 12, 1.0),
        ("linear_warmup", 119, 1.0),
        ("one_cycle", 0, 0.04),
        ("one_cycle", 35, 1.0),
        ("one_cycle", 77, (1.0 + 4e-6) / 2),
        ("one_cycle", 119, 4e-6),
    ],
)
def test_values_by_hand(name, step, expected):
    """One cycle rises over the first 36 of 120 steps, and falls over the 84 that are left."""
    assert factor(name, step) == pytest.approx(expected, rel=1e-12)


def test_exponential_decays_after_each_epoch():
    for step in range(STEPS):
        expected = 0.95 ** (step // PER_EPOCH)
        assert factor("exponential", step, decay=0.95) == pytest.approx(expected, rel=1e-15)


def test_without_a_decay_exponential_is_constant():
    assert SCHEDULES["exponential"](Place(70, STEPS, 7, EPOCHS)) == 1.0


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "exponential"])
def test_only_exponential_looks_at_the_decay(name):
    assert factor(name, 70, decay=0.5) == factor(name, 70)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (2, 1), (3, 3), (10, 2), (1000, 10)])
def test_every_factor_is_a_positive_share(name, steps, epochs):
    for step in range(steps):
        place = Place(step, steps, step * epochs // steps, epochs, 0.9)
        assert 0.0 < SCHEDULES[name](place) <= 1.0
        assert isinstance(SCHEDULES[name](place), float)


def test_progress_is_the_share_of_steps_before_this_one():
    assert [Place(i, 4, 0, 1).progress for i in range(4)] == [0.0, 0.25, 0.5, 0.75]


def torch_rates(make, steps):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    rates = []
    for i in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if i + 1 < steps:
            scheduler.step()
    return rates


def test_cosine_is_torchs():
    rates = torch_rates(lambda module, sgd: module.CosineAnnealingLR(sgd, T_max=STEPS), STEPS)
    ours = [factor("cosine", step) for step in range(STEPS)]
    assert ours == pytest.approx(rates, rel=1e-9)


def test_exponential_is_torchs():
    rates = torch_rates(lambda module, sgd: module.ExponentialLR(sgd, gamma=0.95), EPOCHS)
    ours = [factor("exponential", epoch * PER_EPOCH, decay=0.95) for epoch in range(EPOCHS)]
    assert ours == pytest.approx(rates, rel=1e-12)


@pytest.mark.parametrize("steps", [5, 30, STEPS])
def test_one_cycle_is_torchs(steps):
    rates = torch_rates(
        lambda module, sgd: module.OneCycleLR(
            sgd, max_lr=1.0, total_steps=steps, cycle_momentum=False, three_phase=False
        ),
        steps,
    )
    ours = [SCHEDULES["one_cycle"](Place(step, steps, 0, 1)) for step in range(steps)]
    assert ours == pytest.approx(rates, rel=1e-12)
