#!/usr/bin/env bash
# Checks that the packages that Berth is built from are installed; with `lab`, also those of its lab, with
# `other-debian`, those that make another Debian's system, and with `managers`, the configuration managers of the tests.
# As root it installs missing packages. Otherwise it prints the command that installs them. It is bash, because it may
# have to install Python.
set -euo pipefail

# How long to wait for another program's lock of the package database.
readonly LOCK_SECONDS=600

packages=(
  libxen-dev      # libxenctrl; the bench also calls libxenstore
  xenstore-utils  # xenstore-ls and others
  libyaml-dev
  libmd-dev       # the fingerprints of plans
  qemu-system-x86 # a real device model, for the tests
  chromium        # a real browser, for the tests of the page that `-o html` writes
  patch           # reads the differences that `berth fmt --diff` writes, in a test
  pkg-config      # SwiftPM finds the libraries with it
  python3         # the programs of Scripts/
  git gnupg openssh-client # repositories and signatures, for the tests of `berth pull`
)

# Prints the release of Xen that this Debian has: that of the installed or the available libxen-dev.
xen_release() {
  local version
  version=$(dpkg-query -W -f='${Version}' libxen-dev 2>/dev/null) || true
  [[ $version ]] || version=$(apt-cache policy libxen-dev 2>/dev/null | sed -nE 's/^ *Candidate: *//p')
  [[ $version =~ ^[0-9]+\.[0-9]+ ]] && echo "${BASH_REMATCH[0]}"
}

lab_packages=(
  debootstrap e2fsprogs cpio kmod binutils xz-utils zstd gcc libc6-dev # the machine's disk, kernels and guests
  busybox-static                                                       # dom0's first programs
)
case ${1:-} in
  lab) packages+=("${lab_packages[@]}") ;;
  other-debian) packages+=(debootstrap) ;;
  managers) packages+=(jq nix-bin puppet-agent python3-apt python3-venv systemd) ;;
esac

fail() { printf 'berth: %s\n' "$@" >&2; exit 1; }

command -v swift >/dev/null ||
  fail "there is no 'swift' here. Berth needs a Swift toolchain, 6.2 or newer: see swift.org/install."
# A swift that fails must get to the message below, so its exit code does not end this program.
version=$(swift --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9]+)\.([0-9]+).*/\1 \2/p' | head -n 1) || true
[[ $version ]] || fail "'swift --version' prints no version. Berth needs a Swift toolchain, 6.2 or newer."
read -r major minor <<<"$version"
((major > 6 || (major == 6 && minor >= 2))) ||
  fail "this is Swift ${major}.${minor}; Berth needs 6.2 or newer: see swift.org/install."

command -v dpkg-query >/dev/null ||
  fail "this is not a Debian system. Berth needs the files of these Debian packages: ${packages[*]} xen-utils-VERSION."

# Runs apt-get, and waits for the holder of a lock that it needs: on a new machine often an unattended upgrade. apt-get
# itself waits only for dpkg's locks (DPkg::Lock::Timeout), and not for the locks of its lists and archives.
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

export DEBIAN_FRONTEND=noninteractive
# A new machine has no lists of packages.
if ! release=$(xen_release); then
  ((EUID != 0)) || run_apt update --quiet
  release=$(xen_release) ||
    fail "apt does not know libxen-dev. Run 'apt-get update' as root, and check that Debian's main archive is a source."
fi
packages+=("xen-utils-$release") # both xenstoreds, and xl for the tests; Xen itself is not needed

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

printf 'Installing %s\n' "${missing[*]}"
install=(install --yes --quiet --no-install-recommends "${missing[@]}")
# An old machine may have lists of packages that the archive no longer has.
run_apt "${install[@]}" || { run_apt update --quiet && run_apt "${install[@]}"; }
