#!/bin/bash
# Guess:   mlflow-skinny, the client without a server, logs into the folder mlruns where nothing
#          else is said, as MLflow did for years.
# Instead: the default is a database by SQLAlchemy, which skinny doesn't install: start_run raises.
#          The folder has to be named and, being deprecated, allowed.
# Seen:    mlflow-skinny 3.17.2 as below
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" mlflow-skinny==3.17.2
unset MLFLOW_TRACKING_URI MLFLOW_ALLOW_FILE_STORE

cat > log.py <<'PY'
import mlflow

with mlflow.start_run():
    mlflow.log_metric("loss", 0.5)
print("logged")
PY
"$python" - <<'PY'
import os
import subprocess
import sys

from finding import show


def log(**settings):
    environment = {**os.environ, **settings}
    done = subprocess.run(
        [sys.executable, "log.py"], env=environment, capture_output=True, text=True
    )
    return done.stdout.strip() if done.returncode == 0 else "raised"


folder = f"file:{os.getcwd()}/mlruns"
show("nothing said", log(), "raised")
show("a folder named", log(MLFLOW_TRACKING_URI=folder), "raised")
allowed = log(MLFLOW_TRACKING_URI=folder, MLFLOW_ALLOW_FILE_STORE="1")
show("a folder named and allowed", allowed, "logged")
PY
