# IDENTITY NONCE: has the move called NONCE arrived? If not, it never will: what was staged for it is taken back.
alone "$1"
incoming=$bottle_home/incoming/$1
# One rename, as at the end of register.sh: of the two, one comes first.
mv "$incoming/state-$2" "$incoming/withdrawn-$2" 2>/dev/null
# In this order: what is in the state folder is in the other file before the folder is deleted.
if grep -qsxF "$2" "$bottle_home/state/$1/arrived" "$bottle_home/arrived/$1"; then
	printf 'arrived\n'
else
	printf 'withdrawn\n'
fi
remove "$incoming/withdrawn-"*
exit 0
