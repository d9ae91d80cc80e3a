// Package disktest holds tests and nothing else: they give the real purger a disk
// that is full, that fails, that is slow, that becomes read-only and that loses
// power, and look at what it says, with which exit code it ends, and whether all
// that it acknowledged is there afterwards.
//
// They need root, strace, xfsprogs and e2fsprogs, mount in a namespace of their
// own, and touch no other disk than files of theirs.
//
//	go test -tags long ./cmd/purger/disktest
package disktest
