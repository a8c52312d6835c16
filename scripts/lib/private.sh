# shellcheck shell=bash
# The private Docker Engine: a dockerd with every path of its own below STATE, so that it meets no other.

STATE=${BOTTLE_DEV_STATE:-/var/lib/agent-bottle-dev}
PRIVATE_HOST=unix://$STATE/docker.sock
# Where the kernel's limit of 107 bytes for a socket's path would be passed by containerd's sockets below exec/.
((${#STATE} <= 60)) || die 2 "BOTTLE_DEV_STATE is too long for Unix sockets: $STATE" "use a path of at most 60 characters"
[[ $STATE == /?* && $STATE != *[[:space:]]* ]] || die 2 "BOTTLE_DEV_STATE must be an absolute path without spaces: $STATE"

# The process id of our dockerd, if it runs. A pid file outlives its process, so the command line decides.
private_pid() {
    local pid
    pid=$(cat "$STATE/dockerd.pid" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] || return 1
    tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF -- "--pidfile=$STATE/dockerd.pid" || return 1
    echo "$pid"
}

free_kib() { df -Pk "$1" | awk 'NR == 2 { print $4 }'; }

# disk_file FILE KIB: makes a sparse ext4 file and mounts it as the engine's data. With its journal: without one, ext4
# is up to four times slower for minutes after anything was removed (Linux, fs/ext4/ialloc.c, recently_deleted).
disk_file() {
    truncate -s "$2K" "$1" 2>/dev/null &&
        mkfs.ext4 -q -F -m 0 "$1" >/dev/null 2>&1 &&
        loop_mount "$1" "$STATE/data" >/dev/null 2>&1 && echo "$1" >"$STATE/disk" && return 0
    rm -f "$1"
    return 1
}

# Unpacking an image makes tens of thousands of small files, about ten times faster in memory than on a
# virtual disk. Overlay filesystems cannot carry overlay2, so there a file is used for that reason.
prepare_data() {
    local room memory file
    mkdir -p "$STATE/data"
    mountpoint -q "$STATE/data" && return 0
    if [[ ${BOTTLE_DEV_DATA:-auto} == auto ]] && [[ $(stat -f -c %T /dev/shm 2>/dev/null) == tmpfs ]]; then
        room=$(free_kib /dev/shm)
        memory=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
        ((room < memory)) || room=$memory
        file=/dev/shm/agent-bottle-dev-$(cksum <<<"$STATE" | cut -d' ' -f1).ext4
        if ((room > 12 * 1024 * 1024)) && disk_file "$file" $((room * 2 / 3)); then
            note "data: a file in memory, $((room * 2 / 3 / 1024 / 1024)) GiB at most"
            return 0
        fi
    fi
    if [[ $(stat -f -c %T "$STATE/data") == overlayfs ]] && disk_file "$STATE/data.ext4" $(($(free_kib "$STATE") * 2 / 3)); then
        note "data: a file in $STATE, since it lies on an overlay filesystem"
        return 0
    fi
    note "data: $STATE/data"
}

# Debian's iptables speaks nftables; a kernel with only the old tables needs the other one. It goes into
# a PATH of the daemon's own rather than into the system's alternatives.
prepare_iptables() {
    local tool
    iptables -w -t nat -S >/dev/null 2>&1 && return 0
    iptables-legacy -w -t nat -S >/dev/null 2>&1 || return 0
    mkdir -p "$STATE/bin"
    for tool in iptables ip6tables; do
        ln -sf "$(command -v "$tool-legacy")" "$STATE/bin/$tool"
    done
}

# launch_private: starts the daemon detached from this shell: own session, no inherited lock, output to a file.
launch_private() {
    local mtu arguments tenth launched open
    chmod 711 "$STATE"
    prepare_cgroups
    prepare_iptables
    prepare_data
    mtu=$(uplink_mtu)
    arguments=(
        "--host=$PRIVATE_HOST" "--data-root=$STATE/data" "--exec-root=$STATE/exec" "--pidfile=$STATE/dockerd.pid"
    )
    ((mtu >= 1500)) || arguments+=("--mtu=$mtu")
    rm -f "$STATE/docker.sock" "$STATE/dockerd.pid"
    (
        # Whatever this shell inherited (locks, a caller's pipes) the daemon would hold for as long as it lives.
        for open in "/proc/$BASHPID/fd"/*; do
            ((${open##*/} <= 2)) || eval "exec ${open##*/}>&-"
        done
        PATH=$STATE/bin:/usr/local/sbin:/usr/sbin:/sbin:$PATH exec setsid nohup dockerd "${arguments[@]}"
    ) >"$STATE/dockerd.log" 2>&1 </dev/null &
    launched=$!
    for ((tenth = 0; tenth < 600; tenth++)); do
        server_version "$PRIVATE_HOST" >/dev/null && return 0
        kill -0 "$launched" 2>/dev/null || break
        sleep 0.1
    done
    warn "the private dockerd did not come up; the end of $STATE/dockerd.log:"
    tail -n 15 "$STATE/dockerd.log" >&2
    kill "$launched" 2>/dev/null || :
    return 1
}

unmount_private() {
    local target
    awk -v below="$STATE/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r | while read -r target; do
        umount "$target" 2>/dev/null || umount -l "$target" || :
    done
}

# halt_private: containers are killed first, since a daemon's own shutdown waits ten seconds for each.
halt_private() {
    local pid docker tenth running
    if pid=$(private_pid); then
        if docker=$(docker_for "$PRIVATE_HOST"); then
            mapfile -t running < <(DOCKER_HOST=$PRIVATE_HOST "$docker" ps -q)
            ((!${#running[@]})) || DOCKER_HOST=$PRIVATE_HOST "$docker" kill "${running[@]}" >/dev/null 2>&1 || :
        fi
        kill "$pid" 2>/dev/null || :
        for ((tenth = 0; tenth < 300; tenth++)); do
            private_pid >/dev/null || break
            sleep 0.1
        done
        ! private_pid >/dev/null || kill -9 "$pid" 2>/dev/null || :
    fi
}

# The lock files stay: removing a file that another run is about to lock lets two runs in.
erase_private() {
    unmount_private
    if awk -v below="$STATE/" 'index($2, below) == 1 { found = 1 } END { exit !found }' /proc/mounts; then
        warn "something below $STATE is still mounted; its data is left there"
        return 1
    fi
    [[ ! -s $STATE/disk ]] || rm -f "$(cat "$STATE/disk")"
    rm -rf --one-file-system "$STATE"/{data,exec,bin,disk,auto,docker.sock,dockerd.pid,dockerd.log}
}
