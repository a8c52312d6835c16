# IDENTITY FOLDER FILES LINKS FOLDERS: on standard input `SHA256  ./PATH` a line: is the folder what was sent?
alone "$1"
cd "$bottle_home/incoming/$1/$2" || fail "$STORAGE_FAILED" "cannot enter $2"
flush . # what is found whole is to be so after a power cut too
trap 'rm -f "../.sums.$$" "../.checked.$$"' EXIT
cat >"../.sums.$$" || fail "$STORAGE_FAILED" "cannot write to $bottle_home/incoming/$1"
count() { find . -type "$1" -exec printf '%.0s.' {} + | wc -c; }
files=$(count f) links=$(count l) folders=$(count d)
if [ "$files" -ne "$3" ] || [ "$links" -ne "$4" ] || [ "$folders" -ne "$5" ]; then
	fail "$NOT_AS_SENT" "$2 has $((files)) files, $((links)) links and $((folders)) folders, and $3, $4 and $5 were sent"
fi
[ -s "../.sums.$$" ] || exit 0 # there are no files, or none that this list can name
if command -v sha256sum >/dev/null 2>&1; then
	sha256sum -c - <"../.sums.$$" >"../.checked.$$" 2>&1 && exit 0
else
	shasum -a 256 -c - <"../.sums.$$" >"../.checked.$$" 2>&1 && exit 0
fi
grep -v ': OK$' "../.checked.$$" | head -n 5 >&2
exit "$NOT_AS_SENT"
