"""Model files that are well formed, and say what can't be."""

import json

import numpy as np
import pytest
from safetensors.numpy import save

from xpmlp.data.dataset import Scaling
from xpmlp.errors import InputError
from xpmlp.training.model import Model
from xpmlp.training.tensors import read_tensors, write_tensors
from xpmlp.types import Affine

FORMATS = ("xpmlp-model-1", "xpmlp-model-2")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The arrays and the metadata of a sound model 2-3-2."""
    rng = np.random.default_rng(0)
    sizes = ((2, 3), (3, 2))
    model = Model(
        params=tuple(Affine(rng.random(size), rng.random(size[1])) for size in sizes),
        activations=("relu",),
        loss="softmax_cross_entropy",
        class_names=("a", "b"),
        feature_names=("x", "y"),
        scaling=Scaling(np.zeros(2), np.ones(2), np.sort(rng.random((5, 2)), axis=0)),
        label=("kind",),
    )
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    model.save(path)
    return read_tensors(path, FORMATS, lambda *parts: parts)


def refusal(path, tensors, about):
    write_tensors(path, tensors, "xpmlp-model-2", about)
    with pytest.raises(InputError) as caught:
        Model.load(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("sizes", "232", "its sizes is '232', expected a list, each of it a whole number"),
        ("sizes", [2.0, 3, 2], "its sizes is [2.0, 3, 2]"),
        ("sizes", [2, True, 2], "its sizes is [2, True, 2]"),
        ("sizes", [2, 10**20, 2], "its sizes is [2, 1000"),
        ("sizes", [2], "its sizes are [2], expected two or more from 1 on"),
        ("sizes", [], "its sizes are []"),
        ("sizes", [2, -3, 2], "its sizes are [2, -3, 2]"),
        ("sizes", [2, 2], "layers.1.W, layers.1.b, which is no part of it"),
        ("activations", [1], "its activations is [1]"),
        ("activations", "relu", "its activations is 'relu'"),
        ("loss", None, "its loss is None, expected a text"),
        ("class_names", ["a"], "its class_names are 1, its sizes [2, 3, 2]"),
        ("class_names", [1, 2], "its class_names is [1, 2], expected a list, each of it a text"),
        ("class_names", "ab", "its class_names is 'ab'"),
        ("feature_names", ["x"], "its feature_names are 1"),
        ("image_shape", [2, 2], "its images are of [2, 2] pixels"),
        ("image_shape", [2], "its images are of [2] pixels"),
        ("image_shape", 7, "its image_shape is 7, expected a list, each of it a whole number or"),
        ("label", ["a", "b", "c"], "its label are 3"),
        ("dataset", {"a": 1}, "its dataset is {'a': 1}, expected a text"),
        ("scale", 1, "its scale is 1, expected a text"),
        ("columns", ["x"], "its columns is ['x'], expected a list, each of it an object"),
    ],
)
def test_metadata(tmp_path, parts, name, value, reason):
    tensors, about = parts
    assert reason in refusal(tmp_path / "a.safetensors", tensors, about | {name: value})


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("layers.0.W", lambda W: W.T.copy(), "has the shape (3, 2), expected 2 x 3"),
        ("layers.0.b", lambda b: b[None], "has the shape (1, 3), expected 3"),
        ("layers.0.W", lambda W: W.astype(np.int64), "is of int64, expected float32 or float64"),
        ("layers.0.W", lambda W: W.astype(np.float16), "is of F16, expected one of F64, F32"),
        ("layers.0.W", lambda W: W > 0, "is of BOOL"),
        ("layers.0.W", lambda W: W.astype(np.float32), "its layers are of float32 and float64"),
        ("layers.0.W", lambda W: W * np.nan, "its layers.0.W holds NaN or infinity"),
        ("layers.1.b", lambda b: b + np.inf, "its layers.1.b holds NaN or infinity"),
        ("inputs.shift", lambda shift: shift[:1], "has the shape (1,), expected 2"),
        ("inputs.width", lambda width: 0 * width, "its inputs.width holds 0"),
        ("inputs.shift", lambda shift: shift * np.nan, "its inputs.shift holds NaN"),
        ("inputs.quantiles", lambda q: q[:, :1], "has the shape (5, 1), expected N x 2"),
        ("inputs.quantiles", lambda q: q[:1], "are not two or more in rising order"),
        ("inputs.quantiles", lambda q: q[::-1].copy(), "are not two or more in rising order"),
        ("inputs.quantiles", lambda q: np.where(q == q[1], np.nan, q), "in rising order"),
        ("target.shift", lambda _: np.ones(2), "KeyError: 'target.width'"),
        ("inputs.mean", lambda _: np.ones(2), "it holds inputs.mean, which is no part of it"),
        ("layers.1.b", None, "KeyError: 'layers.1.b'"),
        ("inputs.width", None, "KeyError: 'inputs.width'"),
    ],
)
def test_arrays(tmp_path, parts, name, change, reason):
    tensors, about = dict(parts[0]), parts[1]
    array = tensors.pop(name, None)
    if change:
        tensors[name] = change(array)
    assert reason in refusal(tmp_path / "a.safetensors", tensors, about)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ("[" * 100_000, "it is nested too deeply"),
        ('{"format": NaN}', "NaN is no number that JSON has"),
        ('[["format", "xpmlp-model-1"]]', "expected one JSON object"),
        ('{"format": ["xpmlp-model-1"]}', "holds ['xpmlp-model-1'], not"),
    ],
)
def test_metadata_that_is_no_object(tmp_path, metadata, reason):
    path = tmp_path / "a.safetensors"
    path.write_bytes(save({"x": np.zeros(1)}, {"xpmlp": metadata}))
    with pytest.raises(InputError) as caught:
        Model.load(path)
    assert reason in str(caught.value)


def test_a_type_that_numpy_does_not_know(tmp_path, parts):
    path = tmp_path / "a.safetensors"
    header = {"layers.0.W": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}
    header["__metadata__"] = {"xpmlp": json.dumps(parts[1])}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(2))
    with pytest.raises(InputError, match=r"its layers\.0\.W is of BF16, expected one of F64"):
        Model.load(path)


def test_it_is_sound_as_it_is(tmp_path, parts):
    tensors, about = parts
    path = tmp_path / "a.safetensors"
    write_tensors(path, tensors, "xpmlp-model-2", about | {"image_shape": [1, 2]})
    model = Model.load(path)
    assert (model.sizes, model.image_shape, model.label) == ((2, 3, 2), (1, 2), ("kind",))
