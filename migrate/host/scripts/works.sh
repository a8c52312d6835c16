# IDENTITY WORKSPACE: what a bottle is that lives here, where WORKSPACE is a folder; else nothing.
state=$bottle_home/state/$1
[ -d "$state" ] && [ ! -e "$state/moved-to.json" ] && [ -d "$2" ] || exit 0
cat "$state/metadata.json"
