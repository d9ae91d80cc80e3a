// Package killtest holds a test and nothing else: it kills the real purger with
// SIGKILL in the midst of imports, passes, compactions, backups, changes by many
// clients and the opening of a store that was killed before, again and again, and
// compares what is on the disk with what it knows must be there.
//
// What it knows is kept in its own memory (oracle): what it asked for, and what
// was acknowledged by an exit code 0, a 2xx answer or a line of the log. After
// every kill the store must be sound by 'purger store check', hold everything
// that was acknowledged, lack nothing that nobody asked to be removed, and have
// one receipt with exact counts for each purge.
//
//	go test ./cmd/purger/killtest                      # 10 rounds
//	go test -v -tags long -run TwoHundred ./cmd/purger/killtest
//	go test ./cmd/purger/killtest -kill.seed 42 -kill.rounds 50 -v
//
// The seed decides what is done and with what data, as long as the machine lets
// it: the instants of the kills follow from it and from how long each step takes
// at the time, and what is done next follows from what a kill has left.
package killtest
