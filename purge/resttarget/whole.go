package resttarget

import (
	"github.com/tidwall/gjson"

	"github.com/tenantpurge/purger/purge/httpcall"
)

// whole returns an error when an answer that is configured to be the whole list says
// that there is more, in a Link header or under one of the names that APIs have for
// it. It says which paging to configure.
func (w *walk) whole(r httpcall.Request, a *httpcall.Response, body []byte) error {
	if next, err := httpcall.NextLink(a.Header); err == nil && next != "" {
		return httpcall.Unusable(r, a, `there is more, says a Link header with rel="next": want paging {type: link}`)
	}
	v := gjson.ParseBytes(body)
	if !v.IsObject() {
		return nil
	}
	for _, path := range []string{"has_more", "hasMore", "has_next", "hasNext"} {
		if v.Get(path).Type == gjson.True {
			return httpcall.Unusable(r, a, "there is more, says %q: want paging of a type other than none, with more: %s", path, path)
		}
	}
	for _, path := range []string{"next_cursor", "nextCursor", "next_page_token", "nextPageToken", "continuation_token", "continuationToken"} {
		if _, ok := scalar(v.Get(path)); ok {
			return httpcall.Unusable(r, a, "there is more, says %q: want paging {type: cursor, next: %s}", path, path)
		}
	}
	for _, path := range []string{"_links.next.href", "links.next", `@odata\.nextLink`, "next_url", "nextUrl"} {
		if _, ok := scalar(v.Get(path)); ok {
			return httpcall.Unusable(r, a, "there is more, says %q: want paging {type: link, next: %s}", path, path)
		}
	}
	return nil
}
