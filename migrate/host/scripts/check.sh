# IDENTITY: on standard input a blob's SHA256 a line: read what is staged once more. A blob that is not what its name
# says is told of, and every piece of it that is not what its own name says is thrown away.
alone "$1"
cd "$bottle_home/incoming/$1/blobs" || fail "$STORAGE_FAILED" "nothing is staged"
while read -r blob; do
	[ "$(cat "$blob"/[0-9]* 2>/dev/null | hash_file /dev/stdin)" = "$blob" ] && continue
	printf 'bad %s\n' "$blob"
	found=
	for piece in "$blob"/[0-9]*; do
		[ -f "$piece" ] || continue
		[ "$(hash_file "$piece")" = "${piece##*-}" ] && continue
		found=yes
		rm -f "$piece"
	done
	# Each piece is what it is called, and yet they do not make up the blob: they are of another one's making.
	[ -n "$found" ] || gone "$blob"
done
