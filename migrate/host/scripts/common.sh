# Shared by every script that runs on the far host: POSIX sh and what every Linux has. Nothing of bottle is needed there.
set -u
umask 077
PATH=${PATH:-/usr/bin:/bin}:$HOME/.local/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/snap/bin
export PATH LC_ALL=C
bottle_home=${BOTTLE_HOME:-$HOME/.bottle}

# How a script ends, as `Status` in migrate/host/script.py has it.
readonly LISTING_FAILED=20 STORAGE_FAILED=21 CAME_SHORT=22 NOT_AS_SENT=23 ENGINE_FAILED=24 NO_CONTAINER=25
readonly UNPACKING_FAILED=26 IN_THE_WAY=27 WORKSPACE_IN_THE_WAY=28 NOT_INSTALLED=44

fail() { # STATUS MESSAGE…
	status=$1
	shift
	printf '%s\n' "$*" >&2
	exit "$status"
}

alone() { # IDENTITY: wait for a script that still works on this bottle here, such as one whose connection was cut
	command -v flock >/dev/null 2>&1 || return 0
	[ -d "$bottle_home/incoming/$1" ] || return 0
	exec 9<"$bottle_home/incoming/$1" && flock 9 || fail "$STORAGE_FAILED" "cannot lock $bottle_home/incoming/$1"
}

open_up() { # FOLDER…: give the user here all rights to the folders in them, as is needed to read and to empty them
	# One by one, each before it is entered; no link is followed.
	find "$@" -type d ! -perm -700 -exec chmod u+rwx {} \; 2>/dev/null
}

hash_file() { # FILE: its sha256 in hex
	if command -v sha256sum >/dev/null 2>&1; then
		sum=$(sha256sum <"$1") || return 1
	elif command -v shasum >/dev/null 2>&1; then
		sum=$(shasum -a 256 <"$1") || return 1
	else
		sum=$(openssl dgst -sha256 -r <"$1") || return 1
	fi
	printf '%s\n' "${sum%% *}"
}

gone() { # PATH…: take it away, and the folders in it that nobody may write in too; no link is followed
	for doomed; do
		rm -rf "$doomed" 2>/dev/null || {
			open_up "$doomed"
			rm -rf "$doomed"
		}
		[ ! -e "$doomed" ] && [ ! -h "$doomed" ] || fail "$STORAGE_FAILED" "cannot take $doomed away"
	done
}

flush() { # FOLDER: make its filesystem survive a power cut, or all of them where `sync` knows no better
	sync -f "$1" 2>/dev/null || sync
}

size_of() { # FILE: its size in bytes
	count=$(wc -c <"$1") || return 1
	printf '%d\n' "$count"
}

unpack() { # CODEC: decompress standard input
	case $1 in
	zstd) zstd -dc ;;
	gzip) gzip -dc ;;
	*) cat ;;
	esac
}
