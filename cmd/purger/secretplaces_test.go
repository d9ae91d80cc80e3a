package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/commandtarget"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/purge/oauthtarget"
	"github.com/tenantpurge/purger/purge/postgressource"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/purge/restsource"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/purge/scimtarget"
	"github.com/tenantpurge/purger/store"
)

// secretBases returns sound options of every type, in which there is each option that
// takes a secret, by "target TYPE" and "source TYPE".
func secretBases(url string) map[string]func() any {
	call := func(method, path string) resttarget.Call {
		c := resttarget.Call{Method: method, URL: path, Headers: map[string]string{}}
		if method == "POST" {
			c.Body = `{"t": "{tenant}"}`
		}
		return c
	}
	return map[string]func() any{
		"target command": func() any {
			return &commandtarget.Config{Kinds: []string{"user"}, Command: "/bin/false", Env: map[string]string{}}
		},
		"target oauth": func() any { return &oauthtarget.Config{BaseURL: url, Headers: map[string]string{}} },
		"target postgres": func() any {
			return &postgrestarget.Config{Kinds: map[store.Kind]postgrestarget.Kind{store.KindUser: {Table: "users", Tenant: "tenant"}}}
		},
		"target scim": func() any {
			return &scimtarget.Config{BaseURL: url, Headers: map[string]string{},
				Resources: []scimtarget.Resource{{Kind: store.KindUser, Endpoint: "/Users", Attribute: "externalId"}}}
		},
		"target rest": func() any {
			return &resttarget.Config{BaseURL: url, Headers: map[string]string{}, Kinds: map[store.Kind]resttarget.Kind{
				store.KindUser: {
					List:   &resttarget.List{Call: call("POST", "/users?t={tenant}"), Items: "data", ID: "id"},
					Delete: &resttarget.Delete{Call: call("POST", "/delete/{id}")},
				},
				store.KindAPIKey: {
					Count: &resttarget.Count{Call: call("POST", "/count?t={tenant}"), Value: "n"},
					Purge: &resttarget.Purge{Call: call("POST", "/purge?t={tenant}")},
				},
			}}
		},
		"source postgres": func() any { return &postgressource.Config{Query: "SELECT 1"} },
		"source rest": func() any {
			return &restsource.Config{BaseURL: url, Headers: map[string]string{}, List: restsource.List{URL: "/tenants", Items: "data"},
				Get: restsource.Get{URL: "/tenants/{id}"}, Children: restsource.List{URL: "/tenants?parent={id}", Items: "data"},
				Fields: restsource.Fields{ID: "id", Parent: "parent", Status: "status"}}
		},
	}
}

// secretPlace is an option that takes a secret.
type secretPlace struct {
	index      int
	path       string // in the options
	field      string // of its type
	tag        string
	value, all reflect.Value
}

// placesOf returns the options, a pointer to a struct, that take secrets.
func placesOf(options any) []secretPlace {
	var list []secretPlace
	all := reflect.ValueOf(options).Elem()
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem(), path)
			}
		case reflect.Map:
			keys := v.MapKeys()
			slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
			for _, k := range keys {
				walk(v.MapIndex(k), path+"."+k.String())
			}
		case reflect.Struct:
			for _, f := range reflect.VisibleFields(v.Type()) {
				if f.Anonymous || !f.IsExported() {
					continue
				}
				at := path + "." + f.Name
				if tag := f.Tag.Get("config"); takes(tag) {
					list = append(list, secretPlace{len(list), at, v.Type().String() + "." + f.Name, tag, v.FieldByIndex(f.Index), all})
					continue
				}
				walk(v.FieldByIndex(f.Index), at)
			}
		default:
		}
	}
	walk(all, "")
	return list
}

// taggedOf adds the fields, in all that a type has, that take secrets.
func taggedOf(t reflect.Type, to map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		taggedOf(t.Elem(), to)
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(t) {
			switch {
			case f.Anonymous || !f.IsExported():
			case takes(f.Tag.Get("config")):
				to[t.String()+"."+f.Name] = true
			default:
				taggedOf(f.Type, to)
			}
		}
	default:
	}
}

func takes(tag string) bool { return tag != "" && tag != "-" && tag != "secrets" && tag != "path" }

// forms returns the texts with a reference that the option may have, by name.
func (p secretPlace) forms(t *testing.T, ref string) map[string]string {
	t.Helper()
	switch {
	case p.tag == "dsn":
		whole := func(dsn string) string { return secretFile(t, dsn) }
		// Taken as it is, it makes of the password a host and a database.
		const looksLike = "Xk@" + refuses + "/HUNTER2hunter2"
		return map[string]string{
			" password":       "postgres://purger:" + ref + "@" + refuses + "/app?sslmode=disable",
			" parameter":      "postgres://purger@" + refuses + "/app?sslmode=disable&password=" + ref,
			" TLS password":   "postgres://purger@" + refuses + "/app?sslmode=disable&sslpassword=" + ref,
			" port":           "postgres://purger@127.0.0.1:" + ref + "/app",
			" mode":           "postgres://purger@127.0.0.1/app?sslmode=" + ref,
			" session":        "postgres://purger@127.0.0.1/app?target_session_attrs=" + ref,
			" keyword":        "host=127.0.0.1 port=1 user=purger sslmode=disable password=" + ref + " dbname=app",
			" quoted keyword": "host=127.0.0.1 port=1 user=purger sslmode=disable password='" + ref + "' dbname=app",
			" looks":          "postgres://purger:" + secretFile(t, looksLike) + "@" + refuses + "/app?sslmode=disable",
			" whole looks":    whole("postgres://purger:" + looksLike + "@" + refuses + "/app?sslmode=disable"),
			" whole":          whole("postgres://purger:" + canary + "@" + refuses + "/app?sslmode=disable"),
			" whole keywords": whole("host=127.0.0.1 port=1 user=purger sslmode=" + canary),
		}
	case strings.HasSuffix(p.field, ".URL"):
		u := p.value.String()
		query := u + "?k=" + ref
		if strings.Contains(u, "?") {
			query = u + "&k=" + ref
		}
		return map[string]string{" query": query, " path": "/x-" + ref + u, " host": "http://" + ref + u, " begin": ref + u}
	case strings.HasSuffix(p.field, ".Body"):
		return map[string]string{"": `{"k": "` + ref + `", "t": "{tenant}", "i": "x"}`, " bare": `{"k": ` + ref + `}`}
	case p.value.Kind() == reflect.Map:
		return map[string]string{"": ref, " with more": "Key " + ref}
	}
	return map[string]string{"": ref}
}

// set puts a text into the option, and what has to be beside it.
func (p secretPlace) set(text string) {
	switch p.value.Kind() {
	case reflect.Slice:
		p.value.Set(reflect.ValueOf([]string{text}))
	case reflect.Map:
		p.value.Set(reflect.ValueOf(map[string]string{"Some-Name": text}))
	default:
		p.value.SetString(text)
	}
	f := p.all.FieldByName("Auth")
	if !f.IsValid() {
		return
	}
	auth, ok := f.Addr().Interface().(*httpcall.Auth)
	switch {
	case !ok:
		panic(fmt.Sprintf("%s has the type %s", p.path, f.Type()))
	case auth.Password != "" && auth.Username == "":
		auth.Username = "u"
	case strings.Contains(p.path, "OAuth"):
		auth.OAuth.TokenURL = p.all.FieldByName("BaseURL").String() + "/token"
		for _, s := range []*string{&auth.OAuth.ClientID, &auth.OAuth.ClientSecret} {
			if *s == "" {
				*s = "c"
			}
		}
	}
}
