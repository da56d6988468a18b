#!/bin/sh
# 0: the camera has to be changed. 1: it is as it should be. 2: it cannot be asked.
set -u
# shellcheck source=/dev/null
. /usr/lib/honeycomb/honeycomb.sh || exit 2
# shellcheck source-path=SCRIPTDIR
. ./camera.sh || exit 2

camera_open
camera_read || hc_fail "the camera does not tell its position"
hc_log info "the camera is at $pan $tilt $zoom with $resolution"
[ "$resolution" = "$(hc_setting resolution)" ] || exit 0
camera_is_at "$(hc_setting pan)" "$(hc_setting tilt)" "$(hc_setting zoom)" || exit 0
exit 1
