"""Several labels a row: figures by hand, and what a run and its evaluation say."""

import numpy as np

from xpmlp.data.dataset import Dataset, Rows
from xpmlp.evaluation.evaluating import evaluate
from xpmlp.evaluation.label_reports import LabelReport
from xpmlp.evaluation.rows import EvaluationRows
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.training.evaluation import Evaluation
from xpmlp.training.model import Model
from xpmlp.types import Affine


def by_hand() -> LabelReport:
    """Four rows of two labels: one of the first label is missed, one of the second made up."""
    y = np.array([[1.0, 0], [1, 1], [0, 0], [0, 0]])
    logits = np.array([[2.0, -1], [-1, 3], [-2, 1], [-1, -1]], dtype=np.float32)
    rows = Rows(np.zeros((4, 1), np.float32), y)
    data = Dataset("two", "multilabel", rows, rows, rows, ())
    params = (Affine(np.zeros((1, 2), np.float32), np.zeros(2, np.float32)),)
    model = Model(params, (), "binary_cross_entropy", label=("wet", "cold"))
    return LabelReport(model, EvaluationRows(data, rows, "test"), Evaluation(0.5, None, logits))


def test_figures_by_hand():
    report = by_hand()
    assert report.measures == {"loss": 0.5, "label_accuracy": 6 / 8, "row_accuracy": 2 / 4}
    wet, cold = report.labels
    assert wet == ("wet", 2, 3 / 4, 1.0, 0.5, 2 / 3)
    assert cold == ("cold", 1, 3 / 4, 0.5, 1.0, 2 / 3)
    assert "labels    0.7500 told right, all of a row's in 0.5000 of the rows" in report.text()
    assert report.figures()["labels"][0]["recall"] == 0.5
    assert list(report.pictures()) == []


def test_a_run_of_a_file_of_several_labels(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 3)).round(3)
    lines = [",".join([*map(str, row), *map(str, (row[:2] > 0).astype(int))]) for row in x]
    (tmp_path / "two.csv").write_text("\n".join(["a,b,c,wet,cold", *lines]))
    run = fit(Config(dataset=str(tmp_path / "two.csv"), label="wet,cold"))
    report = evaluate(run)
    assert isinstance(report, LabelReport)
    assert report.label_accuracy > 0.9
    assert [label.name for label in report.labels] == ["wet", "cold"]
    other = run.evaluate(tmp_path / "two.csv", part="train")
    assert other.label_accuracy > 0.9
