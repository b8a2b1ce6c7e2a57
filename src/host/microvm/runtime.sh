# What containerd's shim calls in place of runc for a Pod in a micro-VM; the script that Tandem writes (handler.ts) sets
# TANDEM_MICROVM_RUN, TANDEM_MICROVM_HOME, node and here, and comes on to this. A shell: it is on the way of every start.
# - A Pod's sandbox container is its QEMU; a container is a client whose streams go to a process in the guest. Both are
#   run by runc: pipes, terminals, exit codes, control groups and the state on disk are runc's.
# - `create` and `exec` rewrite what is to run (runtime.ts); `start` waits for the guest's own start; `kill` goes to the
#   process in the guest; `delete` takes away what `create` has made.
# - The guest may be hostile: of what it says (places.ts) no link is followed, and only so much is read.
set -u
root= bundle= command= id= signal= all= expect=
for word in "$@"; do
  case $expect in
    root) root=$word expect= ; continue ;;
    skip) expect= ; continue ;;
  esac
  case $word in
    --root) expect=root ;;
    --bundle | --log | --log-format | --pid-file | --console-socket | --process | --format | --resources | --interval) expect=skip ;;
    --all) all=--all ;;
    -*) ;;
    *) if [ -z "$command" ]; then command=$word; elif [ -z "$id" ]; then id=$word; else signal=$word; fi ;;
  esac
done
run=$TANDEM_MICROVM_RUN
case $id in *[!0-9a-f]* | '') exec runc "$@" ;; esac
folder=$run/containers/$id
said=$folder/shared/boot/$id

in_guest() { timeout 20 runc --root "$root" exec "$id" /bin/reach -T "$@" 2> /dev/null; }

unmount_below() {
  awk -v at="$1" '$5 == at || index($5, at "/") == 1 { print $5 }' /proc/self/mountinfo | sort -r |
    while read -r point; do umount -l "$point"; done
  awk -v at="$1" '$5 == at || index($5, at "/") == 1 { found = 1 } END { exit found }' /proc/self/mountinfo
}

ended() { ! runc --root "$root" state "$id" 2> /dev/null | grep -q '"status": "running"'; }

case $command in
  create | exec)
    "$node" "$here/runtime.ts" "$@"
    code=$?
    if [ $code != 0 ]; then exit $code; fi
    ;;
  start)
    runc "$@" || exit $?
    [ -e "$folder" ] || exit 0
    turn=0
    until [ -e "$said.started" ]; do
      if [ -e "$said.exit" ]; then
        dd if="$said.log" iflag=nofollow,nonblock bs=4096 count=1 status=none 2> /dev/null | tail -n 1 >&2
        exit 1
      fi
      turn=$((turn + 1))
      if [ $((turn % 50)) = 0 ] && ended; then exit 0; fi
      # Its machine is given up, and made anew with the Pod's sandbox.
      if [ $turn -gt 60000 ] && [ ! -e "$folder/shared/boot/ready" ]; then
        runc --root "$root" kill "$(basename "$(readlink -f "$folder")")" KILL
        echo 'the guest of this micro-VM was not ready after 10 minutes: its machine is made anew' >&2
        exit 1
      fi
      sleep 0.01
    done
    exit 0
    ;;
  kill)
    if [ -e "$said.started" ] && [ ! -e "$said.exit" ]; then in_guest signal "$id" "${signal:-TERM}" $all && exit 0; fi
    ;;
  update)
    if [ -e "$folder" ]; then
      echo 'the size of a micro-VM is that of its start: make the Pod anew' >&2
      exit 1
    fi
    ;;
  delete)
    runc "$@"
    code=$?
    if [ -L "$folder" ]; then
      pod=$(readlink -f "$folder")
      # Somebody's data is mounted there: gone, or nothing is removed.
      unmount_below "$pod/shared/c/$id" && rm -rf "$pod/tree/c/$id"
      rm -f "$said.started" "$said.exit" "$said.lost" "$said.log"
      rm -f "$folder"
    elif [ -d "$run/pods/$id" ]; then
      pod=$run/pods/$id
      pid=$(cat "$pod/files.pid" 2> /dev/null) &&
        grep -qF "$id/" "/proc/$pid/cmdline" 2> /dev/null && kill -9 "$pid"
      user=$(sed -n 's/.*"user":\([0-9]*\).*/\1/p' "$pod/state.json")
      unmount_below "$(readlink -f "$pod")" && rm -rf "$pod"
      [ -z "$user" ] || rmdir "$run/users/$user"
    fi
    exit $code
    ;;
esac
exec runc "$@"
