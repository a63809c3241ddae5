#!/usr/bin/env bash
# Gradescope runs this once, as root, to make the image in which submissions are graded.
set -euo pipefail
cd "$(dirname "$0")"
home=${AUTOGRADER_HOME:-/autograder}
export DEBIAN_FRONTEND=noninteractive

apt-get update
apt-get install -y --no-install-recommends bubblewrap ca-certificates

python=
for each in python3.13 python3.12 python3.11 python3; do
    if command -v "$each" >/dev/null && "$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        python=$each
        break
    fi
done
if [ -z "$python" ]; then # Ubuntu 22.04 has 3.10, and 3.11 beside it
    python=python3.11
    apt-get install -y --no-install-recommends "$python"
fi
"$python" -m ensurepip --version >/dev/null 2>&1 || apt-get install -y --no-install-recommends "$python-venv"

"$python" -m venv "$home/venv"
"$home/venv/bin/pip" install --no-cache-dir -r requirements.txt
"$home/venv/bin/python" -m compileall -q opcheck
