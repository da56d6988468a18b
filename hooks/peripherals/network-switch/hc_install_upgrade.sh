#!/bin/sh
# Sets the ports. What each was is written down before the first changes, for hc_rollback_upgrade.sh.
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
  old=$(switch_get "$wanted") || hc_fail "the switch does not tell the port $(switch_name "$wanted")"
  hc_before_keep "port$n" "$old"
  n=$((n + 1))
done

n=0
while [ "$n" -lt "$ports" ]; do
  wanted=$(switch_wanted "$n")
  hc_progress $((100 * n / ports)) "$(switch_name "$wanted")"
  switch_change "$wanted" || hc_fail "the switch does not take the port $(switch_name "$wanted")"
  n=$((n + 1))
done
