#!/bin/sh
# Reads the flash back. 0: it holds the image, byte for byte.
set -eu
# shellcheck source=/dev/null
. /usr/lib/honeycomb/honeycomb.sh
# shellcheck source-path=SCRIPTDIR
. ./flash.sh

flash_open
flash_read "$flash_work/now" || hc_fail "the boot loader does not answer"
hc_report "firmware_sha256=$(sha256sum <"$flash_work/now" | cut -d ' ' -f 1)"
cmp "$flash_image" "$flash_work/now" >&2 || hc_fail "the flash holds something else than the image"
