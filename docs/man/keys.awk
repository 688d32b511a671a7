# keys.awk - puts what `silver help app.ini` says where app.ini(5) has its KEYS mark.
#	[section]  meaning
#	  key      meaning
NR == FNR {
	word = $1
	meaning = $0
	sub(/^ *[^ ]+ +/, "", meaning)
	if (word ~ /^\[/)
		list = list (list == "" ? "" : ".El\n") ".Ss " word "\n" meaning "\n.Bl -tag -width default_location -compact\n"
	else
		list = list ".It Ic " word "\n" meaning "\n"
	next
}
/^\.\\" KEYS$/ {
	printf "%s.El\n", list
	next
}
{ print }
