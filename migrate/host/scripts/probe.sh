# IDENTITY WORKSPACE: what this host is and has, one `key=value` a line. Changes nothing.
identity=$1
workspace=$2
printf 'bottle_home=%s\n' "$bottle_home"
for tool in sha256sum shasum openssl gzip zstd tar find awk; do
	command -v "$tool" >/dev/null 2>&1 && printf 'tool=%s\n' "$tool"
done
command -v bottle >/dev/null 2>&1 && printf 'bottle=%s\n' "$(bottle --version 2>/dev/null)"

case $(tar --version 2>&1) in
*[Bb]usy[Bb]ox*) printf 'tool=busybox-tar\n' ;;
esac
[ "$(id -u)" = 0 ] && printf 'root=yes\n'

standing() { # PATH: the nearest folder above it that exists
	standing=$1
	while [ ! -d "$standing" ]; do standing=$(dirname "$standing"); done
	printf '%s\n' "$standing"
}
disk() { # NAME PATH: kilobytes free there, and where the filesystem is mounted
	df -Pk "$(standing "$2")" | awk -v name="$1" 'NR == 2 { print "free_" name "=" $4; sub(/.*% /, ""); print "disk_" name "=" $0 }'
}
[ -w "$(standing "$bottle_home")" ] && printf 'writable=yes\n'
disk home "$bottle_home"
[ -d "$bottle_home/incoming/$identity" ] && du -sk "$bottle_home/incoming/$identity" | awk '{ print "staged=" $1 }'

state=$bottle_home/state/$identity
left_at=
if [ -e "$state/copy" ] && [ ! -e "$state/moved-to.json" ]; then
	if as_it_came "$state"; then
		printf 'copy=as_it_came\n'
	else
		state_sums "$state" | awk '
			function note(line) { sub(/^(\\?[0-9a-f]*  )?\.\//, "", line); sub(/\/.*/, "", line); changed[line] }
			NR == FNR { kept[$0]; next }
			$0 in kept { delete kept[$0]; next }
			{ note($0) }
			END { for (line in kept) note(line); for (name in changed) print "changed=" name }' "$state/copy" - | sort
	fi
fi
[ ! -e "$state/moved-to.json" ] && [ ! -e "$state/copy" ] || left_at=$(sed -n 1p "$state/workspace-left" 2>/dev/null)
[ -z "$left_at" ] || [ -d "$left_at" ] || [ -w "$(standing "$(dirname "$left_at")")" ] || left_at=
[ -z "$left_at" ] || printf 'left=%s\n' "$left_at"
differing() { # FOLDER: what is not in it as the bottle left it; folders only where nothing else is
	listing "$1" | awk '
		function note(line) {
			folder = line ~ /^d/
			sub(/^[^ ]* [^ ]* [^ ]* [^ ]* [^ ]* [^ ]* /, "", line)
			if (folder) folders[line == "" ? "." : line]; else files[line]
		}
		NR == FNR { if (NR > 1) kept[$0]; next }
		$0 in kept { delete kept[$0]; next }
		{ note($0) }
		END {
			for (line in kept) note(line)
			for (path in files) { print "differs=" path; found = 1 }
			if (!found) for (path in folders) print "differs=" path
		}' "$state/workspace-left" - | sort
}

if [ -n "$workspace" ]; then
	if [ -h "$workspace" ] || { [ -e "$workspace" ] && [ ! -d "$workspace" ]; }; then
		printf 'workspace=full\n'
	elif [ -d "$workspace" ] && [ -n "$(ls -A "$workspace" 2>&1)" ]; then
		printf 'workspace=full\n'
		if [ "$left_at" = "$workspace" ] && can_list; then
			if as_left "$state/workspace-left" "$workspace" "$workspace"; then
				[ ! -w "$(dirname "$workspace")" ] || printf 'as_left=yes\n'
			else
				differing "$workspace" | awk 'NR <= 10 { print } END { print "differing=" NR }'
			fi
		fi
	elif [ -w "$(standing "$(dirname "$workspace")")" ]; then
		printf 'workspace=free\n'
	else
		printf 'workspace=denied\n'
	fi
	(cd "$bottle_home/incoming/$identity" 2>/dev/null && placed_by_us "$workspace" && untouched "$workspace") && printf 'workspace=ours\n'
	disk workspace "$workspace"
fi

sed -n 's/^  "generation": \([0-9]*\),*$/generation=\1/p' "$state/metadata.json" 2>/dev/null
if [ -e "$state/moved-to.json" ]; then
	printf 'presence=moved\n'
elif [ -e "$state" ]; then
	printf 'presence=owned\n'
else
	printf 'presence=absent\n'
fi

docker=$(command -v docker) || exit 0
printf 'docker=%s\n' "$docker"
case $("$docker" --version 2>/dev/null) in podman*) # its own command, under Docker's name
	printf 'podman=yes\n'
	exit 0
	;;
esac
ask() { # DOCKER…: what the engine says of itself, if it answers
	architecture=$("$@" version --format '{{.Server.Arch}}' 2>/dev/null) || return 1
	printf 'architecture=%s\n' "$architecture" # as images call it; `info` says what the kernel calls it
	case $("$@" version --format '{{range .Server.Components}}{{.Name}};{{end}}' 2>/dev/null) in
	*Podman*) printf 'podman=yes\n' ;;
	esac
	printf 'info=%s\n' "$("$@" info --format '{{json .}}' 2>/dev/null)"
	root=$("$@" info --format '{{.DockerRootDir}}' 2>/dev/null)
}
uses() { # DOCKER…: who else works with the workspace that would give way: containers that run, bottles
	[ -n "$left_at" ] && [ "$left_at" = "$workspace" ] && [ -d "$workspace" ] || return 0
	"$@" ps --no-trunc --format '{{.Names}}|{{.Mounts}}' | awk -F'|' -v one="$workspace" -v other="$(cd "$workspace" && pwd -P)" '
		function meet(path, place) { return index(path "/", place "/") == 1 || index(place "/", path "/") == 1 }
		{
			mounts = split($2, mount, ",")
			sub(/,.*/, "", $1)
			for (i = 1; i <= mounts; i++)
				if (mount[i] ~ /^\// && (meet(mount[i], one) || meet(mount[i], other))) { print "used=" $1; break }
		}'
	for each in "$bottle_home"/state/*/metadata.json; do
		works=${each%/metadata.json}
		[ "$works" = "$state" ] || [ -e "$works/moved-to.json" ] || ! grep -qF "\"cwd\": \"$workspace\"" "$each" 2>/dev/null ||
			printf 'used=%s\n' "${works##*/}"
	done
}
volumes() { # DOCKER…: of the copy that is here, who uses its volumes, and which names are taken for those of a newer one
	[ -e "$state/copy" ] && [ ! -e "$state/moved-to.json" ] || return 0
	[ ! -e "$state/volumes" ] || while read -r name _; do
		"$@" ps -a --filter "volume=$name" --format "volume_used=$name {{.Names}}" </dev/null
	done <"$state/volumes"
	"$@" volume ls -q --filter "name=bottle-$identity-" | while read -r name; do
		[ -e "$bottle_home/incoming/$identity/filled/$name" ] && ! names_volume "$state/volumes" "$name" || printf 'volume=%s\n' "$name"
	done
}
left() { # DOCKER…: which containers that the bottle left here when it moved away have run since
	[ ! -e "$state/moved-to.json" ] || left_here "$identity" "$@" | sed -n 's/^since /ran_since=/p'
}
if ask "$docker"; then
	printf 'sudo=no\n'
	left "$docker"
	uses "$docker"
	volumes "$docker"
elif ask sudo -n "$docker"; then
	printf 'sudo=yes\n'
	left sudo -n "$docker"
	uses sudo -n "$docker"
	volumes sudo -n "$docker"
else
	printf 'refused=%s\n' "$("$docker" version --format '{{.Server.Version}}' 2>&1 | tail -n 1)"
	exit 0
fi
disk docker "$root"
