# IDENTITY BLOB CODEC VOLUME TARGET TAG CONTAINER ENTRIES BREAKS CONTENT: fill a new volume of this bottle from a staged
# tar. The engine unpacks it, through a container of TAG that never runs; then what is there is counted, and its
# contents hashed. A copy that is here keeps the volumes that it has: what takes its place comes in others.
alone "$1"
filler=$7 # of the traps, which bash runs with the arguments of the function that ends it
cd "$bottle_home/incoming/$1" || fail "$STORAGE_FAILED" "nothing is staged"
state=$bottle_home/state/$1
if docker volume inspect "$4" >/dev/null 2>&1; then
	if [ -e "$state" ] && [ ! -e "$state/moved-to.json" ]; then
		[ -e "filled/$4" ] && ! names_volume "$state/volumes" "$4" || fail "$IN_THE_WAY" "volume $4 is here already, and not of this move"
	fi
	# A container of an earlier run that was cut, or the one that the bottle left behind when it moved away from here:
	# its work is in the commit it left with.
	docker ps -aq --filter "label=bottle.filling=$1" | while read -r old; do
		docker rm -f -v "$old" >/dev/null
	done
	if [ -e "$state/moved-to.json" ]; then
		left_here "$1" docker | while read -r when name; do
			[ "$when" = before ] ||
				fail "$IN_THE_WAY" "a container of $1 has run here since the bottle moved away: keep its work, then docker rm $name"
			docker rm "$name" </dev/null >/dev/null
		done || exit
	fi
	docker volume rm "$4" >/dev/null || fail "$IN_THE_WAY" "volume $4 exists here and is in use"
fi
mkdir -p filled && : >"filled/$4" || fail "$STORAGE_FAILED" "cannot write to $bottle_home/incoming/$1" # by which it is known again
docker volume create --label bottle.schema=1 --label "bottle.identity=$1" "$4" >/dev/null || fail "$ENGINE_FAILED" "cannot make volume $4"
trap 'docker rm -f -v "$filler" >/dev/null 2>&1' EXIT
# nocopy: what the image has at TARGET is not put into the volume, lest what the agent deleted come back.
docker create --name "$7" --label bottle.schema=1 --label "bottle.filling=$1" --network none -v "$4:$5:nocopy" \
	--entrypoint /bottle-never-runs "$6" >/dev/null || fail "$NO_CONTAINER" "no container can be made of $6"
# Not `cp -a`: that gives everything to the image's user.
cat "blobs/$2"/[0-9]* | unpack "$3" | docker cp - "$7:$(dirname "$5")" || fail "$UNPACKING_FAILED" "cannot fill volume $4"
# How a name with a line feed is listed: by some on two lines, by others on one. Here are two entries, one with such a name.
sample=.sample.$$
trap 'docker rm -f -v "$filler" >/dev/null 2>&1; rm -rf "$sample"' EXIT
mkdir "$sample" && : >"$sample/line
feed" || fail "$STORAGE_FAILED" "cannot write to $bottle_home/incoming/$1"
split=$(($(tar -cf - "$sample" | tar -tf - | wc -l) - 2))
lines=$(docker cp "$7:$5" - | tar -tf - | wc -l)
[ "$lines" -eq "$(($8 + split * $9))" ] || fail "$NOT_AS_SENT" "volume $4 has $((lines - split * $9)) entries, and $8 were sent"
[ "$(docker cp "$7:$5" - | tar -xOf - | hash_file /dev/stdin)" = "${10}" ] || fail "$NOT_AS_SENT" "volume $4 has not the contents sent"
# Of a copy it is noted what the engine gives out of it, names, rights, times and contents: as long as it does, nobody has written there.
if ls state-*/copy >/dev/null 2>&1; then
	as_it_came=$(docker cp "$7:$5" - | hash_file /dev/stdin) && printf '%s %s\n' "$as_it_came" "$5" >"filled/$4" ||
		fail "$STORAGE_FAILED" "cannot note what volume $4 holds"
fi
sync # the engine's disk may be another one than that of the state
