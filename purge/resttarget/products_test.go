package resttarget_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/tenantpurge/purger/store"
)

// object is a resource of an imitated product.
type object struct {
	id, tenant  string
	kind        store.Kind
	deactivated bool
}

// product is a small imitation of the documented answers of one product.
type product struct {
	mu   sync.Mutex
	next int
	held []*object

	// auth is what the Authorization header has to be.
	auth string
	// file is the ready-made one, and kinds what it purges.
	file  string
	kinds []store.Kind
	// lists answers a list or count request, or reports that it is none.
	lists func(p *product, w http.ResponseWriter, r *http.Request) bool
	// deletes is the path of a delete up to the id, by kind.
	deletes map[store.Kind]string
	// id makes the id of the n-th object.
	id func(n int) string
	// always says that a delete of what is gone is answered like any other.
	always bool
	// twice says that the first delete only deactivates.
	twice bool
	// deleted answers a delete.
	deleted func(w http.ResponseWriter, id string)
}

func (p *product) add(tenant string, kind store.Kind, n int) error {
	if err := store.CheckID("tenant", tenant); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for range n {
		p.next++
		p.held = append(p.held, &object{id: p.id(p.next), tenant: tenant, kind: kind})
	}
	return nil
}

func (p *product) left(tenant string, kind store.Kind) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(len(p.find(kind, func(t string) bool { return t == tenant }))), nil
}

// find returns what matches, in the order of creation.
func (p *product) find(kind store.Kind, matches func(tenant string) bool) []*object {
	var found []*object
	for _, o := range p.held {
		if o.kind == kind && matches(o.tenant) {
			found = append(found, o)
		}
	}
	return found
}

func all(string) bool { return true }

func (p *product) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.HasSuffix(r.URL.Path, "/token") {
		answer(w, http.StatusOK, map[string]any{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600})
		return
	}
	if r.Header.Get("Authorization") != p.auth {
		fail(w, http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodDelete {
		p.remove(w, r)
		return
	}
	if !p.lists(p, w, r) {
		fail(w, http.StatusNotFound)
	}
}

func (p *product) remove(w http.ResponseWriter, r *http.Request) {
	for kind, prefix := range p.deletes {
		rest, ok := strings.CutPrefix(r.URL.EscapedPath(), prefix)
		if !ok {
			continue
		}
		id, err := url.PathUnescape(rest)
		if err != nil || strings.Contains(rest, "/") {
			break
		}
		for i, o := range p.held {
			if o.kind != kind || o.id != id {
				continue
			}
			if p.twice && !o.deactivated {
				o.deactivated = true
			} else {
				p.held = append(p.held[:i:i], p.held[i+1:]...)
			}
			p.deleted(w, id)
			return
		}
		if p.always {
			p.deleted(w, id)
			return
		}
	}
	fail(w, http.StatusNotFound)
}

func noContent(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusNoContent) }

// number reads a parameter.
func number(q url.Values, name string, def int) int {
	if n, err := strconv.Atoi(q.Get(name)); err == nil {
		return n
	}
	return def
}

// slice returns a page.
func slice(all []*object, from, size int) []*object {
	from = min(max(from, 0), len(all))
	return all[from:min(from+size, len(all))]
}

// render turns objects into what a product shows of them.
func render(page []*object, one func(o *object) map[string]any) []any {
	items := []any{}
	for _, o := range page {
		items = append(items, one(o))
	}
	return items
}

// quoted takes a filter apart that compares one field with a quoted text.
func quoted(filter, before string) (string, bool) {
	m := regexp.MustCompile("^" + regexp.QuoteMeta(before) + `"((?:[^"\\]|\\.)*)"$`).FindStringSubmatch(filter)
	if m == nil {
		return "", false
	}
	return regexp.MustCompile(`\\(.)`).ReplaceAllString(m[1], "$1"), true
}

// byLink answers with an array and a Link header, as Ory and Okta do.
func byLink(w http.ResponseWriter, r *http.Request, found []*object, size int, param string, one func(o *object) map[string]any) {
	q := r.URL.Query()
	from := 0
	for i, o := range found {
		if q.Get(param) == o.id {
			from = i + 1
		}
	}
	page := slice(found, from, size)
	if len(page) > 0 && from+len(page) < len(found) {
		q.Set(param, page[len(page)-1].id)
		w.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="first",<%s?%s>; rel="next"`, r.URL.Path, r.URL.RawQuery, r.URL.Path, q.Encode()))
	}
	answer(w, http.StatusOK, render(page, one))
}

// products returns an imitation of each product that has a ready-made file.
func products() []*product {
	const users, clients = store.KindUser, store.KindOAuthClient
	uuid := func(n int) string { return fmt.Sprintf("9f0b3c5e-0000-4000-8000-%012d", n) }
	return []*product{
		{
			file: "keycloak.yaml", kinds: []store.Kind{clients, users}, auth: "Bearer t0ken", id: uuid, deleted: noContent,
			deletes: map[store.Kind]string{clients: "/admin/realms/customers/clients/", users: "/admin/realms/customers/users/"},
			lists: func(p *product, w http.ResponseWriter, r *http.Request) bool {
				q := r.URL.Query()
				kind := map[string]store.Kind{"/admin/realms/customers/clients": clients, "/admin/realms/customers/users": users}[r.URL.Path]
				tenant, ok := quoted(q.Get("q"), "tenant:")
				if kind == "" || !ok {
					return false
				}
				page := slice(p.find(kind, func(t string) bool { return t == tenant }), number(q, "first", 0), number(q, "max", 100))
				answer(w, http.StatusOK, render(page, func(o *object) map[string]any {
					if kind == clients {
						return map[string]any{"id": o.id, "clientId": "c", "attributes": map[string]any{"tenant": o.tenant}}
					}
					if q.Get("briefRepresentation") != "false" {
						return map[string]any{"id": o.id, "username": "u"}
					}
					return map[string]any{"id": o.id, "username": "u", "attributes": map[string]any{"tenant": []string{o.tenant}}}
				}))
				return true
			},
		},
		{
			file: "auth0.yaml", kinds: []store.Kind{clients, users}, auth: "Bearer t0ken", always: true, deleted: noContent,
			id:      func(n int) string { return fmt.Sprintf("auth0|%024x", n) },
			deletes: map[store.Kind]string{clients: "/api/v2/clients/", users: "/api/v2/users/"},
			lists: func(p *product, w http.ResponseWriter, r *http.Request) bool {
				q := r.URL.Query()
				if r.URL.Path == "/api/v2/clients" {
					found := p.find(clients, all)
					from := 0
					for i, o := range found {
						if o.id == q.Get("from") {
							from = i + 1
						}
					}
					page := slice(found, from, min(number(q, "take", 50), 100))
					body := map[string]any{"clients": render(page, func(o *object) map[string]any {
						return map[string]any{"client_id": o.id, "client_metadata": map[string]any{"tenant_id": o.tenant}}
					})}
					if from+len(page) < len(found) {
						body["next"] = page[len(page)-1].id
					}
					answer(w, http.StatusOK, body)
					return true
				}
				tenant, ok := quoted(q.Get("q"), "app_metadata.tenant_id:")
				size := min(number(q, "per_page", 50), 100)
				from := number(q, "page", 0) * size
				if r.URL.Path != "/api/v2/users" || !ok || from+size > 1000 || q.Get("include_totals") != "true" {
					fail(w, http.StatusBadRequest)
					return true
				}
				found := p.find(users, func(t string) bool { return t == tenant })
				answer(w, http.StatusOK, map[string]any{"start": from, "limit": size, "total": len(found), "users": render(slice(found, from, size), func(o *object) map[string]any {
					return map[string]any{"user_id": o.id, "app_metadata": map[string]any{"tenant_id": o.tenant}}
				})})
				return true
			},
		},
		{
			file: "okta.yaml", kinds: []store.Kind{users}, auth: "SSWS secret", id: func(n int) string { return fmt.Sprintf("00u%017d", n) },
			twice: true, deleted: noContent, deletes: map[store.Kind]string{users: "/api/v1/users/"},
			lists: func(p *product, w http.ResponseWriter, r *http.Request) bool {
				tenant, ok := quoted(r.URL.Query().Get("search"), "profile.tenantId eq ")
				if r.URL.Path != "/api/v1/users" || !ok {
					return false
				}
				found := p.find(users, func(t string) bool { return strings.EqualFold(t, tenant) })
				byLink(w, r, found, min(number(r.URL.Query(), "limit", 200), 200), "after", func(o *object) map[string]any {
					return map[string]any{"id": o.id, "status": "ACTIVE", "profile": map[string]any{"tenantId": o.tenant}}
				})
				return true
			},
		},
		{
			file: "ory-kratos.yaml", kinds: []store.Kind{users}, id: uuid, deleted: noContent, deletes: map[store.Kind]string{users: "/admin/identities/"},
			lists: func(p *product, w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/admin/identities" {
					return false
				}
				byLink(w, r, p.find(users, all), number(r.URL.Query(), "page_size", 250), "page_token", func(o *object) map[string]any {
					return map[string]any{"id": o.id, "schema_id": "default", "metadata_admin": map[string]any{"tenant_id": o.tenant}}
				})
				return true
			},
		},
		{
			file: "ory-hydra.yaml", kinds: []store.Kind{clients}, id: uuid, deleted: noContent, deletes: map[store.Kind]string{clients: "/admin/clients/"},
			lists: func(p *product, w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/admin/clients" {
					return false
				}
				owner := r.URL.Query().Get("owner")
				found := p.find(clients, func(t string) bool { return t == owner })
				byLink(w, r, found, number(r.URL.Query(), "page_size", 250), "page_token", func(o *object) map[string]any {
					return map[string]any{"client_id": o.id, "client_name": "c", "owner": o.tenant}
				})
				return true
			},
		},
		{
			file: "zitadel.yaml", kinds: []store.Kind{users}, auth: "Bearer secret", id: func(n int) string { return fmt.Sprint(280000000000000000 + n) },
			deleted: func(w http.ResponseWriter, _ string) {
				answer(w, http.StatusOK, map[string]any{"details": map[string]any{"sequence": "2"}})
			},
			deletes: map[store.Kind]string{users: "/v2/users/"},
			lists: func(p *product, w http.ResponseWriter, r *http.Request) bool {
				var ask struct {
					Query         struct{ Offset, Limit int }
					SortingColumn string
					Queries       []struct {
						OrganizationIDQuery struct{ OrganizationID string }
					}
				}
				if r.URL.Path != "/v2/users" || r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&ask) != nil || len(ask.Queries) != 1 {
					return false
				}
				found := p.find(users, func(t string) bool { return t == ask.Queries[0].OrganizationIDQuery.OrganizationID })
				details := map[string]any{"timestamp": "2024-06-20T10:00:00Z"}
				body := map[string]any{"details": details}
				if len(found) > 0 {
					details["totalResult"] = strconv.Itoa(len(found))
				}
				if page := slice(found, ask.Query.Offset, ask.Query.Limit); len(page) > 0 {
					body["result"] = render(page, func(o *object) map[string]any {
						return map[string]any{"userId": o.id, "details": map[string]any{"resourceOwner": o.tenant}}
					})
				}
				answer(w, http.StatusOK, body)
				return true
			},
		},
		{
			file: "stripe.yaml", kinds: []store.Kind{users}, auth: "Basic c2VjcmV0Og==", id: func(n int) string { return fmt.Sprintf("cus_%014d", n) },
			deleted: func(w http.ResponseWriter, id string) {
				answer(w, http.StatusOK, map[string]any{"id": id, "object": "customer", "deleted": true})
			},
			deletes: map[store.Kind]string{users: "/v1/customers/"},
			lists: func(p *product, w http.ResponseWriter, r *http.Request) bool {
				q := r.URL.Query()
				if r.URL.Path != "/v1/customers" || r.Header.Get("Stripe-Version") == "" || q.Has("starting_after") && q.Get("starting_after") == "" {
					return false
				}
				found := p.find(users, all)
				from := 0
				for i, o := range found {
					if o.id == q.Get("starting_after") {
						from = i + 1
					}
				}
				page := slice(found, from, min(number(q, "limit", 10), 100))
				answer(w, http.StatusOK, map[string]any{"object": "list", "has_more": from+len(page) < len(found), "data": render(page, func(o *object) map[string]any {
					return map[string]any{"id": o.id, "object": "customer", "metadata": map[string]any{"tenant_id": o.tenant}}
				})})
				return true
			},
		},
	}
}
