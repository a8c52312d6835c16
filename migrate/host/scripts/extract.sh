# IDENTITY BLOB CODEC KIND NONCE: unpack a staged tar into the new folder KIND-NONCE of the staging area. The state is
# the user's here and nobody else's, whoever had it there and with whatever rights; of a workspace the owners are kept,
# where the user here may do that.
alone "$1"
cd "$bottle_home/incoming/$1" || fail "$STORAGE_FAILED" "nothing is staged"
gone "./$4-"*
mkdir "./$4-$5" || fail "$STORAGE_FAILED" "cannot make $4-$5"
owners=
[ "$4" != state ] || owners=o
cat "blobs/$2"/[0-9]* | unpack "$3" | tar "-xp${owners}f" - -C "./$4-$5" || fail "$UNPACKING_FAILED" "cannot unpack $4"
[ "$4" != state ] || {
	open_up "./$4-$5"
	chmod -R u=rwX,go= "./$4-$5"
} || fail "$STORAGE_FAILED" "cannot make $4-$5 private"
