# IDENTITY NONCE: has the move called NONCE arrived? If not, it never will: what was staged for it is taken back.
alone "$1"
incoming=$bottle_home/incoming/$1
state=$bottle_home/state/$1
# One rename, as at the end of register.sh: of the two, one comes first.
mv "$incoming/state-$2" "$incoming/withdrawn-$2" 2>/dev/null
# In this order: what is in the state folder is in the other file before the folder is deleted.
if grep -qsxF "$2" "$state/arrived" "$bottle_home/arrived/$1"; then
	rm -f "$incoming/placed"
	printf 'arrived\n'
	let_left_go "$1" && rm -f "$incoming/landing"
	exit 0
fi
printf 'withdrawn\n'
# The answer stands, whatever can be taken away: the next run, or prune, takes what is left.
(gone "$incoming/withdrawn-"*)
workspace_back() { # to what it was before this move
	cd "$incoming" 2>/dev/null && landing=$(cat landing 2>/dev/null) || return
	near=$(beside "$landing" "$1")
	# What somebody has worked in since it was placed is theirs.
	if placed_by_us "$landing" && untouched "$landing"; then
		(gone "$near") && put "$landing" "$near"
	fi
	(gone "$near" "$near.part")
	left=$(left_beside "$landing" "$1")
	[ ! -d "$left" ] || put "$left" "$landing" || keep_beside "$left" "$landing" "$1"
}
# A bottle that is here for another reason works where that would be.
[ -d "$state" ] && [ ! -e "$state/moved-to.json" ] || workspace_back "$1"
# What had made room for what does not come; last, as a copy may be started as soon as it is here again.
[ ! -d "$incoming/replaced" ] || put "$incoming/replaced" "$state"
exit 0
