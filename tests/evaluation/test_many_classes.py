"""Reports of very many classes: what they count, and what they say they left out."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import metrics

from xpmlp.data.dataset import Rows
from xpmlp.errors import InputError
from xpmlp.evaluation.reports import ClassReport
from xpmlp.training.evaluation import Evaluation


def report_of_classes(classes, true, predicted):
    """Return the report of rows whose classes and predictions are known."""
    model = SimpleNamespace(class_names=tuple(f"c{i}" for i in range(classes)), loss="made")
    logits = np.zeros((len(true), 1))
    source = SimpleNamespace(rows=Rows(logits, true), data=SimpleNamespace(name="made"), part="all")
    right = float(np.mean(true == predicted))
    report = ClassReport(model, source, Evaluation(1.0, right, logits))
    vars(report)["predicted"] = predicted
    return report


def test_very_many_classes_are_counted_without_their_matrix():
    """Of 100,000 classes each has one row, class 7 four more; rows of 7 are taken for 8, thrice."""
    classes = 100_000
    true = np.append(np.arange(classes), [7, 7, 7, 7])
    predicted = np.append(np.arange(classes), [8, 8, 8, 7])
    report = report_of_classes(classes, true, predicted)
    assert report.confusions(None) == [("c7", "c8", 3, 0.6)]
    with pytest.raises(InputError, match=r"of 100,000 classes has 10,000,000,000 entries; conf"):
        _ = report.confusion_matrix
    details = report.figures()
    assert details["confusion_matrix"] is None
    assert details["left_out"] == "the confusion matrix of 100,000 classes"
    seven = details["classes"][7]
    assert seven == {"name": "c7", "precision": 1.0, "recall": 0.4, "f1": 4 / 7, "rows": 5}
    assert len(json.dumps(details)) < 10_000_000
    text = report.body().splitlines()
    assert len(text) < 120
    assert "       c7     1.0000    0.4000    0.5714         5" in text
    assert "the 100 classes with the most rows, of 100,000; the average is of all of them" in text


def test_many_classes_have_the_averages_and_the_figures_of_scikit_learn():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 150, 3000), rng.integers(0, 150, 3000)
    report = report_of_classes(150, true, predicted)
    known = metrics.classification_report(true, predicted, digits=4, zero_division=0).splitlines()
    table = report.body().partition("most frequent")[0].splitlines()
    lines = {line.split()[0]: line.split()[1:] for line in table if line}
    for line in known[2:152]:
        name, *figures = line.split()
        assert lines.get(f"c{name}", figures) == figures
    assert lines["macro"] == known[-2].split()[1:]
    assert sum(name.startswith("c") and name[1:].isdigit() for name in lines) == 100
    np.testing.assert_array_equal(
        report.confusion_matrix, metrics.confusion_matrix(true, predicted, labels=range(150))
    )
