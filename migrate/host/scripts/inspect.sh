# TAG CONTAINER: the image as the engine describes it, after proof that a container can be made of it. Those of which it
# was put together, by this move or one that was cut, are forgotten then: it has their layers.
docker ps -aq --filter "label=bottle.verifying=$1" | while read -r old; do # of a run that was cut
	docker rm -f -v "$old" >/dev/null
done
docker create --name "$2" --label bottle.schema=1 --label "bottle.verifying=$1" --network none \
	--entrypoint /bottle-never-runs "$1" >/dev/null || fail "$NO_CONTAINER" "no container can be made of $1"
docker rm -f -v "$2" >/dev/null
docker image ls --format '{{.Repository}}:{{.Tag}}' "${1%:*}" | while read -r part; do
	case $part in *:in-flight-*-part-*) docker image rm "$part" >/dev/null 2>&1 </dev/null ;; esac
done
docker image inspect "$1" || fail "$NO_CONTAINER" "the engine does not know $1"
