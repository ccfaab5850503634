#!/usr/bin/env bash
# Shows Berth at work on a sandbox, and checks what it shows: `make demo` runs this.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scratch=$(mktemp -d /tmp/berth-demo.XXXXXX)
cleanup() {
  local status=$?
  "$root/.build/debug/berth" sandbox stop --sandbox "$scratch/host" >/dev/null 2>&1 || true
  rm -rf "$scratch"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

export PATH="$root/.build/debug:$PATH" NO_COLOR=1 LC_ALL=C.UTF-8
cp "$root/examples/sandbox/"{home,drivers}.yaml "$root/examples/host.yaml" "$root/examples/host-changed.yaml" "$scratch"
cp "$root/examples/devices/"{router-nic,nvme-by-serial}.yaml "$scratch"
cd "$scratch"

say() { printf '\n# %s\n' "$1"; }

# step EXIT-CODE TEXT COMMAND…: runs the command as shown, and wants the exit code, and the text in what it prints.
step() {
  local expected=$1 text=$2 status=0 output
  shift 2
  printf '$ %s\n' "$*"
  output=$("$@" 2>&1 </dev/null) || status=$?
  [[ -z $output ]] || printf '%s\n' "$output"
  ((status == 0)) || printf '(exit code %d)\n' "$status"
  if ((status != expected)); then
    printf 'demo: that ended with %d, and %d was expected\n' "$status" "$expected" >&2
    exit 1
  fi
  if [[ $output != *"$text"* ]]; then
    printf 'demo: that should have said: %s\n' "$text" >&2
    exit 1
  fi
}

say "A simulated host: a real xenstored, four guests, eight PCI devices. No Xen is needed."
step 0 "is up" berth sandbox start home.yaml --sandbox host

say "What must change so that the host is as host.yaml declares it? (Exit code 2: something must change.)"
step 2 "Plan: 2 to attach, 1 to repair, 1 to adopt." berth plan host.yaml --sandbox host --detailed-exitcode

say "Apply it."
step 0 "Applied: 2 attached, 1 repaired, 1 adopted." berth apply host.yaml --sandbox host --yes

say "What does the host have now?"
step 0 "3 devices attached, 4 devices free to assign, no anomalies." berth status --sandbox host

say "Once more: there is nothing to do."
step 0 "Nothing to do: 3 devices are as declared." berth plan host.yaml --sandbox host --detailed-exitcode

say "The manifest changes: one device goes, one comes, one gets another option."
step 2 "Plan: 1 to attach, 1 to detach, 1 to change." berth plan host-changed.yaml --sandbox host --detailed-exitcode

say "The same plan as a comment for a pull request."
step 0 "<!-- berth:plan host=" berth plan host-changed.yaml --sandbox host -o markdown

say "Apply it."
step 0 "Applied: 1 attached, 1 detached, 1 changed." berth apply host-changed.yaml --sandbox host --yes
step 0 "Nothing to do: 3 devices are as declared." berth plan host-changed.yaml --sandbox host --detailed-exitcode

say "Somebody misspells a domain. Its device stays where it is, and the plan says what was probably meant. (3: blocked.)"
sed 's/^    sys-net:/    sys-nett:/' host-changed.yaml > misspelt.yaml
step 3 "did you mean 'sys-net'?" berth apply misspelt.yaml --sandbox host --yes
step 0 "Nothing to do: 3 devices are as declared." berth plan host-changed.yaml --sandbox host --detailed-exitcode

say "A template was not filled in. That is no wish to detach everything. (65: the manifest is not valid.)"
sed 's/^    sys-net:/    "{{ net_domain }}":/' host-changed.yaml > template.yaml
step 65 "net_domain" berth apply template.yaml --sandbox host --yes

say "A plan is saved, and approved somewhere. Meanwhile the guest restarts, so the plan does not fit any more. (4: nothing is touched.)"
step 0 "fingerprint sha256:" berth plan host.yaml --sandbox host --allow-removals --out plan.json
step 0 "" berth sandbox destroy sys-net --sandbox host
step 0 "" berth sandbox start-domain sys-net --sandbox host
step 4 "Nothing was touched." berth apply plan.json --sandbox host

say "The new plan is saved, and applied without a question."
step 0 "fingerprint sha256:" berth plan host.yaml --sandbox host --allow-removals --out plan.json
step 0 "Applied: " berth apply plan.json --sandbox host

say "Stop the sandbox."
step 0 "" berth sandbox stop --sandbox host

say "Another host: drivers of dom0 have all devices, and nothing was prepared for guests."
step 0 "is up" berth sandbox start drivers.yaml --sandbox host
step 0 "driver igb" berth devices --sandbox host

say "A snapshot of that host has the same plan, where there is neither root nor Xen."
step 0 "wrote snapshot.json" berth snapshot --out snapshot.json --sandbox host
step 2 "take it from igb, and give it to pciback" berth plan router-nic.yaml --host snapshot.json --detailed-exitcode
berth plan router-nic.yaml --sandbox host -o json > here.json
berth plan router-nic.yaml --host snapshot.json -o json > elsewhere.json
step 0 "" cmp here.json elsewhere.json

say "A network card, known by its hardware address, is taken from its driver and given to a guest."
step 2 "take it from igb, and give it to pciback" berth plan router-nic.yaml --sandbox host --detailed-exitcode
step 0 "prepared: pciback has it" berth apply router-nic.yaml --sandbox host --yes
step 0 "Nothing to do: 1 device is as declared." berth plan router-nic.yaml --sandbox host --detailed-exitcode

say "An NVMe disk, known by its serial number, is at another address than before. The manifest says to follow it."
step 0 "0000:06:00.0" berth apply nvme-by-serial.yaml --sandbox host --yes --prune never

say "Somebody declares the disk that dom0 starts from. It is not taken, and the way to the root is shown. (3: blocked.)"
sed -e 's/nvmeSerial.*/id: "8086:a352"/' -e '/follow:/d' -e 's/0000:04:00.0/0000:00:17.0/' nvme-by-serial.yaml > wrong-disk.yaml
step 3 "0000:00:17.0 → sda → /" berth apply wrong-disk.yaml --sandbox host --yes --prune never

say "Nothing is declared any more, and \`afterDetach: restore\` returns both devices to their drivers."
sed 's/^spec:/spec:\n  policy: {afterDetach: restore}/; s/\[lan0\]/[]/' router-nic.yaml > nothing.yaml
step 0 "released: igb has it" berth apply nothing.yaml --sandbox host --yes --allow-removals
step 0 "" berth sandbox stop --sandbox host
[[ ! -e host ]] || { echo 'demo: the sandbox left its directory behind' >&2; exit 1; }

printf '\nThe demo ran as expected.\n'
