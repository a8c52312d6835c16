# shellcheck shell=bash
# Debian's packages: only what is missing, only as root, and without starting services.

is_root() { [[ $(id -u) -eq 0 ]]; }
is_debian() { [[ -e /etc/debian_version ]] && command -v apt-get >/dev/null; }
has_systemd() { [[ -d /run/systemd/system ]]; }

apt_installed() {
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# apt_known PACKAGE: whether the distribution has it (docker-cli is a package of its own since Debian 13).
apt_known() { [[ -n $(apt-cache --quiet=2 madison "$1" 2>/dev/null) ]]; }

apt_update() {
    [[ -z ${APT_UPDATED:-} ]] || return 0
    say "apt-get update"
    quietly "apt-get update" apt-get -o DPkg::Lock::Timeout=300 update || return
    APT_UPDATED=1
}

# apt_install PACKAGE...: where no systemd runs, a package's init script would leave a daemon behind that
# nobody asked for (docker.io's does), so a policy that denies it is in force meanwhile.
apt_install() {
    local package missing=() policy=/usr/sbin/policy-rc.d status=0 own_policy=
    for package; do
        apt_installed "$package" || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    apt_update || return
    say "apt-get install ${missing[*]}"
    if ! has_systemd && [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        own_policy=1
    fi
    quietly "apt-get install ${missing[*]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}" || status=$?
    [[ -z $own_policy ]] || rm -f "$policy"
    return "$status"
}
