# IDENTITY NONCE WORKSPACE: on standard input what a workspace is to be: begin it with a copy of what was left, and say what
# differs. Of a folder that somebody has worked in since, nothing is begun with. Lines are as migrate/contents/basis.py says;
# behind `<` are those of the copy, behind `>` those that it is to have. Slashes of links' goals are the byte 3, as no
# honest line holds `/../`.
most=3000000 # bytes that are printed

tellable() { # is there no name in this folder, and no goal of a link, that no line can tell?
	one=$(printf '*\001*') two=$(printf '*\002*') three=$(printf '*\003*') end='*
*'
	[ -z "$(find . \( -name "$one" -o -name "$two" -o -name "$end" -o -lname "$one" -o -lname "$two" -o -lname "$three" \
		-o -lname "$end" \) -printf x -quit)" ]
}

contents() { # what is in this folder; `- -` for owners where the user here cannot give files away
	owners='- -'
	[ "$(id -u)" != 0 ] || owners='%U %G'
	{
		find . -path . -printf "d %m 0 0 %T@ $owners \\0" -o -type d -printf "d %m 0 0 %T@ $owners %P\\0" \
			-o -type l -printf "l %m %n %s %T@ $owners %P\\2%l\\0" -o -printf "%y %m %n %s %T@ $owners %P\\0"
		find . -type f -exec sha256sum -z {} +
	} | tr '\n\0' '\1\n' | awk '
		(at = index($0, "\002")) { goal = substr($0, at); gsub("/", "\003", goal); $0 = substr($0, 1, at - 1) goal }
		{ print }' | sort
}

mkdir -p "$bottle_home/incoming/$1"
alone "$1"
cd "$bottle_home/incoming/$1" || fail "$STORAGE_FAILED" "cannot write to $bottle_home/incoming"
gone ./workspace-*
cp -a "$3" "./workspace-$2" || {
	gone ./workspace-* # which takes the room of what travels whole now
	fail "$STORAGE_FAILED" "cannot copy $3"
}
as_left "$bottle_home/state/$1/workspace-left" "$3" "$3" || {
	gone ./workspace-*
	fail "$WORKSPACE_IN_THE_WAY" "somebody has worked in $3"
}
(cd "./workspace-$2" && tellable) || fail "$NOT_AS_SENT" "a name in $3 cannot be told"
trap 'rm -f ".wanted.$$" ".differing.$$"' EXIT
cat >".wanted.$$" || fail "$STORAGE_FAILED" "cannot write to $bottle_home/incoming/$1"
(cd "./workspace-$2" && contents) | awk '
	NR == FNR { wanted[$0]; next }
	$0 in wanted { delete wanted[$0]; next }
	{ print "<" $0 }
	END { for (line in wanted) print ">" line }' ".wanted.$$" - >".differing.$$" || fail "$STORAGE_FAILED" "cannot compare $3"
[ "$(size_of ".differing.$$")" -le "$most" ] || fail "$NOT_AS_SENT" "too much differs in $3"
cat ".differing.$$"
