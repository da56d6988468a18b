# shellcheck shell=sh
# A switch with RESTCONF (RFC 8040) and the interfaces of RFC 8343, spoken to with curl and jq.

switch_open() {
  hc_require_command curl jq
  switch__address=$(hc_setting address) || hc_fail "settings.conf does not say where the switch is"
  switch__certificate=$(hc_setting certificate "")
}

# switch_count: how many ports ports.json names.
switch_count() {
  jq -e '."ietf-interfaces:interface" | length' ports.json
}

# switch_wanted NUMBER: prints what ports.json says about its port NUMBER, from 0.
switch_wanted() {
  jq -c --argjson n "$1" '."ietf-interfaces:interface"[$n]' ports.json
}

# switch_get PORT: prints the configuration of the port as the switch has it, in one line. PORT is an object with a name.
switch_get() {
  switch__ask GET "$1" | jq -c -e '."ietf-interfaces:interface"[0]'
}

# switch_change PORT: sets what the object PORT says, and leaves all else of that port as it is.
switch_change() {
  switch__ask PATCH "$1" --data-binary "{\"ietf-interfaces:interface\": [$1]}" >/dev/null
}

# switch_replace PORT: the whole configuration of that port becomes the object PORT.
switch_replace() {
  switch__ask PUT "$1" --data-binary "{\"ietf-interfaces:interface\": [$1]}" >/dev/null
}

# switch_agrees NOW WANTED: whether NOW says all that WANTED does.
switch_agrees() {
  jq -e -n --argjson now "$1" --argjson wanted "$2" '($now * $wanted) == $now' >/dev/null
}

switch_name() {
  jq -r -n --argjson port "$1" '$port.name'
}

# switch__ask METHOD PORT [ARGUMENT...]: prints the answer. The login goes to curl through its standard input.
switch__ask() {
  switch__method=$1
  switch__name=$(jq -r -n --argjson port "$2" '$port.name | @uri') || return
  shift 2
  switch__url="$switch__address/restconf/data/ietf-interfaces:interfaces/interface=$switch__name"
  [ "$switch__method" != GET ] || switch__url="$switch__url?content=config"
  switch__login | curl --config - --silent --show-error --fail-with-body --noproxy '*' --max-time 20 \
    ${switch__certificate:+--cacert "$switch__certificate"} --request "$switch__method" \
    --header 'Accept: application/yang-data+json' --header 'Content-Type: application/yang-data+json' "$@" "$switch__url"
}

switch__login() {
  [ -n "${HC_CREDENTIALS_DIR:-}" ] || return 0
  printf 'user = "%s:%s"\n' "$(switch__escaped <"$HC_CREDENTIALS_DIR/user")" \
    "$(switch__escaped <"$HC_CREDENTIALS_DIR/password")"
}

switch__escaped() {
  sed 's/[\\"]/\\&/g'
}
