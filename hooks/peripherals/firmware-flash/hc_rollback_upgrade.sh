#!/bin/sh
# Writes back what the install hook of this transaction had found. 0: read back, it is so.
set -eu
# shellcheck source=/dev/null
. /usr/lib/honeycomb/honeycomb.sh
# shellcheck source-path=SCRIPTDIR
. ./flash.sh

if ! old=$(hc_before_get firmware); then
  hc_log info "nothing was written"
  exit 0
fi
flash_open
kept=$HC_STATE_DIR/old-firmware.bin
[ "$(sha256sum <"$kept")" = "$old" ] || hc_fail "the old firmware that was kept is damaged"
hc_progress 20 "writing the old firmware"
flash_write "$kept" || hc_fail "the old firmware could not be written"
flash_read "$flash_work/now" || hc_fail "the boot loader does not answer"
cmp "$kept" "$flash_work/now" >&2 || hc_fail "the flash does not hold the old firmware"
hc_progress 100 "the old firmware is back"
