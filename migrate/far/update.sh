# IDENTITY BLOB CODEC FOLDER, and on standard input a line for each path: bring an unpacked folder up to date by a staged
# tar of what changed in it. `-PATH` goes first, with all below it; `+PATH` is a folder that must be opened for what is
# done in it, and gets its rights from the tar. Paths are as `printf %b` reads them.
alone "$1"
cd "$bottle_home/incoming/$1/$4" || fail 21 "cannot enter $4"
while IFS= read -r line; do
	path=$(printf '%b.' "${line#?}")
	path=./${path%.}
	case $line in
	+*) [ ! -d "$path" ] || chmod u+rwx "$path" ;;
	*) rm -rf "$path" 2>/dev/null || { chmod -R u+rwx "$path" && rm -rf "$path"; } ;;
	esac || fail 26 "cannot bring $4 up to date"
done
cat "../blobs/$2"/[0-9]* | unpack "$3" | tar -xpf - || fail 26 "cannot bring $4 up to date"
