# shellcheck shell=sh
# The only file that knows the device: how to read one setting and how to write one. As it stands it pretends: the
# "device" is a few files in HC_STATE_DIR. Put the real thing here (curl, a serial port, ssh, ...) and the hooks are done.
# Both functions must fail (return 1) where the device does not answer or does not obey.

# device_get NAME: prints the value that the device has now.
device_get() {
  hc_state_get "device.$1" unset
}

# device_set NAME VALUE
device_set() {
  hc_state_set "device.$1" "$2"
}
