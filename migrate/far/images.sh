# The layers of every image here, tagged or not: `ID [DIFF_ID, …]` a line.
ids=$(docker image ls --all --quiet --no-trunc | sort -u) || fail 20 "docker image ls failed"
[ -n "$ids" ] || exit 0
# shellcheck disable=SC2086  # a word an image
docker image inspect --format '{{.Id}} {{json .RootFS.Layers}}' $ids 2>/dev/null
# An image that vanished meanwhile made that fail, and is none that we could count on.
exit 0
