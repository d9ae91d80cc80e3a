package main

import (
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdDirectory serves a REST API that lists the tenants of a file, and knows of no
// single one, and sets $DIRECTORY to its URL: directory file.
func cmdDirectory(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: directory file")
	}
	path := ts.MkAbs(args[0])
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/tenants" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte("{}")) // whoever left does not read it
			return
		}
		text, err := os.ReadFile(path)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = w.Write(text)
	}))
	ts.Defer(srv.Close)
	ts.Setenv("DIRECTORY", srv.URL)
}
