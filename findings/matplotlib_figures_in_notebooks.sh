#!/bin/bash
# Guess:   a notebook shows a matplotlib Figure that is the last line of a cell, once, however the
#          figure was made.
# Instead: one that was made without pyplot is shown as text, until somebody has drawn with pyplot,
#          and one that pyplot made is shown twice: by the cell and by pyplot.
# Seen:    matplotlib 3.11.2, ipykernel 7.4.0, nbclient 0.11.0 as below
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" matplotlib==3.11.2 ipykernel==7.4.0 nbclient==0.11.0 nbformat==5.10.4

"$python" - <<'PY'
import nbformat
from finding import show
from nbclient import NotebookClient

cells = [
    "from matplotlib.figure import Figure\nfigure = Figure()\naxes = figure.subplots()\nfigure",
    "import matplotlib.pyplot as plt\nother, axes = plt.subplots()\nother",
    "figure",
]
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
kernel = {"name": "python3", "display_name": "python3", "language": "python"}
notebook.metadata["kernelspec"] = kernel
NotebookClient(notebook, kernel_name="python3").execute()
pictures = [
    sum("image/png" in output.get("data", {}) for output in cell.outputs)
    for cell in notebook.cells
]
show("pictures shown of a Figure before pyplot is imported", pictures[0], 0)
show("pictures shown of a figure of pyplot", pictures[1], 2)
show("pictures shown of the first one afterwards", pictures[2], 1)
PY
