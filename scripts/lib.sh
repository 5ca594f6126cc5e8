# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# What the scripts share: plain words to the person at the terminal, and Debian packages.
# All of it speaks on stderr, because stdout belongs to the results.

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "$(basename "$0"): $*"
    exit 1
}

require_root() {
    [ "$(id -u)" = 0 ] || fail "needs root, to make network namespaces and to load programs" \
        "into the kernel. Try: sudo $0 $*"
}

# The packages that the given lists name, without comments.
listed_packages() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' -- "$@"; }

is_installed() {
    dpkg-query -W -f '${db:Status-Status}\n' -- "$1" 2>/dev/null | grep -qx installed
}

# Of the given lists, what is not installed, on one line.
missing_packages() {
    local package
    for package in $(listed_packages "$@"); do
        is_installed "$package" || printf '%s ' "$package"
    done
}

POLICY=/usr/sbin/policy-rc.d
POLICY_MARK='# Made by tallygate while it installs packages: no service starts.'

# Debian asks this file before a package starts a service. An administrator's own is left alone.
forbid_service_starts() {
    [ -e "$POLICY" ] && return
    printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY"
    chmod 0755 "$POLICY"
}

# Also what a run left that was killed.
allow_service_starts() {
    if [ -f "$POLICY" ] && grep -qxF "$POLICY_MARK" "$POLICY"; then
        rm -f "$POLICY"
    fi
}

apt_quietly() { DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" >&2; }

# Installs what is missing of the given lists. Nothing of the user's is removed: if apt would
# have to, this says what stands in the way, and stops.
install_packages() {
    local missing removals
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null ||
        fail "these packages are missing, and there is no apt-get to install them: $missing"
    [ "$(id -u)" = 0 ] ||
        fail "these packages are missing, and installing them needs root: $missing"

    say "Installing what is missing: $missing"
    apt_quietly update || say "apt-get update failed; trying with the lists that are here."
    # shellcheck disable=SC2086 # one word for each package
    removals=$(apt-get -s install --no-install-recommends $missing 2>/dev/null |
        awk '$1 == "Remv" { printf "%s ", $2 }')
    [ -z "$removals" ] || fail "installing $missing would remove ${removals}from this machine." \
        "Nothing was changed. Remove them yourself if you can spare them, or use another machine."

    trap allow_service_starts EXIT
    forbid_service_starts
    # shellcheck disable=SC2086
    apt_quietly install -y --no-install-recommends --no-remove $missing ||
        fail "apt-get could not install $missing; its reason stands above. Nothing was removed."
    allow_service_starts
    trap - EXIT
}

# Runs a step of the build. On a terminal its progress shows; else only what went wrong does.
run_step() {
    local log=$1
    shift
    if [ -t 2 ]; then
        "$@" >&2
    elif ! "$@" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        return 1
    fi
}

# Builds the given targets, or all, in build/release. Whether the tests are part of that tree is
# decided when it is first configured, and kept: nobody rebuilds because the demo ran in between.
build_release() {
    local options=() targets=() missing
    mkdir -p build
    missing=$(missing_packages scripts/packages-test.txt)
    if [ ! -f build/release/CMakeCache.txt ] && [ -n "$missing" ]; then
        options+=(-DTALLYGATE_TESTS=OFF)
    fi
    [ $# = 0 ] || targets=(--target "$@")
    say "Building in build/release."
    run_step build/configure.log cmake --preset release "${options[@]}" ||
        fail "could not configure the build; the reason stands above."
    run_step build/build.log cmake --build --preset release "${targets[@]}" ||
        fail "could not build; the reason stands above."
}
