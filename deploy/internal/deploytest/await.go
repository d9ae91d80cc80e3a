package deploytest

import (
	"context"
	"net"
	"testing"
	"time"
)

// Patience bounds every wait: long enough for a busy machine, and nothing but a
// failing test ever waits for it.
const Patience = 60 * time.Second

// Eventually asks every so often until there is no complaint, an empty one. With the
// last one it ends the test when [Patience] is at an end.
func Eventually(t testing.TB, every time.Duration, complaint func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		said := complaint()
		if said == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(said)
		case <-tick.C:
		}
	}
}

// FreeAddress returns an address of this machine that nobody listens on. It is
// not of 127.0.0.1, from where the connections of all others come: one of them
// might have the port while a daemon is down.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
