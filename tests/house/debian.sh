#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages named, if any is missing and this user may; else says which to install.
missing=""
for package in "$@"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
as_root=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
        echo "Missing Debian packages: install them with: apt-get install$missing" >&2
        echo "Tests that need them will be skipped." >&2
        exit 0
    fi
    as_root="sudo -n"
fi
echo "Installing Debian packages:$missing" >&2
$as_root apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
