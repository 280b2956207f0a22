#!/usr/bin/env bash
# Makes .venv: `setup.sh dev` for a developer, `setup.sh demo` adds what the demo's training needs.
# Uses uv where it is installed, else puts it into .venv with pip. Never downloads a Python.
set -euo pipefail
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}
what=${1:-dev}

"$PYTHON" - <<'PY' || { echo "Roadstead needs Python 3.11 or newer; '$PYTHON' is older or missing. Name another: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
PY

offline() {
    cat >&2 <<TXT
Could not install the packages listed in pyproject.toml (needs a package index the first time; about 60 MB).
Later runs work offline. Check the network or your pip configuration, then run the same command again.
TXT
    exit 1
}

echo "Installing into $VENV what $([ "$what" = demo ] && echo "the demo's training" || echo "a developer") needs ..."
[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
if command -v uv >/dev/null 2>&1; then
    UV=uv
else
    [ -x "$VENV/bin/uv" ] || "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check uv || offline
    UV="$VENV/bin/uv"
fi
export UV_PYTHON_DOWNLOADS=never UV_PYTHON="$VENV/bin/python"
case "$what" in
    dev) "$UV" pip install --quiet --python "$VENV/bin/python" --constraint constraints.txt --group dev --editable . || offline ;;
    demo) "$UV" pip install --quiet --python "$VENV/bin/python" --constraint constraints.txt --editable '.[demo]' || offline ;;
    *) echo "setup.sh: unknown part '$what'; choose dev or demo" >&2; exit 2 ;;
esac
echo "Done: $VENV is ready."
