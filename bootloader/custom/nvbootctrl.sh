#!/bin/sh
# The boot program of a board whose firmware is driven by nvbootctrl (NVIDIA Jetson), for `custom:` in honeycomb.conf.
#
# The firmware keeps a priority, a retry counter and a "successful" mark for each of slots 0 (a) and 1 (b); it starts the
# slot of the higher priority that is successful or has retries left, and takes one retry first. It does not know which
# slot is confirmed: that is in $HC_NVBOOTCTRL_STATE, replaced whole. The number of tries is the firmware's own.
# Expects the output of `nvbootctrl dump-slots-info` to have lines like
#   slot: 0, priority: 15, suffix: _a, retry_count: 7, boot_successful: 1
set -eu

nvbootctrl=${NVBOOTCTRL:-nvbootctrl}
state=${HC_NVBOOTCTRL_STATE:-/var/lib/honeycomb/nvbootctrl}

fail() {
  echo "nvbootctrl.sh: $*" >&2
  exit 1
}

number_of() {
  case $1 in
    a) echo 0 ;;
    b) echo 1 ;;
    *) fail "there is no slot '$1'" ;;
  esac
}

letter_of() {
  case $1 in
    0) echo a ;;
    1) echo b ;;
    *) fail "nvbootctrl names a slot '$1'" ;;
  esac
}

# field SLOT NAME: a number out of the firmware's table.
field() {
  slot_number=$(number_of "$1")
  value=$("$nvbootctrl" dump-slots-info | sed -n "s/^slot: $slot_number,.*[ ,]$2: *\([0-9][0-9]*\).*/\1/p")
  [ -n "$value" ] || fail "nvbootctrl dump-slots-info does not say $2 of slot $1"
  echo "$value"
}

current() {
  letter_of "$("$nvbootctrl" get-current-slot)"
}

read_state() {
  confirmed=$(sed -n 's/^confirmed=\([ab]\)$/\1/p' "$state" 2>/dev/null || true)
  trial=$(sed -n 's/^trial=\([ab]\)$/\1/p' "$state" 2>/dev/null || true)
  [ -n "$confirmed" ] || confirmed=$(current)
}

write_state() {
  mkdir -p "$(dirname "$state")"
  printf 'confirmed=%s\ntrial=%s\n' "$1" "$2" >"$state.new"
  sync "$state.new"
  mv "$state.new" "$state"
  sync "$(dirname "$state")"
}

# True where the firmware prefers slot $1 to slot $2.
prefers() {
  [ "$(field "$1" priority)" -gt "$(field "$2" priority)" ]
}

# set-active-boot-slot takes the mark from a slot, and an unmarked slot is counted at each boot. The firmware marks the
# running slot only; one that is not running gets its mark when it is confirmed after its next boot.
mark_if_running() {
  [ "$(current)" != "$1" ] || "$nvbootctrl" mark-boot-successful
}

other_of() {
  if [ "$1" = a ]; then echo b; else echo a; fi
}

get_state() {
  read_state
  echo "confirmed=$confirmed"
  [ -n "$trial" ] && [ "$trial" != "$confirmed" ] || return 0
  tries=$(field "$trial" retry_count)
  # Armed in our state but not in the firmware: the power went between the two, and the trial never began.
  if [ "$tries" -gt 0 ] && ! prefers "$trial" "$confirmed"; then
    return 0
  fi
  [ "$tries" -le 9 ] || tries=9
  echo "trial=$trial"
  echo "tries_left=$tries"
}

case ${1:-} in
  check)
    for slot in a b; do
      field "$slot" priority >/dev/null
      field "$slot" retry_count >/dev/null
    done
    current >/dev/null
    ;;
  get-state)
    get_state
    ;;
  arm)
    read_state
    write_state "$confirmed" "$2"
    "$nvbootctrl" set-active-boot-slot "$(number_of "$2")"
    ;;
  confirm)
    read_state
    prefers "$2" "$(other_of "$2")" || "$nvbootctrl" set-active-boot-slot "$(number_of "$2")"
    mark_if_running "$2"
    write_state "$2" ""
    ;;
  disarm)
    read_state
    prefers "$confirmed" "$(other_of "$confirmed")" || "$nvbootctrl" set-active-boot-slot "$(number_of "$confirmed")"
    mark_if_running "$confirmed"
    write_state "$confirmed" ""
    ;;
  entry)
    # Each slot's own partitions hold what it boots; its extlinux.conf points to /boot/honeycomb.
    ;;
  *)
    fail "usage: check | get-state | arm SLOT TRIES | confirm SLOT | disarm | entry SLOT FILE"
    ;;
esac
