#!/bin/sh
# `make install` and `make uninstall`: `setup.sh install|uninstall`, run from the top of the source.
# DESTDIR  another root to install into; nothing is then told to the running system
# PREFIX   where the programs go (/opt/evcharge)
# BUILD_PYTHON   a python with pip and hatchling        SYSTEM_PYTHON  the python that runs the services
# PURGE=1  uninstall removes configuration, state and users as well
# shellcheck disable=SC2086 # QUIET and the lists are split on purpose
set -eu

DESTDIR=${DESTDIR:-}
PREFIX=${PREFIX:-/opt/evcharge}
SYSTEM_PYTHON=${SYSTEM_PYTHON:-/usr/bin/python3}
BUILD_PYTHON=${BUILD_PYTHON:-.venv/bin/python}
QUIET="--quiet --disable-pip-version-check"
export PIP_ROOT_USER_ACTION=ignore
# In the lock because `make` builds with them; `pip check` says if something else comes to need one.
BUILD_ONLY="hatchling packaging pathspec pluggy tomlkit trove-classifiers"
PROGRAMS="evcharge-agent evcharge-guard evcharge-sim"
UNITS="evcharge-guard.service evcharge-agent.service evcharge.target"
CONFIG=/etc/evcharge
STATE="/var/lib/evcharge-agent /var/lib/evcharge-guard"

check_prefix() { # it is removed as a whole: it must be nobody else's
    if [ -e "$DESTDIR$PREFIX" ] && [ ! -e "$DESTDIR$PREFIX/bin/evcharge-agent" ]; then
        echo "setup.sh: PREFIX=$PREFIX: allowed: a folder of its own; this one exists and is not ours" >&2
        exit 2
    fi
}

is_live() { [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; }

build_programs() { # into $1, made to run at $PREFIX
    rm -rf "$1"
    "$SYSTEM_PYTHON" -m venv --without-pip --symlinks "$1"
    "$BUILD_PYTHON" -m pip wheel $QUIET --no-deps --no-build-isolation --wheel-dir "$1/wheel" .
    "$BUILD_PYTHON" -m pip --python "$1/bin/python" install $QUIET --no-compile --require-hashes -r requirements.lock
    "$BUILD_PYTHON" -m pip --python "$1/bin/python" install $QUIET --no-compile --no-deps "$1"/wheel/*.whl
    "$BUILD_PYTHON" -m pip --python "$1/bin/python" uninstall $QUIET --yes $BUILD_ONLY
    "$BUILD_PYTHON" -m pip --python "$1/bin/python" check >/dev/null
    rm -rf "$1/wheel" "$1"/lib/python*/site-packages/evcharge_agent-*.dist-info/direct_url.json
    for file in "$1"/bin/*; do
        case ${file##*/} in
        python*) ;;
        evcharge-*) sed -i "1,3s|$1|$PREFIX|g" "$file" ;;
        *) rm "$file" ;;
        esac
    done
    sed -i "s|$1|$PREFIX|g" "$1/pyvenv.cfg"
    link_lgpio "$1"
    "$1/bin/python" -m compileall -q -s "$1" -p "$PREFIX" "$1/lib"
}

link_lgpio() { # let the distribution's GPIO library in, and nothing else of it (docs/adr/0006)
    suffix=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
    for packages in "$1"/lib/python*/site-packages; do
        ln -s /usr/lib/python3/dist-packages/lgpio.py "$packages/lgpio.py"
        ln -s "/usr/lib/python3/dist-packages/_lgpio$suffix" "$packages/_lgpio$suffix"
    done
}

put() { # file, target
    install -D -m 0644 "$1" "$DESTDIR$2"
}

do_install() {
    build_programs "$DESTDIR$PREFIX.new"
    rm -rf "$DESTDIR${PREFIX:?}.old"
    [ ! -e "$DESTDIR$PREFIX" ] || mv "$DESTDIR$PREFIX" "$DESTDIR$PREFIX.old"
    mv "$DESTDIR$PREFIX.new" "$DESTDIR$PREFIX"
    rm -rf "$DESTDIR${PREFIX:?}.old"
    mkdir -p "$DESTDIR/usr/bin"
    for program in $PROGRAMS; do
        ln -sfn "$PREFIX/bin/$program" "$DESTDIR/usr/bin/$program"
    done
    # In this place, by this name, bash loads it when it is first wanted.
    completion="$DESTDIR/usr/share/bash-completion/completions/evcharge-agent"
    mkdir -p "${completion%/*}"
    "$DESTDIR$PREFIX/bin/python" -m evcharge_agent completion bash >"$completion"
    put docs/installation.md "$PREFIX/share/doc/installation.md"
    for unit in $UNITS; do
        put "systemd/$unit" "/usr/lib/systemd/system/$unit"
        sed -i "s|/opt/evcharge|$PREFIX|g" "$DESTDIR/usr/lib/systemd/system/$unit"
    done
    put systemd/60-evcharge.rules /usr/lib/udev/rules.d/60-evcharge.rules
    put systemd/sysusers.d/evcharge.conf /usr/lib/sysusers.d/evcharge.conf
    put systemd/tmpfiles.d/evcharge.conf /usr/lib/tmpfiles.d/evcharge.conf
    put systemd/evcharge.catalog /usr/lib/systemd/catalog/evcharge.catalog
    # Examples are of this version and replaced; the files the services read are a person's and never touched.
    put config/board.example.toml $CONFIG/board.example.toml
    put config/evcharge-agent.example.toml $CONFIG/evcharge-agent.example.toml
    if is_live; then
        systemd-sysusers /usr/lib/sysusers.d/evcharge.conf
        systemd-tmpfiles --create /usr/lib/tmpfiles.d/evcharge.conf
        journalctl --update-catalog
        udevadm control --reload 2>/dev/null || true # a container has no udev
        systemctl daemon-reload
        systemctl try-restart evcharge-guard.service evcharge-agent.service
        echo "Installed. Next: $PREFIX/share/doc/installation.md, from 'Say what the board is'."
    fi
}

do_uninstall() {
    if is_live; then
            systemctl disable --quiet --now $UNITS 2>/dev/null || true # never enabled is as good
    fi
    for program in $PROGRAMS; do rm -f "$DESTDIR/usr/bin/$program"; done
    rm -f "$DESTDIR/usr/share/bash-completion/completions/evcharge-agent"
    for unit in $UNITS; do rm -f "$DESTDIR/usr/lib/systemd/system/$unit"; done
    rm -f "$DESTDIR/usr/lib/udev/rules.d/60-evcharge.rules" "$DESTDIR/usr/lib/sysusers.d/evcharge.conf" \
        "$DESTDIR/usr/lib/tmpfiles.d/evcharge.conf" "$DESTDIR/usr/lib/systemd/catalog/evcharge.catalog" \
        "$DESTDIR$CONFIG/board.example.toml" "$DESTDIR$CONFIG/evcharge-agent.example.toml"
    rm -rf "$DESTDIR${PREFIX:?}" "$DESTDIR$PREFIX.new" "$DESTDIR$PREFIX.old" "$DESTDIR/run/evcharge"
    [ ! -d "$DESTDIR$CONFIG" ] || rmdir --ignore-fail-on-non-empty "$DESTDIR$CONFIG"
    if is_live; then
        journalctl --update-catalog
        systemctl daemon-reload
    fi
    if [ "${PURGE:-}" = 1 ]; then purge; fi
    for left in $CONFIG $STATE; do
        [ ! -e "$DESTDIR$left" ] || echo "left: $DESTDIR$left (PURGE=1 removes it)"
    done
}

purge() {
    for folder in $CONFIG $STATE; do rm -rf "$DESTDIR${folder:?}"; done
    if is_live; then
        for user in evcharge-guard evcharge; do
            ! getent passwd "$user" >/dev/null || userdel "$user"
            ! getent group "$user" >/dev/null || groupdel "$user"
        done
    fi
}

case $PREFIX in
/*) check_prefix ;;
*)
    echo "setup.sh: PREFIX=$PREFIX: allowed: an absolute path" >&2
    exit 2
    ;;
esac
case ${1:-} in
install) do_install ;;
uninstall) do_uninstall ;;
*)
    echo "usage: setup.sh install|uninstall" >&2
    exit 2
    ;;
esac
