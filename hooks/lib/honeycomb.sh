# shellcheck shell=sh
# What most hooks need, for any POSIX shell:
#
#   . /usr/lib/honeycomb/honeycomb.sh
#   hc_require_command curl
#   hc_progress 10 "asking the camera"
#   hc_retry 5 2 curl --fail --silent http://camera/version || hc_fail "the camera does not answer"
#
# Works by hand too, with no engine around: what would be told to the engine is then only printed.

# hc_log debug|info|warn|error TEXT: prints TEXT to standard error and tells it to the engine.
hc_log() {
  printf '%s: %s\n' "$1" "$2" >&2
  hc__tell log "$1" "$2"
}

# hc_progress PERCENT [TEXT]: how far the hook is, 0 to 100.
hc_progress() {
  printf '%s%%%s\n' "$1" "${2:+ $2}" >&2
  hc__tell progress "$@"
}

# hc_metric NAME NUMBER: something measured.
hc_metric() {
  printf '%s = %s\n' "$1" "$2" >&2
  hc__tell metric "$1" "$2"
}

# hc_report NAME=VALUE...: something that is so.
hc_report() {
  printf '%s\n' "$@" >&2
  hc__tell state "$@"
}

# hc_fail TEXT [STATUS]: says why and ends the hook. The default is 2, as 1 has a meaning of its own in a state check
# ("nothing to do").
hc_fail() {
  hc_log error "$1"
  exit "${2:-2}"
}

# hc_require_command NAME...: ends the hook where one of the programs is not installed.
hc_require_command() {
  for hc__name in "$@"; do
    command -v "$hc__name" >/dev/null 2>&1 || hc_fail "the program $hc__name is needed and not installed"
  done
}

# hc_retry TRIES SECONDS COMMAND...: runs the command until it succeeds, TRIES times at most, and waits in between:
# SECONDS at first, then each time twice as long, up to a minute. Its status is the command's last one.
hc_retry() {
  hc__tries=$1
  hc__pause=$2
  shift 2
  while :; do
    "$@" && return 0
    hc__status=$?
    hc__tries=$((hc__tries - 1))
    [ "$hc__tries" -gt 0 ] || return "$hc__status"
    hc_log warn "$1 failed (exit status $hc__status), next attempt in $hc__pause s"
    sleep "$hc__pause"
    hc__pause=$((hc__pause * 2))
    [ "$hc__pause" -le 60 ] || hc__pause=60
  done
}

# hc_state_set NAME VALUE: keeps VALUE for later runs, in HC_STATE_DIR. After a power cut the old or the new one is
# there, and never half of it. Fails where it cannot be kept.
hc_state_set() (
  hc__state_name "$1" || return
  part=$(mktemp "$HC_STATE_DIR/.$1.XXXXXX") || return
  if printf '%s\n' "$2" >"$part" && sync "$part" && mv -f "$part" "$HC_STATE_DIR/$1"; then
    sync "$HC_STATE_DIR"
  else
    rm -f "$part"
    return 1
  fi
)

# hc_state_get NAME [DEFAULT]: prints what was kept; where there is nothing, DEFAULT, or fails without one.
hc_state_get() {
  hc__state_name "$1" || return
  if [ -f "$HC_STATE_DIR/$1" ]; then
    cat "$HC_STATE_DIR/$1"
  elif [ $# -gt 1 ]; then
    printf '%s\n' "$2"
  else
    return 1
  fi
}

# hc_before_keep NAME VALUE: writes down what NAME was before this transaction. The first VALUE counts: when the hook runs
# again, after a failure or a power cut, what it finds may be half of the new.
hc_before_keep() {
  hc_before_get "$1" >/dev/null 2>&1 && return 0
  # The colon keeps an empty value from being lost with the line ends before it.
  hc_state_set "before.$1" "${HC_TRANSACTION:-by hand}
:$2"
}

# hc_before_get NAME: prints what was written down in this transaction; fails where nothing was.
hc_before_get() {
  hc__kept=$(hc_state_get "before.$1") || return
  [ "${hc__kept%%"$hc__newline"*}" = "${HC_TRANSACTION:-by hand}" ] || return
  printf '%s\n' "${hc__kept#*"$hc__newline":}"
}

# hc_setting NAME [DEFAULT]: prints the value of NAME in ./settings.conf (lines NAME=VALUE, and # before a comment); where
# it has none, DEFAULT, or fails without one.
hc_setting() {
  hc__value=$(sed -n "s/^$1=//p" ./settings.conf | tail -n 1) || return
  if grep -q "^$1=" ./settings.conf; then
    printf '%s\n' "$hc__value"
  elif [ $# -gt 1 ]; then
    printf '%s\n' "$2"
  else
    hc_log error "settings.conf has no $1"
    return 1
  fi
}

# hc_setting_names: the names in ./settings.conf, one on a line, in their order.
hc_setting_names() {
  sed -n 's/^\([A-Za-z0-9_.-]*\)=.*/\1/p' ./settings.conf
}

hc__newline='
'

hc__state_name() {
  if [ ! -d "${HC_STATE_DIR:-}" ]; then
    hc_log error "HC_STATE_DIR names no directory"
    return 1
  fi
  case $1 in
    '' | .* | *[!A-Za-z0-9_.-]*)
      hc_log error "\"$1\" is no name for a state: letters, digits, _ . and -, not beginning with a dot"
      return 1
      ;;
  esac
}

hc__tell() {
  if [ -n "${HC_INSIGHT:-}" ] && command -v hc-insight >/dev/null 2>&1; then hc-insight "$@" || :; fi
}
