"""`playground`: the folder that it writes, its runtime's download, and what it refuses."""

import functools
import gzip
import hashlib
import io
import json
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from tests.commands import runner
from xpmlp import playground
from xpmlp.browser import material, runtime
from xpmlp.browser.material import SEEDS, about, draws
from xpmlp.data.download import RemoteFile
from xpmlp.errors import DataUnavailableError, InputError
from xpmlp.nn.activations import ACTIVATIONS
from xpmlp.training.config import Config
from xpmlp.training.initial import drawn_params
from xpmlp.training.problem import objective_of

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytestmark = pytest.mark.usefixtures("away_without_gpu")
run = runner(playground.main)


@pytest.fixture
def few(monkeypatch):
    """Make few graphs, as all of them take long."""
    monkeypatch.setattr(material, "BUILT_IN", ("identity", "tanh"))
    monkeypatch.setattr(material, "RATES", {"adam": 0.02})
    monkeypatch.setattr(material, "DEEPEST", 1)


def make_runtime(folder):
    folder.mkdir(parents=True)
    for name in runtime.FILES:
        (folder / name).write_text(f"// {name}")
    return folder


def test_the_command_writes_all_that_the_page_asks_for(capsys, tmp_path, few):
    dist = make_runtime(tmp_path / "node_modules/onnxruntime-web/dist")
    (dist.parent / "package.json").write_text('{"version": "1.2.3"}')
    code, out, err = run(capsys, "--out", "page", "--runtime", tmp_path)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("page      page/index.html: ")
    assert lines[1].startswith("steps     3 training steps checked against NumPy's: ")
    assert lines[2] == f"runtime   onnxruntime-web 1.2.3, MIT licence, from {dist}"
    assert "-m http.server 8000 --bind 127.0.0.1 --directory page" in lines[3]
    page = tmp_path / "page"
    graphs = {file.stem for file in (page / "graphs").iterdir()}
    kinds = ("identity-0", "identity-1", "tanh-1")
    assert graphs == {f"{what}-{kind}" for what in ("net", "adam") for kind in kinds}
    assert "Permission is hereby granted" in (page / "runtime/LICENSE.txt").read_text()
    assert json.loads((page / "about.json").read_text())["runtime"] == "1.2.3"
    for script in page.glob("*.js"):
        for other in page.glob("*.js"):
            assert f'from "./{other.name}"' not in script.read_text() or other.is_file()
    code, _, err = run(capsys, "--out", "page", "--runtime", tmp_path)
    assert code == 2
    assert "--out page holds files; choose another folder, or give --force" in err
    code, out, _ = run(capsys, "--out", "page", "--runtime", tmp_path, "--force", "--json")
    figures = json.loads(out)
    assert (code, figures["steps"], figures["runtime"]) == (0, 3, "1.2.3")
    assert figures["difference"] < 1e-9


def test_bad_input_is_one_line(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    code, out, err = run(capsys, "--out", "file")
    assert (code, out) == (2, "")
    assert "--out file: this is a file; name a folder" in err
    code, _, err = run(capsys, "--out", "page", "--runtime", "nowhere")
    assert code == 2
    assert "--runtime nowhere: expected the package onnxruntime-web of npm" in err
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_weights_are_drawn_from_the_numbers_of_a_run(activation):
    stream = np.frombuffer(draws(), "<f8").reshape(SEEDS, -1)
    law = about()["activations"][activation]
    for seed, hidden in ((0, (3, 32)), (SEEDS - 1, (32, 32, 32))):
        config = Config(hidden=hidden, activation=(activation,), seed=seed).filled()
        objective = objective_of(config, "softmax_cross_entropy")
        weights, *_ = np.random.SeedSequence(seed).spawn(3)
        sizes, used = (2, *hidden, 4), 0
        for i, layer in enumerate(drawn_params(config, sizes, objective, weights)):
            d, h = layer.W.shape
            he = law == "he" and i < len(hidden)
            variance = 2.0 / d if he else 2.0 / (d + h)
            part = stream[seed, used : used + d * h].reshape(d, h)
            np.testing.assert_array_equal(layer.W, np.sqrt(variance) * part)
            assert not layer.b.any()
            used += d * h


def test_points_to_begin_with_are_ones_that_clicks_could_draw():
    for name, points in about()["points"].items():
        x = np.array(points)
        assert np.abs(x[:, :2]).max() <= material.REACH, name
        assert {*x[:, 2]} <= {0.0, 1.0, 2.0, 3.0}
        assert len({*x[:, 2]}) >= 2
        assert len(points) <= material.MOST_POINTS


@pytest.fixture
def registry(tmp_path):
    """Serve a folder, as a registry of packages does; return it and its address."""
    folder = tmp_path / "registry"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def make_package(folder, names=runtime.FILES):
    """Write a package of npm; return how it is known."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as members:
        for name in ("README.md", *(f"dist/{name}" for name in names)):
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(name)
            members.addfile(member, io.BytesIO(name.encode()))
    content = tar.getvalue()
    (folder / runtime.ARCHIVE.packed).write_bytes(gzip.compress(content))
    digest = hashlib.sha256(content).hexdigest()
    return RemoteFile(runtime.ARCHIVE.name, len(content), digest, runtime.ARCHIVE.packed)


def test_the_runtime_is_fetched_once_and_checked(tmp_path, registry, monkeypatch):
    folder, address = registry
    archive = make_package(folder)
    monkeypatch.setattr(runtime.places(None).__class__, "cache", tmp_path / "cache")
    fetch = functools.partial(runtime.fetch_runtime, mirrors=[address], archive=archive)
    monkeypatch.setattr(runtime, "fetch_runtime", fetch)
    found = runtime.find_runtime(None)
    assert found.version == runtime.VERSION
    kept = sorted(file.name for file in found.folder.iterdir())
    assert kept == sorted(runtime.FILES)
    assert (found.folder / runtime.FILES[0]).read_text() == f"dist/{runtime.FILES[0]}"
    (folder / archive.packed).unlink()
    assert runtime.find_runtime(None) == found


def test_another_file_than_the_published_one_is_refused(tmp_path, registry):
    folder, address = registry
    archive = make_package(folder)._replace(sha256="0" * 64)
    with pytest.raises(DataUnavailableError, match="wrong SHA-256") as caught:
        runtime.fetch_runtime(tmp_path, mirrors=[address], archive=archive)
    assert "run `npm pack onnxruntime-web@" in str(caught.value)
    assert not any((tmp_path / f"onnxruntime-web-{runtime.VERSION}").glob("*"))


def test_without_a_network_the_remedy_is_said(tmp_path, registry):
    _, address = registry
    with pytest.raises(DataUnavailableError, match="doesn't have the file") as caught:
        runtime.fetch_runtime(tmp_path, mirrors=[address])
    assert "pass --runtime DIR" in str(caught.value)


def test_a_package_without_the_files_is_named(tmp_path, registry):
    folder, address = registry
    archive = make_package(folder, names=runtime.FILES[:1])
    with pytest.raises(InputError, match="holds no file package/dist/ort-wasm-simd-threaded.mjs"):
        runtime.fetch_runtime(tmp_path, mirrors=[address], archive=archive)
