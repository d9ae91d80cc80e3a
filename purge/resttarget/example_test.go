package resttarget_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store"
)

func Example() {
	users := map[string]bool{"anna": true, "ben": true}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method == http.MethodDelete:
			delete(users, r.URL.Path[len("/users/"):])
			w.WriteHeader(http.StatusNoContent)
		case len(users) > 0:
			fmt.Fprint(w, `{"users": [{"id": "anna", "org": "acme"}, {"id": "ben", "org": "acme"}]}`)
		default:
			fmt.Fprint(w, `{"users": []}`)
		}
	}))
	defer api.Close()

	target, err := resttarget.New(resttarget.Config{
		Name:     "directory",
		BaseURL:  api.URL,
		Parallel: 1,
		Kinds: map[store.Kind]resttarget.Kind{store.KindUser: {
			List:   &resttarget.List{Call: resttarget.Call{URL: "/users?org={tenant}"}, Items: "users", ID: "id", Owner: "org"},
			Delete: &resttarget.Delete{Call: resttarget.Call{URL: "/users/{id}"}},
		}},
	}, resttarget.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer target.Close()

	ctx := context.Background()
	did, err := target.Purge(ctx, purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 1000})
	fmt.Println(did.Deleted, did.More, err)
	left, err := target.Count(ctx, "acme", store.KindUser)
	fmt.Println(left, err)
	// Output:
	// 2 false <nil>
	// 0 <nil>
}
