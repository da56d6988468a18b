#!/bin/sh
# Reads back from the camera. 0: it is as this version wants it.
set -eu
# shellcheck source=/dev/null
. /usr/lib/honeycomb/honeycomb.sh
# shellcheck source-path=SCRIPTDIR
. ./camera.sh

camera_open
camera_read || hc_fail "the camera does not tell its position"
hc_metric pan "$pan"
hc_metric tilt "$tilt"
hc_metric zoom "$zoom"
hc_report "resolution=$resolution"
[ "$resolution" = "$(hc_setting resolution)" ] ||
  hc_fail "the resolution is $resolution instead of $(hc_setting resolution)"
camera_is_at "$(hc_setting pan)" "$(hc_setting tilt)" "$(hc_setting zoom)" ||
  hc_fail "the camera is at $pan $tilt $zoom instead of $(hc_setting pan) $(hc_setting tilt) $(hc_setting zoom)"
