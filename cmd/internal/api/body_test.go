package api

import (
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

func TestBody_IsStrict(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		for name, c := range map[string]struct {
			body, pointer, says string
		}{
			"unknown member":      {`{"id":"x","colour":"red"}`, "/colour", "want activeSubscriptions, datacenter, hostname, id, licenseKey, name, parentId"},
			"other case":          {`{"ID":"x"}`, "/ID", `member "ID"`},
			"twice":               {`{"id":"x","id":"x"}`, "/id", "given twice"},
			"twice, escaped":      {`{"id":"x","\u0069d":"y"}`, "/id", "given twice"},
			"odd name":            {`{"a/b~c":1}`, "/a~1b~0c", "want"},
			"number for string":   {`{"id":7}`, "/id", "id 7: want a string"},
			"null":                {`{"id":null}`, "/id", "id null: want a string"},
			"null for number":     {`{"id":"x","activeSubscriptions":null}`, "/activeSubscriptions", "want a whole number"},
			"string for number":   {`{"id":"x","activeSubscriptions":"1"}`, "/activeSubscriptions", `"1": want a whole number`},
			"fraction":            {`{"id":"x","activeSubscriptions":1.5}`, "/activeSubscriptions", "want a whole number"},
			"overflow":            {`{"id":"x","activeSubscriptions":9223372036854775808}`, "/activeSubscriptions", "want a whole number"},
			"object for string":   {`{"name":{"a":1}}`, "/name", "(an object)"},
			"array for string":    {"{\"name\":[\n\n]}", "/name", "(an array)"},
			"lone surrogate":      {`{"id":"x","name":"\ud800"}`, "/name", "want a string"},
			"bidi override":       {`{"id":"x","name":"a\u202eb"}`, "/name", "U+202E"},
			"trailing object":     {`{"id":"x"}{"id":"y"}`, "", "there is more after"},
			"trailing garbage":    {`{"id":"x"} x`, "", "there is more after"},
			"two bodies":          {"{\"id\":\"x\"}\n{\"id\":\"y\"}", "", "there is more after"},
			"not an object":       {`["id","x"]`, "", "want a JSON object"},
			"null body":           {`null`, "", "want a JSON object"},
			"cut off":             {`{"id":"x"`, "", "it ends too early"},
			"cut off in a string": {`{"id":"x`, "", "it ends too early"},
			"only white space":    {"  \n", "", "it ends too early"},
			"not JSON":            {`id=x`, "", "not JSON"},
			"comment":             {`{"id":"x" /* y */}`, "", "not JSON"},
			"trailing comma":      {`{"id":"x",}`, "", "not JSON"},
			"invalid UTF-8":       {"{\"id\":\"x\",\"name\":\"\xff\"}", "", "not valid UTF-8"},
			"byte order mark":     {"\xef\xbb\xbf{\"id\":\"x\"}", "", "not JSON"},
			"deep nesting":        {`{"name":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, "", "not JSON"},
		} {
			res := raw(t, r, "POST /api/v1/tenants", c.body)
			p := res.problem(t)
			pointer := ""
			if p.Source != nil {
				pointer = p.Source.Pointer
			}
			if res.status != 400 || p.Code != store.Invalid || pointer != c.pointer || !strings.Contains(p.Detail, c.says) {
				t.Errorf("%s: status %d, pointer %q, detail %q; want %q and %q", name, res.status, pointer, p.Detail, c.pointer, c.says)
			}
			if len(p.Detail) > 400 {
				t.Errorf("%s: the message has %d bytes", name, len(p.Detail))
			}
		}
		for tenant, err := range r.AllTenants(t.Context(), client.TenantQuery{}) {
			t.Errorf("a refused body made %+v, %v", tenant, err)
		}
	})
}

func TestBody_TakesEveryWayToWriteTheSame(t *testing.T) {
	r := newRig(t).inProcess(t)
	for id, body := range map[string]string{
		"a": `{"id":"a","name":"\ufffd \ud83d\ude00"}`,
		"b": " {\n\"id\" : \"b\" }\r\n ",
		"c": `{"\u0069\u0064":"\u0063","activeSubscriptions":0,"parentId":""}`,
		"d": "{\"id\":\"d\",\"name\":\"\uFFFD\"}",
	} {
		if res := raw(t, r, "POST /api/v1/tenants", body); res.status != 201 || res.json(t)["id"] != id {
			t.Errorf("%s: status %d: %s", id, res.status, res.body)
		}
	}
	if got, err := r.Tenant(t.Context(), "a", false); err != nil || got.Name != "\uFFFD \U0001F600" {
		t.Errorf("name %q, %v", got.Name, err)
	}
}

func TestBody_TooLargeIsRefusedUnread(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		fits := `{"id":"x","colour":"` + strings.Repeat("x", maxBody-22) + `"}`
		if len(fits) != maxBody {
			t.Fatalf("%d bytes", len(fits))
		}
		if res := raw(t, r, "POST /api/v1/tenants", fits); res.status != 400 {
			t.Errorf("%d bytes: status %d", len(fits), res.status)
		}
		res := raw(t, r, "POST /api/v1/tenants", fits+" ")
		if p := res.problem(t); res.status != 413 || p.Code != store.Invalid || !strings.Contains(p.Detail, "1048576") {
			t.Errorf("one byte more: status %d: %s", res.status, res.body)
		}
		_, err := r.Create(t.Context(), client.NewTenant{ID: "x", Name: strings.Repeat("x", 2*maxBody)})
		wantCode(t, err, store.Invalid)
	})
}

func TestBody_ContentTypeIsAsked(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		for contentType, ok := range map[string]bool{
			"application/json": true, "Application/JSON; charset=UTF-8": true,
			"": false, "text/plain": false, "application/x-www-form-urlencoded": false, "application/json; charset=latin1": false,
			"application/jsonx": false, "application/json;;": false, "multipart/form-data; boundary=x": false,
		} {
			id := "t" + strings.Repeat("x", len(contentType))
			res := raw(t, r, "POST /api/v1/tenants", `{"id":"`+id+`"}`, "Content-Type: "+contentType)
			if ok && res.status != 201 || !ok && (res.status != 415 || res.problem(t).Code != store.Invalid) {
				t.Errorf("%q: status %d: %s", contentType, res.status, res.body)
			}
		}
	})
}

func TestBody_IsRefusedWhereThereIsNone(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"})
		r.disable(t, 0, "acme")
		for _, what := range []string{"GET /api/v1/tenants/acme", "DELETE /api/v1/tenants/acme/hold", "DELETE /api/v1/admin/tenants/acme"} {
			if res := raw(t, r, what, `{}`); res.status != 400 || !strings.Contains(res.body, "takes none") {
				t.Errorf("%s: status %d: %s", what, res.status, res.body)
			}
		}
		for _, what := range []string{"POST /api/v1/tenants/acme/actions/reactivate", "POST /api/v1/purges", "POST /api/v1/store/check"} {
			if res := raw(t, r, what, `{"version":1}`); res.status != 400 || res.problem(t).Source.Pointer != "/version" {
				t.Errorf("%s: status %d: %s", what, res.status, res.body)
			}
			if res := raw(t, r, what, `{}`); res.status >= 300 {
				t.Errorf("%s with {}: status %d: %s", what, res.status, res.body)
			}
		}
	})
}

func TestPointer_ComesBackAsTheField(t *testing.T) {
	for field, pointer := range map[string]string{
		"id": "/id", "hold.reason": "/hold/reason", "a/b": "/a~1b", "a~b": "/a~0b", "~1": "/~01",
	} {
		if got := client.PointerTo(field); got != pointer {
			t.Errorf("PointerTo(%q) = %q, want %q", field, got, pointer)
		}
		if got := (&client.Source{Pointer: pointer}).Field(); got != field {
			t.Errorf("field of %q = %q, want %q", pointer, got, field)
		}
	}
}
