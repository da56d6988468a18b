# shellcheck shell=sh
# A sensor behind another computer of the node, which is reached by ssh: see ssh_config.

# device_get NAME: prints the value that the sensor has now.
device_get() {
  device__run sensorctl get "$1"
}

# device_set NAME VALUE
device_set() {
  device__run sensorctl set "$1" "$2"
}

# The other side's shell reads the words again, so they may only be plain ones.
device__run() {
  hc_require_command ssh
  case "$*" in
    *[!A-Za-z0-9_.,:/+=\ -]*)
      hc_log error "settings.conf holds what is no plain word: $*"
      return 1
      ;;
  esac
  ssh -F ./ssh_config ${HC_CREDENTIALS_DIR:+-i "$HC_CREDENTIALS_DIR/id_ed25519"} helper "$@" </dev/null
}
