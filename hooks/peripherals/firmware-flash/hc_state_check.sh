#!/bin/sh
# 0: the image has to be written. 1: it is there, byte for byte. 2: the microcontroller does not answer.
set -u
# shellcheck source=/dev/null
. /usr/lib/honeycomb/honeycomb.sh || exit 2
# shellcheck source-path=SCRIPTDIR
. ./flash.sh || exit 2

flash_open
flash_read "$flash_work/now" || hc_fail "the boot loader does not answer"
if cmp -s "$flash_image" "$flash_work/now"; then exit 1; fi
exit 0
