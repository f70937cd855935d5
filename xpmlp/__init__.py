"""xpmlp trains multilayer perceptrons with hand-derived backpropagation, on any array library.

    import xpmlp
    data = xpmlp.load_dataset("moons")
    run = xpmlp.fit(xpmlp.Config(hidden=(16, 16), epochs=50), data)
    print(run.test.accuracy)

The names below are imported when they are first used: `import xpmlp` loads no array library.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Config": "xpmlp.training.config",
    "Dataset": "xpmlp.data.dataset",
    "Rows": "xpmlp.data.dataset",
    "load_dataset": "xpmlp.data.registry",
    "select_backend": "xpmlp.backends.registry",
    "fit": "xpmlp.runs.fitting",
    "fit_many": "xpmlp.runs.fitting",
    "Trainer": "xpmlp.runs.run",
    "Run": "xpmlp.runs.run",
    "Callback": "xpmlp.training.callbacks",
    "CSVLog": "xpmlp.training.logs",
    "TensorBoardLog": "xpmlp.training.logs",
    "load": "xpmlp.runs.opened",
    "open_runs": "xpmlp.runs.opened",
    "OpenedRun": "xpmlp.runs.opened",
    "Model": "xpmlp.training.model",
    "predict_file": "xpmlp.training.predicting",
    "Checkpoint": "xpmlp.training.checkpoint",
    "range_test": "xpmlp.runs.range_test",
    "compare_runs": "xpmlp.runs.comparing",
    "check_gradients": "xpmlp.training.gradient_check",
    "compare_gradients": "xpmlp.training.comparing",
    "MLPClassifier": "xpmlp.estimator.classifier",
    "MLPRegressor": "xpmlp.estimator.regressor",
    "GridSearchCV": "xpmlp.search.grid",
    "RandomizedSearchCV": "xpmlp.search.grid",
    "HalvingGridSearchCV": "xpmlp.search.grid",
    "HalvingRandomSearchCV": "xpmlp.search.grid",
    "MLPEnsembleClassifier": "xpmlp.search.ensemble_classifier",
    "MLPEnsembleRegressor": "xpmlp.search.ensemble_regressor",
    "Ensemble": "xpmlp.training.ensemble",
    "table_pipeline": "xpmlp.estimator.pipeline",
    "Affine": "xpmlp.types",
    "Batch": "xpmlp.types",
    "XpmlpError": "xpmlp.errors",
    "InputError": "xpmlp.errors",
    "DataUnavailableError": "xpmlp.errors",
    "BackendUnavailableError": "xpmlp.errors",
    "RunError": "xpmlp.errors",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        from xpmlp.errors import did_you_mean

        hint = did_you_mean(name, _PUBLIC)
        raise AttributeError(f"module 'xpmlp' has no attribute {name!r}{hint}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_PUBLIC]
