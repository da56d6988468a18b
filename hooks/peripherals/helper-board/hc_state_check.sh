#!/bin/sh
# 0: the upgrade is needed. 1: the device is as it should be, nothing to do. Anything else: failed.
# No `set -e` here: a command that happens to fail with 1 would mean "nothing to do".
set -u
# shellcheck source=/dev/null
. /usr/lib/honeycomb/honeycomb.sh || exit 2
# shellcheck source-path=SCRIPTDIR
. ./device.sh || exit 2

for name in $(hc_setting_names); do
  wanted=$(hc_setting "$name") || hc_fail "settings.conf cannot be read"
  now=$(device_get "$name") || hc_fail "the device does not say its $name"
  if [ "$now" != "$wanted" ]; then
    hc_log info "$name is $now, wanted is $wanted"
    exit 0
  fi
done
exit 1
