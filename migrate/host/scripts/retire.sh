# IDENTITY CONTAINER: a copy is here, brought up to date: the volumes that it had before go, and what a run that was cut
# had filled. On standard output is `volume=NAME` for each that stays, as somebody uses it or has written in it.
identity=$1
filler=$2
state=$bottle_home/state/$1
filled=$bottle_home/incoming/$1/filled
alone "$1"
tag=$(cat "$state/committed-image" 2>/dev/null) && [ ! -e "$state/moved-to.json" ] || exit 0
trap 'docker rm -f -v "$filler" >/dev/null 2>&1' EXIT
docker ps -aq --filter "label=bottle.filling=$1" | while read -r old; do # of a run that was cut
	docker rm -f -v "$old" </dev/null >/dev/null
done
held() { # VOLUME TARGET: a hash of all that the engine gives out of it
	docker rm -f -v "$filler" >/dev/null 2>&1
	docker create --name "$filler" --label bottle.schema=1 --label "bottle.filling=$identity" --network none -v "$1:$2:nocopy" \
		--entrypoint /bottle-never-runs "$tag" >/dev/null && docker cp "$filler:$2" - | hash_file /dev/stdin
	docker rm -f -v "$filler" >/dev/null 2>&1
}
is_here() { docker volume inspect "$1" >/dev/null 2>&1; }
for note in "$filled"/*; do
	name=${note##*/}
	[ -e "$note" ] && ! names_volume "$state/volumes" "$name" && is_here "$name" || continue
	docker volume rm "$name" >/dev/null 2>&1 || printf 'volume=%s\n' "$name"
done
[ -e "$state/volumes-before" ] || exit 0
while read -r name content target; do
	# One that was filled anew is seen to above, or the copy's own by now.
	[ ! -e "$filled/$name" ] && ! names_volume "$state/volumes" "$name" && is_here "$name" </dev/null || continue
	[ "$(held "$name" "$target" </dev/null)" = "$content" ] && docker volume rm "$name" </dev/null >/dev/null 2>&1 ||
		printf 'volume=%s\n' "$name"
done <"$state/volumes-before"
