package resttarget

import (
	"fmt"
	"hash/maphash"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// found returns the JSON of an answer to a question; nil when the API does not
// know the tenant.
func found(r httpcall.Request, a *httpcall.Response, notFoundIsEmpty bool) ([]byte, error) {
	if !a.OK() {
		e := httpcall.StatusError(r, a)
		if notFoundIsEmpty && gone(a.Status) && httpcall.IsJSON(a) {
			return nil, nil
		}
		return nil, e
	}
	return httpcall.JSON(r, a)
}

// gone reports a status that says that there is no such thing (any more).
func gone(status int) bool { return status == http.StatusNotFound || status == http.StatusGone }

// items returns the array of a page.
func (w *walk) items(r httpcall.Request, a *httpcall.Response, body []byte) ([]gjson.Result, error) {
	v := gjson.ParseBytes(body)
	if w.l.Envelope != "" && !v.Get(w.l.Envelope).Exists() {
		return nil, httpcall.Unusable(r, a, "nothing at envelope %q", w.l.Envelope)
	}
	if w.l.Items != "" {
		v = v.Get(w.l.Items)
	}
	switch {
	case v.IsArray():
		return v.Array(), nil
	case w.l.Envelope != "" && (!v.Exists() || v.Type == gjson.Null):
		return nil, nil
	}
	return nil, httpcall.Unusable(r, a, "no array at items %q", w.l.Items)
}

// owned returns the ids of those items that are the tenant's.
func (w *walk) owned(r httpcall.Request, a *httpcall.Response, items []gjson.Result) ([]string, error) {
	ids := make([]string, 0, len(items))
	var sum uint64 // in this order
	for _, item := range items {
		id := item
		if w.l.ID != "" {
			id = item.Get(w.l.ID)
		}
		text, ok := scalar(id)
		if !ok {
			return nil, httpcall.Unusable(r, a, "an item has no id at %q", w.l.ID)
		}
		one := maphash.String(w.seed, text)
		sum, w.sum = 31*sum+one, w.sum+one
		mine, err := w.mine(r, a, item)
		if err != nil {
			return nil, err
		}
		if mine {
			ids = append(ids, text)
		} else {
			w.skipped++
		}
	}
	// A parameter that the API does not know has the first page come for ever.
	if len(items) > 0 {
		if w.pages > 0 && sum == w.last {
			return nil, httpcall.Unusable(r, a, "page %d is the one before once more: does the API know the parameters of the paging?", w.pages+1)
		}
		w.last = sum
	}
	return ids, nil
}

// mine reports whether an item belongs to the tenant.
func (w *walk) mine(r httpcall.Request, a *httpcall.Response, item gjson.Result) (bool, error) {
	if w.l.Owner == "" {
		return true, nil
	}
	owner := item.Get(w.l.Owner)
	if owner.IsArray() {
		switch owners := owner.Array(); len(owners) {
		case 0:
			owner = gjson.Result{}
		case 1:
			owner = owners[0]
		default:
			w.l.owned.Store(true)
			for _, o := range owners {
				if text, _ := scalar(o); text == w.tenant {
					return false, store.Errorf(store.Precondition, "a resource belongs to this tenant and to others, and is left to a person")
				}
			}
			return false, nil
		}
	}
	text, ok := scalar(owner)
	if !ok && w.l.filtered {
		// To skip it could empty the list by a mistake in the configuration.
		return false, httpcall.Unusable(r, a, "an item has no owner at %q", w.l.Owner)
	}
	if ok && !w.l.owned.Load() {
		w.l.owned.Store(true)
	}
	return ok && text == w.tenant, nil
}

// ownerless returns an error when no item of a whole list has an owner, and none ever
// had: then it is the path that is wrong, as far as anybody can tell (G6). Of an item
// the names are shown, and no value.
func (w *walk) ownerless(r httpcall.Request, a *httpcall.Response) error {
	if doubt := w.doubt(); doubt != "" && w.done && !w.cut {
		return httpcall.Unusable(r, a, "%s: want the path of the tenant's id, or ownerConfirmed if the path is right", doubt)
	}
	return nil
}

// doubt returns that no item up to now has an owner, and none ever had; else "".
func (w *walk) doubt() string {
	if w.received == 0 || w.l.Owner == "" || w.l.OwnerConfirmed || w.l.owned.Load() {
		return ""
	}
	return fmt.Sprintf("none of %d items has an owner at %q; the last one has %s", w.received, w.l.Owner, names(w.unowned))
}

// names returns the names of the members of an item.
func names(item gjson.Result) string {
	var list []string
	item.ForEach(func(name, _ gjson.Result) bool {
		if item.IsObject() {
			list = append(list, strconv.Quote(store.Cut(name.Str, 40)))
		}
		return len(list) < 20
	})
	if list == nil {
		return "no members"
	}
	return strings.Join(list, ", ")
}

// scalar returns a string or number as text, and whether there is one.
func scalar(v gjson.Result) (string, bool) {
	switch v.Type {
	case gjson.String:
		return v.Str, v.Str != ""
	case gjson.Number:
		return v.Raw, true
	}
	return "", false
}
