#!/bin/sh
# Prints the tables of docs/leaderboard.md: predicted against actual public scores, and private scores, on pools whose
# test labels are known. The pools lie in ../shared/data, or where BLEND_SHARED says.
set -eu
cd "$(dirname "$0")/../.."
cargo test --quiet --workspace --test it -- --ignored --nocapture --exact leaderboard::bench::tables | grep '^|\|^$'
