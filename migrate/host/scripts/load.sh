# IDENTITY: on standard input the blobs, in order, whose contents make up the archive: feed it to the engine.
alone "$1"
cd "$bottle_home/incoming/$1/blobs" || fail "$STORAGE_FAILED" "nothing is staged"
order=$(cat)
{
	printf '%s\n' "$order" | while read -r blob; do
		cat "$blob"/[0-9]* || exit 1
	done
} | docker load --quiet || fail "$ENGINE_FAILED" "docker load failed"
