# IDENTITY: the move is over; staging goes.
alone "$1"
gone "$bottle_home/incoming/$1"
rmdir "$bottle_home/incoming" 2>/dev/null
exit 0
