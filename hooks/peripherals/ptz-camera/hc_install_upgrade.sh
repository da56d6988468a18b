#!/bin/sh
# Sets resolution and position. What was there is written down first, for hc_rollback_upgrade.sh.
set -eu
# shellcheck source=/dev/null
. /usr/lib/honeycomb/honeycomb.sh
# shellcheck source-path=SCRIPTDIR
. ./camera.sh

hc_progress 0 "asking the camera"
camera_open
camera_read || hc_fail "the camera does not tell its position"
hc_before_keep position "$pan $tilt $zoom"
hc_before_keep resolution "$resolution"

wanted=$(hc_setting resolution)
hc_progress 20 "resolution $wanted"
[ "$resolution" = "$wanted" ] || camera_set_resolution "$wanted" || hc_fail "the camera does not take $wanted"

hc_progress 40 "moving"
camera_move "$(hc_setting pan)" "$(hc_setting tilt)" "$(hc_setting zoom)" || hc_fail "the camera did not move as told"
hc_progress 100 "in position"
