package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// contentPatch is the content type of a JSON Patch (RFC 6902). Published clients
// send it as JSON.
const contentPatch = "application/json-patch+json"

// maxPatch bounds the operations of a patch.
const maxPatch = 100

// readPatch reads a JSON Patch of a tenant: operations replace on its name, its
// host name and its active subscriptions. An error points to the operation.
func readPatch(w http.ResponseWriter, r *request) (store.Change, error) {
	var none store.Change
	data, err := readJSON(w, r, client.ContentJSON, contentPatch)
	if err != nil {
		return none, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil || list == nil {
		return none, store.Errorf(store.Invalid, "body: want a JSON Patch, an array of operations")
	}
	if len(list) > maxPatch {
		return none, store.Errorf(store.Invalid, "body: %d operations; want at most %d", len(list), maxPatch)
	}
	var p patch
	for i, operation := range list {
		if err := p.add(operation); err != nil {
			return none, below(i, err)
		}
	}
	return store.Edit(p.name, p.hostname, p.subscriptions), nil
}

// below says that the field of an error is in a member of an array.
func below(i int, err error) error {
	var e *store.Error
	if !errors.As(err, &e) {
		return err
	}
	at := strconv.Itoa(i)
	if e.Field != "" {
		at += "." + e.Field
	}
	return e.At(at)
}

// patch is what a JSON Patch changes; nil is left alone.
type patch struct {
	name, hostname *string
	subscriptions  *int
}

// add reads one operation. One that follows another on the same place replaces
// what that has put there.
func (p *patch) add(operation json.RawMessage) error {
	var op, path *string
	var value json.RawMessage
	if operation[0] != '{' {
		return store.Errorf(store.Invalid, "operation %s: want an object", shown(operation))
	}
	if err := decodeObject(operation, members{"op": &op, "path": &path, "value": &value}); err != nil {
		return err
	}
	switch {
	case op == nil || *op != "replace":
		return store.Errorf(store.Invalid, `op: want "replace"`).At("op")
	case path == nil:
		return store.Errorf(store.Invalid, "path: want one").At("path")
	case value == nil:
		return store.Errorf(store.Invalid, "value: want one").At("value")
	}
	switch *path {
	case "/name":
		return p.text(value, &p.name, func(s string) error { return store.CheckText("value", s, store.MaxNameLength) })
	case "/hostname", "/hostnames/0":
		return p.text(value, &p.hostname, store.CheckHostname)
	case "/activeSubscriptions":
		n := -1
		if err := decodeValue("value", value, &n); err != nil {
			return err
		}
		if n < 0 {
			return store.Errorf(store.Invalid, "activeSubscriptions %d: want 0 or more", n).At("value")
		}
		p.subscriptions = &n
		return nil
	}
	if *path == "/hostnames" || strings.HasPrefix(*path, "/hostnames/") {
		return store.Errorf(store.Invalid, "path %s: a tenant has one host name and no aliases; want /hostname or /hostnames/0", store.Quote(*path)).At("path")
	}
	return store.Errorf(store.Invalid, "path %s: want /name, /hostname, /hostnames/0 or /activeSubscriptions", store.Quote(*path)).At("path")
}

// text reads a value that is a sound text.
func (p *patch) text(value json.RawMessage, to **string, check func(string) error) error {
	var s string
	err := decodeValue("value", value, &s)
	if err == nil {
		err = check(s)
	}
	var e *store.Error
	if errors.As(err, &e) {
		return e.At("value")
	}
	*to = &s
	return nil
}
