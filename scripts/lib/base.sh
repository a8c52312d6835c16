# shellcheck shell=bash
# The base image of everything here: pulled, or where no registry answers made from Debian's packages.

BASE_IMAGE=debian:trixie-slim
BASE_SUITE=trixie
BASE_CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/agent-bottle

# ensure_base CLIENT: a docker client that can talk to DOCKER_HOST.
ensure_base() {
    local docker=$1 tarball patience=90
    if "$docker" image inspect "$BASE_IMAGE" >/dev/null 2>&1; then
        echo "$BASE_IMAGE is there"
        return 0
    fi
    mkdir -p "$BASE_CACHE"
    exec 7>"$BASE_CACHE/lock"
    flock 7
    tarball=$BASE_CACHE/$BASE_SUITE-$(uname -m).tar.gz
    # A copy made earlier means that no registry answered then: do not wait long for it now.
    [[ ! -s $tarball ]] || patience=15
    if timeout "$patience" "$docker" pull --quiet "$BASE_IMAGE" >/dev/null 2>&1; then
        echo "$BASE_IMAGE pulled"
        return 0
    fi
    # Made anew every month, for Debian's fixes.
    if [[ ! -s $tarball || -n $(find "$tarball" -mtime +30) ]]; then
        say "no registry answers: making $BASE_IMAGE from Debian's packages"
        make_base "$tarball"
    fi
    "$docker" import --change 'CMD ["bash"]' "$tarball" "$BASE_IMAGE" >/dev/null 7>&-
    echo "$BASE_IMAGE imported from $tarball"
}

make_base() {
    is_root && is_debian || die 5 "$BASE_IMAGE cannot be pulled, and only root on Debian or Ubuntu can make it" \
        "docker pull $BASE_IMAGE where a registry answers, then docker load it here"
    PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
    # The lists name the mirrors in use, so they are needed even when debootstrap is there.
    [[ -n $(debian_mirrors) ]] || apt_update || :
    apt_install debootstrap debian-archive-keyring || die 5 "debootstrap could not be installed" "apt-get install debootstrap"
    local status
    # In a subshell, so that the trap clears the folder on every path and touches no other trap. Its status
    # is fetched without `||`, which would switch off `set -e` inside.
    set +e
    (
        set -e
        folder=$(base_folder)
        trap 'rm -rf --one-file-system "$folder"' EXIT
        bootstrap_base "$folder/root"
        slim_base "$folder/root"
        tar -C "$folder/root" --numeric-owner --one-file-system -c . | gzip -1 >"$1.part"
        mv "$1.part" "$1"
    )
    status=$?
    set -e
    ((status == 0)) || die 5 "$BASE_IMAGE could not be made" "see above; debootstrap $BASE_SUITE must work here"
}

# debootstrap makes device nodes and runs programs in its folder, which a hardened /dev/shm forbids.
base_folder() {
    if [[ $(stat -f -c %T /dev/shm 2>/dev/null) == tmpfs ]] && (($(free_kib /dev/shm) > 1024 * 1024)) &&
        ! grep -E '^[^ ]+ /dev/shm ' /proc/mounts | grep -qE 'noexec|nodev'; then
        mktemp -d /dev/shm/agent-bottle-base-XXXXXX
    else
        mktemp -d /var/tmp/agent-bottle-base-XXXXXX
    fi
}

# The mirrors that this machine's own apt uses for Debian, as "CODENAME URI" lines; empty elsewhere.
# shellcheck disable=SC2016  # the variables are apt's
debian_mirrors() {
    apt-get indextargets --format '$(ORIGIN)|$(COMPONENT)|$(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        sed -n 's/^Debian|main|//p'
}

bootstrap_base() {
    local codename mirror security include=
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    mirror=$(debian_mirrors | awk -v suite="$codename" '$1 == suite { print $2; exit }')
    security=$(debian_mirrors | awk -v suite="$codename-security" '$1 == suite { print $2; exit }')
    [[ $mirror$security != *https://* ]] || include=--include=ca-certificates
    # With no mirror named, debootstrap knows Debian's own.
    quietly debootstrap debootstrap --variant=minbase ${include:+"$include"} "$BASE_SUITE" "$1" ${mirror:+"$mirror"}
    mirror=$(awk '$1 == "deb" { print $2; exit }' "$1/etc/apt/sources.list")
    {
        echo "deb $mirror $BASE_SUITE main"
        echo "deb $mirror $BASE_SUITE-updates main"
        [[ -z $security ]] || echo "deb $security $BASE_SUITE-security main"
    } >"$1/etc/apt/sources.list"
    # What this machine needs to reach its mirror, containers need too: proxies, tolerance for a wrong clock.
    apt-config dump | grep -E '^Acquire::(https?::(.*::)?Proxy|Check-(Valid-Until|Date)|ForceIPv[46]|Retries) ' \
        >"$1/etc/apt/apt.conf.d/90host" || :
    ! compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null || [[ -z $include ]] || {
        cp /usr/local/share/ca-certificates/*.crt "$1/usr/local/share/ca-certificates/"
        chroot "$1" update-ca-certificates >/dev/null 2>&1
    }
}

# The same settings as in the official slim image, so that what is built on it does not differ.
slim_base() {
    local kind
    for kind in doc groff info linda lintian locale man; do
        echo "path-exclude /usr/share/$kind/*"
    done >"$1/etc/dpkg/dpkg.cfg.d/docker"
    echo 'path-include /usr/share/doc/*/copyright' >>"$1/etc/dpkg/dpkg.cfg.d/docker"
    find "$1/usr/share/doc" -type f ! -name copyright -delete
    find "$1/usr/share/doc" -type l -delete
    rm -rf "$1"/usr/share/{groff,info,linda,lintian,locale,man}/*
    cat >"$1/etc/apt/apt.conf.d/docker" <<'APT'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::GzipIndexes "true";
Acquire::Languages "none";
Apt::AutoRemove::SuggestsImportant "false";
APT
    echo force-unsafe-io >"$1/etc/dpkg/dpkg.cfg.d/docker-apt-speedup"
    printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
    chmod 755 "$1/usr/sbin/policy-rc.d"
    rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/cache/apt/archives/*.deb \
        "$1"/var/log/{bootstrap.log,dpkg.log,alternatives.log} "$1"/var/cache/debconf/*-old "$1"/var/lib/dpkg/*-old
    rm -f "$1"/etc/{hostname,resolv.conf}
    : >"$1/etc/machine-id"
}
