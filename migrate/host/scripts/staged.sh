# IDENTITY: on standard input the blobs that are wanted, one a line: what is staged, `BLOB PIECE SIZE` a line. Blobs
# that are not wanted are deleted first, unless none is named. Pieces are called NUMBER-SHA256.
cd "$bottle_home/incoming/$1/blobs" 2>/dev/null || exit 0
wanted=$(cat)
for blob in *; do
	case "
$wanted
" in
	"

" | *"
$blob
"*) ;;
	*) rm -rf "./$blob" ;;
	esac
done
# Of any number of pieces with one program, which reads none of them: `ls -l` has the size in its fifth column (POSIX).
find . -type f -name '[0-9]*' -exec ls -ln {} + | awk '{ name = $NF; sub(/^\.\//, "", name); sub(/\//, " ", name); print name, $5 }'
