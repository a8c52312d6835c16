# shellcheck shell=sh
# What a dockerd started by hand needs from the kernel, on a bare machine or inside a container.
# POSIX sh: the test hosts' entry script sources this too.

# Cgroups: mounts them where no init did. In a container with a cgroup v2 namespace of its own the
# processes must leave the namespace's root before controllers can be enabled below it ("no internal
# processes" rule). The real root has no cgroup.type and must be left alone: moving its processes would
# move the whole machine's.
prepare_cgroups() {
    if ! grep -q '^[^ ]* /sys/fs/cgroup' /proc/mounts; then
        if grep -qw cgroup2 /proc/filesystems && mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null; then
            :
        elif mount -t tmpfs -o mode=0755 cgroup /sys/fs/cgroup 2>/dev/null; then
            while read -r controller _ _ enabled; do
                [ "$enabled" = 1 ] || continue
                mkdir -p "/sys/fs/cgroup/$controller"
                mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" 2>/dev/null ||
                    rmdir "/sys/fs/cgroup/$controller"
            done </proc/cgroups
        fi
    fi
    if [ -f /sys/fs/cgroup/cgroup.controllers ] && [ -f /sys/fs/cgroup/cgroup.type ]; then
        [ -w /sys/fs/cgroup/cgroup.procs ] || mount -o remount,rw /sys/fs/cgroup 2>/dev/null || :
        mkdir -p /sys/fs/cgroup/init 2>/dev/null || return 0
        while read -r process; do
            echo "$process" >/sys/fs/cgroup/init/cgroup.procs 2>/dev/null || :
        done </sys/fs/cgroup/cgroup.procs
        sed -e 's/ / +/g' -e 's/^/+/' </sys/fs/cgroup/cgroup.controllers \
            >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || :
    fi
    return 0
}

# loop_mount FILE FOLDER: a container's /dev has no loop nodes even where loop devices are allowed.
# The device frees itself at unmount, so nothing is left when the mount's namespace dies.
loop_mount() {
    mount -o loop "$1" "$2" 2>/dev/null && return 0
    [ -e /dev/loop-control ] || mknod -m 660 /dev/loop-control c 10 237 2>/dev/null || return 1
    loop_number=0
    while [ "$loop_number" -lt 64 ]; do
        [ -e "/dev/loop$loop_number" ] || mknod -m 660 "/dev/loop$loop_number" b 7 "$loop_number" || return 1
        loop_number=$((loop_number + 1))
    done
    # Somebody else may take the free device that mount picked: try again.
    for _ in 1 2 3 4 5; do
        mount -o loop "$1" "$2" && return 0
        sleep 0.2
    done
    return 1
}

# A bridge with a larger MTU than the way out loses large packets silently: prints the MTU of the default route.
uplink_mtu() {
    uplink=$(awk '$2 == "00000000" { print $1; exit }' /proc/net/route 2>/dev/null)
    if [ -n "$uplink" ] && [ -r "/sys/class/net/$uplink/mtu" ]; then
        cat "/sys/class/net/$uplink/mtu"
    else
        echo 1500
    fi
}
