package main

import (
	"bytes"
	"testing"

	"github.com/tenantpurge/purger/purge/client"
)

func TestProgress_IsOneLineThatGoesAway(t *testing.T) {
	var b bytes.Buffer
	p := &progress{w: &b}
	p.show(client.ImportProgress{Stage: "read", Lines: 1500})
	p.show(client.ImportProgress{Stage: "write\n", Lines: 500, Total: 1500})
	p.clear()
	want := "\r\x1b[Kread: 1,500\r\x1b[K\"write\\n\": 500 of 1,500 (33 %)\r\x1b[K"
	if b.String() != want {
		t.Errorf("wrote %q; want %q", b.String(), want)
	}
}

func TestProgress_WithoutATerminalOrAnEventShowsNothing(t *testing.T) {
	var b bytes.Buffer
	p := (&app{stderr: &b}).newProgress()
	p.show(client.ImportProgress{Stage: "read", Lines: 1})
	p.clear()
	(&progress{w: &b}).clear()
	if b.Len() > 0 {
		t.Errorf("wrote %q", b.String())
	}
}
