#!/bin/sh
# Usage: sh tools/environment.sh FOLDER LOCK
#
# Makes the virtual environment FOLDER with the pinned packages of LOCK and this package in it (editable, without its
# dependencies: the lock has them). Does nothing when FOLDER is up to date. PYTHON names the interpreter.
set -eu
cd "$(dirname "$0")/.."
folder=$1
lock=$2
python=${PYTHON:-python3}

# Not another project's environment, packages or pip settings. Where packages come from (index, proxy, certificates)
# stays as the user set it: the hashes in the lock say what may be installed.
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV PIP_CONSTRAINT PIP_REQUIREMENT PIP_EDITABLE
export PYTHONNOUSERSITE=1 PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_REQUIRE_HASHES=0 PIP_NO_DEPS=0 PIP_DRY_RUN=0
export PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1

fail() {
    printf 'logpi: %s\n' "$1" >&2
    exit 2
}

cure="name one, for example: make ${MAKE_TARGET:-test} PYTHON=python3.12"
command -v "$python" >/dev/null 2>&1 || fail "Python 3.11 or newer is needed and '$python' was not found; $cure"
found=$("$python" -c 'import sys; print(".".join(map(str, sys.version_info[:3])))') ||
    fail "'$python' does not run; $cure"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python 3.11 or newer is needed and '$python' is $found; $cure"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "'$python' cannot make virtual environments; install venv for it (Debian and Ubuntu: apt install python3-venv)"

# The stamp is written last: what is in the environment, with what Python, and where.
stamp=$folder/logpi.stamp
state="$(cksum "$lock" pyproject.toml tools/environment.sh) python $found in $PWD"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$state" ] && [ -x "$folder/bin/python" ]; then
    exit 0
fi

# An environment that is there and works is brought up to date in place; any other is made anew.
rm -f "$stamp"
inside=$("$folder/bin/python" -c 'import sys, pip; print(".".join(map(str, sys.version_info[:3])))' 2>/dev/null) || :
if [ "$inside" != "$found" ] || ! grep -q -s -F "$PWD/$folder" "$folder/bin/activate"; then
    echo "logpi: making $folder with Python $found"
    # Inside an activated environment, its base interpreter: FOLDER itself may be the activated one.
    base=$("$python" -c 'import sys; print(getattr(sys, "_base_executable", None) or sys.executable)')
    "$base" -m venv --clear "$folder"
fi
echo "logpi: installing the packages of $lock in $folder (a minute or more; the first time some hundred MB are downloaded)"
# Where to: said in full, for a pip.conf that sends packages elsewhere.
install() { "$folder/bin/python" -m pip install --target= --root=/ --prefix="$PWD/$folder" "$@"; }
install --quiet --only-binary :all: --require-hashes -r "$lock"
install --quiet --no-deps --no-build-isolation --editable .
printf '%s\n' "$state" >"$stamp"
