#!/bin/sh
# Sets back what the install hook of this transaction had found. 0: read back, it is so.
set -eu
# shellcheck source=/dev/null
. /usr/lib/honeycomb/honeycomb.sh
# shellcheck source-path=SCRIPTDIR
. ./switch.sh

switch_open
ports=$(switch_count) || hc_fail "ports.json is no list of interfaces"
n=0
while [ "$n" -lt "$ports" ]; do
  old=$(hc_before_get "port$n") || break # the install hook did not come so far
  name=$(switch_name "$old")
  switch_replace "$old" || hc_fail "the switch does not take the old $name"
  now=$(switch_get "$old") || hc_fail "the switch does not tell the port $name"
  jq -e -n --argjson now "$now" --argjson old "$old" '$now == $old' >/dev/null || hc_fail "$name is $now instead of the old $old"
  n=$((n + 1))
done
