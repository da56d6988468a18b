# shellcheck shell=sh
# The boot loader in the ROM of an STM32, spoken to with stm32flash. It is there whatever the flash holds, so that a
# half-written image is never the end.

flash_open() {
  hc_require_command stm32flash cmp
  flash__port=$(hc_setting port) || hc_fail "settings.conf names no serial port"
  flash__baud=$(hc_setting baud 57600)
  flash__mode=$(hc_setting mode 8e1)
  flash__address=$(hc_setting address 0x08000000)
  flash__reset=$(hc_setting reset "")
  flash_image=$(hc_setting image) || hc_fail "settings.conf names no image"
  flash_size=$(wc -c <"$flash_image") || hc_fail "the image $flash_image cannot be read"
  [ -c "$flash__port" ] || hc_fail "there is no serial port $flash__port"
  # A fixed place: what a killed hook left goes with the next one.
  flash_work=$HC_STATE_DIR/.work
  { rm -rf "$flash_work" && mkdir "$flash_work"; } || hc_fail "there is no place for a temporary file"
}

# flash_read FILE: as many bytes as the image has, from where it belongs.
flash_read() {
  rm -f "$1"
  flash__run -r "$1" -S "$flash__address:$flash_size"
}

# flash_write FILE: writes it and reads it back.
flash_write() {
  flash__run -w "$1" -v -S "$flash__address"
}

flash__run() {
  stm32flash -b "$flash__baud" -m "$flash__mode" ${flash__reset:+-i "$flash__reset"} "$@" "$flash__port" >"$flash_work/log" 2>&1 && return 0
  # One line a page, overwritten again and again: only the last words are worth keeping.
  tr '\r' '\n' <"$flash_work/log" | tail -n 5 >&2
  return 1
}
