#!/bin/sh
# 0: a port has to be changed. 1: all are as they should be. 2: the switch cannot be asked.
set -u
# shellcheck source=/dev/null
. /usr/lib/honeycomb/honeycomb.sh || exit 2
# shellcheck source-path=SCRIPTDIR
. ./switch.sh || exit 2

switch_open
ports=$(switch_count) || hc_fail "ports.json is no list of interfaces"
n=0
while [ "$n" -lt "$ports" ]; do
  wanted=$(switch_wanted "$n") || hc_fail "ports.json cannot be read"
  now=$(switch_get "$wanted") || hc_fail "the switch does not tell the port $(switch_name "$wanted")"
  switch_agrees "$now" "$wanted" || exit 0
  n=$((n + 1))
done
exit 1
