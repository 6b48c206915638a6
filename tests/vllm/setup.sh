#!/usr/bin/env bash
# Makes the environment in which the tests marked `vllm` run a real vLLM server on the CPU (2.7 GB, a minute or two).
# It is kept in a cache folder named after the lock file, and made only once. Prints the folder.
#
#   TELEGYM_VLLM_ENV    another folder
#   TELEGYM_TORCH_INDEX an index with CPU builds of torch, where the usual one has none, for example
#                       https://download.pytorch.org/whl/cpu
#   PYTHON              a Python 3.11
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
lock="$here/setup/lock.txt"
key="$(sha256sum "$lock" | cut -c1-12)"
folder="${TELEGYM_VLLM_ENV:-${XDG_CACHE_HOME:-$HOME/.cache}/telegym/vllm-$key}"
if [[ ! -e "$folder/.ready" ]]; then
    "${PYTHON:-python3.11}" -m venv --clear "$folder"
    pip=("$folder/bin/python" -m pip --disable-pip-version-check --quiet)
    "${pip[@]}" install --no-deps ${TELEGYM_TORCH_INDEX:+--extra-index-url "$TELEGYM_TORCH_INDEX"} -r "$lock"
    # A copy, since building leaves files beside the sources.
    build="$(mktemp -d)"
    trap 'rm -rf "$build"' EXIT
    cp "$here/setup/shim/pyproject.toml" "$build"
    "${pip[@]}" install --no-deps --no-build-isolation "$build"
    touch "$folder/.ready"
fi
echo "$folder"
