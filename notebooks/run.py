"""Executes notebooks from top to bottom; an error in a cell is an error here.

`python run.py` runs all of them in their fast mode and keeps nothing; `--full` trains in earnest and saves what the notebooks
show, `--to` saves one under another name.
"""

import argparse
import os
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
NAMES = ("digits", "neutrino", "layout")  # explore needs outputs of the program: `make explore`


def run(name: str, seconds: int) -> nbformat.NotebookNode:
    """The executed notebook; raises what a cell raised."""
    notebook = nbformat.read(HERE / f"{name}.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=seconds, record_timing=False, resources={"metadata": {"path": str(HERE)}})
    return client.execute()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--full", action="store_true", help="in earnest, and save the notebook")
    parser.add_argument("--to", help="save the executed notebook under this name")
    it = parser.parse_args()
    os.environ["NOTEBOOKS"] = "full" if it.full else "fast"
    for name in it.names:
        started = time.perf_counter()
        notebook = run(name, 7200 if it.full else 900)
        target = it.to or (f"{name}.ipynb" if it.full else None)
        if target:
            nbformat.write(notebook, HERE / target)
        print(f"{name}: every cell ran, {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
