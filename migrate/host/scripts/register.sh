# IDENTITY NONCE WORKSPACE: put what was staged and checked into place. The last rename makes this host the owner. What
# comes as a copy has the file `copy` in its state: that says from then on what the state was as it came.
renames_to() { # PATH: is what goes there from here renamed? Between two filesystems `mv` copies, and then deletes.
	rm -f "$1.probe"
	: >probe && ln probe "$1.probe" 2>/dev/null
	linked=$?
	rm -f probe "$1.probe"
	return "$linked"
}

bring_near() { # NONCE PLACE: have the workspace that was staged beside where it goes
	gone "$near"
	# One that nobody may write in itself is renamed into another folder by root only.
	renames_to "$near" && put "workspace-$1" "$near" 2>/dev/null && return
	# The staged one stays until all is over: half of it is never taken for the whole.
	gone "$near.part"
	cp -a "workspace-$1" "$near.part" || fail "$STORAGE_FAILED" "cannot copy the workspace beside $2"
	flush "$near.part"
	put "$near.part" "$near" || fail "$STORAGE_FAILED" "cannot put the workspace beside $2"
}

remember() { # NONCE: every move that ever came here: an old one may still be asked about, whatever becomes of the state folder
	before=$(cat "$state/arrived" "$arrived" 2>/dev/null | sort -u)
	printf '%s\n' ${before:+"$before"} "$1" >"state-$1/arrived" || fail "$STORAGE_FAILED" "cannot write to $incoming"
	[ -n "$before" ] || return 0
	mkdir -p "$bottle_home/arrived" && printf '%s\n' "$before" >"$arrived.new" || fail "$STORAGE_FAILED" "cannot write to $bottle_home/arrived"
	flush "$arrived.new"
	mv "$arrived.new" "$arrived" || fail "$STORAGE_FAILED" "cannot write to $bottle_home/arrived"
}

note_volumes() { # STATE: what its volumes hold as they come, and which ones the copy had that is here: those go once it has its place
	if [ -f "$1/volumes" ]; then
		while read -r name _; do printf '%s %s\n' "$name" "$(cat "filled/$name")"; done <"$1/volumes" >volumes.new &&
			mv volumes.new "$1/volumes" || return
	fi
	cat "$state/volumes" "$state/volumes-before" replaced/volumes replaced/volumes-before 2>/dev/null | awk -v new="$1/volumes" '
		BEGIN { while ((getline <new) > 0) known[$1] }
		!($1 in known) { known[$1]; print }' >"$1/volumes-before" || return
	[ -s "$1/volumes-before" ] || rm "$1/volumes-before" || return
	# A volume that it has is none that a run which was cut had filled.
	[ ! -f "$state/volumes" ] || while read -r name _; do rm -f "filled/$name" || return; done <"$state/volumes"
}

note_copy() { # STATE PLACE: what the copy is as it comes: while it is that, a newer one may take its place
	if [ -n "$2" ] && [ -d "$near" ] && can_list; then # what has its place already may have been worked in
		{
			printf '%s\n' "$2"
			listing "$near"
		} >"$1/workspace-left" || fail "$STORAGE_FAILED" "cannot write to $incoming"
	fi
	note_volumes "$1" || fail "$STORAGE_FAILED" "cannot write to $incoming"
	state_sums "$1" >"$1/copy" || fail "$STORAGE_FAILED" "cannot write to $incoming"
}

make_room() { # the copy or standby that is here goes aside, if nobody has worked on it: there is none until the newer one is here
	exec 8>>"$state/lock" || fail "$STORAGE_FAILED" "cannot write to $state"
	if command -v flock >/dev/null 2>&1; then
		flock -n 8 || fail "$IN_THE_WAY" "somebody is working on $identity here"
	fi
	stands_by "$state" || as_it_came "$state" || fail "$IN_THE_WAY" "$identity is here already, and somebody has worked on it"
	gone replaced
	put "$state" replaced || fail "$STORAGE_FAILED" "cannot replace $state"
	was=$incoming/replaced
}

set_aside() { # PLACE: the workspace that the bottle left there makes room, if nobody has worked in it since
	as_left "$was/workspace-left" "$1" "$1" && put "$1" "$left" || return 1
	as_left "$was/workspace-left" "$left" "$1" && return # and nobody comes to it by its name any more
	put "$left" "$1"
	return 1
}

place() { # PLACE: the workspace, which is near
	if placed_by_us "$1" && untouched "$1"; then
		gone "$1"
	elif [ -e "$1" ] || [ -h "$1" ]; then
		rmdir "$1" 2>/dev/null || set_aside "$1" || {
			[ "$was" = "$state" ] || put "$was" "$state"
			fail "$WORKSPACE_IN_THE_WAY" "$1 is here already and is not empty, or somebody has worked there since"
		}
	fi
	printf '%s %s\n' "$(inode "$near")" "$1" >placed || fail "$STORAGE_FAILED" "cannot write to $incoming"
	put "$near" "$1" || fail "$STORAGE_FAILED" "cannot put the workspace at $1"
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
was=$state # of the bottle, before what comes is here
alone "$1"
# Another run of this script may have done it, whose answer was lost.
grep -qsxF "$2" "$state/arrived" "$arrived" && is_here
cd "$incoming" || fail "$STORAGE_FAILED" "nothing is staged"
[ -d "state-$2" ] || fail "$STORAGE_FAILED" "what was staged for this move is gone"
copy=
if [ -e "$state" ] && [ ! -e "$state/moved-to.json" ]; then
	as_it_came "$state" || fail "$IN_THE_WAY" "$1 is here already"
	copy=yes
fi
! stands_by "$state" || copy=yes
if [ -n "$3" ]; then
	printf '%s' "$3" >landing || fail "$STORAGE_FAILED" "cannot write to $incoming" # where prune finds what is beside it
	near=$(beside "$3" "$1")
	left=$(left_beside "$3" "$1")
	mkdir -p "$(dirname "$3")" || fail "$STORAGE_FAILED" "cannot make $(dirname "$3")"
	[ ! -d "workspace-$2" ] || bring_near "$2" "$3"
	[ -z "$copy" ] || [ ! -d "$near" ] || flush "$near"
fi
mkdir -p "$bottle_home/state" || fail "$STORAGE_FAILED" "cannot make $bottle_home/state"
chmod 700 "$bottle_home/state" "state-$2"
remember "$2"
# What the bottle had here before it moved away is none of its containers: what arrives is newer.
former=$(cat "$state/container" "$state/former" replaced/container replaced/former 2>/dev/null | sort -u)
[ -z "$former" ] || printf '%s\n' "$former" >"state-$2/former" || fail "$STORAGE_FAILED" "cannot write to $incoming"
[ ! -e "state-$2/copy" ] || note_copy "state-$2" "$3"
flush "$incoming"
[ -z "$copy" ] || make_room
if [ -n "$3" ]; then
	[ ! -d "$near" ] || place "$3"
	placed_by_us "$3" || fail "$STORAGE_FAILED" "the workspace at $3 is not the one that was staged"
	flush "$3"
fi
if [ -e "$state" ]; then
	gone replaced
	put "$state" replaced || fail "$STORAGE_FAILED" "cannot replace $state"
fi
put "state-$2" "$state" || fail "$STORAGE_FAILED" "cannot put the state at $state"
flush "$state"
is_here
