#!/bin/sh
# 0: the device is as it should be. Anything else: it is not. Reads back, and changes nothing.
set -eu
# shellcheck source=/dev/null
. /usr/lib/honeycomb/honeycomb.sh
# shellcheck source-path=SCRIPTDIR
. ./device.sh

for name in $(hc_setting_names); do
  wanted=$(hc_setting "$name")
  now=$(device_get "$name") || hc_fail "the device does not say its $name"
  hc_report "$name=$now"
  [ "$now" = "$wanted" ] || hc_fail "$name is $now instead of $wanted"
done
