#!/usr/bin/env bash
# Installs what the referee of the simulated Key Vault needs, and who reads back what the program stored (tests/on_azure/read_back.py): the official
# Python SDK, in an environment of its own below target/.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=target/tools/venv
if ! [ -x "$venv/bin/pip" ]; then
    python3 -m venv "$venv" || { echo "python3 with venv is missing: apt-get install python3-venv" >&2; exit 1; }
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check azure-keyvault-secrets==4.12.0 azure-identity==1.27.0 azure-storage-blob==12.27.1
