#!/usr/bin/env bash
# Checks that what Berth is built from is here; with `lab`, also what its lab is. As root it installs what is missing,
# else it says how. It is bash, since Python may be one of the packages it installs.
set -euo pipefail

# How long to wait for another program's lock of the package database.
readonly LOCK_SECONDS=600

packages=(
  libxen-dev      # libxenstore and libxenctrl
  xen-utils-4.17  # both xenstoreds, and xl to test beside; Xen itself is not needed
  xenstore-utils  # xenstore-ls and its like
  libyaml-dev
  qemu-system-x86 # a real device model, for the tests
  pkg-config      # SwiftPM finds the libraries with it
  python3         # the programs of Scripts/
)

lab_packages=(
  debootstrap e2fsprogs cpio kmod binutils gcc libc6-dev # the machine's disk, kernels and guests
  busybox-static                                         # dom0's first programs
)
[[ ${1:-} != lab ]] || packages+=("${lab_packages[@]}")

fail() { printf 'berth: %s\n' "$@" >&2; exit 1; }

command -v swift >/dev/null ||
  fail "there is no 'swift' here. Berth needs a Swift toolchain, 6.2 or newer: see swift.org/install."
version=$(swift --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9]+)\.([0-9]+).*/\1 \2/p' | head -n 1)
read -r major minor <<<"${version:-0 0}"
((major > 6 || (major == 6 && minor >= 2))) ||
  fail "this is Swift ${major}.${minor}; Berth needs 6.2 or newer: see swift.org/install."

command -v dpkg-query >/dev/null ||
  fail "this is not a Debian system. Berth needs what these Debian packages hold: ${packages[*]}."

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

if ((EUID != 0)); then
  fail "these Debian packages are missing: ${missing[*]}" "install them with:" \
    "  sudo apt-get install --no-install-recommends ${missing[*]}"
fi

# Runs apt-get, and waits for whoever holds a lock that it needs, as unattended upgrades do on a new machine. apt-get
# itself waits for dpkg's locks alone (DPkg::Lock::Timeout); the locks of its lists and archives it only tries.
run_apt() {
  local deadline=$((SECONDS + LOCK_SECONDS)) status errors is_waiting=
  while true; do
    status=0
    errors=$(apt-get -o "DPkg::Lock::Timeout=$LOCK_SECONDS" "$@" 2>&1 >&3 </dev/null) || status=$?
    ((status)) && [[ $errors =~ /[a-z/]*/(lists|archives)/lock ]] && ((SECONDS < deadline)) || break
    [[ $is_waiting ]] || printf 'Waiting for another program to release %s\n' "${BASH_REMATCH[0]}"
    is_waiting=yes
    sleep 1
  done
  [[ -z $errors ]] || printf '%s\n' "$errors" >&2
  return "$status"
} 3>&1

printf 'Installing %s\n' "${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
install=(install --yes --quiet --no-install-recommends "${missing[@]}")
# A new machine has no package lists, an old one has lists of files that are gone.
run_apt "${install[@]}" || { run_apt update --quiet && run_apt "${install[@]}"; }
