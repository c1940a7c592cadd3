#!/bin/bash
# Sends a program a signal once something holds, however long that takes here:
#   signal-when.sh SIGNAL CONDITION PROGRAM [ARG...]
# CONDITION is a shell command, asked fifty times a second. Ends as the program does,
# with 128 + N by a signal N; what has not ended after two minutes is killed.
signal=$1 condition=$2
shift 2
exec 3<&0 # the shell would give it /dev/null
"$@" <&3 3<&- &
pid=$!
exec 3<&- <&-
for ((i = 0; i < 6000; i++)); do
	kill -0 $pid 2> /dev/null || break
	if [ "$signal" ] && eval "$condition" 2> /dev/null; then
		kill -s "$signal" $pid
		signal=
	fi
	sleep 0.02
done
kill -s KILL $pid 2> /dev/null
wait $pid
