# IDENTITY BLOB CODEC VOLUME TARGET TAG CONTAINER FILES LINKS FOLDERS: bring a volume that was filled up to date by a
# staged tar of what changed in it. On standard input is a line `-PATH` for each that goes first, with all below it, as
# `printf %b` reads it, and `SHA256  ./PATH` for each that comes. The engine unpacks the tar; what goes, and what is
# there then, is for a shell of TAG, in a container that has nothing but the volume.
alone "$1"
filler=$7 # of the trap, which bash runs with the arguments of the function that ends it
cd "$bottle_home/incoming/$1" || fail "$STORAGE_FAILED" "nothing is staged"
# shellcheck disable=SC2016  # it is that shell's
inside='
PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin
straight() {
	above=${1%/*}
	while [ "$above" != . ]; do
		[ ! -h "$above" ] || return 1
		above=${above%/*}
	done
}
count() { find . -type "$1" -exec /bin/sh -c "printf %.0s. \"\$@\"" sh {} + | wc -c; } # printf is in the shell, and need not be beside it
read -r doing files links folders || exit 1
cd "$0" || exit 1
if [ "$doing" = remove ]; then
	while IFS= read -r line; do
		path=$(printf "%b." "${line#-}")
		path=./${path%.}
		straight "$path" && rm -rf "$path" || exit 1
	done
	exit 0
fi
[ "$(($(count f)))" -eq "$files" ] && [ "$(($(count l)))" -eq "$links" ] && [ "$(($(count d)))" -eq "$folders" ] || exit 3
cat >/.bottle-sums || exit 1
[ ! -s /.bottle-sums ] || sha256sum -c /.bottle-sums >/dev/null || exit 3
'
docker ps -aq --filter "label=bottle.filling=$1" | while read -r old; do # of a run that was cut
	docker rm -f -v "$old" >/dev/null
done
docker volume inspect "$4" >/dev/null 2>&1 || fail "$STORAGE_FAILED" "volume $4 is gone" # or it would be made anew, empty
trap 'docker rm -f -v "$filler" >/dev/null 2>&1' EXIT
docker create -i --name "$7" --label bottle.schema=1 --label "bottle.filling=$1" --network none --user 0:0 --cap-drop ALL \
	--cap-add DAC_OVERRIDE --cap-add FOWNER --security-opt no-new-privileges --pids-limit 100 -v "$4:$5:nocopy" --workdir / \
	--entrypoint /bin/sh "$6" -c "$inside" "$5" >/dev/null || fail "$NO_CONTAINER" "no container can be made of $6"
lines=$(cat)
removed=$(printf '%s\n' "$lines" | grep '^-')
if [ -n "$removed" ]; then
	printf 'remove\n%s\n' "$removed" | docker start -ai "$7" >/dev/null || fail "$UNPACKING_FAILED" "cannot take away what is gone from volume $4"
fi
cat "blobs/$2"/[0-9]* | unpack "$3" | docker cp - "$7:$(dirname "$5")" || fail "$UNPACKING_FAILED" "cannot bring volume $4 up to date"
{
	printf 'check %s %s %s\n' "$8" "$9" "${10}"
	printf '%s\n' "$lines" | grep -v '^-' | grep .
} | docker start -ai "$7" >/dev/null
case $? in
0) ;;
3) fail "$NOT_AS_SENT" "volume $4 does not hold what was sent" ;;
*) fail "$NO_CONTAINER" "no shell of $6 can look at volume $4" ;;
esac
