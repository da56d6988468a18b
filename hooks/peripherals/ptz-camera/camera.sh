# shellcheck shell=sh
# An ONVIF camera, spoken to with curl and xmlstarlet: the device, media and PTZ services over SOAP 1.2, signed in with a
# WS-Security username token (the digest of the password, never the password itself).

camera_open() {
  hc_require_command curl xmlstarlet openssl base64 awk
  camera__address=$(hc_setting address) || hc_fail "settings.conf does not say where the camera is"
  camera__offset=0
  camera__ask /onvif/device_service open '<tds:GetSystemDateAndTime/>' ||
    hc_fail "the camera at $camera__address does not answer"
  # A login with a wrong time is refused, and cameras lose their clocks: theirs is the one that counts.
  camera__clock=$(camera__find 'concat(//tt:UTCDateTime/tt:Date/tt:Year, "-", //tt:UTCDateTime/tt:Date/tt:Month, "-",
    //tt:UTCDateTime/tt:Date/tt:Day, " ", //tt:UTCDateTime/tt:Time/tt:Hour, ":", //tt:UTCDateTime/tt:Time/tt:Minute, ":",
    //tt:UTCDateTime/tt:Time/tt:Second)')
  camera__clock=$(date -u -d "$camera__clock" +%s) || hc_fail "the camera tells no time"
  camera__offset=$((camera__clock - $(date +%s)))

  camera__ask /onvif/device_service signed '<tds:GetCapabilities><tds:Category>All</tds:Category></tds:GetCapabilities>' ||
    hc_fail "the camera does not let us in"
  # Only the path: behind an address translation a camera knows itself by another address.
  camera__media=$(camera__find '//tt:Media/tt:XAddr' | sed 's|^[a-z]*://[^/]*||')
  camera__ptz=$(camera__find '//tt:PTZ/tt:XAddr' | sed 's|^[a-z]*://[^/]*||')
  if [ -z "$camera__media" ] || [ -z "$camera__ptz" ]; then hc_fail "the camera has no media or no PTZ service"; fi

  camera__ask "$camera__media" signed '<trt:GetProfiles/>' || hc_fail "the camera does not tell its profiles"
  camera__profile=$(camera__find '//trt:Profiles[tt:PTZConfiguration and tt:VideoEncoderConfiguration][1]/@token')
  camera__encoder=$(camera__find \
    '//trt:Profiles[tt:PTZConfiguration and tt:VideoEncoderConfiguration][1]/tt:VideoEncoderConfiguration/@token')
  [ -n "$camera__profile" ] || hc_fail "the camera has no profile that can be moved"
}

# camera_read: sets pan, tilt, zoom, resolution and moving to what is so now.
camera_read() {
  camera__ask "$camera__ptz" signed \
    "<tptz:GetStatus><tptz:ProfileToken>$camera__profile</tptz:ProfileToken></tptz:GetStatus>" || return
  pan=$(camera__find '//tt:Position/tt:PanTilt/@x')
  tilt=$(camera__find '//tt:Position/tt:PanTilt/@y')
  zoom=$(camera__find '//tt:Position/tt:Zoom/@x')
  moving=$(camera__find '//tt:MoveStatus[tt:PanTilt = "MOVING" or tt:Zoom = "MOVING"]')
  camera__read_encoder || return
  resolution=$(camera__find '//trt:Configuration/tt:Resolution/tt:Width')x$(camera__find \
    '//trt:Configuration/tt:Resolution/tt:Height')
  [ -n "$pan" ] && [ -n "$tilt" ] && [ -n "$zoom" ] && [ "$resolution" != x ]
}

# camera_move PAN TILT ZOOM: returns when the camera has come to rest there.
camera_move() {
  camera__ask "$camera__ptz" signed "<tptz:AbsoluteMove><tptz:ProfileToken>$camera__profile</tptz:ProfileToken>
    <tptz:Position><tt:PanTilt x=\"$1\" y=\"$2\"/><tt:Zoom x=\"$3\"/></tptz:Position></tptz:AbsoluteMove>" || return
  camera__until=$(($(date +%s) + $(hc_setting move_seconds 60)))
  while :; do
    camera_read || return
    [ -n "$moving" ] || ! camera_is_at "$1" "$2" "$3" || return 0
    if [ "$(date +%s)" -ge "$camera__until" ]; then
      hc_log error "the camera does not get to $1 $2 $3: it is at $pan $tilt $zoom"
      return 1
    fi
    sleep 0.2
  done
}

# camera_is_at PAN TILT ZOOM: compares with what camera_read found.
camera_is_at() {
  awk -v t="$(hc_setting tolerance 0.01)" -v p="$pan" -v q="$tilt" -v r="$zoom" -v a="$1" -v b="$2" -v c="$3" '
    function far(x, y) { return x - y > t + 1e-6 || y - x > t + 1e-6 }
    BEGIN { exit far(p, a) || far(q, b) || far(r, c) }'
}

# camera_set_resolution WIDTHxHEIGHT: all else of the encoder stays as it is.
camera_set_resolution() {
  camera__read_encoder || return
  camera__configuration=$(printf '%s' "$camera__answer" |
    camera__xml ed -u '//trt:Configuration/tt:Resolution/tt:Width' -v "${1%x*}" \
      -u '//trt:Configuration/tt:Resolution/tt:Height' -v "${1#*x}" |
    camera__xml sel -t -c '//trt:Configuration') || return
  camera__ask "$camera__media" signed "<trt:SetVideoEncoderConfiguration>$camera__configuration
    <trt:ForcePersistence>true</trt:ForcePersistence></trt:SetVideoEncoderConfiguration>"
}

camera__read_encoder() {
  camera__ask "$camera__media" signed "<trt:GetVideoEncoderConfiguration>
    <trt:ConfigurationToken>$camera__encoder</trt:ConfigurationToken></trt:GetVideoEncoderConfiguration>"
}

# camera__xml COMMAND ARGUMENT...: xmlstarlet, with ONVIF's names.
camera__xml() {
  camera__command=$1
  shift
  xmlstarlet "$camera__command" -N s=http://www.w3.org/2003/05/soap-envelope -N tt=http://www.onvif.org/ver10/schema \
    -N tds=http://www.onvif.org/ver10/device/wsdl -N trt=http://www.onvif.org/ver10/media/wsdl \
    -N tptz=http://www.onvif.org/ver20/ptz/wsdl "$@"
}

# camera__find XPATH: prints what it finds in the last answer, empty for nothing.
camera__find() {
  printf '%s' "$camera__answer" | camera__xml sel -t -v "string($1)"
}

# camera__ask PATH open|signed BODY: leaves the answer in camera__answer. Fails where there is none, and says why.
camera__ask() {
  camera__header=
  [ "$2" = open ] || [ -z "${HC_CREDENTIALS_DIR:-}" ] || camera__header=$(camera__security) || return
  camera__status=0
  camera__answer=$(printf '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:tds="http://www.onvif.org/ver10/device/wsdl"
 xmlns:trt="http://www.onvif.org/ver10/media/wsdl" xmlns:tptz="http://www.onvif.org/ver20/ptz/wsdl">
 <s:Header>%s</s:Header><s:Body>%s</s:Body></s:Envelope>' "$camera__header" "$3" |
    curl --silent --show-error --fail-with-body --noproxy '*' --max-time 20 \
      --header 'Content-Type: application/soap+xml; charset=utf-8' --data-binary @- "$camera__address$1") ||
    camera__status=$?
  [ "$camera__status" -ne 0 ] || return 0
  camera__reason=$(camera__find '//s:Fault/s:Reason/s:Text' 2>/dev/null) || camera__reason=
  hc_log error "the camera refused or did not answer${camera__reason:+: $camera__reason}"
  return 1
}

# The header that signs us in. Secrets are written by the shell itself and never stand on a command line.
camera__security() {
  camera__user=$(cat "$HC_CREDENTIALS_DIR/user") && camera__password=$(cat "$HC_CREDENTIALS_DIR/password") || return
  camera__nonce=$(head -c 16 /dev/urandom | base64) || return
  camera__created=$(date -u -d "@$(($(date +%s) + camera__offset))" +%Y-%m-%dT%H:%M:%SZ) || return
  camera__digest=$({
    printf '%s' "$camera__nonce" | base64 -d
    printf '%s%s' "$camera__created" "$camera__password"
  } | openssl dgst -sha1 -binary | base64) || return
  camera__wss=http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss
  printf '<w:Security xmlns:w="%s-wssecurity-secext-1.0.xsd" xmlns:u="%s-wssecurity-utility-1.0.xsd"><w:UsernameToken>
 <w:Username>%s</w:Username>
 <w:Password Type="%s-username-token-profile-1.0#PasswordDigest">%s</w:Password>
 <w:Nonce EncodingType="%s-soap-message-security-1.0#Base64Binary">%s</w:Nonce><u:Created>%s</u:Created>
 </w:UsernameToken></w:Security>' "$camera__wss" "$camera__wss" "$(printf '%s' "$camera__user" | camera__escaped)" \
    "$camera__wss" "$camera__digest" "$camera__wss" "$camera__nonce" "$camera__created"
}

camera__escaped() {
  sed 's/&/\&amp;/g; s/</\&lt;/g'
}
