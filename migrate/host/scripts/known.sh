# ROOT: on standard input ids of images: what the containerd store holds of them. Each document, index, manifest or
# config, on one line behind its digest. Prints nothing where the store's files may not be read: then nothing is known.
for content in "$1/containerd/daemon" /var/lib/containerd; do
	content=$content/io.containerd.content.v1.content/blobs/sha256
	if [ -r "$content" ]; then
		as() { "$@"; }
		break
	elif [ "$far_sudo" = yes ] && sudo -n test -r "$content" 2>/dev/null; then
		as() { sudo -n "$@"; }
		break
	fi
	content=
done
[ -n "$content" ] || exit 0

document() { # HEX: print a small JSON document, and call for those that it names
	case $(as head -c 1 "$content/$1" 2>/dev/null) in
	'{') ;;
	*) return 0 ;;
	esac
	[ "$(as wc -c "$content/$1" | awk '{ print $1 }')" -le 1048576 ] || return 0
	printf 'sha256:%s ' "$1"
	as cat "$content/$1" | tr -d '\n'
	printf '\n'
}
named_by() { # HEX: the digests in a document
	as head -c 1048576 "$content/$1" 2>/dev/null | grep -ao 'sha256:[0-9a-f]\{64\}' | cut -d: -f2 | sort -u
}
while read -r id; do
	top=${id#sha256:}
	document "$top"
	for middle in $(named_by "$top"); do
		# A layer begins with no brace, so neither is it printed nor are names sought in it.
		line=$(document "$middle")
		[ -n "$line" ] || continue
		printf '%s\n' "$line"
		case $line in
		*'"layers"'*) for bottom in $(named_by "$middle"); do document "$bottom"; done ;;
		esac
	done
done
exit 0
