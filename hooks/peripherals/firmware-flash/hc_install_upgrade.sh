#!/bin/sh
# Writes the image. What the flash held there is kept first, for hc_rollback_upgrade.sh.
set -eu
# shellcheck source=/dev/null
. /usr/lib/honeycomb/honeycomb.sh
# shellcheck source-path=SCRIPTDIR
. ./flash.sh

flash_open
kept=$HC_STATE_DIR/old-firmware.bin
if ! hc_before_get firmware >/dev/null 2>&1; then
  hc_progress 0 "reading the old firmware"
  flash_read "$flash_work/old" || hc_fail "the boot loader does not answer"
  cp "$flash_work/old" "$kept.part"
  sync "$kept.part"
  mv "$kept.part" "$kept"
  # Only now is it whole and on the disk: from here on there is something to go back to.
  hc_before_keep firmware "$(sha256sum <"$kept")"
fi
hc_progress 30 "writing $flash_size bytes"
flash_write "$flash_image" || hc_fail "the image could not be written"
hc_progress 100 "written"
