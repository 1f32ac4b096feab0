#!/bin/sh
# What a machine's GPU does for this workspace: `sh scripts/gpu_check.sh BLEND [CARGO]`.
set -eu
blend=$1
cargo=${2:-cargo}

"$blend" doctor
if ! "$blend" predict --dry-run --force --device cuda >/dev/null 2>&1; then
    echo "no CUDA here:"
    "$blend" predict --dry-run --force --device cuda || exit $?
fi

echo
echo "parity with the processor"
BLEND_REQUIRE_CUDA=1 "$cargo" test --locked -p blend-infer --test onnxruntime cuda -- --nocapture

for size in 256 1024 4096; do
    for device in cpu cuda; do
        echo
        echo "$device, batches of $size"
        "$blend" predict --dry-run --force --device "$device" --batch-size "$size"
    done
done
