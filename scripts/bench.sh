#!/bin/sh
# The winners' weight search, ours and the peers side by side: makes an environment and the problem under .bench/, runs
# all, prints tables; then two other shapes, kinds of weights, the audit, and inference beside Python's. About twenty
# minutes on two cores.
set -eu
blend=$1
python=$2
here=$(dirname "$0")/bench
room=.bench

# Installed anew only when the pins change.
if ! cmp -s "$here/requirements.txt" "$room/installed.txt"; then
    echo "installing the peers into $room/venv" >&2
    "$python" -m venv "$room/venv"
    "$room/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$room/installed.txt"
fi

# How long one pass over the data takes is measured from inside, by an example; without it two lines are missing.
example=
if [ -f src/search/examples/moa_shape.rs ] && cargo build --quiet --locked -p blend-search --example moa_shape; then
    example=$(dirname "$blend")/examples/moa_shape
fi

echo "making the problem in $room/models/moa" >&2
"$room/venv/bin/python" "$here/problem.py" "$blend" "$room"
"$room/venv/bin/python" "$here/bench.py" "$blend" "$room" ${example:+"$example"}

# The selections of AutoGluon and hillclimbers need another pandas than the audit's: an environment of their own.
if ! cmp -s "$here/requirements-selection.txt" "$room/installed-selection.txt"; then
    echo "installing the selections into $room/venv-selection" >&2
    "$python" -m venv "$room/venv-selection"
    if "$room/venv-selection/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements-selection.txt"; then
        cp "$here/requirements-selection.txt" "$room/installed-selection.txt"
    else
        echo "no selections: AutoGluon and hillclimbers are missing from the tables" >&2
    fi
fi
selection=
if [ -f "$room/installed-selection.txt" ]; then
    selection=$room/venv-selection/bin/python
fi
"$room/venv/bin/python" "$here/shapes.py" "$blend" "$room"
"$room/venv/bin/python" "$here/shapes_bench.py" "$blend" "$room" ${selection:+"$selection"}

# Kinds of weights, measured from inside.
cargo build --quiet --locked -p blend-search --example kinds
"$room/venv/bin/python" "$here/kinds_bench.py" "$(dirname "$blend")/examples/kinds"

# What an audit costs, beside pandas and scipy.
cargo build --quiet --locked -p blend-core --example relations
"$room/venv/bin/python" "$(dirname "$0")/bench_audit.py" "$blend" "$(dirname "$blend")/examples/relations" "$room/audit" || echo "the audit missed a target" >&2

# Inference beside Python's onnxruntime, with the very library that it loads.
library=$(find "$room/venv" -name 'libonnxruntime.so*' | head -n 1)
"$room/venv/bin/python" "$here/../bench_infer.py" "$blend" ${library:+"$library"} || echo "inference missed a target" >&2
