# IDENTITY: what is staged, `BLOB PIECE SIZE` a line. Pieces are called NUMBER-SHA256.
cd "$bottle_home/incoming/$1/blobs" 2>/dev/null || exit 0
for piece in */[0-9]*; do
	[ -f "$piece" ] || continue
	printf '%s %s %s\n' "${piece%%/*}" "${piece#*/}" "$(size_of "$piece")"
done
