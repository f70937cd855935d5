"""The playground in a real browser: drawn, trained, looked at, and refused what can't be."""

import functools
import os
import re
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from tests.browser import PATIENCE, VARIABLE, Browser, find_chromium
from tests.commands import read_table
from tests.commands import run as train
from tests.test_playground import Quiet
from xpmlp.browser import material, runtime
from xpmlp.browser.writing import write_page
from xpmlp.training.model import Model

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytestmark = [pytest.mark.thorough, pytest.mark.usefixtures("away_without_gpu")]

RUNTIME = "XPMLP_RUNTIME"
READY = "globalThis.playground?.net"
CONTRASTS = """(() => {
  const linear = (v) => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (e) => {
    const [r, g, b, alpha] = rgb(getComputedStyle(e).backgroundColor);
    if (alpha !== 0) return [r, g, b];
    return e.parentElement ? ground(e.parentElement) : [255, 255, 255];
  };
  const texts = "h1, h2, p, a, dt, dd, label, input, select, pre, button:enabled";
  return [...document.querySelectorAll(texts)].map((e) => {
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))];
    return [e.tagName + "#" + e.id, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  });
})()"""


def known_runtime():
    """Return the runtime that a person named or that is in the cache; skip where none is."""
    named = os.environ.get(RUNTIME)
    if named:
        return runtime.given_runtime(Path(named))
    kept = runtime.places(None).cache / f"{runtime.NAME}-{runtime.VERSION}"
    if not kept.is_dir():
        pytest.skip(f"needs onnxruntime-web: its npm package unpacked, in {RUNTIME}=DIR")
    return runtime.given_runtime(kept)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Serve a page with few graphs; return its address and its folder."""
    if not find_chromium():
        pytest.skip(f"needs a Chromium on the path, or its program in {VARIABLE}")
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(material, "BUILT_IN", ("identity", "tanh", "relu"))
        patch.setattr(material, "RATES", {name: material.RATES[name] for name in ("sgd", "adam")})
        patch.setattr(material, "DEEPEST", 2)
        write_page(folder, known_runtime())
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", folder
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def chromium(site, tmp_path_factory):
    started = Browser(find_chromium(), tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture
def browser(site, chromium):
    """Open the page anew; in the end its console must have no errors."""
    chromium.messages.clear()
    chromium.resize(1200, 1000)
    chromium.dark(False)
    chromium.open(site[0])
    chromium.wait(READY)
    yield chromium
    assert chromium.errors() == []


def draw(browser, x, y):
    """Click at a place of the plane."""
    reach = material.REACH
    browser.click("#plane", (x / reach + 1) / 2, (1 - y / reach) / 2)


def points(browser):
    return browser.evaluate("playground.plane.points")


def test_clicks_draw_and_the_net_learns_what_the_command_learns(browser, tmp_path, capsys):
    browser.click("#examples button:last-child")
    browser.wait(f"!{READY}")
    assert "Draw points of two or more colours" in browser.text("status")
    for x, y in ((-1.5, 1.5), (-1, 1), (1, -1), (1.5, -1.25), (1.25, -0.5)):
        draw(browser, x, y)
    browser.click("#pens label:nth-child(3)")
    for x, y in ((1, 1), (1.5, 1.5), (-1, -1), (-1.5, -1), (0.8, 1.4)):
        draw(browser, x, y)
    browser.wait(READY)
    assert len(points(browser)) == 10
    assert {point[2] for point in points(browser)} == {0, 2}
    browser.fill("hidden", "6 5")
    browser.fill("seed", "3")
    browser.fill("until", "150")
    browser.wait(READY)
    browser.click("#train")
    browser.wait("playground.net.steps === 150 && train.textContent === 'Train'")
    assert browser.text("right") == "10 / 10"

    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.click("#download")
    wait_for(tmp_path / "points.npz")
    command = re.sub(r"\\\n", " ", browser.text("command")).split()
    assert command[:3] == ["python", "-m", "xpmlp.train"]
    assert train(capsys, *command[3:], "--quiet", "--no-plots")[0] == 0
    expected = [float(row["loss"]) for row in read_table(tmp_path / "played/steps.csv")]
    np.testing.assert_allclose(browser.evaluate("playground.losses"), expected, rtol=1e-9)

    model = Model.load(tmp_path / "played/model.safetensors")
    where = np.random.default_rng(0).uniform(-2, 2, (200, 2))
    listed = ", ".join(map(str, where.ravel()))
    found = browser.evaluate(
        f"playground.net.predict(Float64Array.of({listed})).then((p) => [...p])"
    )
    expected = model.predict_outputs(where)
    np.testing.assert_allclose(np.reshape(found, (-1, 2)), expected, atol=1e-9)
    sure = where[expected.max(axis=1) > 0.95]
    blue = browser.evaluate(
        f"({REGIONS})([{', '.join(str(list(map(float, place))) for place in sure)}])"
    )
    assert len(sure) > 50
    np.testing.assert_array_equal(blue, model.predict(sure) == 0)


REGIONS = """(places) => {
  const {regions, reach} = playground.plane;
  const pixel = (v) => Math.min(63, Math.floor(32 * (v / reach + 1)));
  return places.map(([x, y]) => {
    const [r, , b] = regions.getContext("2d").getImageData(pixel(x), pixel(-y), 1, 1).data;
    return b > r && b > 160;
  });
}"""


def wait_for(file):
    end = time.monotonic() + PATIENCE
    while not (file.is_file() and file.stat().st_size):
        assert time.monotonic() < end, f"{file} did not come"
        time.sleep(0.05)


def test_the_keyboard_does_all_that_the_mouse_does(browser):
    before = len(points(browser))
    browser.evaluate("document.getElementById('plane').focus()")
    browser.key("2")
    for _ in range(3):
        browser.key("ArrowRight")
    browser.key("ArrowUp")
    assert "Cross at 0.3, 0.1." in browser.text("status")
    browser.key("Enter", "\r")
    browser.wait(f"playground.plane.points.length === {before + 1}")
    assert points(browser)[-1] == [0.3, 0.1, 1]
    browser.key("Delete")
    browser.wait(f"playground.plane.points.length === {before}")
    browser.wait(READY)
    browser.evaluate("document.getElementById('one').focus()")
    browser.key("Enter", "\r")
    browser.wait("playground.net.steps === 1")


def test_bad_input_is_said_on_the_page(browser):
    for field, value, message in (
        ("hidden", "64", "A layer of 64 is too wide for this page, which goes up to 32."),
        ("hidden", "2 2 2 2", "4 hidden layers are too many for this page, which goes up to"),
        ("hidden", "8 many", "Hidden widths are whole numbers with blanks between"),
        ("learning_rate", "-1", "The learning rate is a number above 0"),
        ("l2", "", "The L2 penalty is 0 or more."),
        ("until", "0.5", "The step to pause at is a whole number"),
    ):
        good = browser.evaluate(f"{field}.value")
        browser.fill(field, value)
        browser.wait("!complaint.hidden")
        assert message in browser.text("complaint")
        assert browser.evaluate(f"{field}.getAttribute('aria-invalid')") == "true"
        assert browser.evaluate("train.disabled")
        browser.fill(field, good)
        browser.wait(f"complaint.hidden && {READY} && !train.disabled")


def test_a_loss_that_diverges_is_said_on_the_page(browser):
    browser.fill("optimizer", "sgd")
    browser.fill("activation", "relu")
    browser.fill("learning_rate", "1e200")
    browser.wait(READY)
    browser.click("#train")
    browser.wait("!complaint.hidden")
    assert "The loss diverged: after step " in browser.text("complaint")
    assert browser.evaluate("train.disabled")
    browser.fill("learning_rate", "0.1")
    browser.wait(f"complaint.hidden && {READY}")
    browser.click("#one")
    browser.wait("playground.net.steps === 1")


def test_points_that_come_on_the_way_are_learnt_and_told(browser):
    browser.click("#one")
    browser.wait("playground.net.steps === 1 && !one.disabled")
    assert "Take the points with you" in browser.text("same-note")
    draw(browser, 0.1, -1.9)
    browser.wait("document.getElementById('same-note').textContent.startsWith('Points came')")
    browser.click("#one")
    browser.wait("playground.net.steps === 2 && !one.disabled")
    assert browser.text("right").endswith(" / 101")


@pytest.mark.parametrize("dark", [False, True])
def test_it_can_be_read_on_a_phone_and_in_the_dark(browser, dark):
    browser.dark(dark)
    for width in (320, 375, 1200):
        browser.resize(width, 800, mobile=width < 500)
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
    contrasts = browser.evaluate(CONTRASTS)
    assert len(contrasts) > 30
    assert [pair for pair in contrasts if pair[1] < 4.5] == []
    heights = browser.evaluate(
        "[...document.querySelectorAll('button')].map((b) => b.offsetHeight)"
    )
    assert min(heights) >= 40


def test_as_a_file_it_says_that_it_needs_a_server(site, chromium):
    chromium.open((site[1] / "index.html").as_uri())
    chromium.wait("document.readyState === 'complete'")
    assert "python -m http.server" in chromium.text("needs")
    assert chromium.evaluate("document.querySelector('main').hidden")
    chromium.messages.clear()
