"""Executes a notebook, which is not changed, on tables. An error in a cell ends it
with that error. Prints the ids of the cells that made a picture as JSON, and writes
the picture of a cell to each FILE that is named like it.

usage: notebook.py NOTEBOOK TABLES [FILE.png...]
"""

import base64
import json
import os
import sys
import tempfile

import nbclient
import nbformat


def execute(path, tables):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.get("outputs") or cell.get("execution_count"):
            raise SystemExit(f"{path}: cell {cell.id} has outputs; clear them before it is committed")
    with tempfile.TemporaryDirectory() as own:
        # Jupyter's own files would go to the home folder. Fonts are listed once.
        os.environ |= {"IPYTHONDIR": own, "JUPYTER_RUNTIME_DIR": own, "MPLCONFIGDIR": os.path.join(sys.prefix, "matplotlib")}
        env = {**os.environ, "ARCHFLOW_TABLE": os.path.abspath(tables)}
        nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute(env=env)
    return notebook


def pictures(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                yield cell.id, base64.b64decode(output["data"]["image/png"])


def main(path, tables, *files):
    made = dict(pictures(execute(path, tables)))
    for file in files:
        with open(file, "wb") as f:
            f.write(made[os.path.basename(file).removesuffix(".png")])
    print(json.dumps(list(made)))


if __name__ == "__main__":
    main(*sys.argv[1:])
