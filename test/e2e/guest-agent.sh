#!/bin/sh
# A guest agent of a few lines: it knows who it is asked to be, and writes down who may enter. Enough of qemu-ga's protocol
# for a test.
for port in /sys/class/virtio-ports/*; do
  [ "$(cat "$port/name")" = org.qemu.guest_agent.0 ] && device=/dev/${port##*/}
done
exec 3<> "$device"
code=0
answer() { printf '{"return": %s}\n' "$1" >&3; }
run() {
  script=$(printf '%s' "$1" | sed 's/.*"arg":\["-c","\(.*\)"\],"env":.*/\1/; s/\\"/"/g')
  printf '%s' "$1" | sed 's/.*"env":\["\(.*\)"\],"capture.*/\1/; s/","/\n/g' > /tmp/env
  ( while read -r one; do export "$one"; done < /tmp/env; sh -c "$(printf '%b' "$script")" ) > /tmp/out 2>&1
  code=$?
}
while :; do
  while read -r line <&3; do
    case "$line" in
      *'"guest-sync"'*) answer "$(printf '%s' "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')" ;;
      *'"guest-exec-status"'*) answer "{\"exited\": true, \"exitcode\": $code}" ;;
      *'"guest-exec"'*) run "$line"; answer '{"pid": 1}' ;;
      *'"guest-ssh-add-authorized-keys"'* | *'"guest-set-user-password"'*)
        printf '%s\n' "$line" >> /tmp/told
        answer '{}'
        ;;
      *'"guest-info"'*) answer '{"version": "test"}' ;;
      *'"guest-get-host-name"'*) answer "{\"host-name\": \"$(hostname)\"}" ;;
      *) printf '{"error": {"class": "CommandNotFound", "desc": "The command has not been found"}}\n' >&3 ;;
    esac
  done
  sleep 0.1
done
