#!/bin/sh
# Reads back from the switch. 0: all ports are as this version wants them.
set -eu
# shellcheck source=/dev/null
. /usr/lib/honeycomb/honeycomb.sh
# shellcheck source-path=SCRIPTDIR
. ./switch.sh

switch_open
ports=$(switch_count) || hc_fail "ports.json is no list of interfaces"
n=0
while [ "$n" -lt "$ports" ]; do
  wanted=$(switch_wanted "$n")
  name=$(switch_name "$wanted")
  now=$(switch_get "$wanted") || hc_fail "the switch does not tell the port $name"
  hc_log info "$name: $now"
  switch_agrees "$now" "$wanted" || hc_fail "$name is $now instead of $wanted"
  n=$((n + 1))
done
hc_metric ports "$ports"
