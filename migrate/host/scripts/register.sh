# IDENTITY NONCE WORKSPACE: put what was staged and checked into place. The last rename makes this host the owner.
renames_to() { # PATH: is what goes there from here renamed? Between two filesystems `mv` copies, and then deletes.
	rm -f "$1.probe"
	: >probe && ln probe "$1.probe" 2>/dev/null
	linked=$?
	rm -f probe "$1.probe"
	return "$linked"
}

set_aside() { # PLACE: the workspace that the bottle left there makes room, if nobody has worked in it since
	as_left "$state/workspace-left" "$1" "$1" && put "$1" "$left" || return 1
	as_left "$state/workspace-left" "$left" "$1" && return # and nobody comes to it by its name any more
	put "$left" "$1"
	return 1
}

is_here() { # the bottle is, and its workspace nothing that a move may still take back
	rm -f "$incoming/placed"
	let_left_go "$identity" && rm -f "$incoming/landing"
	exit 0
}

identity=$1
incoming=$bottle_home/incoming/$1
state=$bottle_home/state/$1
arrived=$bottle_home/arrived/$1
alone "$1"
# Another run of this script may have done it, whose answer was lost.
grep -qsxF "$2" "$state/arrived" "$arrived" && is_here
cd "$incoming" || fail "$STORAGE_FAILED" "nothing is staged"
[ -d "state-$2" ] || fail "$STORAGE_FAILED" "what was staged for this move is gone"
if [ -e "$state" ] && [ ! -e "$state/moved-to.json" ]; then
	fail "$IN_THE_WAY" "$1 is here already"
fi
if [ -n "$3" ]; then
	printf '%s' "$3" >landing || fail "$STORAGE_FAILED" "cannot write to $incoming" # where prune finds what is beside it
	near=$(beside "$3" "$1")
	left=$(left_beside "$3" "$1")
	mkdir -p "$(dirname "$3")" || fail "$STORAGE_FAILED" "cannot make $(dirname "$3")"
	if [ -d "workspace-$2" ]; then
		gone "$near"
		# One that nobody may write in itself is renamed into another folder by root only.
		if ! { renames_to "$near" && put "workspace-$2" "$near" 2>/dev/null; }; then
			# The staged one stays until all is over: half of it is never taken for the whole.
			gone "$near.part"
			cp -a "workspace-$2" "$near.part" || fail "$STORAGE_FAILED" "cannot copy the workspace beside $3"
			flush "$near.part"
			put "$near.part" "$near" || fail "$STORAGE_FAILED" "cannot put the workspace beside $3"
		fi
	fi
	if [ -d "$near" ]; then
		if placed_by_us "$3" && untouched "$3"; then
			gone "$3"
		elif [ -e "$3" ] || [ -h "$3" ]; then
			rmdir "$3" 2>/dev/null || set_aside "$3" || fail "$WORKSPACE_IN_THE_WAY" "$3 is here already and is not empty, or somebody has worked there since"
		fi
		printf '%s %s\n' "$(inode "$near")" "$3" >placed || fail "$STORAGE_FAILED" "cannot write to $incoming"
		put "$near" "$3" || fail "$STORAGE_FAILED" "cannot put the workspace at $3"
	fi
	placed_by_us "$3" || fail "$STORAGE_FAILED" "the workspace at $3 is not the one that was staged"
fi
mkdir -p "$bottle_home/state" || fail "$STORAGE_FAILED" "cannot make $bottle_home/state"
chmod 700 "$bottle_home/state" "state-$2"
# Every move that ever came here: an old one may still be asked about, whatever becomes of the state folder.
before=$(cat "$state/arrived" "$arrived" 2>/dev/null | sort -u)
printf '%s\n' ${before:+"$before"} "$2" >"state-$2/arrived" || fail "$STORAGE_FAILED" "cannot write to $incoming"
if [ -n "$before" ]; then
	mkdir -p "$bottle_home/arrived" && printf '%s\n' "$before" >"$arrived.new" || fail "$STORAGE_FAILED" "cannot write to $bottle_home/arrived"
	flush "$arrived.new"
	mv "$arrived.new" "$arrived" || fail "$STORAGE_FAILED" "cannot write to $bottle_home/arrived"
fi
# What the bottle had here before it moved away is none of its containers: what arrives is newer.
former=$(cat "$state/container" "$state/former" replaced/container replaced/former 2>/dev/null | sort -u)
[ -z "$former" ] || printf '%s\n' "$former" >"state-$2/former" || fail "$STORAGE_FAILED" "cannot write to $incoming"
flush "$incoming"
[ -z "$3" ] || flush "$3"
if [ -e "$state" ]; then
	gone replaced
	put "$state" replaced || fail "$STORAGE_FAILED" "cannot replace $state"
fi
put "state-$2" "$state" || fail "$STORAGE_FAILED" "cannot put the state at $state"
flush "$state"
is_here
