# IDENTITY NONCE PLACE: the workspace that comes begins as a copy of the one that the bottle left at PLACE, if nobody has
# worked in that since. On standard input is what it is to be, in lines as migrate/contents/basis.py says; the lines that
# differ are printed: behind `<` those of the copy, behind `>` those that it is to have. Slashes of links' goals are the
# byte 3, as no honest line holds `/../`.
most=3000000 # bytes that are printed

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
cp -a "$3" "./workspace-$2" || fail "$STORAGE_FAILED" "cannot copy $3"
as_left "$bottle_home/state/$1/workspace-left" "$3" "$3" || {
	gone ./workspace-*
	fail "$WORKSPACE_IN_THE_WAY" "somebody has worked in $3"
}
trap 'rm -f ".wanted.$$" ".differing.$$"' EXIT
cat >".wanted.$$" || fail "$STORAGE_FAILED" "cannot write to $bottle_home/incoming/$1"
(cd "./workspace-$2" && contents) | awk '
	NR == FNR { wanted[$0]; next }
	$0 in wanted { delete wanted[$0]; next }
	{ print "<" $0 }
	END { for (line in wanted) print ">" line }' ".wanted.$$" - >".differing.$$" || fail "$STORAGE_FAILED" "cannot compare $3"
[ "$(size_of ".differing.$$")" -le "$most" ] || fail "$NOT_AS_SENT" "too much differs in $3"
cat ".differing.$$"
