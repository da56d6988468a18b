#!/bin/sh
# 0: the device is as it was before this transaction. Anything else: it is not, and the node says so.
set -eu
# shellcheck source=/dev/null
. /usr/lib/honeycomb/honeycomb.sh
# shellcheck source-path=SCRIPTDIR
. ./device.sh

for name in $(hc_setting_names); do
  old=$(hc_before_get "$name") || continue # the install hook did not come so far
  device_set "$name" "$old" || hc_fail "the device did not take its old $name"
  now=$(device_get "$name") || hc_fail "the device does not say its $name"
  [ "$now" = "$old" ] || hc_fail "$name is $now instead of the old $old"
done
