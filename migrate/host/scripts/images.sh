# On standard input diff ids of layers, one a line: the images here that have any of them. Tagged or not, newest first,
# as `ID [DIFF_ID, …]` a line. Of more images than an answer may hold, the oldest are left out: what they alone have is
# sent once more.
named=$(cat)
ids=$(docker image ls --all --quiet --no-trunc) || fail "$LISTING_FAILED" "docker image ls failed"
ids=$(printf '%s\n' "$ids" | awk '!seen[$0]++')
[ -n "$ids" ] || exit 0
{
	printf '%s\n' "$named"
	# shellcheck disable=SC2086  # a word an image
	docker image inspect --format '{{.Id}} {{json .RootFS.Layers}}' $ids 2>/dev/null
} | awk '
	NF < 2 { named[$1]; next }
	{
		count = split($2, layers, "\"")
		for (i = 2; i < count; i += 2) if (layers[i] in named) break
		if (i >= count) next
		size += length($0) + 1
		if (size > 4000000) exit
		print
	}'
# An image that vanished meanwhile made that fail, and is none that we could count on.
exit 0
