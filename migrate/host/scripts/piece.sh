# IDENTITY BLOB NUMBER SHA256 SIZE: take one piece of a blob from standard input. It has its name only once it is whole.
folder=$bottle_home/incoming/$1/blobs/$2
mkdir -p "$folder" || fail "$STORAGE_FAILED" "cannot make $folder"
temporary=$folder/.$3.$$
trap 'rm -f "$temporary"' EXIT
cat >"$temporary" || fail "$STORAGE_FAILED" "cannot write $temporary"
[ "$(size_of "$temporary")" = "$5" ] || fail "$CAME_SHORT" "piece $3 came short: $(size_of "$temporary") of $5 bytes"
[ "$(hash_file "$temporary")" = "$4" ] || fail "$NOT_AS_SENT" "piece $3 was changed on its way"
rm -f "$folder/$3-"*
mv -f "$temporary" "$folder/$3-$4" || fail "$STORAGE_FAILED" "cannot write $folder/$3-$4"
