# IDENTITY BLOB CODEC KIND NONCE: unpack a staged tar into the new folder KIND-NONCE of the staging area. The state is the
# user's here, whoever had it there; of a workspace the owners are kept, where the user here may do that.
alone "$1"
cd "$bottle_home/incoming/$1" || fail 21 "nothing is staged"
gone "./$4-"*
mkdir "./$4-$5" || fail 21 "cannot make $4-$5"
owners=
[ "$4" != state ] || owners=o
cat "blobs/$2"/[0-9]* | unpack "$3" | tar "-xp${owners}f" - -C "./$4-$5" || fail 26 "cannot unpack $4"
