# IDENTITY BLOB CODEC FOLDER: bring an unpacked folder up to date by a staged tar of what changed in it. On standard
# input is a line for each path. `-PATH` goes first, with all below it; `+PATH` is a folder that must be opened for what
# is done in it, and gets its rights from the tar. Paths are as `printf %b` reads them.
straight() { # PATH: is no folder on the way to it a link?
	above=${1%/*}
	while [ "$above" != . ]; do
		[ ! -h "$above" ] || return 1
		above=${above%/*}
	done
}

alone "$1"
cd "$bottle_home/incoming/$1/$4" || fail "$STORAGE_FAILED" "cannot enter $4"
while IFS= read -r line; do
	path=$(printf '%b.' "${line#?}")
	path=./${path%.}
	case $line in
	+*) straight "$path/." && { [ ! -d "$path" ] || chmod u+rwx "$path"; } ;;
	*) straight "$path" && gone "$path" ;;
	esac || fail "$UNPACKING_FAILED" "cannot bring $4 up to date: a link is where a folder was, or nobody may write there"
done
cat "../blobs/$2"/[0-9]* | unpack "$3" | tar -xpf - || fail "$UNPACKING_FAILED" "cannot bring $4 up to date"
