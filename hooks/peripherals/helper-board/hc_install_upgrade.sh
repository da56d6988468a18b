#!/bin/sh
# 0: done. Anything else: failed, and hc_rollback_upgrade.sh takes back what was done. May be run again after a failure or
# a power cut, so every step can be repeated.
set -eu
# shellcheck source=/dev/null
. /usr/lib/honeycomb/honeycomb.sh
# shellcheck source-path=SCRIPTDIR
. ./device.sh

# What was there is written down before the first thing changes.
for name in $(hc_setting_names); do
  old=$(device_get "$name") || hc_fail "the device does not say its $name"
  hc_before_keep "$name" "$old" || hc_fail "the old $name cannot be written down"
done

total=$(hc_setting_names | wc -l)
done=0
for name in $(hc_setting_names); do
  hc_progress $((100 * done / total)) "setting $name"
  device_set "$name" "$(hc_setting "$name")" || hc_fail "the device did not take its new $name"
  done=$((done + 1))
done
