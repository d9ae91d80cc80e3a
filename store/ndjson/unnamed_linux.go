package ndjson

import "golang.org/x/sys/unix"

// unnamed makes opening a directory create a file in it that has no name.
const unnamed = unix.O_TMPFILE
