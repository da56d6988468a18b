#!/bin/sh
# Sets back what the install hook of this transaction had found. 0: read back, it is so.
set -eu
# shellcheck source=/dev/null
. /usr/lib/honeycomb/honeycomb.sh
# shellcheck source-path=SCRIPTDIR
. ./camera.sh

old_position=$(hc_before_get position) || old_position=
old_resolution=$(hc_before_get resolution) || old_resolution=
if [ -z "$old_position$old_resolution" ]; then
  hc_log info "nothing was changed"
  exit 0
fi
camera_open
camera_read || hc_fail "the camera does not tell its position"
if [ -n "$old_resolution" ] && [ "$resolution" != "$old_resolution" ]; then
  hc_progress 20 "resolution $old_resolution"
  camera_set_resolution "$old_resolution" || hc_fail "the camera does not take its old resolution $old_resolution"
fi
if [ -n "$old_position" ]; then
  hc_progress 40 "moving back"
  # shellcheck disable=SC2086 # three numbers
  camera_move $old_position || hc_fail "the camera did not move back to $old_position"
fi
camera_read || hc_fail "the camera does not tell its position"
[ -z "$old_resolution" ] || [ "$resolution" = "$old_resolution" ] ||
  hc_fail "the resolution is $resolution instead of the old $old_resolution"
hc_progress 100 "as before: $pan $tilt $zoom, $resolution"
